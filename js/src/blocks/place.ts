/**
 * Block paths: "lstm.weight_ih_l0 › f", "encoder.layer.3.attention › head 5 › key". From a path to what it names.
 * Pure; weightwidget/anatomy/paths.py follows the same rules.
 */

import {
  type AttentionLayer as Attention,
  type Axes,
  type HeadBlocks,
  PROJECTIONS,
  SEPARATOR,
  type Split,
} from "../anatomy";
import type { Overview } from "../overview";

/** A part of a tensor with a name, or a head of an attention layer: the parts that it has in all projections. */
export interface BlockPlace {
  /** As it is kept: heads by the path of their layer. */
  readonly path: string;
  /** The last part of the path: "f", "head 5", "key". */
  readonly label: string;
  /** Path of what it is a part of: a tensor, a block, an attention layer or a head. */
  readonly parent: string;
  /** Row of the tensor that it is a part of, for a head that of its first projection. */
  readonly tensor: number;
  /** Where it lies: from and to on each axis of the tensor; empty for a head. */
  readonly box: readonly (readonly [number, number])[];
  /** Axes of the tensor that it does not have: of which it takes one, such as one expert. */
  readonly dropped: readonly number[];
  /** Empty for a head. */
  readonly shape: readonly number[];
  /** Of its own axes; null for a head. */
  readonly axes: Axes | null;
  /** The parts of a head; empty otherwise. */
  readonly parts: readonly BlockPlace[];
  /** Tells it from what the same path names after the axes were set by hand. */
  readonly key: string;
}

export interface Places {
  /** null if the path names a tensor, a module or nothing. */
  find(path: string): BlockPlace | null;
  /** Paths of the blocks directly inside a tensor, a block, an attention layer (its heads) or a head. */
  inside(path: string): readonly string[];
}

const HEAD = /^head (\d{1,9})$/;

const known = new WeakMap<Overview, Places>();

/** The blocks of an overview that knows tensors and modules only. */
export function placesOf(overview: Overview): Places {
  const places = known.get(overview) ?? createPlaces(overview);
  known.set(overview, places);
  return places;
}

function createPlaces(overview: Overview): Places {
  const found = new Map<string, BlockPlace | null>();
  const children = new Map<string, readonly string[]>();
  const find = (path: string): BlockPlace | null => {
    let place = found.get(path);
    if (place === undefined) {
      place = overview.rowOf(path) >= 0 ? null : resolve(overview, path);
      found.set(path, place);
    }
    return place;
  };
  return {
    find,
    inside: (path) => {
      let known = children.get(path);
      if (!known) {
        known = insideOf(overview, path, find);
        children.set(path, known);
      }
      return known;
    },
  };
}

/** Whether a block is the real or imaginary part of a complex tensor: it has one axis more, which is dropped. */
export function isPart(overview: Overview, place: BlockPlace): boolean {
  return place.box.length > overview.shape(place.tensor).length;
}

function resolve(overview: Overview, path: string): BlockPlace | null {
  const labels = path.split(SEPARATOR);
  for (let cut = labels.length - 1; cut >= 0; cut--) {
    const owner = labels.slice(0, cut).join(SEPARATOR);
    const inner = labels.slice(cut);
    const row = cut > 0 ? overview.rowOf(owner) : -1;
    const place =
      row >= 0 && overview.isTensor(row)
        ? inTensor(overview, row, inner)
        : HEAD.test(inner[0] as string)
          ? inLayer(overview, owner, inner)
          : null;
    if (place) return place;
  }
  return null;
}

function insideOf(
  overview: Overview,
  path: string,
  find: (path: string) => BlockPlace | null,
): readonly string[] {
  const row = overview.rowOf(path);
  const named = (splits: readonly Split[]): string[] => {
    const labels = new Set(splits.flatMap((split) => split.labels));
    return [...labels].map((label) => `${path}${SEPARATOR}${label}`).filter((one) => find(one) !== null);
  };
  if (row >= 0 && overview.isTensor(row)) return named(overview.axes(row)?.splits ?? []);
  const place = row >= 0 ? null : find(path);
  if (place) return place.axes ? named(place.axes.splits) : place.parts.map((part) => part.path);
  const layer = overview.layers.attention.find((one) => one.path === path);
  if (!layer) return [];
  const heads = Array.from({ length: layer.heads }, (_, head) => `${path}${SEPARATOR}head ${head}`);
  return heads.filter((one) => (find(one)?.parts.length ?? 0) > 0);
}

/** Where a part of a split starts, by its label. Splits with hundreds of parts are asked for each of them. */
const starts = new WeakMap<Split, Map<string, { number: number; start: number }>>();

function partOf(split: Split, label: string): { number: number; start: number } | undefined {
  let parts = starts.get(split);
  if (!parts) {
    parts = new Map();
    let start = 0;
    for (const [number, one] of split.labels.entries()) {
      parts.set(one, { number, start });
      start += split.sizes[number] as number;
    }
    starts.set(split, parts);
  }
  return parts.get(label);
}

function inTensor(overview: Overview, row: number, labels: readonly string[]): BlockPlace | null {
  const axes = overview.axes(row);
  if (!axes) return null;
  const shape = overview.shape(row);
  const box = shape.map((size): [number, number] => [0, size]);
  const dropped: number[] = [];
  const names = [...axes.names];
  let { splits } = axes;
  for (const label of labels) {
    const split = splits.find((one) => partOf(one, label));
    const part = split && partOf(split, label);
    if (split && part && split.axis === box.length) {
      // The parts of complex numbers: an axis that the tensor does not have.
      box.push([part.number, part.number + 1]);
      dropped.push(split.axis);
      splits = [];
      continue;
    }
    const own = split && box[split.axis];
    if (!split || !part || !own) return null;
    const size = split.sizes[part.number] as number;
    box[split.axis] = [own[0] + part.start, own[0] + part.start + size];
    if (size === 1 && axes.names[split.axis] === split.name) dropped.push(split.axis);
    names[split.axis] = withoutName(names[split.axis] ?? "", split.name);
    splits = split.inner[part.number] ?? [];
  }
  return build(overview, row, labels, box, dropped, { ...axes, names, splits });
}

