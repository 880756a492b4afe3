/** Statistics of fake weights in double precision: the definitions of DESIGN's summary, plainly written. */

import type { LocalHistogram } from "../src/overview";

export interface FakeRecord {
  count: number;
  nan: number;
  posinf: number;
  neginf: number;
  zeros: number;
  min: number;
  max: number;
  /** Flat positions of the extremes in the first part, -1 without a finite weight. */
  argmin: number;
  argmax: number;
  mean: number;
  std: number;
  l1: number;
  skewness: number;
  kurtosis: number;
  /** Finite weights in order: all of them, or evenly spaced ones of large tensors. */
  sorted: Float32Array;
}

/** Weights that are sorted for quantiles. More are thinned out evenly. */
const SORTED = 1 << 16;

/** Summarises the weights of a tensor, or of all tensors of a module. */
export function summarise(parts: readonly Float32Array[]): FakeRecord {
  const record: FakeRecord = {
    count: 0,
    nan: 0,
    posinf: 0,
    neginf: 0,
    zeros: 0,
    min: Number.NaN,
    max: Number.NaN,
    argmin: -1,
    argmax: -1,
    mean: Number.NaN,
    std: Number.NaN,
    l1: Number.NaN,
    skewness: Number.NaN,
    kurtosis: Number.NaN,
    sorted: new Float32Array(0),
  };
  let sum = 0;
  let magnitude = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const part of parts) {
    record.count += part.length;
    for (let i = 0; i < part.length; i++) {
      const w = part[i] as number;
      // w - w is 0 for finite numbers only.
      if (w - w !== 0) {
        if (w > 0) record.posinf++;
        else if (w < 0) record.neginf++;
        else record.nan++;
        continue;
      }
      if (w === 0) record.zeros++;
      sum += w;
      magnitude += Math.abs(w);
      if (w < low) {
        low = w;
        record.argmin = i;
      }
      if (w > high) {
        high = w;
        record.argmax = i;
      }
    }
  }
  const n = finiteCount(record);
  if (n === 0) return record;
  record.min = low;
  record.max = high;
  record.l1 = magnitude;
  record.mean = sum / n;
  addMoments(record, parts, n);
  record.sorted = sortedSample(parts, n);
  return record;
}

export function finiteCount(record: FakeRecord): number {
  return record.count - record.nan - record.posinf - record.neginf;
}

function addMoments(record: FakeRecord, parts: readonly Float32Array[], n: number): void {
  let m2 = 0;
  let m3 = 0;
  let m4 = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) {
      const d = (part[i] as number) - record.mean;
      if (d - d !== 0) continue;
      const square = d * d;
      m2 += square;
      m3 += square * d;
      m4 += square * square;
    }
  }
  record.std = Math.sqrt(m2 / n);
  if (m2 > 0) {
    record.skewness = m3 / n / (m2 / n) ** 1.5;
    record.kurtosis = m4 / n / (m2 / n) ** 2 - 3;
  }
}

function sortedSample(parts: readonly Float32Array[], n: number): Float32Array {
  const step = Math.max(1, Math.ceil(n / SORTED));
  const taken = new Float32Array(Math.ceil(n / step));
  let seen = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) {
      const w = part[i] as number;
      if (w - w !== 0) continue;
      if (seen % step === 0) taken[seen / step] = w;
      seen++;
    }
  }
  return taken.sort();
}

/** Linear between the neighbours, as NumPy has it. */
export function quantile(record: FakeRecord, q: number): number {
  const { sorted } = record;
  if (sorted.length === 0) return Number.NaN;
  const at = q * (sorted.length - 1);
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  return below + (above - below) * (at - Math.floor(at));
}

/** The range that the histogram shows by default: one that a few outliers do not stretch. */
export function robustRange(record: FakeRecord): [number, number] {
  if (finiteCount(record) === 0) return [-1, 1];
  const low = quantile(record, 0.001);
  const high = quantile(record, 0.999);
  if (high > low) {
    // Extremes that are near enough need no tail bin.
    const margin = 0.5 * (high - low);
    return [Math.max(record.min, low - margin), Math.min(record.max, high + margin)];
  }
  const half = Math.max(0.5, Math.abs(low) * 1e-3);
  return [low - half, low + half];
}

/** The range of log10 |w| that is shown by default. */
export function logRange(record: FakeRecord): [number, number] | null {
  const magnitudes = record.sorted.map(Math.abs).sort();
  const first = magnitudes.findIndex((m) => m > 0);
  if (first < 0) return null;
  const low = Math.log10(magnitudes[first + Math.floor((magnitudes.length - first) / 1000)] as number);
  const high = Math.log10(Math.max(Math.abs(record.min), Math.abs(record.max)));
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

export type Scale = "value" | "magnitude";

/** Counts the finite weights (of log10 |w|: those that are not zero); the last bin holds its upper edge. */
export function histogramOf(
  parts: readonly Float32Array[],
  bins: number,
  range: [number, number],
  scale: Scale,
): LocalHistogram {
  const counts = new Float64Array(bins);
  const [low, high] = range;
  const perUnit = bins / (high - low);
  let below = 0;
  let above = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) {
      const w = part[i] as number;
      if (w - w !== 0 || (scale === "magnitude" && w === 0)) continue;
      const x = scale === "value" ? w : Math.log10(Math.abs(w));
      if (x < low) below++;
      else if (x > high) above++;
      else {
        const bin = Math.min(bins - 1, Math.floor((x - low) * perUnit));
        counts[bin] = (counts[bin] as number) + 1;
      }
    }
  }
  return { counts, range, below, above };
}
