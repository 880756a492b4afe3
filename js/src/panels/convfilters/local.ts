/** What the overview alone knows of filters: all weights where it has them all, else perhaps a picture of each, norms. */

import { isWhole, type Overview } from "../../overview";
import type { FilterMode } from "../../protocol";
import { defaultAxes, matrixSize } from "../../tensor";
import type { Layer } from "./layer";
import { type FilterLayout, flatPosition, kernelSize, positionOf } from "./layout";

/** What is needed of a layer. */
export type Place = Pick<Layer, "row" | "by" | "layout">;

/** Pictures as the kernel's reply to the request `filters` has them. */
export interface LocalPictures {
  /** Whether they have the stored values; else they are known to about three digits. */
  readonly exact: boolean;
  /** null if the mode is another than what is here. */
  picture(
    mode: FilterMode,
    filter: number,
    channel: number,
  ): { values: Float32Array; channel: number } | null;
}

export interface LayerNorms {
  readonly norms: Float64Array;
  /** Largest magnitudes and numbers of non-finite weights; null where only the norms are known. */
  readonly absmax: Float64Array | null;
  readonly nonfinite: Float64Array | null;
  /** null: without a kernel nothing is known of it; empty: there is none. */
  readonly biases: Float64Array | null;
  readonly meanLimit: number;
  readonly normLimit: number;
}

/** All weights of a layer, as the overview has them. */
export class LocalWeights implements LocalPictures {
  private constructor(
    private readonly layout: FilterLayout,
    /** A weight by filter, channel, and place in the kernel. */
    private readonly at: (filter: number, channel: number, place: number) => number,
    readonly exact: boolean,
  ) {}

  /** @returns null if the overview has the weights only in part */
  static of(overview: Overview, { row, by, layout }: Place): LocalWeights | null {
    const stored = (data: ArrayLike<number>) => (filter: number, channel: number, place: number) => {
      const position = positionOf(layout, filter, channel, placeInKernel(layout.kernel, place));
      return data[flatPosition(layout, position)] as number;
    };
    const kept = overview.kept(row);
    if (kept && isWhole(kept)) return new LocalWeights(layout, stored(kept.data), true);
    const shape = overview.shape(row);
    const thumbnail = overview.thumbnail(row);
    const [height, width] = matrixSize(shape, defaultAxes(shape));
    if (thumbnail?.height === height && thumbnail.width === width)
      return new LocalWeights(layout, stored(thumbnail.data), false);
    const drawn = overview.filters(row);
    if (drawn?.shown !== "all" || drawn.by !== by) return null;
    const { values } = drawn;
    const size = kernelSize(layout);
    return new LocalWeights(
      layout,
      (filter, channel, place) => values[(filter * layout.channels + channel) * size + place] as number,
      false,
    );
  }

  /** The kernels of a filter, one behind the other. */
  kernels(filter: number, from = 0, to = this.layout.channels): Float32Array {
    const size = kernelSize(this.layout);
    const out = new Float32Array((to - from) * size);
    for (let channel = from; channel < to; channel++) {
      for (let i = 0; i < size; i++) out[(channel - from) * size + i] = this.at(filter, channel, i);
    }
    return out;
  }

