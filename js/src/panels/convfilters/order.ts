/** Orders in which filters are laid out. */

import type { Frequencies, Similarity } from "./facts";
import type { LayerNorms } from "./local";

export type Order = "stored" | "norm" | "similarity" | "frequency";

/** Numbers of the filters in order; in stored order while what the order needs is not there. */
export function orderOf(
  order: Order,
  count: number,
  norms: LayerNorms | null,
  frequencies: Frequencies | null,
  similarity: Similarity | null,
): ArrayLike<number> {
  if (order === "norm" && norms?.norms.length === count) return descending(norms.norms);
  if (order === "similarity" && similarity?.order.length === count) return similarity.order;
  if (order === "frequency" && frequencies?.frequency.length === count) {
    const { frequency, orientation } = frequencies;
    return sorted(count, (a, b) => {
      const by = compare(frequency[a], frequency[b]);
      return by || compare(orientation[a], orientation[b]);
    });
  }
  return Int32Array.from({ length: count }, (_, filter) => filter);
}

/** Places from the largest value to the smallest; equal ones in stored order. */
export function descending(values: ArrayLike<number>): Int32Array {
  return sorted(values.length, (a, b) => compare(-(values[a] as number), -(values[b] as number)));
}

function sorted(count: number, by: (a: number, b: number) => number): Int32Array {
  return Int32Array.from({ length: count }, (_, filter) => filter).sort((a, b) => by(a, b) || a - b);
}

/** NaN last. */
function compare(a = Number.NaN, b = Number.NaN): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a - b;
}
