/** Statistics and distributions of rows taken together: for groups of blocks, which the overview does not know. */

import { inTotals, type LocalHistogram, type Overview } from "../../overview";
import type { TreeNode } from "../../tree";

/** Row of a node in the overview, -1 for groups and modules that the overview does not know. */
export function rowOf(overview: Overview, node: TreeNode): number {
  if (node.kind === "tensor") return node.tensor;
  if (node.kind === "block") return overview.rowOf(node.path);
  return node.kind === "module" ? overview.moduleRowOf(node.path) : -1;
}

/**
 * Rows that together hold every weight below a node once; tied tensors count under their first name. Blocks are parts
 * of what is counted already, and several may share weights: of a group of them there is nothing to tell together.
 */
export function rowsBelow(overview: Overview, node: TreeNode): number[] {
  if (isGroupOfBlocks(node)) return [];
  const row = rowOf(overview, node);
  if (row < 0) return node.children.flatMap((child) => rowsBelow(overview, child));
  return node.kind === "tensor" && !inTotals(overview, row) ? [] : [row];
}

export function isGroupOfBlocks(node: TreeNode): boolean {
  return node.kind === "group" && node.children[0]?.kind === "block";
}

/** A statistic of several rows merged; NaN if a row is not known yet or the statistic cannot be merged. */
export function mergedStatistic(overview: Overview, rows: readonly number[], key: string): number {
  const get = (of: string): number[] => {
    const column = overview.column(of);
    return rows.map((row) => column[row] ?? Number.NaN);
  };
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  switch (key) {
    case "count":
    case "bytes":
    case "zeros":
    case "nan":
    case "inf":
    case "l1":
      return sum(get(key));
    case "sparsity":
      return sum(get("zeros")) / sum(get("count"));
    case "l2":
      return Math.sqrt(sum(get("l2").map((norm) => norm * norm)));
    case "min":
      return rows.length > 0 ? Math.min(...get("min")) : Number.NaN;
    case "max":
    case "absmax":
      return rows.length > 0 ? Math.max(...get(key)) : Number.NaN;
    case "mean":
    case "std":
    case "rms":
    case "skewness":
    case "kurtosis":
      return mergedMoment(get, key);
    default:
      return Number.NaN;
  }
}

/** By the moments about the common mean: those of each row, shifted. */
function mergedMoment(get: (key: string) => number[], key: string): number {
  const [nan, inf] = [get("nan"), get("inf")];
  const n = get("count").map((count, i) => count - (nan[i] as number) - (inf[i] as number));
  const total = n.reduce((all, one) => all + one, 0);
  const weighted = (values: number[]): number =>
    // A tensor without finite weights has no mean and no weight in it.
    values.reduce((all, value, i) => (n[i] === 0 ? all : all + value * (n[i] as number)), 0) / total;
  const means = get("mean");
  const mean = weighted(means);
  if (key === "mean") return mean;
  if (key === "rms") return Math.sqrt(weighted(get("rms").map((rms) => rms * rms)));
  const shift = means.map((own) => own - mean);
  const m2 = get("std").map((std) => std * std);
  const variance = weighted(m2.map((m, i) => m + (shift[i] as number) ** 2));
  if (key === "std") return Math.sqrt(variance);
  const m3 = get("skewness").map((skewness, i) => (m2[i] ? skewness * (m2[i] as number) ** 1.5 : 0));
  const at = (i: number): [number, number, number] => [shift[i] as number, m2[i] as number, m3[i] as number];
  if (key === "skewness") {
    const third = m3.map((_, i) => {
      const [d, second, own] = at(i);
      return own + 3 * d * second + d ** 3;
    });
    return weighted(third) / variance ** 1.5;
  }
  const fourth = get("kurtosis").map((kurtosis, i) => {
    const [d, second, third] = at(i);
    const own = second ? (kurtosis + 3) * second * second : 0;
    return own + 4 * d * third + 6 * d * d * second + d ** 4;
  });
  return weighted(fourth) / (variance * variance) - 3;
}

/** One histogram over the range of all, each bin spread evenly over the bins that it covers. */
export function mergedHistogram(
  overview: Overview,
  rows: readonly number[],
  bins = 48,
): LocalHistogram | null {
  const all = rows.map((row) => overview.histogram(row)).filter((one) => one !== null);
  if (all.length === 0) return null;
  const low = Math.min(...all.map((one) => one.range[0]));
  const high = Math.max(...all.map((one) => one.range[1]));
  const counts = new Float64Array(bins);
  let below = 0;
  let above = 0;
  const scale = high > low ? bins / (high - low) : 0;
  for (const one of all) {
    below += one.below;
    above += one.above;
    const step = (one.range[1] - one.range[0]) / one.counts.length;
    one.counts.forEach((count, i) => {
      if (count === 0) return;
      const from = (one.range[0] + i * step - low) * scale;
      const width = Math.max(step * scale, 1e-9);
      const first = Math.min(Math.floor(from), bins - 1);
      const last = Math.min(Math.floor(from + width), bins - 1);
      for (let bin = first; bin <= last; bin++) {
        const share = Math.min(from + width, bin + 1) - Math.max(from, bin);
        counts[bin] = (counts[bin] as number) + (count * Math.max(share, 0)) / width;
      }
    });
  }
  return { counts, range: [low, high], below, above };
}
