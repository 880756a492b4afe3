/** Which matrix is drawn of what is selected, and what the overview alone knows of it. */

import { computed, type ReadonlySignal } from "@preact/signals-core";
import { type Spread, typicalPixel } from "../../draw/colourscale";
import type { Overview, Thumbnail } from "../../overview";
import type { DrawnAxes, MatrixAddress } from "../../protocol";
import type { Store } from "../../store";
import { defaultAxes, matrixSize } from "../../tensor";

export interface MatrixInfo extends MatrixAddress {
  /** Says which matrix it is: tensor, axes, index. */
  readonly key: string;
  /** Row of the tensor in the overview. */
  readonly row: number;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly rows: number;
  readonly cols: number;
  /** Whether it is the default matrix: only of that the overview has a thumbnail and norms. */
  readonly isDefault: boolean;
}

/** The matrix that is drawn, null if what is selected has none; the same object until something of it changes. */
export function drawnMatrix(store: Store): ReadonlySignal<MatrixInfo | null> {
  let last: MatrixInfo | null = null;
  return computed(() => {
    const overview = store.overview.value;
    const row = store.selectedRow.value;
    if (!overview.isTensor(row) || overview.error(row)) {
      last = null;
      return last;
    }
    const shape = overview.shape(row);
    const axes = fittingAxes(store.traits.drawn_axes.value, shape, store.usualAxes(row));
    const index = fittingIndex(store.traits.index.value, shape);
    const tensor = overview.names[row] as string;
    const drawn = new Set([...axes.rows, ...axes.cols]);
    const fixed = index.map((at, axis) => (drawn.has(axis) ? 0 : at));
    const key = JSON.stringify([tensor, axes.rows, axes.cols, fixed]);
    if (last?.key === key && last.row === row && String(last.shape) === String(shape)) return last;
    const [rows, cols] = matrixSize(shape, axes);
    const plain = defaultAxes(shape);
    const isDefault = String(axes.rows) === String(plain.rows) && String(axes.cols) === String(plain.cols);
    const dtype = overview.dtype(row);
    last = { key, tensor, row, shape, dtype, axes, index: fixed, rows, cols, isDefault };
    return last;
  });
}

/** The chosen axes if the tensor has them, else the usual ones. */
export function fittingAxes(
  chosen: DrawnAxes | null,
  shape: readonly number[],
  usual: DrawnAxes = defaultAxes(shape),
): DrawnAxes {
  if (!chosen) return usual;
  const drawn = [...chosen.rows, ...chosen.cols];
  const fits =
    drawn.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < shape.length) &&
    new Set(drawn).size === drawn.length;
  return fits ? chosen : usual;
}

/** The chosen position, zero on axes where the tensor does not reach so far. */
export function fittingIndex(chosen: readonly number[] | null, shape: readonly number[]): number[] {
  return shape.map((size, axis) => {
    const at = chosen?.length === shape.length ? (chosen[axis] ?? 0) : 0;
    return Number.isInteger(at) && at >= 0 && at < size ? at : 0;
  });
}

/** Statistics of the weights, for colour scales. */
export function spreadOf(overview: Overview, matrix: MatrixInfo, fitted: number): Spread {
  const of = (key: string): number => overview.column(key)[matrix.row] ?? Number.NaN;
  const thumbnail = overview.thumbnail(matrix.row);
  const all = matrix.shape.reduce((product, size) => product * size, 1);
  return {
    absmax: of("absmax"),
    q01: of("q01"),
    q99: of("q99"),
    rms: of("rms"),
    pixel: thumbnail
      ? typicalPixel(thumbnail.data, all / thumbnail.data.length, Math.min(all, fitted))
      : Number.NaN,
  };
}

export interface Largest {
  value: number;
  position: number[];
  /** Where it is drawn; null if the fixed axes leave it out. */
  cell: [number, number] | null;
}

/** The finite element of largest magnitude. */
export function largestOf(overview: Overview, matrix: MatrixInfo): Largest | null {
  const low = overview.column("min")[matrix.row] ?? Number.NaN;
  const high = overview.column("max")[matrix.row] ?? Number.NaN;
  // Among weights that are all zero none is the largest.
  if (!Number.isFinite(low) || !Number.isFinite(high) || (low === 0 && high === 0)) return null;
  const negative = -low > high;
  const position = overview.extremeAt(matrix.row, negative ? "argmin" : "argmax");
  if (!position) return null;
  return { value: negative ? low : high, position, cell: cellAt(matrix, position) };
}

/** Row and column at which a position of the tensor is drawn; null if the fixed axes leave it out. */
export function cellAt(matrix: MatrixInfo, position: readonly number[]): [number, number] | null {
  const drawn = new Set([...matrix.axes.rows, ...matrix.axes.cols]);
  const seen = position.every((at, axis) => drawn.has(axis) || at === matrix.index[axis]);
  if (!seen) return null;
  const flat = (axes: readonly number[]): number =>
    axes.reduce((sum, axis) => sum * (matrix.shape[axis] ?? 1) + (position[axis] ?? 0), 0);
  return [flat(matrix.axes.rows), flat(matrix.axes.cols)];
}

/** Halves a picture along an axis; each new cell is the one of larger magnitude, NaN before all. */
export function halve(picture: Thumbnail, along: "rows" | "cols"): Thumbnail {
  const down = along === "rows";
  const height = down ? Math.ceil(picture.height / 2) : picture.height;
  const width = down ? picture.width : Math.ceil(picture.width / 2);
  const data = new Float32Array(height * width);
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++) {
      const at = down ? 2 * row * picture.width + col : row * picture.width + 2 * col;
      const a = picture.data[at] as number;
      const alone = down ? 2 * row + 1 >= picture.height : 2 * col + 1 >= picture.width;
      const b = alone ? a : (picture.data[at + (down ? picture.width : 1)] as number);
      data[row * width + col] = Number.isNaN(a) || Math.abs(a) >= Math.abs(b) ? a : b;
    }
  }
  return { height, width, data };
}
