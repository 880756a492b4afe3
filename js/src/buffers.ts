/** Arrays out of the buffers of replies: copies, for buffers may start anywhere, arrays of numbers must not. And back. */

import type { Numbers } from "./safetensors";

export function floats(view: DataView | undefined): Float32Array {
  return new Float32Array(copied(view));
}

export function doubles(view: DataView | undefined): Float64Array {
  return new Float64Array(copied(view));
}

export function integers(view: DataView | undefined): Int32Array {
  return new Int32Array(copied(view));
}

export function copied(view: DataView | undefined): ArrayBuffer {
  if (!view) throw new Error("the kernel sent too little: a buffer is missing");
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}

/** Buffers of a reply that is made here. */
export function views(...arrays: Numbers[]): DataView[] {
  return arrays.map((array) => new DataView(array.buffer, array.byteOffset, array.byteLength));
}
