/** What is drawn of a spectrum, as numbers. Pure. */

import type { Curve, Law } from "./replies";

/** Share of the energy, the sum of σ², that the largest hold: of the first, of the first two, ... */
export function cumulativeEnergy(values: ArrayLike<number>, total: number): Float64Array {
  const shares = new Float64Array(values.length);
  let sum = 0;
  // Against the largest, so that nothing over- or underflows when it is squared.
  const unit = values[0] || 1;
  const all = (total / unit) ** 2;
  for (let i = 0; i < values.length; i++) {
    sum += ((values[i] as number) / unit) ** 2;
    shares[i] = all > 0 ? Math.min(1, sum / all) : 0;
  }
  return shares;
}

/** Root of the sum of squares. */
export function normOf(values: ArrayLike<number>): number {
  const unit = values[0] || 1;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += ((values[i] as number) / unit) ** 2;
  return unit * Math.sqrt(sum);
}

/** The values of a curve at the middles of ranks 1 … count. */
export function atRanks({ ranks, values }: Curve, count: number): Float64Array {
  const found = new Float64Array(count);
  let at = 0;
  for (let rank = 0; rank < count; rank++) {
    const middle = rank + 0.5;
    while (at < ranks.length - 2 && (ranks[at + 1] as number) < middle) at++;
    const from = ranks[at] as number;
    const to = ranks[at + 1] ?? from;
    const share = to > from ? Math.min(1, Math.max(0, (middle - from) / (to - from))) : 0;
    const [low, high] = [values[at] as number, (values[at + 1] ?? values[at]) as number];
    found[rank] = low + share * (high - low);
  }
  return found;
}

/** The singular values to be expected of noise. */
export function noiseCurve(law: Law, std: number, rows: number, cols: number): Curve {
  const small = Math.min(rows, cols);
  const large = Math.max(rows, cols);
  return {
    ranks: Float64Array.from(law.below, (below) => small * (1 - below)).reverse(),
    values: Float64Array.from(law.x, (x) => std * Math.sqrt(large * Math.max(0, x))).reverse(),
  };
}

/** A histogram of log10 of squared singular values. */
export interface Density {
  /** First edge and width of a bin, in decades. */
  readonly from: number;
  readonly width: number;
  readonly counts: Float64Array;
  /** Values too small to be shown, zeros among them. */
  readonly below: number;
}

/** Most decades that are shown below the largest value: what lies lower is rounding. */
const DECADES = 9;

/**
 * @param squares positive or zero
 * @param boundary log10 of a value that lies between two bins, if it lies among the values
 */
export function densityOf(squares: ArrayLike<number>, boundary = Number.NaN): Density | null {
  let largest = 0;
  for (let i = 0; i < squares.length; i++) largest = Math.max(largest, squares[i] as number);
  if (!(largest > 0) || !Number.isFinite(largest)) return null;
  const top = Math.log10(largest);
  const logs: number[] = [];
  for (let i = 0; i < squares.length; i++) {
    const value = squares[i] as number;
    if (value > 0 && Math.log10(value) >= top - DECADES) logs.push(Math.log10(value));
  }
  const low = logs.reduce((least, value) => Math.min(least, value), top);
  const bins = Math.min(72, Math.max(8, Math.round(2.2 * Math.sqrt(logs.length))));
  const width = Math.max((top - low) / bins, 0.02);
  // Usually the largest value lies in the middle of the last bin, the smallest in that of the first.
  const among = boundary > low && boundary < top;
  const from = among ? boundary - Math.ceil((boundary - low) / width) * width : low - width / 2;
  const counts = new Float64Array(Math.floor((top - from) / width) + 1);
  for (const value of logs) {
    const at = Math.min(counts.length - 1, Math.floor((value - from) / width));
    counts[at] = (counts[at] as number) + 1;
  }
  return { from, width, counts, below: squares.length - logs.length };
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Values a bin to be expected of noise: x is log10 σ². */
export function noiseDensity(
  law: Law,
  std: number,
  size: { rows: number; cols: number },
  width: number,
): Point[] {
  const small = Math.min(size.rows, size.cols);
  const shift = 2 * Math.log10(std) + Math.log10(Math.max(size.rows, size.cols));
  const points: Point[] = [];
  law.x.forEach((x, i) => {
    if (x > 0) points.push({ x: Math.log10(x) + shift, y: small * width * (law.perDecade[i] as number) });
  });
  return points;
}

/** Values a bin to be expected of the power law: a straight line on logarithmic axes. */
export function powerLawDensity(
  { alpha, xmin, tail }: { alpha: number; xmin: number; tail: number },
  to: number,
  width: number,
): Point[] {
  if (!(tail > 0) || !Number.isFinite(alpha)) return [];
  const from = Math.log10(xmin);
  const steps = 32;
  return Array.from({ length: steps + 1 }, (_, i) => {
    const x = from + ((Math.max(to, from) - from) * i) / steps;
    return { x, y: tail * (alpha - 1) * Math.LN10 * width * 10 ** ((1 - alpha) * (x - from)) };
  });
}

/** All singular values as text, for a spreadsheet. */
export function valuesToText(values: ArrayLike<number>): string {
  const lines = ["rank\tsingular value"];
  for (let i = 0; i < values.length; i++) lines.push(`${i + 1}\t${values[i]}`);
  return `${lines.join("\n")}\n`;
}
