/** Boundaries between the named parts of the matrix: lines over it, and bands with the names along its edges. */

import type { Geometry, Rect } from "./geometry";
import { BAND_ROOM, TICK_ROOM, TITLE_ROOM } from "./geometry";
import type { Inks } from "./inks";
import { type MatrixParts, meanSize, type PartLevel, partsBetween } from "./parts";
import { drawnSize, type Viewport } from "./viewport";

export interface PartScene {
  parts: MatrixParts;
  v: Viewport;
  geometry: Geometry;
  inks: Inks;
}

/** Pixels of a part from which its boundaries are drawn, and those of the places on a flattened axis. */
const LINED = 7;
const LINED_PLACES = 18;
/** Pixels of a part from which a band shows it. */
const BANDED = 3;
/** ... and from which it has room for a name. */
const NAMED = 9;
const FONT_SIZE = 10;

/** Levels whose parts are large enough to be seen, outer ones first. */
function seen(levels: readonly PartLevel[], scale: number, least: (level: PartLevel) => number): PartLevel[] {
  return levels.filter((level) => meanSize(level) * scale >= least(level));
}

/** Lines over the matrix. */
export function drawBoundaries(
  context: CanvasRenderingContext2D,
  { parts, v, geometry, inks }: PartScene,
): void {
  const { room } = geometry;
  const [width, height] = drawnSize(v);
  context.save();
  context.beginPath();
  context.rect(room.x, room.y, width + 1, height + 1);
  context.clip();
  context.strokeStyle = inks.text;
  context.lineWidth = 1;
  const least = (level: PartLevel): number => (level.split ? LINED : LINED_PLACES);
  const strength = (level: PartLevel, depth: number): number => (depth === 0 && level.split ? 0.55 : 0.3);
  for (const [depth, level] of seen(parts.cols, v.sx, least).entries()) {
    context.globalAlpha = strength(level, depth);
    context.beginPath();
    for (const { start } of partsBetween(level, Math.floor(v.x), Math.ceil(v.x + width / v.sx))) {
      if (start <= 0) continue;
      const x = sharp(room.x + (start - v.x) * v.sx);
      context.moveTo(x, room.y);
      context.lineTo(x, room.y + height);
    }
    context.stroke();
  }
  for (const [depth, level] of seen(parts.rows, v.sy, least).entries()) {
    context.globalAlpha = strength(level, depth);
    context.beginPath();
    for (const { start } of partsBetween(level, Math.floor(v.y), Math.ceil(v.y + height / v.sy))) {
      if (start <= 0) continue;
      const y = sharp(room.y + (start - v.y) * v.sy);
      context.moveTo(room.x, y);
      context.lineTo(room.x + width, y);
    }
    context.stroke();
  }
  context.restore();
}

function sharp(value: number): number {
  return Math.round(value - 0.5) + 0.5;
}

/** The levels that the bands along a side show: of more than fit, those whose names can be read. */
export function banded(levels: readonly PartLevel[], scale: number, bands: number): PartLevel[] {
  const shown = seen(levels, scale, () => BANDED);
  if (shown.length <= bands) return shown;
  const named = seen(shown, scale, () => NAMED);
  return (named.length >= bands ? named : shown).slice(-bands);
}

/** The names, along the edges: brackets over the columns, and beside the rows. */
export function drawBands(context: CanvasRenderingContext2D, { parts, v, geometry, inks }: PartScene): void {
  const { room } = geometry;
  const [width, height] = drawnSize(v);
  context.save();
  context.font = `${FONT_SIZE}px ${inks.font}`;
  context.lineWidth = 1;
  const across: Side = { start: v.x, scale: v.sx, length: width, upright: true };
  banded(parts.cols, v.sx, geometry.colBands).forEach((level, depth, all) => {
    // The inner ones next to the matrix.
    const top = room.y - TICK_ROOM - (all.length - depth) * BAND_ROOM;
    drawBand(context, inks, level, across, { x: room.x, y: top, width, height: BAND_ROOM });
  });
  const down: Side = { start: v.y, scale: v.sy, length: height, upright: false };
  banded(parts.rows, v.sy, geometry.rowBands).forEach((level, depth) => {
    const left = (geometry.titles ? TITLE_ROOM : 0) + 2 + depth * BAND_ROOM;
    drawBand(context, inks, level, down, { x: left, y: room.y, width: BAND_ROOM, height });
  });
  context.restore();
}

interface Side {
  /** First row or column in sight, pixels of each, pixels of the side. */
  start: number;
  scale: number;
  length: number;
  /** Whether names are read as they stand; along the rows they are turned, unless they are short. */
  upright: boolean;
}

function drawBand(
  context: CanvasRenderingContext2D,
  inks: Inks,
  level: PartLevel,
  side: Side,
  band: Rect,
): void {
  const end = Math.ceil(side.start + side.length / side.scale);
  const shown = partsBetween(level, Math.floor(side.start), end).flatMap(({ label, start, end: stop }) => {
    const from = Math.max(0, (start - side.start) * side.scale);
    const to = Math.min(side.length, (stop - side.start) * side.scale);
    return to - from < 1 ? [] : [{ label, from, to }];
  });
  context.strokeStyle = inks.mark;
  context.beginPath();
  for (const { from, to } of shown) {
    const gap = to - from >= 6 ? 1 : 0.5;
    if (side.upright) {
      const y = sharp(band.y + BAND_ROOM - 2);
      context.moveTo(band.x + from + gap, y);
      context.lineTo(band.x + to - gap, y);
    } else {
      const x = sharp(band.x + BAND_ROOM - 2);
      context.moveTo(x, band.y + from + gap);
      context.lineTo(x, band.y + to - gap);
    }
  }
  context.stroke();
  context.fillStyle = inks.text;
  context.textAlign = "center";
  context.textBaseline = "middle";
  // All names of a level are written alike: whole, or where that does not fit, only their numbers.
  const width = (text: string): number => context.measureText(text).width;
  const room = meanSize(level) * side.scale - 4;
  const widest = (texts: string[]): number => texts.reduce((most, text) => Math.max(most, width(text)), 0);
  const whole = shown.map(({ label }) => label);
  const short = whole.map((label) => /(\d+)$/.exec(label)?.[1] ?? label);
  const across = BAND_ROOM - 3;
  const fits = (texts: string[]): "upright" | "turned" | null => {
    if (side.upright) return widest(texts) <= room ? "upright" : null;
    if (widest(texts) <= across && room >= FONT_SIZE - 4) return "upright";
    return widest(texts) <= room ? "turned" : null;
  };
  const way = fits(whole) ?? fits(short);
  if (!way) return;
  const texts = fits(whole) ? whole : short;
  for (const [i, { from, to }] of shown.entries()) {
    const text = texts[i] as string;
    // Of a part that is cut off at the edge little may be left.
    if (to - from < (way === "upright" && !side.upright ? FONT_SIZE - 1 : width(text) + 1)) continue;
    const middle = (from + to) / 2;
    if (side.upright) context.fillText(text, band.x + middle, band.y + across / 2);
    else if (way === "upright") context.fillText(text, band.x + across / 2, band.y + middle + 0.5);
    else {
      context.save();
      context.translate(band.x + across / 2, band.y + middle);
      context.rotate(-Math.PI / 2);
      context.fillText(text, 0, 0.5);
      context.restore();
    }
  }
}