  picture(mode: FilterMode, filter: number, channel: number): { values: Float32Array; channel: number } {
    const size = kernelSize(this.layout);
    if (mode === "channel") return { values: this.kernels(filter, channel, channel + 1), channel };
    const all = this.kernels(filter);
    if (mode === "all") return { values: all, channel: 0 };
    if (mode === "largest") {
      const at = this.strongest(filter, all);
      return { values: all.slice(at * size, (at + 1) * size), channel: at };
    }
    const out = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let at = i; at < all.length; at += size) {
        const value = all[at] as number;
        sum += mode === "mean" ? value : value * value;
      }
      out[i] = mode === "mean" ? sum / this.layout.channels : Math.sqrt(sum);
    }
    return { values: out, channel: 0 };
  }

  /** The channel of largest norm; one with a NaN or infinity before all. */
  private strongest(filter: number, all: Float32Array): number {
    const broken = all.findIndex((value) => !Number.isFinite(value));
    if (broken >= 0) return Math.floor(broken / kernelSize(this.layout));
    const norms = this.channelNorms(filter);
    return norms.reduce((best, norm, channel) => (norm > (norms[best] as number) ? channel : best), 0);
  }

  channelNorms(filter: number): Float64Array {
    const size = kernelSize(this.layout);
    const all = this.kernels(filter);
    return Float64Array.from({ length: this.layout.channels }, (_, channel) =>
      norm(all.subarray(channel * size, (channel + 1) * size)),
    );
  }

  norms(): LayerNorms {
    const { filters } = this.layout;
    const found = {
      norms: new Float64Array(filters),
      absmax: new Float64Array(filters),
      nonfinite: new Float64Array(filters),
    };
    let meanLimit = 0;
    let normLimit = 0;
    for (let filter = 0; filter < filters; filter++) {
      const all = this.kernels(filter);
      found.norms[filter] = norm(all);
      for (const value of all) {
        if (!Number.isFinite(value)) found.nonfinite[filter] = (found.nonfinite[filter] as number) + 1;
        else if (Math.abs(value) > (found.absmax[filter] as number)) found.absmax[filter] = Math.abs(value);
      }
      for (const value of this.picture("mean", filter, 0).values) {
        if (Number.isFinite(value)) meanLimit = Math.max(meanLimit, Math.abs(value));
      }
      for (const value of this.picture("norm", filter, 0).values) {
        if (Number.isFinite(value)) normLimit = Math.max(normLimit, value);
      }
    }
    return { ...found, biases: null, meanLimit, normLimit };
  }

  /** Cosines of a filter with all; NaN where either is zero or not finite. */
  cosines(filter: number): Float64Array {
    const own = this.kernels(filter);
    const length = norm(own);
    const clean = own.every(Number.isFinite);
    return Float64Array.from({ length: this.layout.filters }, (_, other) => {
      const all = this.kernels(other);
      if (!clean || !all.every(Number.isFinite)) return Number.NaN;
      let dot = 0;
      for (let i = 0; i < all.length; i++) dot += (own[i] as number) * (all[i] as number);
      return dot / (length * norm(all));
    });
  }
}

/** The kernel of the strongest channel of each filter. */
export class StrongestKernels implements LocalPictures {
  readonly exact = false;

  private constructor(
    private readonly size: number,
    private readonly values: ArrayLike<number>,
    private readonly channels: ArrayLike<number>,
  ) {}

  static of(overview: Overview, { row, by, layout }: Place): StrongestKernels | null {
    const drawn = overview.filters(row);
    if (drawn?.shown !== "largest" || drawn.by !== by || !drawn.channels) return null;
    return new StrongestKernels(kernelSize(layout), drawn.values, drawn.channels);
  }

  picture(mode: FilterMode, filter: number): { values: Float32Array; channel: number } | null {
    if (mode !== "largest") return null;
    const from = filter * this.size;
    const values = Float32Array.from({ length: this.size }, (_, i) => this.values[from + i] as number);
    return { values, channel: this.channels[filter] as number };
  }
}

/** Norms of all filters: those that came with their pictures, or of the rows of the default matrix, if it has them. */
export function overviewNorms(overview: Overview, { row, by, layout }: Place): LayerNorms | null {
  const drawn = overview.filters(row);
  const told = drawn?.by === by ? drawn.norms : null;
  const isRow = layout.output === 0 && layout.filters === layout.stored[0];
  const rows = told ?? (isRow ? overview.profiles(row)?.rows : null);
  if (rows?.length !== layout.filters) return null;
  const of = (key: string): number => overview.column(key)[row] ?? Number.NaN;
  const nonfinite = of("nan") + of("inf") === 0 ? new Float64Array(layout.filters) : null;
  const limits = { meanLimit: Number.NaN, normLimit: Number.NaN };
  return { norms: Float64Array.from(rows), absmax: null, nonfinite, biases: null, ...limits };
}

export function placeInKernel(kernel: readonly number[], flat: number): number[] {
  let rest = flat;
  const at: number[] = [];
  for (let axis = kernel.length - 1; axis >= 0; axis--) {
    const size = kernel[axis] as number;
    at.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return at;
}

function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isFinite(value)) sum += value * value;
  }
  return Math.sqrt(sum);
}
