/** The named parts along the sides of the drawn matrix: gates, heads, experts, the channels of flattened axes. Pure. */

import type { Axes, Split } from "../../anatomy";
import { withoutName } from "../../blocks/place";
import type { DrawnAxes } from "../../protocol";

export interface Part {
  label: string;
  /** In rows or columns of the drawn matrix, end exclusive. */
  start: number;
  end: number;
}

/** One way to divide a side; levels inside others come after them. */
export interface PartLevel {
  /** What the parts are: "gate", "head"; of flattened axes the name of the axis. */
  readonly name: string;
  readonly parts: readonly Part[];
  /** Rows or columns after which the parts repeat: along flattened axes they do so for every place on the outer ones. */
  readonly period: number;
  /** Whether the parts are those of a split, or the places on an axis that others are flattened into. */
  readonly split: boolean;
}

export interface MatrixParts {
  readonly rows: readonly PartLevel[];
  readonly cols: readonly PartLevel[];
}

export const NO_PARTS: MatrixParts = { rows: [], cols: [] };

/**
 * @param axes null if nothing is known of them
 * @param index where the axes stand that are not drawn
 */
export function matrixParts(
  axes: Axes | null,
  shape: readonly number[],
  drawn: DrawnAxes,
  index: readonly number[],
): MatrixParts {
  const fixed = new Map(
    shape.flatMap((_, axis) =>
      drawn.rows.includes(axis) || drawn.cols.includes(axis) ? [] : [[axis, index[axis] ?? 0] as const],
    ),
  );
  const along = (list: readonly number[]): PartLevel[] =>
    list.flatMap((axis, place) => {
      const stride = list.slice(place + 1).reduce((product, inner) => product * (shape[inner] ?? 1), 1);
      const size = shape[axis] ?? 1;
      const levels: Part[][] = [];
      if (axes) walk(axes.splits, axis, 0, 0, fixed, levels);
      const scaled = levels.map((parts, depth) => ({
        name: levelName(axes, axis, depth),
        parts: parts.map(({ label, start, end }) => ({ label, start: start * stride, end: end * stride })),
        period: size * stride,
        split: true,
      }));
      if (scaled.length > 0 || stride === 1 || size < 2) return scaled;
      const name = axes && axes.what !== "" ? (axes.names[axis] ?? "") : "";
      const parts = Array.from({ length: size }, (_, at) => ({
        label: name ? `${name} ${at}` : String(at),
        start: at * stride,
        end: (at + 1) * stride,
      }));
      return [{ name, parts, period: size * stride, split: false }];
    });
  return { rows: along(drawn.rows), cols: along(drawn.cols) };
}

/** Name of a level of splits, for messages: what its parts are. */
function levelName(axes: Axes | null, axis: number, depth: number): string {
  let splits = axes?.splits ?? [];
  let left = depth;
  for (;;) {
    const split = splits.find((one) => one.axis === axis) ?? splits[0];
    if (!split) return "";
    if (split.axis === axis && left-- === 0) return split.name;
    splits = split.inner.find((inner) => inner.length > 0) ?? [];
  }
}

function walk(
  splits: readonly Split[],
  axis: number,
  depth: number,
  offset: number,
  fixed: ReadonlyMap<number, number>,
  levels: Part[][],
): void {
  // Several splits of one axis are alternatives: the first is drawn.
  const own = splits.find((split) => split.axis === axis);
  if (own) {
    levels[depth] ??= [];
    let start = offset;
    own.labels.forEach((label, number) => {
      const end = start + (own.sizes[number] as number);
      (levels[depth] as Part[]).push({ label, start, end });
      walk(own.inner[number] ?? [], axis, depth + 1, start, fixed, levels);
      start = end;
    });
    return;
  }
  for (const split of splits) {
    const at = fixed.get(split.axis);
    const inner = at === undefined ? commonInner(split) : innerAt(split, at);
    if (inner.length > 0) {
      walk(inner, axis, depth, offset, fixed, levels);
      return;
    }
  }
}

/** What all parts are divided into alike; nothing if they are not. */
function commonInner(split: Split): readonly Split[] {
  const [first] = split.inner;
  return first && split.inner.every((inner) => inner === first) ? first : [];
}

function innerAt(split: Split, at: number): readonly Split[] {
  let start = 0;
  for (const [number, size] of split.sizes.entries()) {
    if (at < start + size) return split.inner[number] ?? [];
    start += size;
  }
  return [];
}

/** The part of a level at a row or column; null outside of all. */
export function partAt(level: PartLevel, at: number): Part | null {
  const base = Math.floor(at / level.period) * level.period;
  const { parts } = level;
  let low = 0;
  let high = parts.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const part = parts[middle] as Part;
    if (at - base < part.start) high = middle - 1;
    else if (at - base >= part.end) low = middle + 1;
    else return { label: part.label, start: base + part.start, end: base + part.end };
  }
  return null;
}

/** The parts of a level of which something lies between two rows or columns, in order. */
export function partsBetween(level: PartLevel, from: number, to: number): Part[] {
  const found: Part[] = [];
  for (let at = Math.max(0, from); at < to; ) {
    const part = partAt(level, at);
    if (!part) break;
    found.push(part);
    at = part.end;
  }
  return found;
}

/** Rows or columns of a part, on average. */
export function meanSize(level: PartLevel): number {
  return level.period / Math.max(1, level.parts.length);
}

/**
 * Where a place on an axis is, in words: "f · hidden 12", "k · head 5 · 17", "in 3". With a second place, the
 * stretch up to it: "f · hidden 12–15", "i … f".
 */
export function placeOnAxis(
  axes: Axes,
  axis: number,
  at: number,
  last: number,
  position: readonly number[],
): string {
  const first = pathTo(axes.splits, axis, at, position);
  const end = last === at ? first : pathTo(axes.splits, axis, last, position);
  if (first.labels.join() !== end.labels.join())
    return `${first.labels.join(" · ")} … ${end.labels.join(" · ")}`;
  const rest = first.names.reduce(
    (name, split) => withoutName(name, split),
    axes.names[axis] ?? `axis ${axis}`,
  );
  const number = last === at ? `${first.at}` : `${first.at}–${end.at}`;
  // Of a part that is one place there is no more to tell, and deep inside the number will do.
  const bare = first.labels.length > 1 || (first.labels.length > 0 && rest === "head_dim");
  const inside = first.size === 1 ? [] : [bare ? number : `${rest} ${number}`];
  return [...first.labels, ...inside].join(" · ");
}

interface PathTo {
  labels: string[];
  /** What the splits are that lead there. */
  names: string[];
  /** Place within the innermost part, and the size of that; of an axis without parts, 0. */
  at: number;
  size: number;
}

function pathTo(splits: readonly Split[], axis: number, at: number, position: readonly number[]): PathTo {
  const path: PathTo = { labels: [], names: [], at, size: 0 };
  let inside = splits;
  while (inside.length > 0) {
    const own = inside.find((split) => split.axis === axis);
    if (!own) {
      const other = inside[0] as Split;
      inside = innerAt(other, position[other.axis] ?? 0);
      continue;
    }
    const number = partNumber(own, path.at);
    if (number < 0) break;
    path.at -= own.sizes.slice(0, number).reduce((sum, size) => sum + size, 0);
    path.size = own.sizes[number] as number;
    path.labels.push(own.labels[number] as string);
    path.names.push(own.name);
    inside = own.inner[number] ?? [];
  }
  return path;
}

function partNumber(split: Split, at: number): number {
  let start = 0;
  for (const [number, size] of split.sizes.entries()) {
    if (at < start + size) return number;
    start += size;
  }
  return -1;
}
