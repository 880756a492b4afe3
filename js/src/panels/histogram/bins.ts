/** The numbers of a histogram, from the kernel or from the overview, and what can be read off them. Pure. */

import { doubles } from "../../buffers";
import { formatExact } from "../../draw/format";
import type { Range } from "../../model";
import type { Overview } from "../../overview";
import type { Reply } from "../../protocol";

export type Scale = "value" | "magnitude";

export interface Bins {
  readonly scale: Scale;
  /** One more than there are counts; of w, or of log10 |w|. The outermost bins may be wider than the others. */
  readonly edges: Float64Array;
  readonly counts: Float64Array;
  /** Width of an ordinary bin; 0 if no weight has a place on the axis. */
  readonly step: number;
  /** Finite weights beyond the edges. */
  readonly below: number;
  readonly above: number;
  readonly zeros: number;
  readonly nan: number;
  readonly posinf: number;
  readonly neginf: number;
  /** All elements. */
  readonly total: number;
  readonly origin: "kernel" | "overview";
  readonly exact: boolean;
  /** How far values may be off, relative to them; 0 if exact. Unknown (0, too) for the overview. */
  readonly error: number;
}

/** Numbers of a row that do not depend on any binning. */
function extras(
  overview: Overview,
  row: number,
): Pick<Bins, "zeros" | "nan" | "posinf" | "neginf" | "total"> {
  const stat = (key: string): number => overview.column(key)[row] || 0;
  return {
    zeros: stat("zeros"),
    nan: stat("nan"),
    posinf: stat("posinf"),
    neginf: stat("neginf"),
    total: stat("count"),
  };
}

/** A range with some room in it: that of a constant tensor has none. */
export function widened([low, high]: Range): Range {
  if (low < high) return [low, high];
  const room = Math.abs(low) / 2 || 0.5;
  return [low - room, low + room];
}

/** What the overview holds; null if it holds no histogram of that scale. Its tails become two wide bins. */
export function fromOverview(overview: Overview, row: number, scale: Scale): Bins | null {
  const local = scale === "value" ? overview.histogram(row) : overview.logHistogram(row);
  if (!local || local.counts.length === 0) return null;
  const { counts } = local;
  const range = widened(local.range);
  const step = (range[1] - range[0]) / counts.length;
  const edges = Array.from({ length: counts.length + 1 }, (_, i) => range[0] + i * step);
  edges[counts.length] = range[1];
  const all = [...counts];
  let { below, above } = local;
  const [min, max] = extent(overview, row, scale);
  if (below > 0 && min < range[0]) {
    edges.unshift(min);
    all.unshift(below);
    below = 0;
  }
  if (above > 0 && max > range[1]) {
    edges.push(max);
    all.push(above);
    above = 0;
  }
  return {
    scale,
    edges: Float64Array.from(edges),
    counts: Float64Array.from(all),
    step,
    below,
    above,
    ...extras(overview, row),
    origin: "overview",
    exact: false,
    error: 0,
  };
}

/** Of weights none of which has a place on the axis: only NaN and infinities, or only zeros among magnitudes. */
export function emptyBins(overview: Overview, row: number, scale: Scale): Bins {
  const none = { edges: Float64Array.of(0, 1), counts: Float64Array.of(0), step: 0, below: 0, above: 0 };
  return { scale, ...none, ...extras(overview, row), origin: "overview", exact: true, error: 0 };
}

/** Number of weights that have a place on the axis. */
export function placeable(overview: Overview, row: number, scale: Scale): number {
  const { total, nan, posinf, neginf, zeros } = extras(overview, row);
  return total - nan - posinf - neginf - (scale === "magnitude" ? zeros : 0);
}

export function fromReply(reply: Reply<"histogram">, scale: Scale, total: number): Bins {
  const buffer = reply.buffers[0];
  if (!buffer) throw new Error("the kernel's histogram came without counts");
  const counts = doubles(buffer);
  const [low, high] = reply.range;
  const step = (high - low) / counts.length;
  const edges = Float64Array.from({ length: counts.length + 1 }, (_, i) => low + i * step);
  edges[counts.length] = high;
  const { below, above, zeros, nan, posinf, neginf, exact, relative_error: error } = reply;
  return {
    scale,
    edges,
    counts,
    step,
    below,
    above,
    zeros,
    nan,
    posinf,
    neginf,
    total,
    origin: "kernel",
    exact,
    error,
  };
}

/** Smallest and largest finite weight on a scale; NaN where unknown. The smallest magnitude is never known. */
export function extent(overview: Overview, row: number, scale: Scale): Range {
  if (scale === "magnitude") return [Number.NaN, Math.log10(overview.column("absmax")[row] as number)];
  return [overview.column("min")[row] as number, overview.column("max")[row] as number];
}