function build(
  overview: Overview,
  row: number,
  labels: readonly string[],
  box: readonly (readonly [number, number])[],
  dropped: readonly number[],
  axes: Axes,
  owner = overview.names[row] as string,
): BlockPlace | null {
  const sizes = [...overview.shape(row), 2];
  if (box.some(([from, to], axis) => from >= to || to > (sizes[axis] as number))) return null;
  const parent = [owner, ...labels.slice(0, -1)].join(SEPARATOR);
  const label = labels[labels.length - 1] as string;
  const path = `${parent}${SEPARATOR}${label}`;
  return {
    path,
    label,
    parent,
    tensor: row,
    box,
    dropped,
    shape: box.flatMap(([from, to], axis) => (dropped.includes(axis) ? [] : [to - from])),
    axes: without(axes, dropped),
    parts: [],
    key: `${path} ${row} ${box.join()}`,
  };
}

/** The axes of a block that lacks some of the tensor's. */
function without(axes: Axes, dropped: readonly number[]): Axes {
  if (dropped.length === 0) return axes;
  const moved = (axis: number): number => axis - dropped.filter((one) => one < axis).length;
  const place = (axis: number | null): number | null =>
    axis === null || dropped.includes(axis) ? null : moved(axis);
  const inner = (splits: readonly Split[]): Split[] =>
    splits
      .filter((split) => !dropped.includes(split.axis))
      .map((split) => ({ ...split, axis: moved(split.axis), inner: split.inner.map(inner) }));
  return {
    ...axes,
    names: axes.names.filter((_, axis) => !dropped.includes(axis)),
    output: place(axes.output),
    input: place(axes.input),
    spatial: axes.spatial.filter((axis) => !dropped.includes(axis)).map(moved),
    splits: inner(axes.splits),
  };
}

/**
 * What is left of "(qkv head head_dim)" in one of its parts q: "(head head_dim)". The outermost stands first: that goes
 * if the split has another name.
 */
export function withoutName(name: string, split: string): string {
  const inner = /^\((.*)\)$/.exec(name)?.[1]?.split(" ");
  if (!inner) return name;
  const at = Math.max(0, inner.indexOf(split));
  const left = inner.filter((_, place) => place !== at);
  return left.length === 1 ? (left[0] as string) : `(${left.join(" ")})`;
}

function layerOf(overview: Overview, path: string): Attention | null {
  const { attention } = overview.layers;
  const own = attention.find((layer) => layer.path === path);
  if (own) return own;
  const inside = attention.filter((layer) => path === "" || layer.path.startsWith(`${path}.`));
  return inside.length === 1 ? (inside[0] as Attention) : null;
}

function inLayer(overview: Overview, owner: string, labels: readonly string[]): BlockPlace | null {
  const layer = layerOf(overview, owner);
  const head = Number(HEAD.exec(labels[0] as string)?.[1] ?? -1);
  if (!layer || head < 0 || head >= layer.heads || labels.length > 2) return null;
  const parts = PROJECTIONS.flatMap((name) => {
    const blocks = layer[name];
    const part = blocks && inProjection(overview, layer, blocks, head, name);
    return part ? [part] : [];
  });
  if (labels.length === 2) return parts.find((part) => part.label === labels[1]) ?? null;
  const first = parts[0];
  if (!first) return null;
  return {
    path: first.parent,
    label: `head ${head}`,
    parent: layer.path,
    tensor: first.tensor,
    box: [],
    dropped: [],
    shape: [],
    axes: null,
    parts,
    key: parts.map((part) => part.key).join(),
  };
}

function inProjection(
  overview: Overview,
  layer: Attention,
  blocks: HeadBlocks,
  head: number,
  name: string,
): BlockPlace | null {
  const shape = overview.shape(blocks.tensor);
  const number = blocks.count === layer.heads ? head : Math.floor((head * blocks.count) / layer.heads);
  const run = blocks.run ?? 1;
  const start = blocks.first + Math.floor(number / run) * blocks.step + (number % run) * blocks.size;
  const box = shape.map((size, axis): [number, number] =>
    axis === blocks.axis ? [start, start + blocks.size] : [0, size],
  );
  const known = overview.axes(blocks.tensor);
  const whole: Axes = known ?? {
    names: shape.map((_, axis) => `axis ${axis}`),
    what: "attention",
    certain: layer.certain,
    why: layer.why,
    output: null,
    input: null,
    spatial: [],
    groups: 1,
    splits: [],
  };
  const alone = blocks.size === 1 && whole.names[blocks.axis] === "head";
  const names = whole.names.map((one, axis) => (axis === blocks.axis && !alone ? headDim(one) : one));
  const axes = { ...whole, names, splits: [] };
  return build(
    overview,
    blocks.tensor,
    [`head ${head}`, name],
    box,
    alone ? [blocks.axis] : [],
    axes,
    layer.path,
  );
}

/** What is left of an axis along which heads lie within one of them. */
function headDim(name: string): string {
  const inner = /^\((.*)\)$/.exec(name)?.[1]?.split(" ") ?? [];
  return inner.includes("head") ? (inner[inner.length - 1] as string) : "head_dim";
}
