/** Where the filters of a convolution lie in its tensor. Held to weightwidget/wire/answers/filters.py by tests/protocol/filters.json. */

import type { Axes } from "../../anatomy";

export interface FilterLayout {
  /** Of the tensor as it is stored. */
  readonly stored: readonly number[];
  /** Of a matrix of flattened patches, unfolded: (out, kh, kw, in); else as stored. */
  readonly shape: readonly number[];
  readonly output: number;
  readonly input: number;
  readonly spatial: readonly number[];
  readonly groups: number;
  /** Whether the inputs' axis has the channels of all groups and the outputs' axis those of one; else it is reverse. */
  readonly allInputs: boolean;
  /** Filters of all groups, and channels that each of them reads. */
  readonly filters: number;
  readonly channels: number;
  readonly kernel: readonly number[];
}

/** How a kernel is drawn. */
export type KernelKind = "point" | "line" | "plane" | "volume";

/** @returns null if the tensor is no convolution's kernel */
export function filterLayout(axes: Axes | null, stored: readonly number[]): FilterLayout | null {
  if (axes?.what !== "conv" || axes.output === null || axes.input === null) return null;
  if (axes.names.length !== stored.length) return null;
  const { output, input, spatial, groups } = axes;
  if (axes.names.length === 2 && axes.names[1] === "(kh kw in)") {
    const patch = patchSize(stored[1] as number);
    if (!patch) return null;
    const [side, channels] = patch;
    const shape = [stored[0] as number, side, side, channels];
    return complete({ stored, shape, output: 0, input: 3, spatial: [1, 2], groups: 1, allInputs: false });
  }
  const used = new Set([output, input, ...spatial]);
  if (spatial.length === 0 || used.size !== stored.length || used.size !== spatial.length + 2) return null;
  const allInputs = input === 0 || axes.names[output] === "multiplier";
  if ((stored[allInputs ? input : output] as number) % groups !== 0) return null;
  return complete({ stored, shape: stored, output, input, spatial, groups, allInputs });
}

/** The same with inputs and outputs exchanged: for each input the kernels of the outputs that read it. */
export function byInput(layout: FilterLayout): FilterLayout {
  const { input: output, output: input } = layout;
  return complete({ ...layout, output, input, allInputs: !layout.allInputs });
}

function complete(layout: Omit<FilterLayout, "filters" | "channels" | "kernel">): FilterLayout {
  const { shape, output, input, groups, allInputs } = layout;
  return {
    ...layout,
    filters: (shape[output] as number) * (allInputs ? groups : 1),
    channels: (shape[input] as number) / (allInputs ? groups : 1),
    kernel: layout.spatial.map((axis) => shape[axis] as number),
  };
}

/** Side and channels of square patches of so many numbers. */
function patchSize(inputs: number): [number, number] | null {
  for (const channels of [3, 1, 4]) {
    const side = Math.floor(Math.sqrt(inputs / channels));
    if (side > 1 && side * side * channels === inputs) return [side, channels];
  }
  return null;
}

export function kernelKind({ kernel }: FilterLayout): KernelKind {
  if (kernel.every((size) => size === 1)) return "point";
  if (kernel.length === 1) return "line";
  return kernel.length === 3 && (kernel[0] as number) > 1 ? "volume" : "plane";
}

/** Weights of a kernel, and of a filter. */
export function kernelSize({ kernel }: FilterLayout): number {
  return kernel.reduce((product, size) => product * size, 1);
}

export function groupOf(layout: FilterLayout, filter: number): number {
  return Math.floor(filter / Math.max(1, layout.filters / layout.groups));
}

/** Number in the whole layer of a channel that a filter reads. */
export function channelNumber(layout: FilterLayout, filter: number, channel: number): number {
  return groupOf(layout, filter) * layout.channels + channel;
}

/** Where a weight lies in the tensor. */
export function positionOf(
  layout: FilterLayout,
  filter: number,
  channel: number,
  at: readonly number[],
): number[] {
  const position = layout.shape.map(() => 0);
  const each = layout.filters / layout.groups;
  const apart = layout.allInputs && layout.groups > 1;
  position[layout.output] = apart ? filter % each : filter;
  position[layout.input] = apart ? channelNumber(layout, filter, channel) : channel;
  layout.spatial.forEach((axis, i) => {
    position[axis] = at[i] ?? 0;
  });
  return fold(layout, position);
}

/** Filter and channel of a position in the tensor; null if it is none. */
export function filterAt(
  layout: FilterLayout,
  position: readonly number[],
): { filter: number; channel: number } | null {
  const { stored } = layout;
  const fits =
    position.length === stored.length && position.every((p, axis) => p >= 0 && p < (stored[axis] ?? 0));
  if (!fits) return null;
  const unfolded = unfold(layout, position);
  const first = unfolded[layout.output] as number;
  const second = unfolded[layout.input] as number;
  if (!layout.allInputs || layout.groups === 1) return { filter: first, channel: second };
  const group = Math.floor(second / layout.channels);
  return { filter: group * (layout.filters / layout.groups) + first, channel: second % layout.channels };
}

/** Flat position in the tensor, which is stored row by row. */
export function flatPosition(layout: FilterLayout, position: readonly number[]): number {
  return position.reduce((flat, p, axis) => flat * (layout.stored[axis] as number) + p, 0);
}

function fold({ stored, shape }: FilterLayout, position: number[]): number[] {
  if (stored.length === shape.length) return position;
  const [first = 0, ...rest] = position;
  return [first, rest.reduce((flat, p, i) => flat * (shape[i + 1] as number) + p, 0)];
}

function unfold({ stored, shape }: FilterLayout, position: readonly number[]): readonly number[] {
  if (stored.length === shape.length) return position;
  let rest = position[1] as number;
  const inner = shape
    .slice(1)
    .reverse()
    .map((size) => {
      const at = rest % size;
      rest = Math.floor(rest / size);
      return at;
    });
  return [position[0] as number, ...inner.reverse()];
}
