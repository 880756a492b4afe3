/** Where things stand in the plot: room for the matrix, indices along its edges, norms beside it. CSS pixels. */

import type { MatrixInfo } from "./matrix";

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Geometry {
  width: number;
  height: number;
  /** Room for the matrix; a small one leaves some of it free, to the right and below. */
  room: Rect;
  /** Width of the row norms right of the matrix, height of the column norms below it; 0 if not shown. */
  rowNorms: number;
  colNorms: number;
  /** Room for the plot of a vector's values. */
  values: Rect | null;
  /** Whether the axes are named. */
  titles: boolean;
}

/** Between the matrix and its norms. */
export const GAP = 5;
export const TICK_ROOM = 16;
export const TITLE_ROOM = 14;
/** Height of a vector's strip. */
export const STRIP = 24;
const DIGIT = 6.1;
const ROW_NORMS = 54;
const COL_NORMS = 30;

export function geometry(matrix: MatrixInfo, width: number, height: number): Geometry {
  const roomy = width >= 330 && height >= 220;
  if (matrix.rows === 1 && matrix.cols > 1) return strip(width, height);
  const digits = String(Math.max(0, matrix.rows - 1)).length;
  const left = Math.ceil(8 + digits * DIGIT) + (roomy ? TITLE_ROOM : 0);
  const top = TICK_ROOM + (roomy ? TITLE_ROOM : 0);
  const shown = matrix.rows > 1 && matrix.cols > 1;
  const rowNorms = shown && width >= 240 ? (roomy ? ROW_NORMS : 30) : 0;
  const colNorms = shown && height >= 150 ? COL_NORMS : 0;
  const room = {
    x: left,
    y: top,
    // The last pixel right and below keeps rows and columns that are cut off by rounding in sight.
    width: Math.max(1, Math.floor(width - left - (rowNorms ? rowNorms + GAP : 0) - 2)),
    height: Math.max(1, Math.floor(height - top - (colNorms ? colNorms + GAP : 0) - 2)),
  };
  return { width, height, room, rowNorms, colNorms, values: null, titles: roomy };
}

function strip(width: number, height: number): Geometry {
  const left = 50;
  const room = { x: left, y: TICK_ROOM, width: Math.max(1, Math.floor(width - left - 8)), height: STRIP };
  const top = TICK_ROOM + STRIP + 10;
  const values = {
    x: left,
    y: top,
    width: room.width,
    height: Math.max(20, Math.min(height - top - 6, 320)),
  };
  return { width, height, room, rowNorms: 0, colNorms: 0, values, titles: false };
}
