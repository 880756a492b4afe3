/** The picture of a filter as the view is set now, in a cell or large; and which weight lies where in it. */

import { formatNumber, formatPosition } from "../../draw/format";
import { isHeld, shortestFloat32 } from "../heatmap/exact";
import type { CellSize } from "./grid";
import type { Layer } from "./layer";
import { channelNumber, kernelSize, positionOf } from "./layout";
import { placeInKernel } from "./local";
import { type Colours, drawBars, drawPixels, type Form, formOf } from "./paint";
import type { Picture } from "./pictures";
import type { FiltersState, Show } from "./state";

/** Largest width of the picture of a volume, in widths of a plain one. */
const WIDEST = 2.2;

export interface Drawing {
  readonly show: Show;
  readonly form: Form;
  /** Weights along one axis, drawn as bars. */
  readonly bars: boolean;
  /** Channels are the rows of the picture. */
  readonly isMatrix: boolean;
  readonly colours: Colours;
}

/** How filters are drawn now. Reads signals: ask for it inside an effect. */
export function drawingOf(state: FiltersState, layer: Layer, show = state.show.value): Drawing {
  const { kind, layout } = layer;
  const wholeLine = kind === "line" && show === "all";
  const bars = (kind === "line" && !wholeLine) || kind === "point";
  const colours = {
    palette: state.palette.value,
    scale: state.colours.value,
    each: state.scale.value === "each",
    range: show === "mean" || show === "norm" || show === "rgb" ? null : state.store.traits.value_range.value,
  };
  if (kind === "point") {
    const count = show === "all" ? layout.channels : 1;
    const places = Int32Array.from({ length: count }, (_, i) => i);
    return { show, bars, isMatrix: false, colours, form: { width: count, height: 1, places, slices: 1 } };
  }
  return {
    show,
    bars,
    isMatrix: wholeLine,
    colours,
    form: formOf(kind, layout.kernel, wholeLine ? layout.channels : 1),
  };
}

/** Size of a picture that is to be about `base` wide and high: whole pixels a weight, and at least one. */
export function pictureSize(
  { form, bars, isMatrix }: Drawing,
  base: number,
  most = Number.POSITIVE_INFINITY,
): CellSize {
  if (bars) return { width: Math.min(most, Math.round(base * 1.25)), height: Math.round(base * 0.7) };
  const volume = form.slices > 1;
  const wide = volume ? Math.min(WIDEST, Math.max(1, form.width / form.height)) : 1;
  const across = Math.min(most, base * wide) / form.width;
  const down = (base * (volume ? 1.5 : 1)) / form.height;
  const whole = (step: number): number => Math.max(1, Math.floor(step + 0.4));
  // Channels by places in a kernel need not be square; places by places are.
  const [x, y] = isMatrix ? [across, Math.min(down, 12)] : [Math.min(across, down), Math.min(across, down)];
  return { width: form.width * whole(x), height: form.height * whole(y) };
}

export function drawPicture(
  canvas: HTMLCanvasElement,
  drawing: Drawing,
  values: Float32Array,
  size: CellSize,
): void {
  if (drawing.bars) {
    const ratio = globalThis.devicePixelRatio || 1;
    drawBars(
      canvas,
      values,
      drawing.colours,
      Math.round(size.width * ratio),
      Math.round(size.height * ratio),
    );
  } else drawPixels(canvas, drawing.form, values, drawing.colours, drawing.show === "rgb");
}

export interface Weight {
  /** Channel among those that the filter reads; null for what all channels make together. */
  readonly channel: number | null;
  /** Place in the values of the picture; three of them where colours are drawn. */
  readonly places: readonly number[];
  /** Place in the kernel. */
  readonly at: readonly number[];
}

/** The weight at a place of a picture, 0 … 1 in both directions; null between slices and outside. */
export function weightAt(
  layer: Layer,
  drawing: Drawing,
  picture: Picture,
  channel: number,
  x: number,
  y: number,
): Weight | null {
  if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return null;
  const { form, show } = drawing;
  const flat = Math.floor(y * form.height) * form.width + Math.floor(x * form.width);
  const place = form.places[flat] ?? -1;
  if (place < 0) return null;
  const size = kernelSize(layer.layout);
  const at = placeInKernel(layer.layout.kernel, place % size);
  if (show === "rgb") return { channel: 0, places: [place, place + size, place + 2 * size], at };
  if (show === "all") return { channel: Math.floor(place / size), places: [place], at };
  if (show === "mean" || show === "norm") return { channel: null, places: [place], at };
  return { channel: show === "largest" ? picture.channel : channel, places: [place], at };
}

/** A weight in digits, and where it lies in the tensor. */
export function weightText(
  layer: Layer,
  drawing: Drawing,
  picture: Picture,
  filter: number,
  weight: Weight,
): { value: string; where: string } {
  const digits = (place: number): string => {
    const value = picture.values[place] as number;
    if (weight.channel === null || !picture.exact) return formatNumber(value, picture.exact ? 5 : 3);
    return `${isHeld(layer.dtype) ? "" : "≈ "}${shortestFloat32(value)}`;
  };
  if (drawing.show === "rgb") {
    const position = positionOf(layer.layout, filter, 0, weight.at).map(String);
    if (layer.layout.stored.length === layer.layout.shape.length) position[layer.layout.input] = "RGB";
    return { value: weight.places.map(digits).join("  "), where: `[${position.join(", ")}]` };
  }
  const value = digits(weight.places[0] as number);
  if (weight.channel === null) {
    return { value, where: `${drawing.show} over channels at ${formatPosition([...weight.at])}` };
  }
  return { value, where: formatPosition(positionOf(layer.layout, filter, weight.channel, weight.at)) };
}

/** Number in the layer of the channel that a picture shows; null if it shows several. */
export function channelOf(
  layer: Layer,
  show: Show,
  filter: number,
  picture: Picture | null,
  channel: number,
): number | null {
  if (show === "channel") return channelNumber(layer.layout, filter, channel);
  return show === "largest" && picture ? channelNumber(layer.layout, filter, picture.channel) : null;
}
