/** What stands along the edges of the matrix: indices, names of the axes, norms of rows and columns. */

import type { Axes } from "../../anatomy";
import { formatCount, formatNumber } from "../../draw/format";
import { BAND_ROOM, GAP, type Geometry, TICK_ROOM } from "./geometry";
import type { Inks } from "./inks";
import type { MatrixInfo } from "./matrix";
import { largestIn, type NormProfile, type Norms } from "./norms";
import { drawnSize, type Viewport } from "./viewport";

export interface EdgeScene {
  matrix: MatrixInfo;
  v: Viewport;
  geometry: Geometry;
  norms: NormProfile | null;
  inks: Inks;
  /** What the axes mean; null if nothing is known. */
  axes: Axes | null;
}

const FONT_SIZE = 10.5;

export function drawEdges(context: CanvasRenderingContext2D, scene: EdgeScene): void {
  context.font = `${FONT_SIZE}px ${scene.inks.font}`;
  drawTicks(context, scene);
  if (scene.geometry.titles) drawTitles(context, scene);
  if (scene.norms) {
    if (scene.geometry.rowNorms) drawRowNorms(context, scene, scene.norms.rows);
    if (scene.geometry.colNorms) drawColNorms(context, scene, scene.norms.cols);
  }
}

/** The smallest of 1, 2, 5, 10, 20, … that keeps labels `room` pixels apart. */
export function niceStep(scale: number, room: number): number {
  const least = Math.max(1, room / scale);
  const power = 10 ** Math.floor(Math.log10(least) + 1e-9);
  for (const factor of [1, 2, 5, 10]) if (factor * power >= least - 1e-9) return factor * power;
  return 10 * power;
}

/** Elements with a label among those in sight. */
export function indexTicks(
  start: number,
  length: number,
  count: number,
  scale: number,
  room: number,
): number[] {
  const step = niceStep(scale, room);
  const found: number[] = [];
  // Half an element of slack: labels stand at the middle of theirs.
  for (let at = Math.max(0, Math.ceil((start - 0.5) / step) * step); at < count; at += step) {
    if (at + 0.5 > start + length) break;
    found.push(at);
  }
  return found;
}

