import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeSource, FakeTensor } from "../dev/fake-tensor";
import { kernel } from "../dev/kernel";
import { MODELS, type ModelName, makeModel, OUTLIER } from "../dev/models";
import { pack, packNames, summariseAll } from "../dev/pack";
import { emptyOverview, type Overview, parseOverview, thumbnailSize } from "../src/overview";
import { STATISTICS } from "../src/statistics";
import { defaultAxes } from "../src/tensor";

function overviewOf(source: FakeSource, done?: number): Overview {
  return parseOverview(new DataView(pack(source, summariseAll(source), done)));
}

function near(found: number | undefined, expected: number, tolerance = 1e-12): void {
  const off = Math.abs((found as number) - expected);
  assert.ok(off <= tolerance * Math.max(1, Math.abs(expected)), `${found} is not ${expected}`);
}

function one(shape: number[], data: Float32Array, more: Partial<FakeTensor> = {}): FakeSource {
  const tensor: FakeTensor = {
    name: "w",
    shape,
    dtype: "float32",
    kind: "",
    role: "weight",
    data: () => data,
    ...more,
  };
  return { name: "one", tensors: [tensor], modules: [], selected: "w" };
}

test("names and facts come back as they were packed", () => {
  for (const name of MODELS) {
    if (name === "big" || name === "moe") continue;
    const source = makeModel(name);
    const overview = overviewOf(source);
    assert.equal(overview.name, source.name);
    assert.equal(overview.tensors, source.tensors.length);
    assert.equal(overview.skipped.count, Object.keys(source.skipped ?? {}).length);
    assert.deepEqual(Object.fromEntries(overview.skipped.reasons), source.skipped ?? {});
    source.tensors.forEach((tensor, row) => {
      assert.equal(overview.names[row], tensor.name);
      assert.equal(overview.rowOf(tensor.name), row);
      assert.deepEqual(overview.shape(row), tensor.shape);
      assert.equal(overview.dtype(row), tensor.dtype);
      assert.equal(overview.role(row), tensor.role);
      assert.equal(overview.kind(row), tensor.kind);
      assert.equal(overview.error(row), tensor.error ?? "");
      const first = overview.sharedWith(row);
      assert.equal(first < 0 ? undefined : overview.names[first], tensor.sharedWith);
      assert.ok(overview.isTensor(row));
    });
    assert.equal(overview.moduleRowOf(""), source.tensors.length > 0 ? source.tensors.length : -1);
    assert.equal(overview.rowOf("no such path"), -1);
  }
});

test("names that share their beginnings are packed once", () => {
  assert.deepEqual(packNames(["a.b.c", "a.b.d", "a", "", "x.b.c"]), [
    [0, "a.b.c"],
    [2, "d"],
    [0, "a"],
    [0, ""],
    [0, "x.b.c"],
  ]);
});

test("statistics are those of the weights", () => {
  const data = Float32Array.of(-2, 0, 1, 3, 0, 4, Number.NaN, Infinity);
  const overview = overviewOf(one([2, 4], data));
  const w = [-2, 0, 1, 3, 0, 4];
  const mean = 1;
  const moment = (k: number): number => w.reduce((sum, x) => sum + (x - mean) ** k, 0) / 6;
  const expected: Record<string, number> = {
    mean,
    std: Math.sqrt(moment(2)),
    min: -2,
    max: 4,
    absmax: 4,
    median: 0.5,
    rms: Math.sqrt(30 / 6),
    l1: 10,
    l2: Math.sqrt(30),
    skewness: moment(3) / moment(2) ** 1.5,
    kurtosis: moment(4) / moment(2) ** 2 - 3,
    sparsity: 2 / 8,
    zeros: 2,
    nan: 1,
    inf: 1,
    count: 8,
    bytes: 32,
  };
  for (const { key } of STATISTICS) near(overview.column(key)[0], expected[key] as number);
  assert.deepEqual(overview.extremeAt(0, "argmax"), [1, 1]);
  assert.deepEqual(overview.extremeAt(0, "argmin"), [0, 0]);
});

test("bins and tails hold every finite weight", () => {
  for (const name of ["cnn", "transformer", "edge"] as const) {
    const overview = overviewOf(makeModel(name));
    for (let row = 0; row < overview.rows; row++) {
      const at = (key: string): number => overview.column(key)[row] as number;
      // What cannot be read has a size and no mean.
      const finite = Number.isNaN(at("mean")) ? 0 : at("count") - at("nan") - at("inf");
      const histogram = overview.histogram(row);
      const log = overview.logHistogram(row);
      if (finite === 0) {
        assert.equal(histogram, null);
        continue;
      }
      assert.ok(histogram);
      const all = (h: NonNullable<typeof histogram>): number =>
        h.counts.reduce((sum, n) => sum + n, h.below + h.above);
      near(all(histogram), finite, 1e-6);
      if (finite === at("zeros")) assert.equal(log, null);
      else near(all(log as NonNullable<typeof log>), finite - at("zeros"), 1e-6);
    }
  }
});

