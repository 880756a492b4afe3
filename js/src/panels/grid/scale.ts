/** From a value of a grid to its colour: one hue for magnitudes, two for signed values. Pure. */

import type { Palette } from "../../draw/colour";

/** How values between the ends are spread over the colours. */
export type Spread = "range" | "zero" | "log";

export interface GridScale {
  readonly signed: boolean;
  readonly spread: Spread;
  /** Values at the ends of the scale; of a signed one −limit and limit. */
  readonly low: number;
  readonly high: number;
  /** Signed and logarithmic only: linear within ± this. */
  readonly knee: number;
  /** Zeros and negative values that a logarithmic scale of magnitudes cannot place: they have the lowest colour. */
  readonly unplaced: number;
}

/**
 * @param values NaN and infinities do not count
 * @param signed whether zero lies in the middle; without it that is so if some value is negative
 */
export function gridScale(values: ArrayLike<number>, spread: Spread, signed?: boolean): GridScale {
  const finite = Float64Array.from(Array.from(values).filter(Number.isFinite)).sort();
  const low = finite[0] ?? 0;
  const high = finite[finite.length - 1] ?? 1;
  if (signed ?? low < 0) {
    const limit = Math.max(Math.abs(low), Math.abs(high)) || 1;
    const sizes = finite.map(Math.abs).sort().filter(Boolean);
    const small = sizes[Math.floor(sizes.length / 10)] ?? limit;
    return {
      signed: true,
      spread,
      low: -limit,
      high: limit,
      knee: Math.max(limit / 1e4, small),
      unplaced: 0,
    };
  }
  const fixed = { signed: false, spread, knee: 0, unplaced: 0 };
  if (spread === "zero") return { ...fixed, low: 0, high: high > 0 ? high : 1 };
  if (spread === "log") {
    const positive = finite.filter((value) => value > 0);
    const unplaced = finite.length - positive.length;
    return { ...fixed, low: positive[0] ?? 1, high: positive[positive.length - 1] ?? 1, unplaced };
  }
  return { ...fixed, low, high };
}

/** 0 … 1 between the ends, −1 … 1 on a signed scale. */
export function placeOn(scale: GridScale, value: number): number {
  if (scale.signed) {
    if (scale.spread !== "log") return clamp(value / scale.high, -1);
    const size = Math.log1p(Math.abs(value) / scale.knee) / Math.log1p(scale.high / scale.knee);
    return clamp(Math.sign(value) * size, -1);
  }
  if (scale.high === scale.low) return value > 0 || scale.spread !== "log" ? 1 : 0;
  if (scale.spread === "log") {
    return value > 0 ? clamp(Math.log(value / scale.low) / Math.log(scale.high / scale.low), 0) : 0;
  }
  return clamp((value - scale.low) / (scale.high - scale.low), 0);
}

/** The value at a place: for ticks of the legend. */
export function valueOn(scale: GridScale, t: number): number {
  if (scale.signed) {
    if (scale.spread !== "log") return t * scale.high;
    return Math.sign(t) * scale.knee * Math.expm1(Math.abs(t) * Math.log1p(scale.high / scale.knee));
  }
  if (scale.spread === "log") return scale.low * (scale.high / scale.low) ** t;
  return scale.low + t * (scale.high - scale.low);
}

/** The lowest magnitude is not quite the colour of the ground. */
const FIRST = 0.07;

/** Colour of a place on the scale, as placeOn gives it. */
export function colourAt(palette: Palette, scale: GridScale, place: number): number {
  // Magnitudes take the negative arm of the map: blue of blue – red. Red alone would look like a warning.
  const t = scale.signed ? place : -(FIRST + (1 - FIRST) * place);
  return palette.lut[Math.min(255, Math.max(0, Math.round(t * 127.5 + 127.5)))] as number;
}

/** Colour of a value; null if it is not a number. */
export function cellColour(palette: Palette, scale: GridScale, value: number): number | null {
  if (Number.isNaN(value)) return null;
  if (value === Number.POSITIVE_INFINITY) return palette.posinf;
  if (value === Number.NEGATIVE_INFINITY) return palette.neginf;
  return colourAt(palette, scale, placeOn(scale, value));
}

function clamp(t: number, least: number): number {
  return Math.min(1, Math.max(least, t));
}
