/** Which table of vectors is selected; and its numbers, as they come. Pure. */

import type { EmbeddingTable } from "../../anatomy";
import type { Overview } from "../../overview";

export interface Table {
  readonly row: number;
  readonly tensor: string;
  readonly axis: number;
  readonly entries: EmbeddingTable["entries"];
  readonly count: number;
  readonly size: number;
  readonly padding: number | null;
  readonly certain: boolean;
  readonly why: string;
  /** Name of the first tensor of tied ones, "" if this is it. */
  readonly tiedWith: string;
}

/** The table that a row is; tied tensors are the same table. Null for anything else. */
export function tableOf(overview: Overview, row: number): Table | null {
  if (!overview.isTensor(row) || overview.block(row)) return null;
  const first = overview.sharedWith(row);
  const found = overview.layers.embeddings.find(({ tensor }) => tensor === row || tensor === first);
  if (!found) return null;
  const shape = overview.shape(row);
  const count = shape[found.axis] ?? 0;
  if (shape.length < 2 || count === 0) return null;
  return {
    row,
    tensor: overview.names[row] as string,
    axis: found.axis,
    entries: found.entries,
    count,
    size: shape.reduce((a, b) => a * b, 1) / count,
    padding: found.padding,
    certain: found.certain,
    why: found.why,
    tiedWith: first >= 0 ? (overview.names[first] as string) : "",
  };
}

/** Nearest neighbours; entries of which none were looked for have NaN and -1. */
export interface Neighbours {
  /** How many entries neighbours were looked for; the others wait. */
  readonly asked: number;
  readonly nearest: Int32Array;
  readonly cosine: Float32Array;
  readonly second: Float32Array;
  readonly searchError: number;
}

export interface Reference {
  readonly text: string;
  readonly entries: Int32Array;
  readonly cosine: Float32Array;
  readonly distance: Float32Array;
  readonly norm: number;
}

/** What stands on the axes of the scatter, and in the columns of the list. */
export type Quantity = "norm" | "cosine" | "entry" | "near unused" | "distance";

/** A rectangle of the scatter: norms, and values of the other axis; null is open. */
export interface Brush {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number] | null;
}

/** Entries inside a brush, ascending. */
export function inside(brush: Brush, xs: ArrayLike<number>, ys: ArrayLike<number> | null): number[] {
  const found: number[] = [];
  const { x, y } = brush;
  for (let entry = 0; entry < xs.length; entry++) {
    const norm = xs[entry] as number;
    if (!(norm >= x[0] && norm <= x[1])) continue;
    if (y && ys) {
      const value = ys[entry] as number;
      if (!(value >= y[0] && value <= y[1])) continue;
    }
    found.push(entry);
  }
  return found;
}

/** Entries that at least two others are nearer to than the threshold: the mark of vectors that were never trained. */
export function clustered(neighbours: Neighbours, threshold: number): number[] {
  const found: number[] = [];
  for (let entry = 0; entry < neighbours.second.length; entry++)
    if ((neighbours.second[entry] as number) > threshold) found.push(entry);
  return found;
}

/** Entries by a quantity; those without one come last, whatever the direction. */
export function sorted(
  entries: readonly number[],
  by: ArrayLike<number> | null,
  descending: boolean,
): number[] {
  const sign = descending ? -1 : 1;
  return [...entries].sort((a, b) => {
    if (!by) return sign * (a - b);
    const [x, y] = [by[a] as number, by[b] as number];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b;
    return sign * (x - y) || a - b;
  });
}

/** Smallest and largest finite value; null if there is none. */
export function extent(values: ArrayLike<number>): [number, number] | null {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** An interval with a little air; one of no width is widened. */
export function padded([low, high]: readonly [number, number], share = 0.03): [number, number] {
  const room = high > low ? (high - low) * share : Math.abs(high) * 0.05 || 0.5;
  return [low - room, high + room];
}

/** Counts in equal bins over an interval; what is outside is not counted. */
export function binned(
  values: ArrayLike<number>,
  [low, high]: readonly [number, number],
  bins: number,
): Float64Array {
  const counts = new Float64Array(bins);
  const scale = bins / (high - low);
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    if (!(value >= low && value <= high)) continue;
    const bin = Math.min(bins - 1, Math.floor((value - low) * scale));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

/** The most multiplications that are begun unasked: some seconds on one core. */
export const UNASKED = 4e11;

/** How many entries neighbours are looked for at once: all if that takes seconds, else as many as do. */
export function firstLimit(count: number, size: number): number | null {
  if (count * count * size <= UNASKED) return null;
  return Math.max(256, Math.floor(UNASKED / (2 * count * Math.max(1, size))));
}

/** Roughly how long all neighbours take, in seconds, on one core. */
export function secondsForAll(count: number, size: number): number {
  return (count * count * size) / 5e10;
}
