/** Arrays of replies, copied out of the message. */

export function floats(view: DataView | undefined): Float32Array {
  if (!view) throw new Error("the kernel sent no numbers");
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

export function doubles(view: DataView | undefined): Float64Array {
  if (!view) throw new Error("the kernel sent no numbers");
  return new Float64Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

export function integers(view: DataView | undefined): Int32Array {
  if (!view) throw new Error("the kernel sent no numbers");
  return new Int32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}
