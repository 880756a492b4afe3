/** What follows from a tensor's shape alone. Held to weightwidget/detail/matrix.py by tests/protocol/axes.json. */

import type { Axes } from "./anatomy";
import type { DrawnAxes } from "./protocol";

/** Types of complex numbers, and those of their parts. Statistics and pictures of complex weights are those of |w|. */
export const COMPLEX: ReadonlyMap<string, string> = new Map([
  ["complex32", "float16"],
  ["complex64", "float32"],
  ["complex128", "float64"],
]);

/** The first axis makes the rows, the others flattened the columns; a vector is one row, a scalar one cell. */
export function defaultAxes(shape: readonly number[]): DrawnAxes {
  const all = shape.map((_, axis) => axis);
  return shape.length < 2 ? { rows: [], cols: all } : { rows: [0], cols: all.slice(1) };
}

/**
 * What is drawn unless somebody chooses other axes: the default axes, but of stacked experts the matrix of one, through
 * which is stepped. Thumbnails and norms are those of the default axes.
 */
export function usualAxes(shape: readonly number[], axes: Axes | null): DrawnAxes {
  const stacked = (axis: number): boolean =>
    axes?.splits.some(
      ({ axis: own, name }) => own === axis && name === "expert" && axes.names[axis] === name,
    ) ?? false;
  const rest = shape.flatMap((_, axis) => (stacked(axis) ? [] : [axis]));
  if (rest.length === shape.length || rest.length < 2) return defaultAxes(shape);
  return { rows: rest.slice(0, 1), cols: rest.slice(1) };
}

/** Rows and columns of the matrix that these axes draw. */
export function matrixSize(shape: readonly number[], axes: DrawnAxes): [number, number] {
  const product = (list: number[]): number => list.reduce((p, axis) => p * (shape[axis] ?? 1), 1);
  return [product(axes.rows), product(axes.cols)];
}

/** Position in the tensor of a cell of the drawn matrix. */
export function position(
  shape: readonly number[],
  axes: DrawnAxes,
  index: readonly number[],
  row: number,
  col: number,
): number[] {
  const at = shape.map((_, axis) => index[axis] ?? 0);
  for (const [list, flat] of [
    [axes.rows, row],
    [axes.cols, col],
  ] as const) {
    let rest = flat;
    for (const axis of [...list].reverse()) {
      const size = shape[axis] ?? 1;
      at[axis] = rest % size;
      rest = Math.floor(rest / size);
    }
  }
  return at;
}
