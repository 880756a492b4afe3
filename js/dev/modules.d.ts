/** A script, bundled, as text: see build.mjs. */
declare module "inline:*" {
  const source: string;
  export default source;
}

declare module "*.css";