function drawTicks(context: CanvasRenderingContext2D, { v, geometry: { room }, inks }: EdgeScene): void {
  const [width, height] = drawnSize(v);
  context.fillStyle = inks.textSoft;
  context.strokeStyle = inks.border;
  context.lineWidth = 1;
  const digits = String(v.cols).length * 6.2;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.beginPath();
  for (const col of indexTicks(v.x, width / v.sx, v.cols, v.sx, Math.max(30, digits + 18))) {
    const x = room.x + (col + 0.5 - v.x) * v.sx;
    const half = context.measureText(String(col)).width / 2;
    // At the ends labels move inwards rather than over the edge.
    const at = Math.min(Math.max(x, room.x + half - 4), room.x + room.width - half);
    context.fillText(String(col), at, room.y - 5.5);
    context.moveTo(Math.round(x - 0.5) + 0.5, room.y - 4);
    context.lineTo(Math.round(x - 0.5) + 0.5, room.y - 1);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  // The one row of a vector needs no index.
  const rows = v.rows === 1 ? [] : indexTicks(v.y, height / v.sy, v.rows, v.sy, 24);
  for (const row of rows) {
    const y = room.y + (row + 0.5 - v.y) * v.sy;
    context.fillText(String(row), room.x - 6, Math.max(y, room.y + 4));
    context.moveTo(room.x - 4, Math.round(y - 0.5) + 0.5);
    context.lineTo(room.x - 1, Math.round(y - 0.5) + 0.5);
  }
  context.stroke();
}

/** "in 1 536", "in × kh × kw 147": the axes that make them, and how many there are; "1 536 columns" if unknown. */
export function axisTitle(
  what: "rows" | "columns",
  axes: readonly number[],
  matrix: MatrixInfo,
  meaning: Axes | null,
): string {
  const count = what === "rows" ? matrix.rows : matrix.cols;
  if (meaning && meaning.what !== "" && axes.length > 0) {
    const names = axes.map((axis) => meaning.names[axis] ?? `axis ${axis}`).join(" × ");
    return `${names} ${formatCount(count)}${meaning.certain || what === "rows" ? "" : " · guess"}`;
  }
  const name = count === 1 ? what.slice(0, -1) : what;
  const from =
    matrix.shape.length < 3 || axes.length === 0
      ? ""
      : ` · ${axes.length === 1 ? "axis" : "axes"} ${axes.join(" × ")}`;
  return `${formatCount(count)} ${name}${from}`;
}

function drawTitles(
  context: CanvasRenderingContext2D,
  { matrix, v, geometry: { room, colBands }, inks, axes }: EdgeScene,
): void {
  const [, height] = drawnSize(v);
  context.fillStyle = inks.textSoft;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  const top = room.y - TICK_ROOM - colBands * BAND_ROOM - 3;
  context.fillText(axisTitle("columns", matrix.axes.cols, matrix, axes), room.x, top);
  const rows = axisTitle("rows", matrix.axes.rows, matrix, axes);
  if (context.measureText(rows).width > Math.max(height, 60) + 20) return;
  context.save();
  context.translate(10, room.y);
  context.rotate(-Math.PI / 2);
  context.textAlign = "right";
  context.fillText(rows, 0, 0);
  context.restore();
}

function drawRowNorms(context: CanvasRenderingContext2D, scene: EdgeScene, norms: Norms): void {
  const { v, geometry, inks } = scene;
  const [width, height] = drawnSize(v);
  const left = geometry.room.x + width + GAP;
  const size = geometry.rowNorms;
  label(context, scene, "row norms", norms, left, geometry.room.y, size);
  context.fillStyle = inks.mark;
  bars(v.y, v.sy, v.rows, height, norms, (start, length, share) => {
    context.fillRect(left, geometry.room.y + start, share * size, length);
  });
  baseline(context, inks, left - 0.5, geometry.room.y, left - 0.5, geometry.room.y + height);
}

function drawColNorms(context: CanvasRenderingContext2D, scene: EdgeScene, norms: Norms): void {
  const { v, geometry, inks } = scene;
  const [width, height] = drawnSize(v);
  const bottom = geometry.room.y + height + GAP + geometry.colNorms;
  const size = geometry.colNorms;
  context.fillStyle = inks.mark;
  bars(v.x, v.sx, v.cols, width, norms, (start, length, share) => {
    context.fillRect(geometry.room.x + start, bottom - share * size, length, share * size);
  });
  baseline(context, inks, geometry.room.x, bottom + 0.5, geometry.room.x + width, bottom + 0.5);
  context.fillStyle = inks.textSoft;
  context.textAlign = "right";
  context.textBaseline = "alphabetic";
  context.fillText(formatNumber(norms.largest, 2), geometry.room.x - 6, bottom - size + 8);
  context.fillText("0", geometry.room.x - 6, bottom + 1);
  if (!geometry.rowNorms) return;
  context.textAlign = "left";
  const left = geometry.room.x + width + GAP;
  if (geometry.titles) {
    context.fillText("column", left, bottom - 11);
    context.fillText("norms", left, bottom);
  }
}

function label(
  context: CanvasRenderingContext2D,
  { geometry, inks }: EdgeScene,
  text: string,
  norms: Norms,
  left: number,
  top: number,
  size: number,
): void {
  context.fillStyle = inks.textSoft;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  if (geometry.titles) {
    context.fillText(text, left, top - TICK_ROOM - 3, size);
    context.fillText("0", left, top - 5.5);
  }
  context.textAlign = "right";
  context.fillText(formatNumber(norms.largest, 2), left + size, top - 5.5);
}

function baseline(
  context: CanvasRenderingContext2D,
  inks: Inks,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
): void {
  context.strokeStyle = inks.border;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** One bar an element, or one a pixel with the largest norm under it. */
function bars(
  start: number,
  scale: number,
  count: number,
  length: number,
  norms: Norms,
  bar: (start: number, length: number, share: number) => void,
): void {
  if (!(norms.largest > 0)) return;
  if (scale >= 3) {
    const end = Math.min(count, Math.ceil(start + length / scale));
    for (let at = Math.floor(start); at < end; at++) {
      const from = Math.max(0, (at - start) * scale);
      const to = Math.min(length, (at + 1 - start) * scale);
      bar(from, Math.max(1, to - from - 1), largestIn(norms, at, at + 1) / norms.largest);
    }
    return;
  }
  for (let pixel = 0; pixel < length; pixel++) {
    const from = start + pixel / scale;
    bar(pixel, 1, largestIn(norms, from, from + 1 / scale) / norms.largest);
  }
}
