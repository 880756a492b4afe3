/** Histograms of fake weights, of several tensors together. */

import { countBins } from "../src/local/histogram";
import type { LocalHistogram } from "../src/overview";

/** Weights that are sorted for the quantiles of fake tensors, which may be large. */
export const SORTED = 1 << 16;

export type Scale = "value" | "magnitude";

/** Counts the finite weights (of log10 |w|: those that are not zero); the last bin holds its upper edge. */
export function histogramOf(
  parts: readonly Float32Array[],
  bins: number,
  range: [number, number],
  scale: Scale,
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
