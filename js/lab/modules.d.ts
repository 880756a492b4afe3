/** A file that the build puts in as text. */
declare module "*.py" {
  const text: string;
  export default text;
}
