/**
 * The overview: what a view can show with no kernel, unpacked from one safetensors blob.
 * Packed by weightwidget/wire/overview.py. Rows are tensors in the model's order, then modules, the root ("") first.
 * A module that holds a single tensor shares that tensor's place in the arrays: `slot` tells which.
 */

import { type Anatomy, type Axes, type Layers, type PackedAnatomy, unpackAnatomy } from "./anatomy";
import type { BlockPlace } from "./blocks/place";
import type { FilterSide } from "./protocol";
import { type Numbers, readSafetensors } from "./safetensors";
import { defaultAxes, matrixSize, position } from "./tensor";
import { ancestors } from "./tree";

export interface LocalHistogram {
  counts: Float64Array;
  /** First and last edge: of w, or of log10 |w|. */
  range: [number, number];
  below: number;
  above: number;
}

export interface Thumbnail {
  height: number;
  width: number;
  /** Row-major; each cell is the element of largest magnitude under it, with its sign; NaN and infinities kept. */
  data: Float32Array;
}

/** The default matrix of a tensor: all its weights, or what a level of detail has of them. */
export interface Kept {
  /** A cell is the element of largest magnitude among 2**level on each axis; [0, 0] for every weight as it is. */
  levels: readonly [number, number];
  height: number;
  width: number;
  /** Row-major. */
  data: Numbers;
}

/** Pictures of all filters of a convolution, to three digits. */
export interface FilterPictures {
  by: FilterSide;
  /** All channels of each filter, or the one of largest norm. */
  shown: "all" | "largest";
  /** (filters, kernel), of "all" (filters, channels, kernel). */
  values: Numbers;
  /** Of "largest": the channel that is shown of each filter, and the norms of whole filters. */
  channels: Numbers | null;
  norms: Numbers | null;
}

/** Whether every weight of the tensor is there, as it is. */
export function isWhole(kept: Kept): boolean {
  return kept.levels[0] + kept.levels[1] === 0;
}

export interface Profiles {
  rows: Float32Array;
  cols: Float32Array;
}

export interface Overview {
  readonly name: string;
  /** Number of tensors; rows tensors … rows - 1 are modules. */
  readonly tensors: number;
  readonly rows: number;
  readonly names: readonly string[];
  /** Whether the weights themselves can be read where this comes from: not of a saved summary. */
  readonly hasWeights: boolean;
  /** What was found beside the tensors, with the reason why it is not shown; the first hundred of `count`. */
  readonly skipped: { readonly count: number; readonly reasons: ReadonlyMap<string, string> };
  isTensor(row: number): boolean;
  /** -1 if there is no such path. A tensor wins over a module of the same path. */
  rowOf(path: string): number;
  moduleRowOf(path: string): number;
  /** Empty for modules and for scalars. */
  shape(row: number): readonly number[];
  dtype(row: number): string;
  role(row: number): string;
  /** Class of the module, or of the module that owns the tensor; empty if unknown. */
  kind(row: number): string;
  /** What the axes of a tensor mean; null for modules and where nothing is told. */
  axes(row: number): Axes | null;
  /** Layers whose tensors belong together. The same object until something of the anatomy changes. */
  readonly layers: Layers;
  /**
   * Of the row of a block or head, where it lies; null for tensors and modules. Blocks have rows of their own, which
   * are no part of `rows`: `rowOf` of a block's path gives one, also before its statistics have come
   * (`Store.blocks.want` asks for them). To all that asks by row, a block is a tensor and a head is a module.
   */
  block(row: number): BlockPlace | null;
  /** Paths of the blocks directly inside a tensor, a block, an attention layer (its heads) or a head. */
  blocksOf(path: string): readonly string[];
  /** Row of the first name of a tied tensor, else -1. */
  sharedWith(row: number): number;
  /** Why a tensor could not be summarised, else "". */
  error(row: number): string;
  /** Whether the statistics of a row are there yet. */
  summarised(row: number): boolean;
  /** A statistic for all rows (keys of STATISTICS, and q01 q25 q75 q99 posinf neginf); NaN where unknown. */
  column(key: string): ArrayLike<number>;
  /** Position of the smallest and the largest weight of a tensor, null if unknown. */
  extremeAt(row: number, which: "argmin" | "argmax"): number[] | null;
  histogram(row: number): LocalHistogram | null;
  logHistogram(row: number): LocalHistogram | null;
  thumbnail(row: number): Thumbnail | null;
  /** Weights of a tensor that the overview keeps; null for most. */
  kept(row: number): Kept | null;
  /** Pictures of the filters of a convolution that is not kept whole; null for most tensors. */
  filters(row: number): FilterPictures | null;
  /** L2 norms of rows and columns of the default matrix, largest per step where there are more than fit. */
  profiles(row: number): Profiles | null;
}

