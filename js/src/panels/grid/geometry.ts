/** Where the cells and labels of a grid lie. Pure. */

export interface GridGeometry {
  /** Of the canvas, in CSS pixels. */
  readonly width: number;
  readonly height: number;
  /** Room for the labels. */
  readonly left: number;
  readonly top: number;
  /** Size of a cell, not always whole; see `edge`. */
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly rows: number;
  readonly cols: number;
}

export interface CellSizes {
  readonly largest: readonly [width: number, height: number];
  readonly least: readonly [width: number, height: number];
  /** Height that the rows share before they get less than they would like. */
  readonly height: number;
}

export const CELL_SIZES: CellSizes = { largest: [58, 24], least: [2, 7], height: 250 };

/** Height of the column labels and of the title above them. */
export const TOP = 30;
/** Room at the right, so that the last label and the frame of the last cell are not cut off. */
export const RIGHT = 8;
const BOTTOM = 4;

/**
 * @param room width that is there, in CSS pixels. Where the cells would be too narrow the canvas is wider.
 * @param left width of the row labels
 */
export function gridGeometry(
  rows: number,
  cols: number,
  room: number,
  left: number,
  { largest, least, height }: CellSizes = CELL_SIZES,
): GridGeometry {
  const cellWidth = Math.min(largest[0], Math.max(least[0], (room - left - RIGHT) / Math.max(1, cols)));
  const cellHeight = Math.min(largest[1], Math.max(least[1], Math.floor(height / Math.max(1, rows))));
  return {
    width: Math.ceil(left + cols * cellWidth + RIGHT),
    height: Math.ceil(TOP + rows * cellHeight + BOTTOM),
    left,
    top: TOP,
    cellWidth,
    cellHeight,
    rows,
    cols,
  };
}

/** Edge number `at` of columns of fractional width, on a device pixel. */
export function edge(start: number, size: number, at: number, ratio: number): number {
  return Math.round((start + at * size) * ratio) / ratio;
}

/** The cell at a point of the canvas; null outside. */
export function cellAt(geo: GridGeometry, x: number, y: number): [row: number, col: number] | null {
  const row = Math.floor((y - geo.top) / geo.cellHeight);
  const col = Math.floor((x - geo.left) / geo.cellWidth);
  return row >= 0 && row < geo.rows && col >= 0 && col < geo.cols ? [row, col] : null;
}

/** Every how many labels one is shown, so that they stand at least `room` apart: 1, 2, 5, 10, 20, … */
export function labelStep(size: number, room: number): number {
  for (let decade = 1; ; decade *= 10) {
    for (const step of [1, 2, 5]) if (decade * step * size >= room || decade > 1e6) return decade * step;
  }
}

/**
 * What tells paths apart: leading and trailing parts that all have in common are left out.
 * "encoder.layer.0.attention", "encoder.layer.1.attention" become "0" and "1".
 */
export function shortLabels(paths: readonly string[]): string[] {
  const split = paths.map((path) => path.split("."));
  const least = Math.min(...split.map((parts) => parts.length));
  const first = split[0] ?? [];
  if (new Set(paths).size < 2) return paths.map((path) => path || "model");
  let before = 0;
  while (before < least - 1 && split.every((parts) => parts[before] === first[before])) before++;
  let after = 0;
  while (
    after < least - 1 - before &&
    split.every((parts) => parts[parts.length - 1 - after] === first[first.length - 1 - after])
  ) {
    after++;
  }
  return split.map((parts) => parts.slice(before, parts.length - after).join("."));
}
