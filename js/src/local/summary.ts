/** Statistics of weights that are all here, in double precision. As weightwidget/summary/record.py defines them. */

import type { Numbers } from "../safetensors";

export interface Summary {
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
  sorted: Float64Array;
}

/**
 * Summarises the weights of a tensor, or of several together.
 *
 * @param most weights that are sorted for quantiles; where there are more, they are thinned out evenly
 */
export function summarise(parts: readonly Numbers[], most = Number.POSITIVE_INFINITY): Summary {
  const record: Summary = {
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
    sorted: new Float64Array(0),
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
  record.sorted = sortedSample(parts, n, most);
  return record;
}

export function finiteCount(record: Summary): number {
  return record.count - record.nan - record.posinf - record.neginf;
}

function addMoments(record: Summary, parts: readonly Numbers[], n: number): void {
  // The mean of equal numbers is rounded: they would not be all alike.
  if (record.min === record.max) {
    record.mean = record.min;
    record.std = 0;
    return;
  }
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

function sortedSample(parts: readonly Numbers[], n: number, most: number): Float64Array {
  const step = Math.max(1, Math.ceil(n / most));
  const taken = new Float64Array(Math.ceil(n / step));
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
export function quantile({ sorted }: Summary, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = q * (sorted.length - 1);
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  return below + (above - below) * (at - Math.floor(at));
}

/** Share of the weights that the robust range leaves out on either side, if they lie far out. */
const TAIL = 0.0005;

/** Range worth drawing: nearly all weights, without the far outliers. */
export function robustRange(record: Summary): [number, number] {
  const { min, max } = record;
  if (finiteCount(record) === 0) return [-1, 1];
  if (min === max) {
    const reach = 0.1 * Math.abs(min) || 1;
    return [min - reach, min + reach];
  }
  const low = quantile(record, TAIL);
  const high = quantile(record, 1 - TAIL);
  const width = high - low;
  if (!(width > 0 && Number.isFinite(width)) || !(max / 2 - min / 2 >= width)) return [min, max];
  return [Math.max(min, low - 0.05 * width), Math.min(max, high + 0.05 * width)];
}

/** Steps in which the lower end of the range of log10 |w| is told. */
const STEPS = 512;
const LEFT_OUT = 0.001;

/** Range of log10 |w| that is shown by default: from the magnitudes' 0.1 % quantile up to the largest. */
export function logRange({ sorted, min, max }: Summary): [number, number] | null {
  const magnitudes = sorted.filter((w) => w !== 0).map(Math.abs);
  if (magnitudes.length === 0) return null;
  magnitudes.sort();
  const high = Math.log10(Math.max(Math.abs(min), Math.abs(max)));
  const least = Math.log10(magnitudes[0] as number);
  if (!(high > least)) return [high, high + 0.5];
  const rank = Math.ceil(LEFT_OUT * magnitudes.length) - 1;
  const step = (high - least) / STEPS;
  const reached = Math.floor((Math.log10(magnitudes[rank] as number) - least) / step);
  return [least + Math.min(reached, STEPS - 1) * step, high];
}
