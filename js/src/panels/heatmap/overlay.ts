/** What moves with the pointer, over the matrix: crosshair, pinned cell, the mark on the largest weight. */

import type { Region } from "../../protocol";
import type { Hover } from "../../store";
import { GAP, type Geometry } from "./geometry";
import type { Inks } from "./inks";
import type { Largest } from "./matrix";
import { largestIn, type NormProfile } from "./norms";
import { drawnSize, type Viewport } from "./viewport";

export interface OverlayScene {
  v: Viewport;
  geometry: Geometry;
  inks: Inks;
  hover: Hover | null;
  pinned: Hover | null;
  /** What was dragged over. */
  region: Region | null;
  /** null if it is not to be marked. */
  largest: Largest | null;
  norms: NormProfile | null;
}

/** Radius of the ring around the largest weight. */
export const RING = 7;
/** From this size on a cell can be seen without a ring. */
const PLAIN_TO_SEE = 12;

export function drawOverlay(context: CanvasRenderingContext2D, scene: OverlayScene): void {
  const { v, geometry, inks, hover, pinned, region } = scene;
  const { room } = geometry;
  const [width, height] = drawnSize(v);
  const ring = ringAt(scene);
  if (ring) drawRing(context, inks, ring[0], ring[1]);
  context.save();
  context.beginPath();
  context.rect(room.x - 1, room.y - 1, width + 3, height + 3);
  context.clip();
  if (region) frame(context, scene, region);
  if (pinned) outline(context, scene, pinned, inks.accent, 2);
  if (hover) {
    crosshair(context, scene, hover);
    outline(context, scene, hover, inks.text, 1);
  }
  context.restore();
  const named = hover ?? pinned;
  if (named && scene.norms) normBars(context, scene, scene.norms, named);
  if (named && geometry.values === null) chips(context, scene, named);
  else if (named)
    chip(context, inks, String(named.col), room.x + middle(v.x, v.sx, named.col, named.cols), room.y - 8);
}

/** Centre of the ring, null if there is none in sight. */
export function ringAt({ v, geometry: { room }, largest }: OverlayScene): [number, number] | null {
  if (!largest?.cell || Math.min(v.sx, v.sy) >= PLAIN_TO_SEE) return null;
  const x = middle(v.x, v.sx, largest.cell[1], 1);
  const y = middle(v.y, v.sy, largest.cell[0], 1);
  const [width, height] = drawnSize(v);
  return x >= 0 && y >= 0 && x <= width && y <= height ? [room.x + x, room.y + y] : null;
}

function middle(start: number, scale: number, first: number, count: number): number {
  return (first + count / 2 - start) * scale;
}

