/** The arithmetic of the mini histograms: which scale a statistic gets, its bins, and ranges from pixels. Pure. */

import { scaleLinear, scaleLog, scaleSymlog } from "d3-scale";
import type { Range } from "../../model";

/** "symlog" is linear about zero and logarithmic beyond: for values of both signs, or with zeros. */
export type ScaleKind = "linear" | "log" | "symlog";

export interface FacetAxis {
  readonly kind: ScaleKind;
  readonly domain: Range;
  /** The value that all have, if there is just one. */
  readonly only: number | null;
  /** Place of a value, 0 to 1 within the domain. */
  place(value: number): number;
  value(place: number): number;
}

/** Largest over smallest value from which a statistic is shown on a logarithmic scale. */
const WIDE = 50;

function finite(values: ArrayLike<number>, count: number): number[] {
  const found: number[] = [];
  for (let row = 0; row < count; row++) {
    const value = values[row] as number;
    if (Number.isFinite(value)) found.push(value);
  }
  return found;
}

function extent(values: number[]): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Whether a statistic is shown on a logarithmic scale unless somebody chooses otherwise. */
export function prefersLog(values: ArrayLike<number>, count: number): boolean {
  const known = finite(values, count);
  const [low, high] = extent(known);
  if (low > 0) return high / low > WIDE;
  // With zeros or both signs: when a few large values would press the others into one bin.
  return Math.max(high, -low) / middleSize(known) > WIDE;
}

/** Median magnitude of what is not zero. */
function middleSize(values: number[]): number {
  const sizes = values
    .map(Math.abs)
    .filter((size) => size > 0)
    .sort((a, b) => a - b);
  return sizes[sizes.length >> 1] ?? 1;
}

/** The axis of the first `count` values; null if none is finite. */
export function axisFor(values: ArrayLike<number>, count: number, log: boolean): FacetAxis | null {
  const known = finite(values, count);
  if (known.length === 0) return null;
  let domain = extent(known);
  const only = domain[0] === domain[1] ? domain[0] : null;
  if (only !== null) {
    // One value: the axis needs a width all the same.
    const half = Math.abs(only) / 2 || 0.5;
    domain = [only - half, only + half];
  }
  if (!log) return axis("linear", domain, only, scaleLinear().domain(domain).range([0, 1]));
  if (domain[0] > 0) return axis("log", domain, only, scaleLog().domain(domain).range([0, 1]));
  return axis("symlog", domain, only, scaleSymlog().constant(middleSize(known)).domain(domain).range([0, 1]));
}

interface Scale {
  (value: number): number | undefined;
  invert(place: number): number;
}

function axis(kind: ScaleKind, domain: Range, only: number | null, scale: Scale): FacetAxis {
  return {
    kind,
    domain,
    only,
    place: (value) => scale(value) ?? Number.NaN,
    value: (place) => (place <= 0 ? domain[0] : place >= 1 ? domain[1] : scale.invert(place)),
  };
}

/** Bin of each of the first `count` values, -1 where it is not finite. The last bin includes its upper edge. */
export function assignBins(
  axis: FacetAxis,
  values: ArrayLike<number>,
  count: number,
  bins: number,
): Int16Array {
  const out = new Int16Array(count);
  for (let row = 0; row < count; row++) {
    const value = values[row] as number;
    const bin = Math.floor(axis.place(value) * bins);
    out[row] = Number.isFinite(value) ? Math.max(0, Math.min(bins - 1, bin)) : -1;
  }
  return out;
}

/** How many values each bin has, of those that all masks let pass. */
export function countBins(assigned: Int16Array, bins: number, masks: readonly Uint8Array[]): Float64Array {
  const counts = new Float64Array(bins);
  for (let row = 0; row < assigned.length; row++) {
    const bin = assigned[row] as number;
    if (bin >= 0 && masks.every((mask) => mask[row])) counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

/**
 * The range between two places, in numbers that are no finer than a pixel: rounded outwards, so that the values at
 * its ends are in it.
 */
export function rangeBetween(
  axis: FacetAxis,
  from: number,
  to: number,
  pixels: number,
  whole: boolean,
): Range {
  const [a, b] = from <= to ? [from, to] : [to, from];
  const low = axis.value(a);
  const high = axis.value(b);
  const pixel = 1 / Math.max(pixels, 1);
  const lowStep = Math.abs(axis.value(Math.min(a + pixel, 1)) - axis.value(Math.min(a + pixel, 1) - pixel));
  const highStep = Math.abs(axis.value(Math.max(b - pixel, 0) + pixel) - axis.value(Math.max(b - pixel, 0)));
  return [rounded(low, lowStep, Math.floor, whole), rounded(high, highStep, Math.ceil, whole)];
}

function rounded(value: number, step: number, round: (value: number) => number, whole: boolean): number {
  if (!(step > 0)) return value;
  const digits = Math.min(100, Math.max(0, -Math.floor(Math.log10(step))));
  // Large numbers keep their units: only what stands behind the point is rounded, and counts have nothing there.
  const unit = digits > 0 && !whole ? 10 ** -digits : Math.max(1, 10 ** Math.floor(Math.log10(step)));
  const out = round(value / unit) * unit;
  if (!Number.isFinite(out)) return value;
  return digits > 0 && !whole ? Number(out.toFixed(digits)) : out;
}
