/** What is in the answers of the kernel. */

/** A copy, for buffers of messages need not be aligned. */
export function doubles(view: DataView | undefined): Float64Array {
  return new Float64Array(bytes(view));
}

export function floats(view: DataView | undefined): Float32Array {
  return new Float32Array(bytes(view));
}

function bytes(view: DataView | undefined): ArrayBuffer {
  if (!view) throw new Error("the kernel sent too few buffers");
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice().buffer as ArrayBuffer;
}

export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
