/** Writes arrays as a safetensors file: https://github.com/huggingface/safetensors#format */

export type Packed = Float32Array | Float64Array | Uint8Array | Uint16Array | Int32Array;

const TYPE_NAMES = new Map<unknown, string>([
  [Float32Array, "F32"],
  [Float64Array, "F64"],
  [Uint8Array, "U8"],
  [Uint16Array, "U16"],
  [Int32Array, "I32"],
]);

/** Rounds to the nearest bfloat16, ties to even, as torch does. */
export function bfloat16(parts: readonly Float32Array[]): Uint16Array {
  const out = new Uint16Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    const bits = new Uint32Array(part.buffer, part.byteOffset, part.length);
    for (let i = 0; i < part.length; i++) {
      const full = bits[i] as number;
      out[at++] = Number.isNaN(part[i]) ? 0x7fc0 : (full + 0x7fff + ((full >>> 16) & 1)) >>> 16;
    }
  }
  return out;
}

/** @param halves arrays of bfloat16 */
export function safetensors(
  arrays: Record<string, Packed>,
  halves: Record<string, Uint16Array>,
): ArrayBuffer {
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = {};
  const chunks: Uint8Array[] = [];
  let at = 0;
  const add = (name: string, array: Packed, dtype: string): void => {
    if (array.length === 0) return;
    const end = at + array.byteLength;
    header[name] = { dtype, shape: [array.length], data_offsets: [at, end] };
    chunks.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    at = end;
  };
  for (const [name, array] of Object.entries(arrays)) {
    add(name, array, TYPE_NAMES.get(array.constructor) as string);
  }
  for (const [name, array] of Object.entries(halves)) add(name, array, "BF16");
  const text = new TextEncoder().encode(JSON.stringify(header));
  const blob = new Uint8Array(8 + text.length + at);
  new DataView(blob.buffer).setBigUint64(0, BigInt(text.length), true);
  blob.set(text, 8);
  let offset = 8 + text.length;
  for (const chunk of chunks) {
    blob.set(chunk, offset);
    offset += chunk.length;
  }
  return blob.buffer;
}
