/** What outputs/page.py packs: gzip, as base64. */

export async function unpackBytes(base64: string): Promise<ArrayBuffer> {
  const packed = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
