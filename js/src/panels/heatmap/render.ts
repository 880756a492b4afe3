/** Draws the matrix: thumbnail, tiles of other levels while better ones come, tiles, lines and numbers in cells. */

import { ink } from "../../draw/colour";
import { place as placeOn } from "../../draw/colourscale";
import { cellText, decimalsFor } from "./celltext";
import type { Rect } from "./geometry";
import type { Inks } from "./inks";
import type { MatrixInfo } from "./matrix";
import type { Painter } from "./picture";
import type { HeatmapState } from "./state";
import { extent, type Tile, tilesIn } from "./tilecache";
import { drawnSize, levelFor, type Viewport, visibleWindow } from "./viewport";

/** Cells of this size have room for numbers. */
export const NUMBER_WIDTH = 26;
export const NUMBER_HEIGHT = 13;
/** Cells of this size get lines between them, and signs for what is no ordinary number. */
const LINED = 12;
const SIGNED = 8;

/** Time for colouring tiles in one frame, in milliseconds. The rest is coloured in the next. */
const PAINTING = 7;

export interface Scene {
  state: HeatmapState;
  matrix: MatrixInfo;
  v: Viewport;
  room: Rect;
  ratio: number;
  painter: Painter;
  inks: Inks;
  /** A picture of the whole in small, from what is there. */
  small?: boolean;
}

/** @returns whether all is drawn in its final colours; if not, another frame is needed */
export function drawMatrix(context: CanvasRenderingContext2D, scene: Scene): boolean {
  const { state, v, room, ratio, painter } = scene;
  const [width, height] = drawnSize(v);
  context.save();
  context.beginPath();
  // One device pixel more: where rounding pushes the last row or column.
  context.rect(room.x, room.y, width + 1 / ratio, height + 1 / ratio);
  context.clip();
  context.imageSmoothingEnabled = false;
  const started = performance.now();
  let done = true;

  const levels = scene.small ? ([levelFor(v.sy, ratio), levelFor(v.sx, ratio)] as const) : state.levels.value;
  const cache = state.cache.value;
  const seen = cache ? tilesIn(v, levels) : [];
  const ideal = seen.map((at) => cache?.get(at)).filter((tile) => tile !== undefined);
  if (ideal.length < seen.length) {
    const thumbnail = state.thumbnail.value;
    if (thumbnail) {
      const picture = painter.thumbnail(thumbnail, width * ratio, height * ratio);
      const unit: [number, number] = [v.rows / picture.height, v.cols / picture.width];
      drawGrid(context, scene, picture, [0, v.rows, 0, v.cols], unit);
    }
    // In small, tiles would have to leave out pixels.
    const others = scene.small && thumbnail ? [] : stopgaps(cache?.all() ?? [], levels, v);
    for (const tile of others) {
      const { canvas, current } = painter.tile(tile, performance.now() - started < PAINTING);
      done &&= current;
      drawTile(context, scene, tile, canvas);
    }
  }
  for (const tile of ideal) {
    const fresh = performance.now() - started < PAINTING || tile.picture === null;
    const { canvas, current } = painter.tile(tile, fresh);
    done &&= current;
    drawTile(context, scene, tile, canvas);
  }
  if (!scene.small && Math.min(v.sx, v.sy) >= SIGNED) drawCells(context, scene);
  context.restore();
  return done;
}

/** Tiles of other levels that are in sight: finer ones under coarser ones, the best on top. */
function stopgaps(tiles: Iterable<Tile>, levels: readonly [number, number], v: Viewport): Tile[] {
  const [row0, row1, col0, col1] = visibleWindow(v);
  const order = ({ place: [rowLevel, colLevel] }: Tile): number => {
    const coarser = rowLevel >= levels[0] && colLevel >= levels[1];
    const away = Math.abs(rowLevel - levels[0]) + Math.abs(colLevel - levels[1]);
    return coarser ? -away : -1000 - away;
  };
  return [...tiles]
    .filter(({ place }) => {
      if (place[0] === levels[0] && place[1] === levels[1]) return false;
      const [top, bottom, left, right] = extent(place, v.rows, v.cols);
      return top < row1 && bottom > row0 && left < col1 && right > col0;
    })
    .sort((a, b) => order(a) - order(b));
}

function drawTile(
  context: CanvasRenderingContext2D,
  scene: Scene,
  tile: Tile,
  picture: CanvasImageSource,
): void {
  const covered = extent(tile.place, scene.v.rows, scene.v.cols);
  drawGrid(context, scene, picture as HTMLCanvasElement, covered, [2 ** tile.place[0], 2 ** tile.place[1]]);
}

interface Run {
  /** Entries of the picture. */
  from: number;
  count: number;
  /** Device pixels. */
  start: number;
  length: number;
}

/**
 * Where the entries of a grid lie along one axis. The edges are rounded to device pixels, so that neighbours meet; the
 * last entry, which may stand for fewer elements than the others, is drawn by itself and is never lost.
 */
export function runs(
  entries: number,
  first: number,
  end: number,
  unit: number,
  seen: readonly [number, number],
  toPixel: (element: number) => number,
): Run[] {
  const whole = Math.min(entries, Math.floor((end - first) / unit + 1e-9));
  const from = Math.max(0, Math.floor((seen[0] - first) / unit));
  const to = Math.min(entries, Math.ceil((seen[1] - first) / unit));
  const found: Run[] = [];
  const add = (a: number, b: number, last: number): void => {
    if (b <= a) return;
    const start = Math.round(toPixel(first + a * unit));
    // An entry that is narrower than a pixel still gets one.
    found.push({ from: a, count: b - a, start, length: Math.max(b - a, Math.round(toPixel(last)) - start) });
  };
  add(from, Math.min(to, whole), first + Math.min(to, whole) * unit);
  add(Math.max(from, whole), to, end);
  return found;
}

