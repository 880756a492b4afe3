/** Arrays out of the buffers of replies. Copies, for buffers of messages may start anywhere, arrays of numbers must not. */

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
