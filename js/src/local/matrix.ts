/** Weights seen as a matrix: any axes drawn, pooled to fewer pixels. As weightwidget/detail/tiles.py does it. */

import { type Aggregate, type MatrixAddress, TILE_SIZE } from "../protocol";
import type { Numbers } from "../safetensors";
import { defaultAxes, matrixSize } from "../tensor";

/** A matrix drawn of a tensor: element (r, c) is data[base + rows[r] + cols[c]]. */
export interface Drawn {
  data: Numbers;
  base: number;
  rows: Int32Array;
  cols: Int32Array;
}

export type Window = readonly [row0: number, row1: number, col0: number, col1: number];

const FLOAT32_MAX = 3.4028234663852886e38;

/** @param data row-major */
export function draw(
  data: Numbers,
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

/** The elements of a window, row by row; a copy. */
export function elements({ data, base, rows, cols }: Drawn, [row0, row1, col0, col1]: Window): Numbers {
  if (row0 < 0 || col0 < 0 || row0 >= row1 || col0 >= col1 || row1 > rows.length || col1 > cols.length)
    throw new RangeError(`there is no region ${[row0, row1, col0, col1].join(", ")}`);
  const found = data.slice(0, (row1 - row0) * (col1 - col0));
  let at = 0;
  for (let r = row0; r < row1; r++) {
    const start = base + (rows[r] as number);
    for (let c = col0; c < col1; c++) found[at++] = data[start + (cols[c] as number)] as number;
  }
  return found;
}

/** One pixel: an aggregate of a block of elements. NaN wins over all, an infinity over the rest. */
export function pool(matrix: Drawn, block: Window, aggregate: Aggregate): number {
  const { data, rows, cols } = matrix;
  const [row0, row1, col0, col1] = block;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (let r = row0; r < row1; r++) {
    const start = matrix.base + (rows[r] as number);
    for (let c = col0; c < col1; c++) {
      const w = data[start + (cols[c] as number)] as number;
      if (Number.isNaN(w)) return Number.NaN;
      if (w < low) low = w;
      if (w > high) high = w;
      sum += w;
    }
  }
  const largest = -low > high ? low : high;
  if (!Number.isFinite(largest)) return largest;
  const count = (row1 - row0) * (col1 - col0);
  switch (aggregate) {
    case "absmax":
      return largest;
    case "min":
      return low;
    case "max":
      return high;
    case "mean":
      return sum / count;
    case "std":
      return Math.sqrt(squaresAbout(matrix, block, sum / count) / count);
  }
}

/** Sum of squared distances from the mean: the difference of two large sums would lose all digits. */
function squaresAbout({ data, base, rows, cols }: Drawn, block: Window, mean: number): number {
  const [row0, row1, col0, col1] = block;
  let squares = 0;
  for (let r = row0; r < row1; r++) {
    const start = base + (rows[r] as number);
    for (let c = col0; c < col1; c++) squares += ((data[start + (cols[c] as number)] as number) - mean) ** 2;
  }
  return squares;
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
      const block: Window = [row0, row1, col0, Math.min(col0 + colStep, right)];
      values[y * width + x] = withinFloat32(pool(matrix, block, aggregate));
      if (shares && range) shares[y * width + x] = Math.ceil(255 * shareWithin(matrix, block, range));
    }
  }
  return { height, width, values, shares };
}

/** Finite values beyond float32 are drawn as its largest ones, never as infinities. */
export function withinFloat32(value: number): number {
  return Number.isFinite(value) ? Math.max(-FLOAT32_MAX, Math.min(FLOAT32_MAX, value)) : value;
}

function shareWithin(
  matrix: Drawn,
  [row0, row1, col0, col1]: Window,
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
  const root = (square: number): number => withinFloat32(Math.sqrt(square));
  return { rows: Float32Array.from(rowSquares, root), cols: Float32Array.from(colSquares, root) };
}

/** The element of largest magnitude in a window; the first NaN if there is one. */
export function largest(
  matrix: Drawn,
  [row0, row1, col0, col1]: Window,
): { row: number; col: number; value: number } {
  let best = { row: row0, col: col0, value: 0 };
  for (let row = row0; row < row1; row++) {
    for (let col = col0; col < col1; col++) {
      const at = matrix.base + (matrix.rows[row] as number) + (matrix.cols[col] as number);
      const value = matrix.data[at] as number;
      if (Number.isNaN(value)) return { row, col, value };
      if (Math.abs(value) > Math.abs(best.value)) best = { row, col, value };
    }
  }
  return best;
}