function drawGrid(
  context: CanvasRenderingContext2D,
  { v, room, ratio }: Scene,
  picture: HTMLCanvasElement,
  [row0, row1, col0, col1]: readonly [number, number, number, number],
  [rowUnit, colUnit]: readonly [number, number],
): void {
  const [width, height] = drawnSize(v);
  const toX = (col: number): number => (room.x + (col - v.x) * v.sx) * ratio;
  const toY = (row: number): number => (room.y + (row - v.y) * v.sy) * ratio;
  const across = runs(picture.width, col0, col1, colUnit, [v.x, v.x + width / v.sx], toX);
  const down = runs(picture.height, row0, row1, rowUnit, [v.y, v.y + height / v.sy], toY);
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  for (const r of down) {
    for (const c of across) {
      context.drawImage(picture, c.from, r.from, c.count, r.count, c.start, r.start, c.length, r.length);
    }
  }
  context.restore();
}

/** Lines, signs and numbers, where cells have room for them. */
function drawCells(context: CanvasRenderingContext2D, scene: Scene): void {
  const { state, v, room, painter, inks } = scene;
  const [row0, row1, col0, col1] = visibleWindow(v);
  const x = (col: number): number => room.x + (col - v.x) * v.sx;
  const y = (row: number): number => room.y + (row - v.y) * v.sy;
  if (Math.min(v.sx, v.sy) >= LINED) {
    context.strokeStyle = inks.bg;
    context.globalAlpha = 0.55;
    context.lineWidth = 1;
    context.beginPath();
    for (let col = col0; col <= col1; col++) line(context, x(col), y(row0), x(col), y(row1));
    for (let row = row0; row <= row1; row++) line(context, x(col0), y(row), x(col1), y(row));
    context.stroke();
    context.globalAlpha = 1;
  }
  const cache = state.cache.value;
  const scale = state.scale.value;
  const range = state.store.traits.value_range.value;
  const numbers = v.sx >= NUMBER_WIDTH && v.sy >= NUMBER_HEIGHT;
  const size = Math.min(11, Math.max(9, v.sx / 4.4));
  context.font = `${size}px ${inks.mono}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const decimals = decimalsFor(
    scale.kind === "row" ? Math.abs(state.largest.value?.value ?? 1) : scale.limit,
  );
  const characters = Math.floor((v.sx - 4) / (size * 0.603));
  for (const at of tilesIn(v, [0, 0])) {
    const tile = cache?.get(at);
    if (!tile || state.levels.value[0] + state.levels.value[1] > 0) continue;
    const [top, bottom, left, right] = extent(at, v.rows, v.cols);
    for (let row = Math.max(row0, top); row < Math.min(row1, bottom); row++) {
      for (let col = Math.max(col0, left); col < Math.min(col1, right); col++) {
        const value = tile.values[(row - top) * tile.width + col - left] as number;
        const clipped = scale.kind !== "row" && Math.abs(placeOn(scale, value)) > 1.000001;
        if (!numbers && Number.isFinite(value) && !clipped) continue;
        const outside = range !== null && !(value >= range[0] && value <= range[1]);
        context.fillStyle = outside ? inks.textSoft : ink(painter.colour(value, row));
        const [cx, cy] = [x(col) + v.sx / 2, y(row) + v.sy / 2];
        if (numbers) context.fillText(cellText(value, characters, decimals), cx, cy + 0.5);
        if (!numbers || clipped) sign(context, value, cx, cy, v, numbers);
      }
    }
  }
}

/** A sign that tells NaN, infinities and clipped values apart without colour. */
function sign(
  context: CanvasRenderingContext2D,
  value: number,
  x: number,
  y: number,
  v: Viewport,
  corner: boolean,
): void {
  const r = Math.min(v.sx, v.sy) * 0.28;
  context.strokeStyle = context.fillStyle;
  context.lineWidth = 1.2;
  context.beginPath();
  if (Number.isNaN(value)) {
    line(context, x - r, y - r, x + r, y + r);
    line(context, x - r, y + r, x + r, y - r);
  } else if (!Number.isFinite(value)) {
    line(context, x - r, y, x + r, y);
    if (value > 0) line(context, x, y - r, x, y + r);
  } else {
    // Clipped: a triangle that points on, in the corner where there is a number too.
    const s = corner ? 2.5 : Math.min(3.5, r);
    const cx = corner ? x + v.sx / 2 - 5 : x;
    const cy = corner ? y - v.sy / 2 + 4.5 : y;
    const up = value > 0 ? 1 : -1;
    context.moveTo(cx - s, cy + s * 0.7 * up);
    context.lineTo(cx + s, cy + s * 0.7 * up);
    context.lineTo(cx, cy - s * 0.9 * up);
    context.fill();
    return;
  }
  context.stroke();
}

function line(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  const sharp = (value: number): number => Math.round(value - 0.5) + 0.5;
  if (x0 === x1) x0 = x1 = sharp(x0);
  if (y0 === y1) y0 = y1 = sharp(y0);
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
}
