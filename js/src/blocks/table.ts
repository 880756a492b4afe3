/** Rows of blocks beyond those of the overview, and what is known of each. */

import { keptOfBlock } from "../local/cut";
import type { LocalHistogram, Overview, Profiles, Thumbnail } from "../overview";
import { COMPLEX } from "../tensor";
import { type BlockPlace, isPart, placesOf } from "./place";

/** 0 statistics, 1 histograms too, 2 thumbnail and norms too. */
export type Level = 0 | 1 | 2;

export interface BlockRecord {
  readonly level: Level;
  /** By key of the statistic. */
  readonly values: ReadonlyMap<string, number>;
  readonly histogram: LocalHistogram | null;
  readonly logHistogram: LocalHistogram | null;
  readonly thumbnail: Thumbnail | null;
  readonly profiles: Profiles | null;
  /** Why there is none, else "". */
  readonly error: string;
}

export interface BlockTable {
  /** By number of the block; a number is never given to another path. */
  readonly paths: readonly string[];
  numberOf(path: string): number;
  record(place: BlockPlace): BlockRecord | null;
  put(place: BlockPlace, record: BlockRecord): void;
  drop(place: BlockPlace): void;
  /** Counts what was put and dropped. */
  readonly version: number;
}

export function blockTable(): BlockTable {
  const paths: string[] = [];
  const numbers = new Map<string, number>();
  const records = new Map<string, BlockRecord>();
  let version = 0;
  return {
    paths,
    numberOf: (path) => {
      let number = numbers.get(path);
      if (number === undefined) {
        number = paths.push(path) - 1;
        numbers.set(path, number);
      }
      return number;
    },
    record: (place) => records.get(place.key) ?? null,
    put: (place, record) => {
      records.set(place.key, record);
      version++;
    },
    drop: (place) => {
      records.delete(place.key);
      version++;
    },
    get version() {
      return version;
    },
  };
}

/** Known of blocks before any record has come. */
const SIZES: ReadonlySet<string> = new Set(["count", "bytes"]);

/** An overview that knows blocks, too: those of the table, and any that its anatomy names. */
export function withBlocks(base: Overview, table: BlockTable): Overview {
  const places = placesOf(base);
  const at = (row: number): BlockPlace | null =>
    row >= base.rows ? places.find(table.paths[row - base.rows] ?? "") : null;
  const recordAt = (row: number): BlockRecord | null => {
    const place = at(row);
    return place && table.record(place);
  };
  const rowOf = (path: string): number => {
    const own = base.rowOf(path);
    if (own >= 0) return own;
    const place = places.find(path);
    return place ? base.rows + table.numberOf(place.path) : -1;
  };
  const names: string[] = [];
  let columns = new Map<string, Float64Array>();
  let columnsOf = { version: -1, blocks: 0 };

  /** Of a block whose record has not come, what its shape tells. */
  const known = (key: string, place: BlockPlace): number => {
    const whole = place.parts.length > 0 ? place.parts : [place];
    return whole.reduce((sum, part) => {
      const count = part.shape.reduce((product, size) => product * size, 1);
      if (key === "count") return sum + count;
      // A real or imaginary part has half of each weight.
      const share = isPart(base, part) ? 0.5 : 1;
      const [bytes, all] = [base.column("bytes")[part.tensor], base.column("count")[part.tensor]];
      return sum + (share * count * (bytes ?? Number.NaN)) / (all ?? Number.NaN);
    }, 0);
  };

  return {
    ...base,
    get names() {
      if (table.paths.length === 0) return base.names;
      if (names.length === 0) names.push(...base.names);
      for (let number = names.length - base.rows; number < table.paths.length; number++)
        names.push(table.paths[number] as string);
      return names;
    },
    isTensor: (row) => (row < base.rows ? base.isTensor(row) : (at(row)?.box.length ?? 0) > 0),
    rowOf,
    shape: (row) => (row < base.rows ? base.shape(row) : (at(row)?.shape ?? [])),
    dtype: (row) => (row < base.rows ? base.dtype(row) : dtypeOf(base, at(row))),
    role: (row) => (row < base.rows ? base.role(row) : ofTensor(at(row), base.role, "")),
    kind: (row) => (row < base.rows ? base.kind(row) : kindOf(base, at(row))),
    axes: (row) => (row < base.rows ? base.axes(row) : (at(row)?.axes ?? null)),
    block: at,
    blocksOf: (path) => places.inside(path),
    sharedWith: (row) => (row < base.rows ? base.sharedWith(row) : -1),
    error: (row) => (row < base.rows ? base.error(row) : (recordAt(row)?.error ?? errorOf(base, at(row)))),
    summarised: (row) => (row < base.rows ? base.summarised(row) : recordAt(row) !== null),
    column: (key) => {
      if (table.paths.length === 0) return base.column(key);
      if (columnsOf.version !== table.version || columnsOf.blocks !== table.paths.length) {
        columns = new Map();
        columnsOf = { version: table.version, blocks: table.paths.length };
      }
      let column = columns.get(key);
      if (!column) {
        const own = base.column(key);
        column = new Float64Array(base.rows + table.paths.length).fill(Number.NaN);
        for (let row = 0; row < base.rows; row++) column[row] = own[row] as number;
        for (let row = base.rows; row < column.length; row++) {
          const place = at(row);
          const record = place && table.record(place);
          if (record && !record.error) column[row] = record.values.get(key) ?? Number.NaN;
          else if (place && SIZES.has(key)) column[row] = known(key, place);
        }
        columns.set(key, column);
      }
      return column;
    },
    extremeAt: (row, which) => {
      if (row < base.rows) return base.extremeAt(row, which);
      const flat = recordAt(row)?.values.get(which);
      const shape = at(row)?.shape ?? [];
      return flat === undefined || Number.isNaN(flat) ? null : unravel(flat, shape);
    },
    histogram: (row) => (row < base.rows ? base.histogram(row) : (recordAt(row)?.histogram ?? null)),
    logHistogram: (row) => (row < base.rows ? base.logHistogram(row) : (recordAt(row)?.logHistogram ?? null)),
    thumbnail: (row) => (row < base.rows ? base.thumbnail(row) : (recordAt(row)?.thumbnail ?? null)),
    kept: (row) => {
      const place = at(row);
      return place ? keptOfBlock(base, place) : base.kept(row);
    },
    filters: (row) => (row < base.rows ? base.filters(row) : null),
    profiles: (row) => (row < base.rows ? base.profiles(row) : (recordAt(row)?.profiles ?? null)),
  };
}

function ofTensor<T>(place: BlockPlace | null, get: (row: number) => T, none: T): T {
  return place && place.box.length > 0 ? get(place.tensor) : none;
}

function dtypeOf(base: Overview, place: BlockPlace | null): string {
  const stored = ofTensor(place, base.dtype, "");
  return place && isPart(base, place) ? (COMPLEX.get(stored) ?? stored) : stored;
}

/** Of a head, the class of its layer. */
function kindOf(base: Overview, place: BlockPlace | null): string {
  if (!place) return "";
  return base.kind(place.parts.length > 0 ? base.moduleRowOf(place.parent) : place.tensor);
}

/** A part of what cannot be read cannot be read. */
function errorOf(base: Overview, place: BlockPlace | null): string {
  return place ? base.error(place.tensor) : "";
}

function unravel(flat: number, shape: readonly number[]): number[] {
  const position = shape.map(() => 0);
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    position[axis] = rest % size;
    rest = Math.floor(rest / size);
  }
  return position;
}
