/** Packs fake weights as the blob that src/overview.ts reads. The real one is weightwidget/wire/overview.py. */

import { histogramOf } from "../src/local/histogram";
import { draw, norms } from "../src/local/matrix";
import { poolLargest, thumbnail } from "../src/local/picture";
import { finiteCount, logRange, quantile, robustRange, type Summary, summarise } from "../src/local/summary";
import { type LocalHistogram, thumbnailSize } from "../src/overview";
import { defaultAxes, matrixSize } from "../src/tensor";
import { ancestors } from "../src/tree";
import { bytesOf, type FakeSource, type FakeTensor, sizeOf } from "./fake-tensor";
import { bfloat16, type Packed, safetensors } from "./safetensors";

/** Weights that are sorted for the quantiles of fake tensors, which may be large. */
const SORTED = 1 << 16;

/** How much of each tensor is packed. */
interface Detail {
  bins: number;
  logBins: number;
  thumbnail: number;
  profile: number;
}

/** Up to so many rows, that detail: as the Python side does, roughly. */
const DETAILS: readonly [number, Detail][] = [
  [400, { bins: 128, logBins: 96, thumbnail: 64, profile: 128 }],
  [4000, { bins: 64, logBins: 48, thumbnail: 16, profile: 32 }],
  [Number.POSITIVE_INFINITY, { bins: 16, logBins: 0, thumbnail: 4, profile: 0 }],
];

/** Rows from which statistics are packed as float32 and histograms as shares of 65535. */
const MANY_ROWS = 4096;

/** The records of a source: of its tensors by name, and of its modules by path. */
export interface Records {
  tensors: Map<string, Summary>;
  modules: Map<string, Summary>;
}

/** Paths of all modules in order of first appearance, with their tensors. */
function modulesOf(source: FakeSource): Map<string, FakeTensor[]> {
  const members = new Map<string, FakeTensor[]>();
  for (const tensor of source.tensors) {
    for (const path of ancestors(tensor.name)) {
      const list = members.get(path) ?? [];
      list.push(tensor);
      members.set(path, list);
    }
  }
  return members;
}

export function summariseAll(source: FakeSource): Records {
  const tensors = new Map<string, Summary>();
  for (const tensor of source.tensors) {
    tensors.set(tensor.name, summarise(tensor.error ? [] : [tensor.data()], SORTED));
  }
  const modules = new Map<string, Summary>();
  for (const [path, all] of modulesOf(source)) {
    const own = readable(all);
    const only = own.length === 1 ? tensors.get((own[0] as FakeTensor).name) : undefined;
    modules.set(
      path,
      only ??
        summarise(
          own.map((tensor) => tensor.data()),
          SORTED,
        ),
    );
  }
  return { tensors, modules };
}

/** The tensors that count in a module: tied ones once, without those that cannot be read. */
function readable(tensors: readonly FakeTensor[]): FakeTensor[] {
  return tensors.filter((tensor) => tensor.sharedWith === undefined && tensor.error === undefined);
}

/**
 * @param done number of tensors that the scan has come to; modules follow when all are done
 */
export function pack(source: FakeSource, records: Records, done = source.tensors.length): ArrayBuffer {
  const { tensors } = source;
  const members = modulesOf(source);
  const { slots, own } = placeModules(source, members);
  const whole = done >= tensors.length;
  const rows: (Summary | null)[] = [
    ...tensors.map((tensor, row) => (row < done ? (records.tensors.get(tensor.name) ?? null) : null)),
    ...own.map((path) => (whole ? (records.modules.get(path) ?? null) : null)),
  ];
  const detail = DETAILS.find(([most]) => rows.length <= most)?.[1] as Detail;
  const parts = (row: number): Float32Array[] => {
    const tensor = tensors[row];
    const all = tensor ? [tensor] : readable(members.get(own[row - tensors.length] as string) ?? []);
    return all.map((one) => one.data());
  };
  const arrays: Record<string, Packed> = {
    ...facts(source, [...members.keys()], detail),
    slot: slots,
    summarised: Uint8Array.from(rows, (record) => (record ? 1 : 0)),
    ...statistics(source, rows),
    ...histograms(rows, parts, detail),
  };
  return safetensors(arrays, picturesOf(source, rows, detail));
}

