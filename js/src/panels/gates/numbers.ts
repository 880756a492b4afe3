/** The arithmetic of the view. Pure. */

import type { Thumbnail } from "../../overview";

/** Bias of a sigmoid gate beyond which it is open or shut by more than 98 %, whatever small inputs say. */
export const SATURATED = 4;

/** Sum of two biases; one that is not there (null) adds nothing. */
export function addBiases(a: Float64Array | null, b: Float64Array | null): Float64Array | null {
  if (!a || !b) return a ?? b;
  return a.map((value, unit) => value + (b[unit] as number));
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/**
 * Steps after which the state has faded to 1/e if the gate that keeps it has nothing but its bias: −1 / ln σ(b).
 * As bias_time_scales in weightwidget/detail/gates.py; here for what is known without a kernel.
 */
export function biasTimeScale(bias: number): number {
  // ln(1 + exp(−b)) without overflow.
  const softplus = bias < 0 ? -bias + Math.log1p(Math.exp(bias)) : Math.log1p(Math.exp(-bias));
  return 1 / softplus;
}

export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values)
    .filter((value) => !Number.isNaN(value))
    .sort();
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  const high = sorted[middle] as number;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] as number) + high) / 2;
}

/** Units by falling value; those without one (NaN) come last. */
export function ranking(values: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, unit) => unit);
  const key = (unit: number): number => {
    const value = values[unit] as number;
    return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
  };
  return order.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x === y ? a - b : y > x ? 1 : -1;
  });
}

export interface EigenFacts {
  readonly size: number;
  readonly angle: number;
  /** Steps in which the mode shrinks or grows by e; infinite on the unit circle. */
  readonly steps: number;
  readonly grows: boolean;
  /** Steps of a turn; null for positive real eigenvalues, which do not turn. */
  readonly period: number | null;
}

/** What an eigenvalue says of the linear map alone. */
export function eigenFacts(re: number, im: number): EigenFacts {
  const size = Math.hypot(re, im);
  const angle = Math.atan2(im, re);
  return {
    size,
    angle,
    steps: Math.abs(1 / Math.log(size)),
    grows: size > 1,
    period: angle === 0 || size === 0 ? null : (2 * Math.PI) / Math.abs(angle),
  };
}

/** Counts of equal bins; what lies at the upper end is in the last one. */
export function binned(values: ArrayLike<number>, low: number, high: number, bins: number): Uint32Array {
  const counts = new Uint32Array(bins);
  const width = (high - low) / bins;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!(value >= low && value <= high)) continue;
    const bin = Math.min(bins - 1, Math.floor((value - low) / width));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

/**
 * Cuts a thumbnail into equal parts along an axis of the tensor.
 * @param length of the axis, in elements
 * @returns null where a cell would belong to two parts
 */
export function cutThumbnail(
  picture: Thumbnail,
  axis: "rows" | "cols",
  parts: number,
  length: number,
): Thumbnail[] | null {
  const cells = axis === "rows" ? picture.height : picture.width;
  // Cell k begins at element floor(k * length / cells).
  for (let part = 1; part < parts; part++) {
    const first = (part * length) / parts;
    const cell = (part * cells) / parts;
    if (!Number.isInteger(cell) || Math.floor((cell * length) / cells) !== first) return null;
  }
  const step = cells / parts;
  return Array.from({ length: parts }, (_, part) => {
    const height = axis === "rows" ? step : picture.height;
    const width = axis === "rows" ? picture.width : step;
    const data = new Float32Array(height * width);
    const top = axis === "rows" ? part * step : 0;
    const left = axis === "rows" ? 0 : part * step;
    for (let row = 0; row < height; row++) {
      const start = (top + row) * picture.width + left;
      data.set(picture.data.subarray(start, start + width), row * width);
    }
    return { height, width, data };
  });
}