/** Weights between two values, with a bin that is cut counted in proportion: an estimate unless both are edges. */
export function countBetween(bins: Bins, low: number, high: number): number {
  let count = 0;
  for (let i = 0; i < bins.counts.length; i++) {
    const from = bins.edges[i] as number;
    const to = bins.edges[i + 1] as number;
    const part = Math.min(high, to) - Math.max(low, from);
    if (part > 0) count += ((bins.counts[i] as number) * part) / (to - from);
  }
  return count;
}

/** Finite weights left and right of what is shown. */
export function outside(bins: Bins, view: Range): { below: number; above: number } {
  return {
    below: Math.round(bins.below + countBetween(bins, Number.NEGATIVE_INFINITY, view[0])),
    above: Math.round(bins.above + countBetween(bins, view[1], Number.POSITIVE_INFINITY)),
  };
}

/** Whether both tails are sums of whole bins; otherwise the view cuts a bin, and they are estimates. */
export function tailsKnown(bins: Bins, view: Range): boolean {
  const { edges } = bins;
  const near = (value: number): boolean => edges.some((edge) => Math.abs(edge - value) <= 1e-6 * bins.step);
  const first = edges[0] as number;
  const last = edges[edges.length - 1] as number;
  return (near(view[0]) || view[0] < first) && (near(view[1]) || view[1] > last);
}

/** Height of a bin: its count, or what an ordinary bin would hold if it is wider than one. */
export function height(bins: Bins, i: number): number {
  const width = (bins.edges[i + 1] as number) - (bins.edges[i] as number);
  const count = bins.counts[i] as number;
  return width > 1.5 * bins.step ? (count * bins.step) / width : count;
}

/** Index of the bin that holds a value; -1 outside of all. */
export function binAt(bins: Bins, value: number): number {
  const { edges } = bins;
  const last = edges.length - 1;
  if (!(value >= (edges[0] as number) && value <= (edges[last] as number))) return -1;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((edges[middle] as number) <= value) low = middle;
    else high = middle;
  }
  return low;
}

/** Rough width of a bin on the screen, in pixels: fine enough to show shape, wide enough to see a bin. */
const BIN_PIXELS = 3.5;

export interface Grid {
  bins: number;
  range: Range;
}

/** Into how many bins to cut what is shown. Integers get whole numbers of values a bin, or the bars would comb. */
export function gridFor(view: Range, pixels: number, integers: boolean): Grid {
  const most = Math.max(16, Math.min(512, Math.round(pixels / BIN_PIXELS)));
  if (!integers) return { bins: most, range: view };
  const low = Math.floor(view[0] + 0.5) - 0.5;
  const high = Math.max(low + 1, Math.ceil(view[1] - 0.5) + 0.5);
  const values = Math.max(1, Math.ceil((high - low) / most));
  const bins = Math.ceil((high - low) / values);
  return { bins, range: [low, low + bins * values] };
}

/** Counts and edges as a table for a spreadsheet. */
export function binsToText(bins: Bins): string {
  const unit = bins.scale === "value" ? "w" : "log10|w|";
  const lines = [`from ${unit}\tto ${unit}\tcount`];
  const first = bins.edges[0] as number;
  const last = bins.edges[bins.edges.length - 1] as number;
  lines.push(`-inf\t${formatExact(first)}\t${formatExact(bins.below)}`);
  bins.counts.forEach((count, i) => {
    const edges = [bins.edges[i] as number, bins.edges[i + 1] as number];
    lines.push([...edges, count].map(formatExact).join("\t"));
  });
  lines.push(`${formatExact(last)}\tinf\t${formatExact(bins.above)}`);
  if (bins.scale === "magnitude") lines.push(`zero\t\t${bins.zeros}`);
  lines.push(`NaN\t\t${bins.nan}`, `-Inf\t\t${bins.neginf}`, `+Inf\t\t${bins.posinf}`);
  return `${lines.join("\n")}\n`;
}

/** Expected count of an ordinary bin at a value, were the weights normal with that mean and deviation. */
export function normalCount(bins: Bins, mean: number, std: number, at: number): number {
  const density = (w: number): number =>
    Math.exp(-(((w - mean) / std) ** 2) / 2) / (std * Math.sqrt(2 * Math.PI));
  const finite = bins.total - bins.nan - bins.posinf - bins.neginf;
  if (bins.scale === "value") return finite * bins.step * density(at);
  // Of log10 |w|: both signs, times the derivative of w by its logarithm.
  const size = 10 ** at;
  return finite * bins.step * Math.LN10 * size * (density(size) + density(-size));
}