/** A module that holds one tensor shares its place in the arrays; the others, `own`, come behind the tensors. */
function placeModules(
  source: FakeSource,
  members: Map<string, FakeTensor[]>,
): { slots: Int32Array; own: string[] } {
  const rowOf = new Map(source.tensors.map((tensor, row) => [tensor.name, row]));
  const own: string[] = [];
  const slots = Int32Array.from(members, ([path, inside]) => {
    const [only] = inside;
    if (inside.length === 1 && only && only.sharedWith === undefined) return rowOf.get(only.name) as number;
    return source.tensors.length + own.push(path) - 1;
  });
  return { slots, own };
}

/** What is known without looking at weights: the index, and places in its tables. */
function facts(source: FakeSource, modules: string[], detail: Detail): Record<string, Packed> {
  const { tensors } = source;
  const rowOf = new Map(tensors.map((tensor, row) => [tensor.name, row]));
  const kindAt = new Map(source.modules.map((module) => [module.path, module.kind]));
  const shared: Record<string, number> = {};
  const errors: Record<string, string> = {};
  tensors.forEach((tensor, row) => {
    if (tensor.sharedWith !== undefined) shared[row] = rowOf.get(tensor.sharedWith) as number;
    if (tensor.error) errors[row] = tensor.error;
  });
  const shapes = tabulate(tensors.map((t) => JSON.stringify(t.shape)));
  const dtypes = tabulate(tensors.map((t) => t.dtype));
  const roles = tabulate(tensors.map((t) => t.role));
  const kinds = tabulate([...tensors.map((t) => t.kind), ...modules.map((path) => kindAt.get(path) ?? "")]);
  const index = {
    version: 1,
    name: source.name,
    tensors: tensors.length,
    modules: modules.length,
    names: packNames(tensors.map((t) => t.name)),
    shapes: shapes.table.map((text) => JSON.parse(text) as number[]),
    dtypes: dtypes.table,
    roles: roles.table,
    kinds: kinds.table,
    shared,
    errors,
    skipped: source.skipped ?? {},
    skipped_count: Object.keys(source.skipped ?? {}).length,
    thumbnail: detail.thumbnail,
    profile: detail.profile,
  };
  const arrays: Record<string, Packed> = { index: new TextEncoder().encode(JSON.stringify(index)) };
  for (const [name, { table, codes }] of Object.entries({
    shape: shapes,
    dtype: dtypes,
    role: roles,
    kind: kinds,
  })) {
    if (table.length > 1) arrays[name] = codes;
  }
  return arrays;
}

function tabulate(values: string[]): { table: string[]; codes: Uint16Array } {
  const table = [...new Set(values)].sort();
  const code = new Map(table.map((value, at) => [value, at]));
  return { table, codes: Uint16Array.from(values, (value) => code.get(value) as number) };
}

/** Names as (number of leading parts shared with the name before, the rest). */
export function packNames(names: readonly string[]): [number, string][] {
  let before: string[] = [];
  return names.map((name) => {
    const parts = name.split(".");
    let shared = 0;
    while (shared < Math.min(parts.length - 1, before.length) && parts[shared] === before[shared]) shared++;
    before = parts;
    return [shared, parts.slice(shared).join(".")];
  });
}

type Pick = (record: Summary) => number;

const NUMBERS: Record<string, Pick> = {
  mean: (r) => r.mean,
  std: (r) => r.std,
  min: (r) => r.min,
  max: (r) => r.max,
  l1: (r) => r.l1,
  skewness: (r) => r.skewness,
  kurtosis: (r) => r.kurtosis,
  q01: (r) => quantile(r, 0.01),
  q25: (r) => quantile(r, 0.25),
  q50: (r) => quantile(r, 0.5),
  q75: (r) => quantile(r, 0.75),
  q99: (r) => quantile(r, 0.99),
};

const COUNTS: Record<string, Pick> = {
  nan: (r) => r.nan,
  posinf: (r) => r.posinf,
  neginf: (r) => r.neginf,
  zeros: (r) => r.zeros,
};

