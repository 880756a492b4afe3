/** The values of a vector along its axis, under its strip: bars, or smallest and largest where a pixel holds many. */

import { valueTicks } from "../../draw/axis";
import type { Geometry } from "./geometry";
import type { Inks } from "./inks";
import type { MatrixInfo } from "./matrix";
import type { HeatmapState } from "./state";
import { extent, type TileCache, tilesIn } from "./tilecache";
import { drawnSize, type Viewport } from "./viewport";

export interface ValueScale {
  low: number;
  high: number;
  /** Pixel of a value, from the top of the plot's room. */
  y(value: number): number;
}

/** The range of the values with zero in it, if that leaves them visible. */
export function valueScale(state: HeatmapState, matrix: MatrixInfo, height: number): ValueScale | null {
  const overview = state.store.overview.value;
  let low = overview.column("min")[matrix.row] ?? Number.NaN;
  let high = overview.column("max")[matrix.row] ?? Number.NaN;
  if (!Number.isFinite(low) || !Number.isFinite(high)) return null;
  const span = high - low;
  // Gains around 1 that differ by little would be a flat line above zero.
  if (low > 0 && low < 4 * span) low = 0;
  if (high < 0 && -high < 4 * span) high = 0;
  const pad = (high - low || Math.abs(high) || 1) * 0.06;
  if (low !== 0 || high === 0) low -= pad;
  if (high !== 0 || low === 0) high += pad;
  return { low, high, y: (value) => ((high - value) / (high - low)) * height };
}

export function drawValues(
  context: CanvasRenderingContext2D,
  state: HeatmapState,
  matrix: MatrixInfo,
  v: Viewport,
  { values: room }: Geometry,
  inks: Inks,
): void {
  if (!room) return;
  const scale = valueScale(state, matrix, room.height);
  if (!scale) return;
  const [width] = drawnSize(v);
  context.save();
  context.font = `10.5px ${inks.font}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.lineWidth = 1;
  for (const tick of valueTicks([scale.low, scale.high], Math.max(2, Math.floor(room.height / 44)))) {
    const y = room.y + Math.round(scale.y(tick.value) - 0.5) + 0.5;
    context.strokeStyle = tick.value === 0 ? inks.textSoft : inks.border;
    context.globalAlpha = tick.value === 0 ? 1 : 0.6;
    stroke(context, room.x, y, room.x + width, y);
    context.globalAlpha = 1;
    context.fillStyle = inks.textSoft;
    context.fillText(tick.label, room.x - 6, y);
  }
  context.beginPath();
  context.rect(room.x, room.y, width, room.height);
  context.clip();
  context.fillStyle = inks.mark;
  const base = Math.min(room.height, Math.max(0, scale.y(0)));
  const level = state.levels.value[1];
  const both = state.envelope.value;
  const single = state.cache.value;
  if (level > 0 && both) {
    envelope(context, v, room, scale, level, both);
    if (both.min.size === 0) fromThumbnail(context, state, v, room, scale, base);
  } else if (single && single.size > 0) bars(context, v, room, scale, base, single);
  else fromThumbnail(context, state, v, room, scale, base);
  context.restore();
}

function bars(
  context: CanvasRenderingContext2D,
  v: Viewport,
  room: { x: number; y: number; height: number },
  scale: ValueScale,
  base: number,
  cache: TileCache,
): void {
  const gap = v.sx >= 4 ? 1 : 0;
  for (const at of tilesIn(v, [0, 0])) {
    const tile = cache.get(at);
    if (!tile) continue;
    const [, , left] = extent(at, v.rows, v.cols);
    const first = Math.max(0, Math.floor(v.x) - left);
    const last = Math.min(tile.width, Math.ceil(v.x + v.width / v.sx) - left);
    for (let i = first; i < last; i++) {
      bar(
        context,
        room,
        scale,
        base,
        room.x + (left + i - v.x) * v.sx,
        Math.max(1, v.sx - gap),
        tile.values[i],
      );
    }
  }
}

function bar(
  context: CanvasRenderingContext2D,
  room: { y: number; height: number },
  scale: ValueScale,
  base: number,
  x: number,
  width: number,
  value: number | undefined,
): void {
  if (value === undefined || Number.isNaN(value)) return;
  const y = Math.min(room.height, Math.max(0, scale.y(value)));
  // A value of zero still shows, as a line.
  context.fillRect(
    x,
    room.y + Math.min(y, base) - (y === base ? 0.5 : 0),
    width,
    Math.max(1, Math.abs(y - base)),
  );
}

function envelope(
  context: CanvasRenderingContext2D,
  v: Viewport,
  room: { x: number; y: number; height: number },
  scale: ValueScale,
  level: number,
  { min, max }: { min: TileCache; max: TileCache },
): void {
  const unit = 2 ** level;
  for (const at of tilesIn(v, [0, level])) {
    const low = min.get(at);
    const high = max.get(at);
    if (!low || !high) continue;
    const [, , left] = extent(at, v.rows, v.cols);
    for (let i = 0; i < low.width; i++) {
      const x = room.x + (left + i * unit - v.x) * v.sx;
      if (x + unit * v.sx < room.x || x > room.x + v.width) continue;
      const top = scale.y(high.values[i] as number);
      const bottom = scale.y(low.values[i] as number);
      if (Number.isNaN(top)) continue;
      context.fillRect(x, room.y + top, unit * v.sx, Math.max(1, bottom - top));
    }
  }
}

/** Without a kernel: from zero to the largest magnitude of as many elements as the thumbnail puts together. */
function fromThumbnail(
  context: CanvasRenderingContext2D,
  state: HeatmapState,
  v: Viewport,
  room: { x: number; y: number; height: number },
  scale: ValueScale,
  base: number,
): void {
  const thumbnail = state.thumbnail.value;
  if (!thumbnail) return;
  const unit = v.cols / thumbnail.width;
  const gap = unit * v.sx >= 4 ? 1 : 0;
  thumbnail.data.forEach((value, i) => {
    const x = room.x + (i * unit - v.x) * v.sx;
    bar(context, room, scale, base, x, Math.max(1, unit * v.sx - gap), value);
  });
}

function stroke(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}
