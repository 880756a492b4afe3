/** Reads the arrays of a safetensors blob: https://github.com/huggingface/safetensors#format */

export type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

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
      case "F16":
        return fromFloat16(new Uint16Array(bytes));
      case "I8":
        return new Int8Array(bytes);
      case "I16":
        return new Int16Array(bytes);
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

function fromFloat16(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}