test("thumbnails keep the largest weight and profiles the largest norm", () => {
  const overview = overviewOf(makeModel("transformer"));
  const row = overview.rowOf(OUTLIER.tensor);
  const picture = overview.thumbnail(row);
  assert.ok(picture);
  assert.deepEqual([picture.height, picture.width], thumbnailSize(384, 1536, 64));
  const y = Math.floor((OUTLIER.row * 64) / 384);
  const x = Math.floor((OUTLIER.col * 64) / 1536);
  near(picture.data[y * 64 + x], OUTLIER.value, 4e-3);
  const profiles = overview.profiles(row);
  assert.equal(profiles?.rows.length, 128);
  const largest = profiles.rows.indexOf(Math.max(...profiles.rows));
  assert.equal(largest, Math.floor((OUTLIER.row * 128) / 384));
});

test("pictures keep NaN, infinities and the sign", () => {
  const data = Float32Array.of(1, -3, Number.NaN, 0, Infinity, -0.5, 2, -Infinity);
  const picture = overviewOf(one([2, 4], data)).thumbnail(0);
  assert.deepEqual(Array.from(picture?.data ?? []), Array.from(data));
  assert.deepEqual(overviewOf(one([], Float32Array.of(2))).thumbnail(0)?.data, Float32Array.of(2));
});

test("what the scan has not come to is marked, and its size is known all the same", () => {
  const source = makeModel("cnn");
  const overview = overviewOf(source, 2);
  assert.deepEqual([0, 1, 2].map(overview.summarised), [true, true, false]);
  assert.ok(!overview.summarised(overview.moduleRowOf("")));
  assert.ok(Number.isNaN(overview.column("std")[2]));
  assert.equal(overview.column("count")[2], 32 * 16 * 9);
  assert.equal(overview.histogram(2), null);
  assert.equal(overview.thumbnail(2), null);
  assert.ok(overview.thumbnail(1));
});

test("a model without tensors has no rows", () => {
  assert.equal(emptyOverview().rows, 0);
  assert.equal(overviewOf(makeModel("empty")).rows, 0);
});

test("a module around one tensor has that tensor's numbers", () => {
  const overview = overviewOf(makeModel("edge"));
  for (const key of ["std", "max", "count", "nan"]) {
    const column = overview.column(key);
    assert.equal(column[overview.moduleRowOf("plain")], column[overview.rowOf("plain.weight")]);
  }
  assert.deepEqual(
    overview.histogram(overview.moduleRowOf("plain")),
    overview.histogram(overview.rowOf("plain.weight")),
  );
  assert.equal(overview.column("count")[overview.moduleRowOf("nonfinite")], 960 + 64 + 64);
  // Tied weights count once: the module of the further name holds nothing.
  assert.equal(overview.column("count")[overview.moduleRowOf("tied")], 640);
  assert.equal(overview.column("count")[overview.moduleRowOf("tied.head")], 0);
});

test("the overview of 20 000 tensors parses", () => {
  const source = makeModel("moe");
  const blob = new DataView(pack(source, summariseAll(source)));
  const overview = parseOverview(blob);
  assert.equal(overview.tensors, 20_000);
  near(overview.column("std")[0], 0.03, 0.01);
  assert.ok(overview.histogram(19_999));
});

test("the fake kernel answers what the Python one does", () => {
  const source = makeModel("transformer" satisfies ModelName);
  const ask = kernel(source, summariseAll(source));
  const shape = [384, 1536];
  const address = { tensor: OUTLIER.tensor, axes: defaultAxes(shape), index: [0, 0] };

  const tile = ask({ kind: "tile", ...address, tile: [1, 3, 0, 0], aggregate: "absmax", range: [7, 8] });
  assert.deepEqual([tile.content.height, tile.content.width], [192, 192]);
  const at = Math.floor(OUTLIER.row / 2) * 192 + Math.floor(OUTLIER.col / 8);
  near(new Float32Array(tile.buffers[0] as ArrayBuffer)[at], OUTLIER.value, 1e-6);
  const shares = new Uint8Array(tile.buffers[1] as ArrayBuffer);
  assert.equal(shares[at], 16);
  assert.equal(shares.filter((share) => share > 0).length, 1);

  const cell = ask({ kind: "cell", ...address, window: [0, 384, 0, 1536] });
  assert.deepEqual(cell.content, {
    kind: "cell",
    value: String(OUTLIER.value),
    row: OUTLIER.row,
    col: OUTLIER.col,
    position: [OUTLIER.row, OUTLIER.col],
  });

  const count = ask({ kind: "count", path: OUTLIER.tensor, range: [7, 8] });
  assert.deepEqual(count.content, { kind: "count", count: 1, total: 384 * 1536, exact: true });

  const histogram = ask({ kind: "histogram", path: OUTLIER.tensor, bins: 50, scale: "value" });
  const bins = new Float64Array(histogram.buffers[0] as ArrayBuffer);
  const { below, above } = histogram.content as { below: number; above: number };
  assert.equal(
    bins.reduce((sum, n) => sum + n, below + above),
    384 * 1536,
  );
  assert.ok(above >= 1);

  const profile = ask({ kind: "profile", ...address });
  assert.equal(profile.buffers[1]?.byteLength, 4 * 1536);
  assert.deepEqual(ask({ kind: "tile", ...address, tensor: "none" }).content, {
    error: { type: "KeyError", message: "there is no tensor 'none'" },
  });
});