interface Index {
  version: number;
  name: string;
  tensors: number;
  modules: number;
  /** Of the tensors: leading name parts shared with the tensor before, and the rest. */
  names: [number, string][];
  /** Tables; the arrays "shape", "dtype", "role" and "kind" say which entry a row has. One entry needs no array. */
  shapes: number[][];
  dtypes: string[];
  roles: string[];
  kinds: string[];
  shared: Record<string, number>;
  errors: Record<string, string>;
  thumbnail: number;
  profile: number;
  anatomy?: PackedAnatomy;
  skipped?: Record<string, string>;
  skipped_count?: number;
  /** False where only a summary was opened. */
  weights?: boolean;
  /** Tensors that are kept: row, row level, column level. Their cells are the arrays "kept.<row>". */
  kept?: [number, number, number][];
  /** Convolutions of which there are pictures: row, side, what is shown. They are the arrays "filters.<row>…". */
  filters?: [number, FilterSide, "all" | "largest"][];
}

export function emptyOverview(): Overview {
  return build(
    {
      version: 1,
      name: "",
      tensors: 0,
      modules: 0,
      names: [],
      shapes: [],
      dtypes: [],
      roles: [],
      kinds: [],
      shared: {},
      errors: {},
      thumbnail: 0,
      profile: 0,
    },
    () => null,
  );
}

export function parseOverview(blob: DataView): Overview {
  const array = readSafetensors(blob);
  const index = array("index");
  if (!(index instanceof Uint8Array)) throw new Error("the overview has no index");
  return build(JSON.parse(new TextDecoder().decode(index)) as Index, array);
}

