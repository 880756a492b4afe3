/** From a weight to a place on a colour map: which value gets the colour at its end, and how values between lie. */

import type { ColorScale } from "../model";
import type { Aggregate } from "../protocol";
import type { Palette } from "./colour";
import { formatNumber } from "./format";

/** What is known of the values that are to be coloured; NaN where it is not. */
export interface Spread {
  absmax: number;
  q01: number;
  q99: number;
  rms: number;
  /** Size of a typical pixel when the whole matrix is seen: the largest of the many elements under it. */
  pixel: number;
}

export interface ColourScale {
  readonly kind: ColorScale;
  /** Magnitude at the ends of the map. Rows scaled by themselves have it in units of their own rms. */
  readonly limit: number;
  /** Symmetric log only: linear within ± this. */
  readonly linear: number;
  /** How the limit came about, for the legend. */
  readonly note: string;
}

/** How many times the 1 % to 99 % range the robust scale reaches: 3.5 σ for a normal distribution. */
const ROBUST = 1.5;
/** How many times its own rms each row reaches when rows are scaled by themselves. */
export const ROW_REACH = 3.5;

export function colourScale(kind: ColorScale, spread: Spread): ColourScale {
  const full = spread.absmax > 0 && Number.isFinite(spread.absmax) ? spread.absmax : 1;
  const linear = { kind, linear: 0 };
  if (spread.absmax === 0) return { ...linear, kind: "full", limit: full, note: "every weight is 0" };
  switch (kind) {
    case "full":
      return { ...linear, limit: full, note: "± largest magnitude" };
    case "symlog": {
      const knee = spread.rms > 0 ? Math.min(spread.rms, full) / 2 : full / 10;
      return {
        kind,
        limit: full,
        linear: knee,
        note: `linear within ±${formatNumber(knee, 2)}`,
      };
    }
    case "row":
      return { ...linear, limit: ROW_REACH, note: "each row by its own rms" };
    default: {
      const inner = Math.max(Math.abs(spread.q01), Math.abs(spread.q99)) * ROBUST;
      if (!(inner > 0)) return { ...linear, limit: full, note: "± largest magnitude" };
      if (spread.pixel > inner) {
        const limit = Math.min(full, spread.pixel);
        return { ...linear, limit, note: "± a typical pixel of the whole" };
      }
      const limit = Math.min(full, inner);
      const note = limit === full ? "± largest magnitude" : `± ${ROBUST} × the 1–99 % range`;
      return { ...linear, limit, note };
    }
  }
}

/** A scale that just holds values which were drawn: 98 % of them. For what the statistics do not describe. */
export function scaleOfDrawn(values: ArrayLike<number>, least = 0): ColourScale {
  const sizes = Float64Array.from(Array.from(values).filter(Number.isFinite), Math.abs).sort();
  const largest = sizes[sizes.length - 1] ?? 0;
  const limit = Math.max(sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 0, least) || largest || 1;
  return { kind: "robust", limit, linear: 0, note: "± 98 % of the pixels" };
}

/**
 * Size of a typical pixel that stands for `elements` weights, from the pixels of a thumbnail that stand for more.
 * The largest of n normal numbers grows about with √(2 ln n).
 */
export function typicalPixel(thumbnail: ArrayLike<number>, elementsThere: number, elements: number): number {
  const sizes = Float64Array.from(Array.from(thumbnail).filter(Number.isFinite), Math.abs).sort();
  const median = sizes[sizes.length >> 1] ?? Number.NaN;
  const grown = (n: number): number => Math.sqrt(2 * Math.log(Math.max(2, n)));
  return (1.1 * median * grown(Math.min(elements, elementsThere))) / grown(elementsThere);
}

/** −1 … 1 on the map; beyond that the value is clipped. */
export function place(scale: ColourScale, value: number): number {
  if (scale.kind !== "symlog") return value / scale.limit;
  const size = Math.log1p(Math.abs(value) / scale.linear) / Math.log1p(scale.limit / scale.linear);
  return value < 0 ? -size : size;
}

/** The value at a place, for ticks of the legend. */
export function valueAt(scale: ColourScale, t: number): number {
  if (scale.kind !== "symlog") return t * scale.limit;
  const size = scale.linear * Math.expm1(Math.abs(t) * Math.log1p(scale.limit / scale.linear));
  return t < 0 ? -size : size;
}

/** Rounding must not clip the very value that the limit was taken from. */
const SLACK = 1 + 1e-6;

export function colourOf(palette: Palette, scale: ColourScale, value: number, limit = scale.limit): number {
  if (Number.isNaN(value)) return palette.nan;
  if (value === Number.POSITIVE_INFINITY) return palette.posinf;
  if (value === Number.NEGATIVE_INFINITY) return palette.neginf;
  const t = scale.kind === "symlog" ? place(scale, value) : value / limit;
  if (t > SLACK) return palette.above;
  if (t < -SLACK) return palette.below;
  // A row of zeros has the limit 0, and t is NaN: the middle.
  return palette.lut[Math.min(255, Math.max(0, Math.round((t || 0) * 127.5 + 127.5)))] as number;
}

export interface Paint {
  palette: Palette;
  scale: ColourScale;
  /** One limit for each row of pixels instead of the scale's. */
  limits?: ArrayLike<number> | null;
  /** 0 … 255 for each pixel: how much of it the brush holds. */
  shares?: Uint8Array | null;
}

/** Colours a grid of values. `out` has one entry for each value. */
export function paint(values: Float32Array, width: number, out: Uint32Array, how: Paint): void {
  const { palette, scale, limits, shares } = how;
  const height = width > 0 ? values.length / width : 0;
  for (let row = 0; row < height; row++) {
    const limit = limits ? (limits[row] as number) : scale.limit;
    for (let i = row * width; i < (row + 1) * width; i++) {
      out[i] = colourOf(palette, scale, values[i] as number, limit);
    }
  }
  if (shares) dim(values, out, how, shares);
}

function dim(values: Float32Array, out: Uint32Array, { palette }: Paint, shares: Uint8Array): void {
  const ground = palette.ground;
  const [gr, gg, gb] = [ground & 255, (ground >> 8) & 255, (ground >> 16) & 255];
  for (let i = 0; i < values.length; i++) {
    const share = shares[i] as number;
    if (share === 255) continue;
    // A single element of many still shows with half its colour.
    const keep = share === 0 ? 0.16 : 0.5 + 0.5 * Math.sqrt(share / 255);
    const colour = out[i] as number;
    const r = gr + ((colour & 255) - gr) * keep;
    const g = gg + (((colour >> 8) & 255) - gg) * keep;
    const b = gb + (((colour >> 16) & 255) - gb) * keep;
    out[i] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
}

/** Shares of single elements: all or nothing. */
export function sharesOf(values: Float32Array, [low, high]: readonly [number, number]): Uint8Array {
  const out = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    out[i] = value >= low && value <= high ? 255 : 0;
  }
  return out;
}

/** Whether what a pixel shows under this aggregate has the spread of the weights: averages have a smaller one. */
export function followsWeights(aggregate: Aggregate): boolean {
  return aggregate !== "mean" && aggregate !== "std";
}
