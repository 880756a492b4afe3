/** Histograms and counts of weights that are all here. As weightwidget/detail/histogram.py counts them. */

import type { Range } from "../model";
import type { LocalHistogram } from "../overview";
import type { Numbers } from "../safetensors";

export interface Counted {
  counts: Float64Array;
  range: Range;
  below: number;
  above: number;
  zeros: number;
  nan: number;
  posinf: number;
  neginf: number;
}

/** Bins hold low <= x < high, the last one both its ends, as numpy.histogram has it. */
export function countBins(
  data: Numbers,
  bins: number,
  scale: "value" | "magnitude",
  given: readonly [number, number],
): Counted {
  const [low, high] = given[0] < given[1] ? given : apart(given[0]);
  const step = (high - low) / bins;
  const edge = (k: number): number => (k === bins ? high : low + k * step);
  const found: Counted = {
    counts: new Float64Array(bins),
    range: [low, high],
    below: 0,
    above: 0,
    zeros: 0,
    nan: 0,
    posinf: 0,
    neginf: 0,
  };
  for (let i = 0; i < data.length; i++) {
    const w = data[i] as number;
    if (Number.isNaN(w)) found.nan++;
    else if (w === Number.POSITIVE_INFINITY) found.posinf++;
    else if (w === Number.NEGATIVE_INFINITY) found.neginf++;
    else {
      if (w === 0) {
        found.zeros++;
        if (scale === "magnitude") continue;
      }
      const x = scale === "value" ? w : Math.log10(Math.abs(w));
      if (x < low) found.below++;
      else if (x > high) found.above++;
      else {
        // The quotient is rounded: the edges decide.
        let bin = Math.min(bins - 1, Math.floor((x - low) / step));
        while (bin > 0 && x < edge(bin)) bin--;
        while (bin < bins - 1 && x >= edge(bin + 1)) bin++;
        found.counts[bin] = (found.counts[bin] as number) + 1;
      }
    }
  }
  return found;
}

/** Of several tensors together: counts, and the finite weights (on the magnitude scale: that are not zero) outside. */
export function histogramOf(
  parts: readonly Numbers[],
  bins: number,
  range: Range,
  scale: "value" | "magnitude",
): LocalHistogram {
  const found: LocalHistogram = { counts: new Float64Array(bins), range, below: 0, above: 0 };
  for (const part of parts) {
    const { counts, below, above } = countBins(part, bins, scale, range);
    counts.forEach((count, bin) => {
      found.counts[bin] = (found.counts[bin] as number) + count;
    });
    found.below += below;
    found.above += above;
  }
  return found;
}

/** Two equal edges are moved apart, as NumPy does. */
function apart(value: number): readonly [number, number] {
  const half = Math.max(0.5, Math.abs(value) * 2 ** -40);
  return [value - half, value + half];
}

export function countWithin(data: Numbers, [low, high]: Range): number {
  let count = 0;
  for (let i = 0; i < data.length; i++) {
    const w = data[i] as number;
    if (w >= low && w <= high) count++;
  }
  return count;
}
