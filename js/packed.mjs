// A module that unpacks another: every explorer in a saved notebook carries the widget's, which so takes half the room.
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

// Hosts import the widget from an address of a blob, and so does this: where the one works, the other does.
const unpack = (
  base64,
) => `// weightwidget's front end, packed. Its source is in the folder js of the project.
const packed = "${base64}";
const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const code = await new Response(stream).text();
const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
const { default: widget } = await import(url);
URL.revokeObjectURL(url);
export default widget;
`;

/** Replaces a module with a default export by a packed one. */
export async function packModule(path) {
  const code = await readFile(path);
  await writeFile(path, unpack(gzipSync(code, { level: 9 }).toString("base64")));
}
