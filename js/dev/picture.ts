/** Pictures of fake weights: matrices drawn of any axes, pooled to fewer pixels. */

import { type Aggregate, type MatrixAddress, TILE_SIZE } from "../src/protocol";
import { defaultAxes, matrixSize } from "../src/tensor";

/** A matrix drawn of a tensor: element (r, c) is data[base + rows[r] + cols[c]]. */
export interface Drawn {
  data: Float32Array;
  base: number;
  rows: Int32Array;
  cols: Int32Array;
}

export function draw(
  data: Float32Array,
  shape: readonly number[],
  { axes, index }: Pick<MatrixAddress, "axes" | "index"> = { axes: defaultAxes(shape), index: [] },
): Drawn {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
  const drawn = new Set([...axes.rows, ...axes.cols]);
  let base = 0;
  strides.forEach((stride, axis) => {
    if (!drawn.has(axis)) base += stride * (index[axis] ?? 0);
  });
  const [height, width] = matrixSize(shape, axes);
  const offsets = (list: number[], length: number): Int32Array =>
    Int32Array.from({ length }, (_, flat) => {
      let rest = flat;
      let offset = 0;
      for (const axis of [...list].reverse()) {
        const size = shape[axis] as number;
        offset += (rest % size) * (strides[axis] as number);
        rest = Math.floor(rest / size);
      }
      return offset;
    });
  return { data, base, rows: offsets(axes.rows, height), cols: offsets(axes.cols, width) };
}

/** One pixel: an aggregate of a block of elements. NaN wins over all, an infinity over the rest. */
export function pool(
  matrix: Drawn,
  [row0, row1, col0, col1]: [number, number, number, number],
  aggregate: Aggregate,
): number {
  const { data, rows, cols } = matrix;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let squares = 0;
  for (let r = row0; r < row1; r++) {
    const start = matrix.base + (rows[r] as number);
    for (let c = col0; c < col1; c++) {
      const w = data[start + (cols[c] as number)] as number;
      if (Number.isNaN(w)) return Number.NaN;
      if (w < low) low = w;
      if (w > high) high = w;
      sum += w;
      squares += w * w;
    }
  }
  const largest = -low > high ? low : high;
  if (!Number.isFinite(largest)) return largest;
  const mean = sum / ((row1 - row0) * (col1 - col0));
  switch (aggregate) {
    case "absmax":
      return largest;
    case "min":
      return low;
    case "max":
      return high;
    case "mean":
      return mean;
    case "std":
      return Math.sqrt(Math.max(0, squares / ((row1 - row0) * (col1 - col0)) - mean * mean));
  }
}

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
      out[y * width + x] = pool(matrix, [row0, row1, col0, col1], "absmax");
    }
  }
  return out;
}

export interface Tile {
  height: number;
  width: number;
  values: Float32Array;
  /** Share of elements in the range: 0 for none, else 1 to 255. */
  shares: Uint8Array | null;
}

/** A tile at a level of detail: a pixel covers 2**level elements of an axis. */
export function tileOf(
  matrix: Drawn,
  [rowLevel, colLevel, rowTile, colTile]: readonly number[],
  aggregate: Aggregate,
  range: readonly [number, number] | null,
): Tile {
  const rowStep = 2 ** (rowLevel as number);
  const colStep = 2 ** (colLevel as number);
  const top = (rowTile as number) * TILE_SIZE * rowStep;
  const left = (colTile as number) * TILE_SIZE * colStep;
  const bottom = Math.min(matrix.rows.length, top + TILE_SIZE * rowStep);
  const right = Math.min(matrix.cols.length, left + TILE_SIZE * colStep);
  if (top >= bottom || left >= right) throw new RangeError(`there is no tile (${rowTile}, ${colTile})`);
  const height = Math.ceil((bottom - top) / rowStep);
  const width = Math.ceil((right - left) / colStep);
  const values = new Float32Array(height * width);
  const shares = range ? new Uint8Array(height * width) : null;
  for (let y = 0; y < height; y++) {
    const row0 = top + y * rowStep;
    const row1 = Math.min(row0 + rowStep, bottom);
    for (let x = 0; x < width; x++) {
      const col0 = left + x * colStep;
      const block: [number, number, number, number] = [row0, row1, col0, Math.min(col0 + colStep, right)];
      values[y * width + x] = pool(matrix, block, aggregate);
      if (shares && range) shares[y * width + x] = Math.ceil(255 * shareWithin(matrix, block, range));
    }
  }
  return { height, width, values, shares };
}

function shareWithin(
  matrix: Drawn,
  [row0, row1, col0, col1]: [number, number, number, number],
  [low, high]: readonly [number, number],
): number {
  let found = 0;
  for (let r = row0; r < row1; r++) {
    for (let c = col0; c < col1; c++) {
      const w = matrix.data[matrix.base + (matrix.rows[r] as number) + (matrix.cols[c] as number)] as number;
      if (w >= low && w <= high) found++;
    }
  }
  return found / ((row1 - row0) * (col1 - col0));
}

/** L2 norms of rows and columns; what is not finite counts as nothing. */
export function norms(matrix: Drawn): { rows: Float32Array; cols: Float32Array } {
  const { data, rows, cols } = matrix;
  const rowSquares = new Float64Array(rows.length);
  const colSquares = new Float64Array(cols.length);
  for (let r = 0; r < rows.length; r++) {
    const start = matrix.base + (rows[r] as number);
    let sum = 0;
    for (let c = 0; c < cols.length; c++) {
      const w = data[start + (cols[c] as number)] as number;
      const square = w * w;
      if (square - square !== 0) continue;
      sum += square;
      colSquares[c] = (colSquares[c] as number) + square;
    }
    rowSquares[r] = sum;
  }
  return { rows: Float32Array.from(rowSquares, Math.sqrt), cols: Float32Array.from(colSquares, Math.sqrt) };
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
