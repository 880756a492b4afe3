/** Filters as small pictures: a pixel for each weight, or bars where a kernel has one axis. */

import { type Palette, pack } from "../../draw/colour";
import { type ColourScale, colourOf, paint, sharesOf } from "../../draw/colourscale";
import type { Range } from "../../model";
import type { KernelKind } from "./layout";

/** How a picture's weights become pixels. */
export interface Form {
  /** Pixels of the picture; a weight is one pixel. */
  readonly width: number;
  readonly height: number;
  /** For each pixel the weight it shows, −1 between slices. */
  readonly places: Int32Array;
  /** Slices side by side, of a volume; else 1. */
  readonly slices: number;
}

/** Channels that are drawn as colours. */
const RGB = 3;

/**
 * @param rows pictures of one axis that lie one under the other: the channels
 * @param wrap most slices of a volume side by side
 */
export function formOf(kind: KernelKind, kernel: readonly number[], rows: number, wrap = 8): Form {
  if (kind === "volume") return volumeForm(kernel, wrap);
  const width = kernel.at(-1) as number;
  const height = kind === "plane" ? (kernel.at(-2) as number) : rows;
  const places = Int32Array.from({ length: width * height }, (_, i) => i);
  return { width, height, places, slices: 1 };
}

/** Slices along the first axis side by side, a pixel apart. */
function volumeForm(kernel: readonly number[], wrap: number): Form {
  const [depth = 1, high = 1, wide = 1] = kernel;
  const across = Math.min(depth, wrap);
  const down = Math.ceil(depth / across);
  const width = across * (wide + 1) - 1;
  const height = down * (high + 1) - 1;
  const places = new Int32Array(width * height).fill(-1);
  for (let slice = 0; slice < depth; slice++) {
    const left = (slice % across) * (wide + 1);
    const top = Math.floor(slice / across) * (high + 1);
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        places[(top + y) * width + left + x] = (slice * high + y) * wide + x;
      }
    }
  }
  return { width, height, places, slices: depth };
}

export interface Colours {
  readonly palette: Palette;
  readonly scale: ColourScale;
  /** The largest value gets the end of the scale instead of the scale's own limit. */
  readonly each: boolean;
  /** What the brush holds; null if nothing is brushed. */
  readonly range: Range | null;
}

/** The value that gets the colour at the end of the scale. */
export function limitOf(values: Float32Array, { scale, each }: Colours): number {
  if (!each) return scale.limit;
  let largest = 0;
  for (const value of values) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  return largest || 1;
}

/** Draws weights at one pixel each; `rgb` takes three kernels as colours, with one scale, grey for 0. */
export function drawPixels(
  canvas: HTMLCanvasElement,
  form: Form,
  values: Float32Array,
  colours: Colours,
  rgb: boolean,
): void {
  if (canvas.width !== form.width) canvas.width = form.width;
  if (canvas.height !== form.height) canvas.height = form.height;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(form.width, form.height);
  const out = new Uint32Array(image.data.buffer);
  const limit = limitOf(values, colours);
  if (rgb) {
    const size = values.length / RGB;
    form.places.forEach((at, i) => {
      out[i] = rgbColour(colours.palette, values, at, size, limit);
    });
  } else {
    const colour = new Uint32Array(values.length);
    const scale = { ...colours.scale, limit };
    const shares = colours.range && sharesOf(values, colours.range);
    paint(values, values.length, colour, { palette: colours.palette, scale, shares });
    form.places.forEach((at, i) => {
      if (at >= 0) out[i] = colour[at] as number;
    });
  }
  context.putImageData(image, 0, 0);
}

/** w / (2 limit) + 1/2 for each of the three channels. */
export function rgbColour(
  palette: Palette,
  values: Float32Array,
  at: number,
  size: number,
  limit: number,
): number {
  const of = (channel: number): number => values[channel * size + at] as number;
  const three = [of(0), of(1), of(2)];
  const broken = three.find((value) => !Number.isFinite(value));
  if (broken !== undefined) return colourOf(palette, { kind: "full", limit, linear: 0, note: "" }, broken);
  const [r = 0, g = 0, b = 0] = three.map((value) =>
    Math.round(255 * Math.min(1, Math.max(0, value / (2 * limit) + 0.5))),
  );
  return pack([r, g, b]);
}

/** Draws weights along one axis as bars from zero; where there are more than pixels, from the least to the largest. */
export function drawBars(
  canvas: HTMLCanvasElement,
  values: Float32Array,
  colours: Colours,
  width: number,
  height: number,
): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, width, height);
  const limit = limitOf(values, colours);
  const { palette, scale } = colours;
  const middle = height / 2;
  const yOf = (value: number): number =>
    middle - (Math.max(-1, Math.min(1, value / limit)) * (height - 2)) / 2;
  const count = values.length;
  const step = Math.max(1, count / width);
  const bars = Math.ceil(count / step - 1e-9);
  for (let bar = 0; bar < bars; bar++) {
    const from = Math.floor(bar * step);
    const to = Math.max(from + 1, Math.min(count, Math.floor((bar + 1) * step)));
    let low = 0;
    let high = 0;
    let odd: number | null = null;
    for (let i = from; i < to; i++) {
      const value = values[i] as number;
      if (!Number.isFinite(value)) odd = value;
      else if (value < low) low = value;
      else if (value > high) high = value;
    }
    const left = Math.round((bar * width) / bars);
    const right = Math.max(left + 1, Math.round(((bar + 1) * width) / bars) - (width / bars > 4 ? 1 : 0));
    const fill = (value: number, top: number, bottom: number): void => {
      const colour = colourOf(palette, { ...scale, limit }, value);
      // Faint ends of the scale would be hard to see as bars.
      context.fillStyle = cssOf(Number.isFinite(value) ? strong(palette, value, colour) : colour);
      context.fillRect(left, top, right - left, Math.max(1, bottom - top));
    };
    if (odd !== null) fill(odd, 0, height);
    if (high > 0) fill(high, yOf(high), middle);
    if (low < 0) fill(low, middle, yOf(low));
  }
  context.fillStyle = "rgb(128 128 128 / 0.55)";
  context.fillRect(0, Math.round(middle), width, 1);
}

function strong(palette: Palette, value: number, colour: number): number {
  if (colour === palette.above || colour === palette.below) return colour;
  return palette.lut[value > 0 ? 216 : 39] as number;
}

function cssOf(colour: number): string {
  return `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`;
}
