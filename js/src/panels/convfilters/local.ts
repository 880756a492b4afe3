/** What the overview alone knows of filters: all weights where it has them all, else perhaps norms. */

import { isWhole } from "../../local/answers";
import type { Overview } from "../../overview";
import type { FilterMode } from "../../protocol";
import type { Numbers } from "../../safetensors";
import { defaultAxes, matrixSize } from "../../tensor";
import { type FilterLayout, flatPosition, kernelSize, positionOf } from "./layout";

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

/** All weights of a small layer, as the overview has them. */
export class LocalWeights {
  private constructor(
    private readonly layout: FilterLayout,
    private readonly data: Numbers,
    /** Whether they are the stored values; else they are known to about three digits. */
    readonly exact: boolean,
  ) {}

  /** @returns null if the overview has the weights only in part */
  static of(overview: Overview, row: number, layout: FilterLayout): LocalWeights | null {
    const kept = overview.kept(row);
    if (kept && isWhole(kept)) return new LocalWeights(layout, kept.data, true);
    const shape = overview.shape(row);
    const thumbnail = overview.thumbnail(row);
    const [height, width] = matrixSize(shape, defaultAxes(shape));
    return thumbnail?.height === height && thumbnail.width === width
      ? new LocalWeights(layout, thumbnail.data, false)
      : null;
  }

  /** The kernels of a filter, one behind the other. */
  kernels(filter: number, from = 0, to = this.layout.channels): Float32Array {
    const size = kernelSize(this.layout);
    const out = new Float32Array((to - from) * size);
    for (let channel = from; channel < to; channel++) {
      for (let i = 0; i < size; i++) {
        const at = placeInKernel(this.layout.kernel, i);
        const position = positionOf(this.layout, filter, channel, at);
        out[(channel - from) * size + i] = this.data[flatPosition(this.layout, position)] as number;
      }
    }
    return out;
  }

  /** As the kernel's reply to the request `filters`. */
  picture(mode: FilterMode, filter: number, channel: number): { values: Float32Array; channel: number } {
    const size = kernelSize(this.layout);
    if (mode === "channel") return { values: this.kernels(filter, channel, channel + 1), channel };
    const all = this.kernels(filter);
    if (mode === "all") return { values: all, channel: 0 };
    if (mode === "largest") {
      const norms = this.channelNorms(filter);
      const at = norms.indexOf(Math.max(...norms));
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

/** Norms of the rows of the default matrix, where those are the filters. */
export function overviewNorms(overview: Overview, row: number, layout: FilterLayout): LayerNorms | null {
  const rows = overview.profiles(row)?.rows;
  const isRow = layout.output === 0 && layout.filters === layout.stored[0];
  if (!rows || !isRow || rows.length !== layout.filters) return null;
  const norms = Float64Array.from(rows);
  return { norms, absmax: null, nonfinite: null, biases: null, meanLimit: Number.NaN, normLimit: Number.NaN };
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
