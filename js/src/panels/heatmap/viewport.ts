/** What part of a matrix is seen, and how large. Pure: every function gives a new viewport. */

export interface Viewport {
  /** The matrix, in elements. */
  readonly rows: number;
  readonly cols: number;
  /** The room for it, in CSS pixels. */
  readonly width: number;
  readonly height: number;
  /** The element at the left and at the top edge; fractions are parts of it that are out of sight. */
  readonly x: number;
  readonly y: number;
  /** Pixels an element. */
  readonly sx: number;
  readonly sy: number;
}

/** row0, row1, col0, col1; ends exclusive. */
export type Window = [number, number, number, number];
export type Direction = "both" | "rows" | "cols";

/** No cell is larger: room for a number and to point at it. */
export const LARGEST_CELL = 64;
/** No cell is larger when the whole matrix is shown. */
export const LARGEST_FITTED = 48;

/**
 * Pixels an element with which the whole matrix fits. Large matrices fill the room whatever their shape; cells that
 * can be told apart get the more alike in width and height the larger they are.
 */
export function fitScales(rows: number, cols: number, width: number, height: number): [number, number] {
  const sx = Math.min(LARGEST_FITTED, width / Math.max(1, cols));
  const sy = Math.min(LARGEST_FITTED, height / Math.max(1, rows));
  const small = Math.min(sx, sy);
  const stretch = small <= 2 ? Number.POSITIVE_INFINITY : small >= 10 ? 1 : 20 / small - 1;
  return [Math.min(sx, small * stretch), Math.min(sy, small * stretch)];
}

export function fit(rows: number, cols: number, width: number, height: number): Viewport {
  const [sx, sy] = fitScales(rows, cols, width, height);
  return { rows, cols, width, height, x: 0, y: 0, sx, sy };
}

export function isFit(v: Viewport): boolean {
  const [sx, sy] = fitScales(v.rows, v.cols, v.width, v.height);
  return v.sx <= sx * 1.0001 && v.sy <= sy * 1.0001;
}

/** Keeps scales within bounds and the matrix in the room. */
function bounded(v: Viewport): Viewport {
  const [fx, fy] = fitScales(v.rows, v.cols, v.width, v.height);
  const sx = Math.min(Math.max(v.sx, fx), Math.max(LARGEST_CELL, fx));
  const sy = Math.min(Math.max(v.sy, fy), Math.max(LARGEST_CELL, fy));
  const x = Math.max(0, Math.min(v.x, v.cols - v.width / sx));
  const y = Math.max(0, Math.min(v.y, v.rows - v.height / sy));
  return { ...v, sx, sy, x, y };
}

/** Makes cells `factor` times as large; what is at (px, py) stays there. */
export function zoomAt(
  v: Viewport,
  factor: number,
  px: number,
  py: number,
  along: Direction = "both",
): Viewport {
  const [fx, fy] = fitScales(v.rows, v.cols, v.width, v.height);
  const clamp = (scale: number, least: number): number =>
    Math.min(Math.max(scale, least), Math.max(LARGEST_CELL, least));
  const sx = along === "rows" ? v.sx : clamp(v.sx * factor, fx);
  const sy = along === "cols" ? v.sy : clamp(v.sy * factor, fy);
  return bounded({ ...v, sx, sy, x: v.x + px / v.sx - px / sx, y: v.y + py / v.sy - py / sy });
}

/** Moves the matrix with the pointer, by pixels. */
export function pan(v: Viewport, dx: number, dy: number): Viewport {
  return bounded({ ...v, x: v.x - dx / v.sx, y: v.y - dy / v.sy });
}

/** Another room for the same view: a fitted one fits again, any other keeps its scale and its upper left corner. */
export function resize(v: Viewport, width: number, height: number): Viewport {
  if (width === v.width && height === v.height) return v;
  return isFit(v) ? fit(v.rows, v.cols, width, height) : bounded({ ...v, width, height });
}

/** Pixels that the matrix covers: less than the room where it is small. */
export function drawnSize(v: Viewport): [number, number] {
  return [Math.min(v.width, v.cols * v.sx), Math.min(v.height, v.rows * v.sy)];
}

/** Elements of which at least a part is seen. */
export function visibleWindow(v: Viewport): Window {
  const [width, height] = drawnSize(v);
  // The slack keeps elements out of which nothing but rounding errors is seen.
  const end = (start: number, length: number, most: number): number =>
    Math.min(most, Math.ceil(start + length - 1e-6));
  return [
    Math.floor(v.y + 1e-6),
    end(v.y, height / v.sy, v.rows),
    Math.floor(v.x + 1e-6),
    end(v.x, width / v.sx, v.cols),
  ];
}

/** Shows a window as large as the bounds allow. */
export function showWindow(v: Viewport, [row0, row1, col0, col1]: Window): Viewport {
  const sized = bounded({
    ...v,
    sx: v.width / Math.max(1e-9, col1 - col0),
    sy: v.height / Math.max(1e-9, row1 - row0),
    x: 0,
    y: 0,
  });
  return centreOn(sized, (row0 + row1) / 2, (col0 + col1) / 2);
}

/** Brings a point (in elements) to the middle, as far as the matrix reaches. */
export function centreOn(v: Viewport, row: number, col: number): Viewport {
  return bounded({ ...v, x: col - v.width / v.sx / 2, y: row - v.height / v.sy / 2 });
}

/** Moves as little as needed to show a window whole. */
export function reveal(v: Viewport, [row0, row1, col0, col1]: Window): Viewport {
  const along = (start: number, length: number, from: number, to: number): number =>
    from < start ? from : to > start + length ? to - length : start;
  return bounded({
    ...v,
    x: along(v.x, v.width / v.sx, col0, col1),
    y: along(v.y, v.height / v.sy, row0, row1),
  });
}

/** The element under a point of the room, null outside the matrix. */
export function elementAt(v: Viewport, px: number, py: number): [number, number] | null {
  const row = Math.floor(v.y + py / v.sy);
  const col = Math.floor(v.x + px / v.sx);
  const [width, height] = drawnSize(v);
  const inside = px >= 0 && py >= 0 && px < width && py < height;
  return inside && row < v.rows && col < v.cols ? [row, col] : null;
}

/** The finest level of detail at which an entry covers at least one device pixel: none is ever left out. */
export function levelFor(scale: number, pixelRatio: number): number {
  return Math.max(0, Math.ceil(-Math.log2(scale * pixelRatio) - 1e-9));
}