function build(index: Index, array: (name: string) => Numbers | null): Overview {
  const tensors = index.tensors;
  const rows = tensors + index.modules;
  const names = unpackNames(index.names);
  if (index.modules > 0) for (const path of modulePaths(names)) names.push(path);
  if (names.length !== rows) throw new Error(`the overview has ${rows} rows but ${names.length} names`);
  const tensorRows = new Map<string, number>();
  const moduleRows = new Map<string, number>();
  names.forEach((name, row) => {
    (row < tensors ? tensorRows : moduleRows).set(name, row);
  });
  const lookUp = <T>(table: readonly T[], key: string): ((row: number) => T | undefined) => {
    const codes = array(key);
    return (row) => table[codes ? (codes[row] ?? -1) : 0];
  };
  const shapes = lookUp(index.shapes, "shape");
  const dtypes = lookUp(index.dtypes, "dtype");
  const roles = lookUp(index.roles, "role");
  const kinds = lookUp(index.kinds, "kind");
  const meanings = array("axes");
  const anatomy = sameAnatomy(index.anatomy, meanings, names);
  const shape = (row: number): readonly number[] => (row >= 0 && row < tensors ? (shapes(row) ?? []) : []);
  const known = array("summarised");
  const slots = array("slot");
  /** Place of a row in the arrays. */
  const slot = (row: number): number => (slots && row >= tensors ? (slots[row - tensors] as number) : row);
  const summarised = (row: number): boolean => Boolean(known?.[slot(row)]);
  const columns = new Map<string, ArrayLike<number>>();
  const arrays = new Map<string, Numbers | null>();
  const once = (name: string): Numbers | null => {
    let found = arrays.get(name);
    if (found === undefined) {
      found = array(name);
      arrays.set(name, found);
    }
    return found;
  };

  const column = (key: string): ArrayLike<number> => {
    let found = columns.get(key);
    if (!found) {
      found = derive(key) ?? stored(key);
      columns.set(key, found);
    }
    return found;
  };
  const stored = (key: string): ArrayLike<number> => {
    const raw = once(`stat.${key}`);
    const isCount = COUNTS.has(key);
    const out = new Float64Array(rows).fill(Number.NaN);
    for (let row = 0; row < rows; row++) {
      // Tensors tell their size before they are summarised.
      if (!summarised(row) && !(row < tensors && SIZES.has(key))) continue;
      // Count columns that are zero throughout are left out of the blob.
      out[row] = raw ? (raw[slot(row)] as number) : isCount ? 0 : Number.NaN;
    }
    return out;
  };
  const derive = (key: string): ArrayLike<number> | null => {
    const from = (keys: string[], f: (...values: number[]) => number): Float64Array => {
      const inputs = keys.map(column);
      return Float64Array.from({ length: rows }, (_, row) =>
        f(...inputs.map((input) => input[row] as number)),
      );
    };
    switch (key) {
      case "absmax":
        return from(["min", "max"], (lo, hi) => Math.max(Math.abs(lo), Math.abs(hi)));
      case "median":
        return column("q50");
      case "rms":
        return from(["mean", "std"], (mean, std) => Math.sqrt(mean * mean + std * std));
      case "l2":
        return from(
          ["rms", "count", "nan", "inf"],
          (rms, count, nan, inf) => rms * Math.sqrt(count - nan - inf),
        );
      case "inf":
        return from(["posinf", "neginf"], (a, b) => a + b);
      case "sparsity":
        return from(["zeros", "count"], (zeros, count) => zeros / count);
      default:
        return null;
    }
  };

  const rowSlice = (name: string, row: number): Float64Array | null => {
    const flat = once(name);
    if (!flat || !known || !summarised(row)) return null;
    const width = flat.length / known.length;
    return Float64Array.from(flat.subarray(slot(row) * width, (slot(row) + 1) * width));
  };
  const local = (name: string, row: number): LocalHistogram | null => {
    const counts = rowSlice(name, row);
    const range = rowSlice(`${name}.range`, row);
    const tails = rowSlice(`${name}.tails`, row);
    if (!counts || !range || !tails || !Number.isFinite(range[0])) return null;
    const unit = rowSlice(`${name}.unit`, row)?.[0];
    if (unit !== undefined) for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] as number) * unit;
    return {
      counts,
      range: [range[0] as number, range[1] as number],
      below: tails[0] as number,
      above: tails[1] as number,
    };
  };

  const drawn = new Map((index.filters ?? []).map(([row, by, shown]) => [row, { by, shown }]));
  const keptLevels = new Map((index.kept ?? []).map(([row, ...levels]) => [row, levels]));

  /** Where each tensor's cells start in the flat thumbnails and profiles; they lie one behind the other. */
  const layout = known ? layOut(index, shape, (row) => summarised(row) && !index.errors[row]) : null;

  return {
    name: index.name,
    tensors,
    rows,
    names,
    hasWeights: index.weights !== false,
    skipped: { count: index.skipped_count ?? 0, reasons: new Map(Object.entries(index.skipped ?? {})) },
    isTensor: (row) => row >= 0 && row < tensors,
    rowOf: (path) => tensorRows.get(path) ?? moduleRows.get(path) ?? -1,
    moduleRowOf: (path) => moduleRows.get(path) ?? -1,
    shape,
    dtype: (row) => (row >= 0 && row < tensors ? (dtypes(row) ?? "") : ""),
    role: (row) => (row >= 0 && row < tensors ? (roles(row) ?? "") : ""),
    kind: (row) => (row >= 0 && row < rows ? (kinds(row) ?? "") : ""),
    axes: (row) => (row >= 0 && row < tensors ? (anatomy.axes[meanings?.[row] ?? -1] ?? null) : null),
    layers: anatomy,
    block: () => null,
    blocksOf: () => [],
    sharedWith: (row) => index.shared[row] ?? -1,
    error: (row) => index.errors[row] ?? "",
    summarised,
    column,
    extremeAt: (row, which) => {
      const flat = once(`stat.${which}`)?.[row];
      if (flat === undefined || row >= tensors || !summarised(row) || !(flat >= 0)) return null;
      return position(shape(row), { rows: [], cols: shape(row).map((_, axis) => axis) }, [], 0, flat);
    },
    histogram: (row) => local("hist", row),
    logHistogram: (row) => local("loghist", row),
    thumbnail: (row) => {
      const cells = once("thumb");
      const place = layout?.thumbnails[row];
      if (!cells || !place) return null;
      const data = cells.subarray(place.start, place.start + place.height * place.width);
      return { height: place.height, width: place.width, data: Float32Array.from(data) };
    },
    kept: (row) => {
      const own = index.shared[row] ?? row;
      const levels = keptLevels.get(own);
      const data = levels && once(`kept.${own}`);
      if (!data) return null;
      const [rows, cols] = matrixSize(shape(own), defaultAxes(shape(own)));
      return {
        levels,
        height: Math.ceil(rows / 2 ** levels[0]),
        width: Math.ceil(cols / 2 ** levels[1]),
        data,
      };
    },
    filters: (row) => {
      const own = index.shared[row] ?? row;
      const told = drawn.get(own);
      const values = told && once(`filters.${own}`);
      if (!values) return null;
      return {
        ...told,
        values,
        channels: once(`filters.${own}.channels`),
        norms: once(`filters.${own}.norms`),
      };
    },
    profiles: (row) => {
      const norms = once("profile");
      const place = layout?.profiles[row];
      if (!norms || !place) return null;
      const middle = place.start + place.rows;
      return {
        rows: Float32Array.from(norms.subarray(place.start, middle)),
        cols: Float32Array.from(norms.subarray(middle, middle + place.cols)),
      };
    },
  };
}

