/** Pictures of weights, as an overview holds them. */

import { type Drawn, pool, withinFloat32 } from "./matrix";

/** A thumbnail: pixel k of an axis starts at element floor(k * elements / pixels). */
export function thumbnail(matrix: Drawn, height: number, width: number): Float32Array {
  const out = new Float32Array(height * width);
  const edge = (k: number, pixels: number, elements: number): number => Math.floor((k * elements) / pixels);
  for (let y = 0; y < height; y++) {
    const row0 = edge(y, height, matrix.rows.length);
    const row1 = edge(y + 1, height, matrix.rows.length);
    for (let x = 0; x < width; x++) {
      const col0 = edge(x, width, matrix.cols.length);
      const col1 = edge(x + 1, width, matrix.cols.length);
      out[y * width + x] = withinFloat32(pool(matrix, [row0, row1, col0, col1], "absmax"));
    }
  }
  return out;
}

/** At most `size` values, each the largest of its stretch. */
export function poolLargest(values: Float32Array, size: number): Float32Array {
  if (values.length <= size) return values;
  return Float32Array.from({ length: size }, (_, k) => {
    const from = Math.floor((k * values.length) / size);
    const to = Math.floor(((k + 1) * values.length) / size);
    return values.subarray(from, to).reduce((largest, v) => Math.max(largest, v), 0);
  });
}