function drawRing(context: CanvasRenderingContext2D, inks: Inks, x: number, y: number): void {
  for (const [width, colour] of [
    [3.5, inks.bg],
    [1.5, inks.text],
  ] as const) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.arc(x, y, RING, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** A dashed line around a region, on one of the background that keeps it apart from any colour below. */
function frame(context: CanvasRenderingContext2D, scene: OverlayScene, { rows, cols }: Region): void {
  const area = { row: rows[0], col: cols[0], rows: rows[1] - rows[0], cols: cols[1] - cols[0] };
  const [x, y, wide, high] = box(scene, area);
  context.save();
  context.lineWidth = 3.5;
  context.strokeStyle = scene.inks.bg;
  context.strokeRect(x, y, wide, high);
  context.lineWidth = 1.75;
  context.strokeStyle = scene.inks.text;
  context.setLineDash([5, 3]);
  context.strokeRect(x, y, wide, high);
  context.restore();
}

function box(
  { v, geometry: { room } }: OverlayScene,
  cell: Omit<Hover, "value">,
): [number, number, number, number] {
  const x = room.x + (cell.col - v.x) * v.sx;
  const y = room.y + (cell.row - v.y) * v.sy;
  return [x, y, Math.max(cell.cols * v.sx, 1), Math.max(cell.rows * v.sy, 1)];
}

function outline(
  context: CanvasRenderingContext2D,
  scene: OverlayScene,
  cell: Hover,
  colour: string,
  width: number,
): void {
  const [x, y, wide, high] = box(scene, cell);
  // Around what is too small to hold a line.
  const out = Math.min(wide, high) < 6 ? width / 2 + 1 : 0;
  context.lineWidth = width + 2;
  context.strokeStyle = scene.inks.bg;
  context.globalAlpha = 0.7;
  context.strokeRect(x - out, y - out, wide + 2 * out, high + 2 * out);
  context.globalAlpha = 1;
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.strokeRect(x - out, y - out, wide + 2 * out, high + 2 * out);
}

function crosshair(context: CanvasRenderingContext2D, scene: OverlayScene, cell: Hover): void {
  const { v, geometry, inks } = scene;
  const { room } = geometry;
  const [x, y, wide, high] = box(scene, cell);
  const [width, height] = drawnSize(v);
  // Tinted bands rather than lines where cells are large: the numbers in them stay readable.
  context.fillStyle = inks.text;
  context.globalAlpha = Math.min(wide, high) >= 8 ? 0.09 : 0.3;
  const thick = (size: number): number => (size >= 8 ? size : 1);
  const cx = wide >= 8 ? x : Math.round(x + wide / 2 - 0.5);
  const cy = high >= 8 ? y : Math.round(y + high / 2 - 0.5);
  context.fillRect(room.x, cy, x - room.x - 2, thick(high));
  context.fillRect(x + wide + 2, cy, room.x + width - x - wide - 2, thick(high));
  context.fillRect(cx, room.y, thick(wide), y - room.y - 2);
  context.fillRect(cx, y + high + 2, thick(wide), room.y + height - y - high - 2);
  context.globalAlpha = 1;
}

/** The bars of the cell's row and column among the norms. */
function normBars(
  context: CanvasRenderingContext2D,
  { v, geometry, inks }: OverlayScene,
  norms: NormProfile,
  cell: Hover,
): void {
  const { room } = geometry;
  const [width, height] = drawnSize(v);
  context.fillStyle = inks.accent;
  const bar = (
    start: number,
    scale: number,
    first: number,
    count: number,
    most: number,
  ): [number, number] => {
    const from = Math.max(0, (first - start) * scale);
    const to = Math.min(most, (first + count - start) * scale);
    return [from, Math.max(1, to - from - (scale >= 3 ? 1 : 0))];
  };
  if (geometry.rowNorms && norms.rows.largest > 0) {
    const [y, high] = bar(v.y, v.sy, cell.row, cell.rows, height);
    const share = largestIn(norms.rows, cell.row, cell.row + cell.rows) / norms.rows.largest;
    if (y < height) context.fillRect(room.x + width + GAP, room.y + y, share * geometry.rowNorms, high);
  }
  if (geometry.colNorms && norms.cols.largest > 0) {
    const [x, wide] = bar(v.x, v.sx, cell.col, cell.cols, width);
    const share = largestIn(norms.cols, cell.col, cell.col + cell.cols) / norms.cols.largest;
    const bottom = room.y + height + GAP + geometry.colNorms;
    if (x < width)
      context.fillRect(room.x + x, bottom - share * geometry.colNorms, wide, share * geometry.colNorms);
  }
}

/** The indices of the cell, in place of the ticks that they cover. */
function chips(context: CanvasRenderingContext2D, scene: OverlayScene, cell: Hover): void {
  const { v, geometry, inks } = scene;
  const { room } = geometry;
  const [width, height] = drawnSize(v);
  const x = Math.min(width, Math.max(0, middle(v.x, v.sx, cell.col, cell.cols)));
  const y = Math.min(height, Math.max(0, middle(v.y, v.sy, cell.row, cell.rows)));
  chip(context, inks, String(cell.col), room.x + x, room.y - 8);
  chip(context, inks, String(cell.row), room.x - 5, room.y + y, "right");
}

function chip(
  context: CanvasRenderingContext2D,
  inks: Inks,
  text: string,
  x: number,
  y: number,
  align: "center" | "right" = "center",
): void {
  context.font = `600 10.5px ${inks.font}`;
  context.textAlign = align;
  context.textBaseline = "middle";
  const width = context.measureText(text).width;
  const left = align === "center" ? x - width / 2 : x - width;
  // A tag over the ticks, which it may cover in part.
  context.fillStyle = inks.text;
  context.beginPath();
  context.roundRect(left - 3, y - 7, width + 6, 14, 2);
  context.fill();
  context.fillStyle = inks.bg;
  context.fillText(text, x, y + 0.5);
}
