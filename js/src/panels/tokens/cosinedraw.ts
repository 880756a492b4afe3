/** Draws a matrix of cosines with the norms above it. */

import { placeTicks, valueTicks } from "../../draw/axis";
import { ink, type palette } from "../../draw/colour";
import { type ColourScale, colourOf, paint } from "../../draw/colourscale";
import { h } from "../../draw/dom";
import { formatCount, formatTrimmed } from "../../draw/format";
import type { Inks } from "./draw";
import { extent } from "./table";

export interface Matrix {
  readonly values: Float32Array;
  readonly size: number;
  readonly step: number;
}

/** Cosines are compared across models: the colours always reach from −1 to 1. */
export const SCALE: ColourScale = { kind: "full", limit: 1, linear: 0, note: "" };

/** Largest side of a cell, and the least that has room for its number, in pixels. */
const LARGEST_CELL = 64;
const NUMBERED_CELL = 34;

export interface CosineGeometry {
  readonly left: number;
  /** Side of the matrix. */
  readonly side: number;
  readonly profileTop: number;
  readonly profileBottom: number;
  readonly top: number;
}

export function cosineGeometry(width: number, height: number, count: number): CosineGeometry {
  const [left, profileTop, profile] = [46, 16, 64];
  const top = profileTop + profile + 22;
  // A few entries do not need all the room.
  const wanted = Math.max(160, LARGEST_CELL * count);
  const side = Math.max(40, Math.min(width - left - 10, height - top - 30, wanted));
  return { left, side, profileTop, profileBottom: profileTop + profile, top };
}

export function paintMatrix(matrix: Matrix, colours: ReturnType<typeof palette>): HTMLCanvasElement | null {
  if (matrix.size === 0) return null;
  const canvas = h("canvas", { width: matrix.size, height: matrix.size });
  const context = canvas.getContext("2d");
  if (!context) return null;
  const image = context.createImageData(matrix.size, matrix.size);
  paint(matrix.values, matrix.size, new Uint32Array(image.data.buffer), { palette: colours, scale: SCALE });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Cells that are large enough have their number written in them. */
export function drawCells(
  context: CanvasRenderingContext2D,
  geo: CosineGeometry,
  { values, size }: Matrix,
  colours: ReturnType<typeof palette>,
): void {
  const cell = geo.side / size;
  if (cell < NUMBERED_CELL) return;
  context.textAlign = "center";
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    context.fillStyle = ink(colourOf(colours, SCALE, value));
    const [row, col] = [Math.floor(at / size), at % size];
    context.fillText(formatTrimmed(value, 2), geo.left + (col + 0.5) * cell, geo.top + (row + 0.5) * cell);
  }
}

export function drawProfile(
  context: CanvasRenderingContext2D,
  geo: CosineGeometry,
  inks: Inks,
  norms: ArrayLike<number> | null,
  count: number,
  entries: string,
  hover: readonly [number, number] | null,
): void {
  const range = extent(norms ?? []);
  context.fillStyle = inks.soft;
  context.textAlign = "left";
  context.fillText(`norm of each ${entries}`, geo.left, geo.profileTop - 9);
  if (!norms || !range) return;
  const high = range[1] > 0 ? range[1] * 1.06 : 1;
  const toX = (at: number): number => geo.left + ((at + 0.5) / norms.length) * geo.side;
  const toY = (value: number): number =>
    geo.profileBottom - (value / high) * (geo.profileBottom - geo.profileTop);
  context.lineWidth = 1;
  for (const tick of valueTicks([0, high], 3)) {
    const y = Math.round(toY(tick.value)) + 0.5;
    context.strokeStyle = inks.border;
    context.beginPath();
    context.moveTo(geo.left, y);
    context.lineTo(geo.left + geo.side, y);
    context.stroke();
    context.textAlign = "right";
    context.fillStyle = inks.soft;
    context.fillText(formatTrimmed(tick.value, 3), geo.left - 5, y);
  }
  const wide = geo.side / norms.length >= 5;
  context.fillStyle = inks.mark;
  context.strokeStyle = inks.accent;
  context.lineWidth = 1.2;
  context.beginPath();
  for (let at = 0; at < norms.length; at++) {
    const value = norms[at] as number;
    if (!Number.isFinite(value)) continue;
    if (wide)
      context.fillRect(
        toX(at) - geo.side / norms.length / 2 + 0.5,
        toY(value),
        geo.side / norms.length - 1,
        geo.profileBottom - toY(value),
      );
    else context.lineTo(toX(at), toY(value));
  }
  if (!wide) context.stroke();
  if (hover) {
    context.fillStyle = inks.accent;
    const at = Math.min(norms.length - 1, Math.floor((hover[1] / count) * norms.length));
    context.fillRect(toX(at) - 2, toY(norms[at] as number) - 2, 4, 4);
  }
}

/** Numbers of the entries under the matrix and beside it. */
export function drawEntries(
  context: CanvasRenderingContext2D,
  geo: CosineGeometry,
  inks: Inks,
  count: number,
  entries: string,
): void {
  const at = (value: number): number => ((value + 0.5) / count) * geo.side;
  const ticks = valueTicks([0, Math.max(0, count - 1)], Math.max(2, Math.round(geo.side / 70))).filter(
    ({ value }) => Number.isInteger(value) && value < count,
  );
  const shown = (ticks.length > 0 ? ticks : [{ value: 0 }]).map(({ value }) => ({
    value,
    label: formatCount(value),
  }));
  context.fillStyle = inks.soft;
  for (const tick of placeTicks(shown, (value) => geo.left + at(value), 0, geo.left + geo.side + 10)) {
    if (!tick.shown) continue;
    context.textAlign = tick.anchor === "middle" ? "center" : tick.anchor === "start" ? "left" : "right";
    context.fillText(tick.label, tick.x, geo.top + geo.side + 10);
  }
  context.textAlign = "right";
  for (const tick of shown) context.fillText(tick.label, geo.left - 5, geo.top + at(tick.value));
  context.textAlign = "right";
  context.fillText(entries, geo.left + geo.side, geo.top + geo.side + 22);
}
