/** Where things stand in the plot: room for the matrix, indices along its edges, norms beside it. CSS pixels. */

import type { MatrixInfo } from "./matrix";
import { type MatrixParts, NO_PARTS, type PartLevel } from "./parts";

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
  /** Bands with the names of parts, beside the rows and over the columns. */
  rowBands: number;
  colBands: number;
}

/** Between the matrix and its norms. */
export const GAP = 5;
export const TICK_ROOM = 16;
export const TITLE_ROOM = 14;
/** Thickness of a band with the names of parts. */
export const BAND_ROOM = 14;
/** Height of a vector's strip. */
export const STRIP = 24;
const DIGIT = 6.1;
const ROW_NORMS = 54;
const COL_NORMS = 30;

export function geometry(
  matrix: MatrixInfo,
  width: number,
  height: number,
  parts: MatrixParts = NO_PARTS,
): Geometry {
  const roomy = width >= 330 && height >= 220;
  // The same at every zoom: nothing may jump.
  const rowBands = Math.min(bandsOf(parts.rows), roomy ? 2 : 1);
  const colBands = Math.min(bandsOf(parts.cols), roomy ? 2 : 1);
  if (matrix.rows === 1 && matrix.cols > 1) return strip(width, height, colBands);
  const digits = String(Math.max(0, matrix.rows - 1)).length;
  const bands = rowBands > 0 ? rowBands * BAND_ROOM + 3 : 0;
  const left = Math.ceil(8 + digits * DIGIT) + (roomy ? TITLE_ROOM : 0) + bands;
  const top = TICK_ROOM + (roomy ? TITLE_ROOM : 0) + colBands * BAND_ROOM;
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
  return { width, height, room, rowNorms, colNorms, values: null, titles: roomy, rowBands, colBands };
}

/** A band for each level of splits; the places on flattened axes have one together. */
function bandsOf(levels: readonly PartLevel[]): number {
  const splits = levels.filter((level) => level.split).length;
  return splits + Math.min(1, levels.length - splits);
}

function strip(width: number, height: number, colBands: number): Geometry {
  const left = 50;
  const above = TICK_ROOM + colBands * BAND_ROOM;
  const room = { x: left, y: above, width: Math.max(1, Math.floor(width - left - 8)), height: STRIP };
  const top = above + STRIP + 10;
  const values = {
    x: left,
    y: top,
    width: room.width,
    height: Math.max(20, Math.min(height - top - 6, 320)),
  };
  return { width, height, room, rowNorms: 0, colNorms: 0, values, titles: false, rowBands: 0, colBands };
}
