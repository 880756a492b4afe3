/** An overview made by hand, for tests of what only reads overviews. */

import { type Axes, type Layers, NO_LAYERS } from "../src/anatomy";
import type { LocalHistogram, Overview } from "../src/overview";

export interface FakeTensor {
  name: string;
  shape?: number[];
  dtype?: string;
  role?: string;
  sharedWith?: number;
  error?: string;
  axes?: Axes;
}

export interface FakeModel {
  name?: string;
  tensors: FakeTensor[];
  /** Classes by path. All modules of the names get a row; without a class here it is "". */
  modules?: Record<string, string>;
  layers?: Layers;
  /** Statistics of the tensors; null is unknown. Rows of modules come after those of tensors. */
  columns?: Record<string, ArrayLike<number | null>>;
  histogram?: (row: number) => LocalHistogram | null;
  summarised?: (row: number) => boolean;
}

export function fakeOverview(model: FakeModel): Overview {
  const { tensors } = model;
  const kinds = new Map(Object.entries(model.modules ?? {}));
  const modules = new Set<string>(["", ...kinds.keys()]);
  for (const { name } of tensors) {
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1))
      modules.add(name.slice(0, dot));
  }
  const names = [...tensors.map((tensor) => tensor.name), ...modules];
  const tensorRows = new Map(tensors.map((tensor, row) => [tensor.name, row]));
  const moduleRows = new Map([...modules].map((path, place) => [path, tensors.length + place]));
  const columns = new Map<string, Float64Array>();
  const owner = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf(".")));
  return {
    name: model.name ?? "fake",
    tensors: tensors.length,
    rows: names.length,
    names,
    hasWeights: true,
    skipped: { count: 0, reasons: new Map() },
    isTensor: (row) => row >= 0 && row < tensors.length,
    rowOf: (path) => tensorRows.get(path) ?? moduleRows.get(path) ?? -1,
    moduleRowOf: (path) => moduleRows.get(path) ?? -1,
    shape: (row) => tensors[row]?.shape ?? [],
    dtype: (row) => tensors[row]?.dtype ?? "",
    role: (row) => tensors[row]?.role ?? "",
    kind: (row) => kinds.get(row < tensors.length ? owner(names[row] ?? "") : (names[row] ?? "")) ?? "",
    axes: (row) => tensors[row]?.axes ?? null,
    layers: model.layers ?? NO_LAYERS,
    block: () => null,
    blocksOf: () => [],
    sharedWith: (row) => tensors[row]?.sharedWith ?? -1,
    error: (row) => tensors[row]?.error ?? "",
    summarised: model.summarised ?? (() => true),
    column: (key) => {
      let column = columns.get(key);
      if (!column) {
        const given = model.columns?.[key];
        column = Float64Array.from({ length: names.length }, (_, row) => given?.[row] ?? Number.NaN);
        columns.set(key, column);
      }
      return column;
    },
    extremeAt: () => null,
    histogram: model.histogram ?? (() => null),
    logHistogram: () => null,
    thumbnail: () => null,
    kept: () => null,
    filters: () => null,
    profiles: () => null,
  };
}
