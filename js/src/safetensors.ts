/** Reads the arrays of a safetensors blob: https://github.com/huggingface/safetensors#format */

export type Numbers = Float32Array | Float64Array | Uint8Array | Uint16Array | Int32Array | Uint32Array;

/** Gives a function from the name of an array to a copy of it; null if there is none of that name. */
export function readSafetensors(blob: DataView): (name: string) => Numbers | null {
  const headerSize = Number(blob.getBigUint64(0, true));
  const text = new TextDecoder().decode(new Uint8Array(blob.buffer, blob.byteOffset + 8, headerSize));
  const header = JSON.parse(text) as Record<string, { dtype: string; data_offsets: [number, number] }>;
  const start = blob.byteOffset + 8 + headerSize;
  return (name) => {
    const entry = Object.hasOwn(header, name) ? header[name] : undefined;
    if (!entry) return null;
    const [from, to] = entry.data_offsets;
    // A copy: it is aligned whatever the blob's own offset.
    const bytes = blob.buffer.slice(start + from, start + to);
    switch (entry.dtype) {
      case "F64":
        return new Float64Array(bytes);
      case "F32":
        return new Float32Array(bytes);
      case "BF16":
        return fromBfloat16(new Uint16Array(bytes));
      case "I32":
        return new Int32Array(bytes);
      case "U32":
        return new Uint32Array(bytes);
      case "U16":
        return new Uint16Array(bytes);
      case "U8":
        return new Uint8Array(bytes);
      default:
        throw new Error(`the overview has an array of type ${entry.dtype}, which this front end cannot read`);
    }
  };
}

function fromBfloat16(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = (bits[i] as number) << 16;
  return new Float32Array(wide.buffer);
}
