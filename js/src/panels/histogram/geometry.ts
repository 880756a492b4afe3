/** Where things stand in the histogram, in pixels, and how it is zoomed. Pure. */

import type { Range } from "../../model";
import type { Bins } from "./bins";

/** Room for the labels of counts at the left, and for the axis below. */
export const GUTTER = 30;
export const AXIS = 24;
/** An end bin, and the gap that sets it off. Always reserved, so that nothing moves when a tail turns out empty. */
const TAIL = 9;
const GAP = 3;
/** A bin of its own for zeros, NaN and infinities: as wide as its label. */
const SPECIAL = 26;

export interface SpecialBin {
  key: "zeros" | "neginf" | "nan" | "posinf";
  label: string;
  meaning: string;
  count: number;
  x: number;
  width: number;
}

export interface Geometry {
  /** Of the ordinary bins. */
  x0: number;
  x1: number;
  top: number;
  bottom: number;
  below: { x: number; width: number };
  above: { x: number; width: number };
  specials: SpecialBin[];
  width: number;
  height: number;
}

export function geometry(width: number, height: number, bins: Bins | null): Geometry {
  const specials: SpecialBin[] = [];
  let left = GUTTER;
  if (bins && bins.scale === "magnitude" && bins.zeros > 0) {
    specials.push({
      key: "zeros",
      label: "0",
      meaning: "exactly zero",
      count: bins.zeros,
      x: left,
      width: SPECIAL - 10,
    });
    left += SPECIAL - 10 + 2 * GAP;
  }
  let right = width - 1;
  const others: [SpecialBin["key"], string, string, number][] = [
    ["posinf", "+Inf", "positive infinity", bins?.posinf ?? 0],
    ["nan", "NaN", "not a number", bins?.nan ?? 0],
    ["neginf", "−Inf", "negative infinity", bins?.neginf ?? 0],
  ];
  for (const [key, label, meaning, count] of others) {
    if (count === 0) continue;
    right -= SPECIAL;
    specials.push({ key, label, meaning, count, x: right, width: SPECIAL - GAP });
  }
  if (right < width - 1) right -= 2 * GAP;
  const x0 = left + TAIL + GAP;
  const x1 = Math.max(x0 + 20, right - TAIL - GAP);
  return {
    x0,
    x1,
    top: 4,
    bottom: Math.max(20, height - AXIS),
    below: { x: left, width: TAIL },
    above: { x: x1 + GAP, width: TAIL },
    specials,
    width,
    height,
  };
}

export interface Axis {
  toPixel(value: number): number;
  toValue(pixel: number): number;
}

export function axisOf(view: Range, { x0, x1 }: Pick<Geometry, "x0" | "x1">): Axis {
  const perUnit = (x1 - x0) / (view[1] - view[0]);
  return {
    toPixel: (value) => x0 + (value - view[0]) * perUnit,
    toValue: (pixel) => view[0] + (pixel - x0) / perUnit,
  };
}

/** Where a brushed interval stands: what lies beyond the view stands on the end bins. */
export function brushPixels(range: Range, view: Range, place: Geometry): Range {
  const { toPixel } = axisOf(view, place);
  const pixel = (value: number): number => {
    if (value < view[0]) return place.below.x - 1;
    if (value > view[1]) return place.above.x + place.above.width + 1;
    return toPixel(value);
  };
  const [low, high] = range;
  if (high < view[0]) return [place.below.x, place.below.x + place.below.width];
  if (low > view[1]) return [place.above.x, place.above.x + place.above.width];
  return [pixel(low), pixel(high)];
}

/** Height in pixels over the axis of a count. On the logarithmic axis a single weight has a height, too. */
export function heightOf(count: number, top: number, pixels: number, log: boolean): number {
  if (!(count > 0)) return 0;
  const share = log ? Math.log10(count / 0.6) / Math.log10(Math.max(2, top) / 0.6) : count / top;
  // Never less than a pixel: the outliers are what one looks for.
  return Math.max(1, Math.min(1, share) * pixels);
}

/** Largest factor by which a view is narrower than all data: beyond it float32 has no more values between. */
const DEEPEST = 1e7;

/** Zooms by a factor about a value, never beyond `limits`. */
export function zoom(view: Range, factor: number, about: number, limits: Range): Range {
  const span = Math.max((view[1] - view[0]) * factor, (limits[1] - limits[0]) / DEEPEST);
  if (span >= limits[1] - limits[0]) return limits;
  const share = (about - view[0]) / (view[1] - view[0]);
  return shifted(about - share * span, span, limits);
}

/** Moves the view by a distance, never beyond `limits`. */
export function pan(view: Range, by: number, limits: Range): Range {
  return shifted(view[0] + by, view[1] - view[0], limits);
}

function shifted(low: number, span: number, limits: Range): Range {
  const start = Math.min(Math.max(low, limits[0]), limits[1] - span);
  return [start, start + span];
}

/** Rounds a value read off the screen to what a pixel tells. */
export function roundTo(value: number, pixel: number): number {
  if (!(pixel > 0) || !Number.isFinite(value)) return value;
  const unit = 10 ** Math.abs(Math.floor(Math.log10(pixel)));
  if (!Number.isFinite(unit)) return value;
  // Dividing by a power of ten rounds once, where multiplying by 0.001 does twice.
  return pixel < 1 ? Math.round(value * unit) / unit : Math.round(value / unit) * unit;
}