function statistics(source: FakeSource, rows: readonly (Summary | null)[]): Record<string, Packed> {
  const { tensors } = source;
  const arrays: Record<string, Packed> = {
    // Known before the scan; of modules only afterwards.
    "stat.count": Int32Array.from(rows, (record, row) => sizeIfTensor(tensors[row]) ?? record?.count ?? 0),
    "stat.bytes": Float64Array.from(rows, (record, row) => {
      const tensor = tensors[row];
      return tensor ? bytesOf(tensor) : 4 * (record?.count ?? 0);
    }),
    "stat.argmin": Int32Array.from(tensors, (_, row) => rows[row]?.argmin ?? -1),
    "stat.argmax": Int32Array.from(tensors, (_, row) => rows[row]?.argmax ?? -1),
  };
  for (const [key, pick] of Object.entries(NUMBERS)) {
    const values = Float64Array.from(rows, (record) => (record ? pick(record) : Number.NaN));
    arrays[`stat.${key}`] = rows.length > MANY_ROWS ? Float32Array.from(values) : values;
  }
  for (const [key, pick] of Object.entries(COUNTS)) {
    const counts = Int32Array.from(rows, (record) => (record ? pick(record) : 0));
    if (counts.some((n) => n > 0)) arrays[`stat.${key}`] = counts;
  }
  return arrays;
}

function sizeIfTensor(tensor: FakeTensor | undefined): number | undefined {
  return tensor && sizeOf(tensor.shape);
}

function histograms(
  rows: readonly (Summary | null)[],
  parts: (row: number) => Float32Array[],
  detail: Detail,
): Record<string, Packed> {
  const arrays: Record<string, Packed> = {};
  for (const [name, bins, scale] of [
    ["hist", detail.bins, "value"],
    ["loghist", detail.logBins, "magnitude"],
  ] as const) {
    if (bins === 0) continue;
    const counts = new Float32Array(rows.length * bins);
    const ranges = new Float32Array(rows.length * 2).fill(Number.NaN);
    const tails = new Float32Array(rows.length * 2).fill(Number.NaN);
    // Modules around the same tensors share a record, and so a histogram.
    const counted = new Map<Summary, LocalHistogram>();
    rows.forEach((record, row) => {
      if (!record || finiteCount(record) === 0) return;
      const range = scale === "value" ? robustRange(record) : logRange(record);
      if (!range) return;
      const local = counted.get(record) ?? histogramOf(parts(row), bins, range, scale);
      counted.set(record, local);
      counts.set(local.counts, row * bins);
      ranges.set(range, row * 2);
      tails.set([local.below, local.above], row * 2);
    });
    Object.assign(arrays, { [`${name}.range`]: ranges, [`${name}.tails`]: tails });
    if (rows.length > MANY_ROWS) Object.assign(arrays, asShares(name, counts, bins));
    else arrays[name] = counts;
  }
  return arrays;
}

/** Counts as whole multiples of a unit for each row. */
function asShares(name: string, counts: Float32Array, bins: number): Record<string, Packed> {
  const units = new Float32Array(counts.length / bins);
  const shares = new Uint16Array(counts.length);
  for (let row = 0; row < units.length; row++) {
    const own = counts.subarray(row * bins, (row + 1) * bins);
    const unit = own.reduce((a, b) => Math.max(a, b), 1) / 65535;
    units[row] = unit;
    shares.set(
      Array.from(own, (n) => Math.round(n / unit)),
      row * bins,
    );
  }
  return { [name]: shares, [`${name}.unit`]: units };
}

/** Thumbnails and profiles, one behind the other, as bfloat16. */
function picturesOf(
  source: FakeSource,
  rows: readonly (Summary | null)[],
  detail: Detail,
): Record<string, Uint16Array> {
  const thumbnails: Float32Array[] = [];
  const profiles: Float32Array[] = [];
  source.tensors.forEach((tensor, row) => {
    if (!rows[row] || tensor.error || sizeOf(tensor.shape) === 0) return;
    const [height, width] = matrixSize(tensor.shape, defaultAxes(tensor.shape));
    const matrix = draw(tensor.data(), tensor.shape);
    thumbnails.push(thumbnail(matrix, ...thumbnailSize(height, width, detail.thumbnail)));
    if (tensor.shape.length > 1 && detail.profile > 0) {
      const { rows: rowNorms, cols: colNorms } = norms(matrix);
      profiles.push(poolLargest(rowNorms, detail.profile), poolLargest(colNorms, detail.profile));
    }
  });
  return { thumb: bfloat16(thumbnails), profile: bfloat16(profiles) };
}