/** The last anatomy: a scan sends many overviews that have the same one. */
let latest: { text: string; meanings: Numbers | null; names: readonly string[]; anatomy: Anatomy } | null =
  null;

function sameAnatomy(
  packed: PackedAnatomy | undefined,
  meanings: Numbers | null,
  names: readonly string[],
): Anatomy {
  const text = packed ? JSON.stringify(packed) : "";
  const same =
    latest?.text === text &&
    sameItems(latest.meanings ?? [], meanings ?? []) &&
    sameItems(latest.names, names);
  if (!latest || !same) latest = { text, meanings, names: [...names], anatomy: unpackAnatomy(packed) };
  return latest.anatomy;
}

function sameItems<T>(a: ArrayLike<T>, b: ArrayLike<T>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const COUNTS: ReadonlySet<string> = new Set(["count", "nan", "posinf", "neginf", "zeros", "bytes"]);

/** Known of tensors without a scan. */
const SIZES: ReadonlySet<string> = new Set(["count", "bytes"]);

/** The root, then the modules around the tensors in order of first appearance. */
function modulePaths(names: readonly string[]): Set<string> {
  const paths = new Set([""]);
  for (const name of names) for (const path of ancestors(name)) paths.add(path);
  return paths;
}

function unpackNames(packed: [number, string][]): string[] {
  let before: string[] = [];
  return packed.map(([shared, rest]) => {
    const parts = [...before.slice(0, shared), rest];
    const name = parts.join(".");
    before = name.split(".");
    return name;
  });
}

interface Layout {
  thumbnails: ({ start: number; height: number; width: number } | null)[];
  profiles: ({ start: number; rows: number; cols: number } | null)[];
}

function layOut(
  index: Index,
  shapeOf: (row: number) => readonly number[],
  present: (row: number) => boolean,
): Layout {
  const layout: Layout = { thumbnails: [], profiles: [] };
  let cells = 0;
  let norms = 0;
  for (let row = 0; row < index.tensors; row++) {
    const shape = shapeOf(row);
    const [height, width] = matrixSize(shape, defaultAxes(shape));
    if (!present(row) || height * width === 0) {
      layout.thumbnails.push(null);
      layout.profiles.push(null);
      continue;
    }
    const [h, w] = thumbnailSize(height, width, index.thumbnail);
    layout.thumbnails.push(h * w > 0 ? { start: cells, height: h, width: w } : null);
    cells += h * w;
    const matrix = shape.length > 1 && index.profile > 0;
    const rows = matrix ? Math.min(height, index.profile) : 0;
    const cols = matrix ? Math.min(width, index.profile) : 0;
    layout.profiles.push(matrix ? { start: norms, rows, cols } : null);
    norms += rows + cols;
  }
  return layout;
}

/** Size of a thumbnail of side `size`: vectors get a strip of eight times the length. */
export function thumbnailSize(height: number, width: number, size: number): [number, number] {
  if (size === 0) return [0, 0];
  if (height === 1) return [1, Math.min(width, 8 * size)];
  return [Math.min(height, size), Math.min(width, size)];
}

/**
 * Whether a tensor's values are among the weights of its module and of the model: in_totals of
 * weightwidget/sources/base.py. Further names of tied weights and buffers of integers are not.
 */
export function inTotals(overview: Overview, row: number): boolean {
  const isCounter = overview.role(row) === "buffer" && /^(u?int|bool)/.test(overview.dtype(row));
  return overview.sharedWith(row) < 0 && !isCounter;
}
