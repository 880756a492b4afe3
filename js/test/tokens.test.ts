import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LAYERS } from "../src/anatomy";
import type { Overview } from "../src/overview";
import { scatterGeometry, toX, toY } from "../src/panels/tokens/draw";
import { byCluster } from "../src/panels/tokens/list";
import { nearestPoint } from "../src/panels/tokens/scatter";
import {
  binned,
  clustered,
  extent,
  firstLimit,
  inside,
  type Neighbours,
  padded,
  sorted,
  tableOf,
  UNASKED,
} from "../src/panels/tokens/table";
import { fakeOverview } from "./fake";

const NAN = Number.NaN;

function overview(): Overview {
  const made = fakeOverview({
    tensors: [
      { name: "tok.weight", shape: [50, 8] },
      { name: "pos.weight", shape: [1, 9, 8] },
      { name: "head.weight", shape: [50, 8], sharedWith: 0 },
      { name: "fc.weight", shape: [50, 8] },
      { name: "odd", shape: [50] },
    ],
  });
  const known = { certain: true, why: "" };
  const embeddings = [
    { tensor: 0, entries: "token" as const, axis: 0, padding: 3, ...known },
    { tensor: 1, entries: "position" as const, axis: 1, padding: null, ...known },
    { tensor: 4, entries: "token" as const, axis: 0, padding: null, ...known },
  ];
  return { ...made, layers: { ...NO_LAYERS, embeddings } };
}

test("a table is what the anatomy says, also by the name of a tied tensor", () => {
  const found = tableOf(overview(), 0);
  assert.deepEqual([found?.count, found?.size, found?.padding, found?.tiedWith], [50, 8, 3, ""]);
  const head = tableOf(overview(), 2);
  assert.deepEqual([head?.tensor, head?.count, head?.tiedWith], ["head.weight", 50, "tok.weight"]);
});

test("entries may lie along another axis; vectors and other tensors are no tables", () => {
  const positions = tableOf(overview(), 1);
  assert.deepEqual([positions?.axis, positions?.count, positions?.size], [1, 9, 8]);
  for (const row of [3, 4, 5, -1]) assert.equal(tableOf(overview(), row), null);
});

test("a brush holds what is inside, ends included, and never NaN", () => {
  const xs = [1, 2, 3, NAN, 2];
  const ys = [0.1, 0.5, 0.9, 0.5, NAN];
  assert.deepEqual(inside({ x: [1, 2], y: null }, xs, ys), [0, 1, 4]);
  assert.deepEqual(inside({ x: [1, 3], y: [0.5, 1] }, xs, ys), [1, 2]);
  assert.deepEqual(inside({ x: [1, 3], y: [0.5, 1] }, xs, null), [0, 1, 2, 4]);
});

test("the rule for clusters asks for two others beyond the threshold", () => {
  const neighbours: Neighbours = {
    asked: 4,
    nearest: Int32Array.of(1, 0, 1, -1),
    cosine: Float32Array.of(0.99, 0.99, 0.98, NAN),
    second: Float32Array.of(0.97, 0.985, 0.99, NAN),
    searchError: 0,
  };
  assert.deepEqual(clustered(neighbours, 0.98), [1, 2]);
  assert.deepEqual(clustered(neighbours, 0.5), [0, 1, 2]);
});

test("sorting keeps the order of equals, and puts NaN last either way", () => {
  const by = [2, NAN, 1, 2];
  assert.deepEqual(sorted([0, 1, 2, 3], by, false), [2, 0, 3, 1]);
  assert.deepEqual(sorted([0, 1, 2, 3], by, true), [0, 3, 2, 1]);
  assert.deepEqual(sorted([3, 1, 2], null, true), [3, 2, 1]);
});

test("large clusters come first, in one piece", () => {
  const groups = new Map([
    [5, 0],
    [7, 1],
    [8, 1],
    [9, 0],
    [12, 1],
  ]);
  assert.deepEqual(byCluster([5, 7, 8, 9, 12], groups), [7, 8, 12, 5, 9]);
  assert.deepEqual(byCluster([9, 5], null), [9, 5]);
});

test("extent and bins pass over what is not finite", () => {
  assert.deepEqual(extent([3, NAN, -1, Number.POSITIVE_INFINITY]), [-1, 3]);
  assert.equal(extent([NAN]), null);
  const [low, high] = padded([2, 2]);
  assert.ok(low < 2 && high > 2);
  assert.deepEqual([...binned([0, 0.4, 1, 2, 2.1, NAN], [0, 2], 4)], [2, 0, 1, 1]);
});

test("what takes long is begun for a part of the entries only", () => {
  assert.equal(firstLimit(30_522, 384), null);
  const limit = firstLimit(128_000, 4096) as number;
  assert.ok(limit >= 256 && limit < 128_000);
  assert.ok(limit * 128_000 * 4096 <= UNASKED);
});

test("the point under the pointer is the nearest one that is near enough", () => {
  const geo = scatterGeometry(500, 500);
  const [x, y] = [[0, 10] as const, [0, 1] as const];
  const [xs, ys] = [
    [2, 2.1, 8, NAN],
    [0.5, 0.5, 0.5, 0.5],
  ];
  const at = [toX(geo, x, 2.1) + 1, toY(geo, y, 0.5)] as const;
  assert.equal(nearestPoint(...at, xs, ys, geo, x, y), 1);
  assert.equal(nearestPoint(at[0] + 100, at[1], xs, ys, geo, x, y), null);
  assert.equal(nearestPoint(...at, xs, null, geo, x, y), null);
  // In the histogram there are no points.
  assert.equal(nearestPoint(at[0], geo.barsTop, xs, ys, geo, x, y), null);
});

test("values lie between the edges of the plot", () => {
  const geo = scatterGeometry(300, 400);
  assert.equal(toX(geo, [1, 3], 1), geo.left);
  assert.equal(toX(geo, [1, 3], 3), geo.right);
  assert.equal(toY(geo, [1, 3], 1), geo.bottom);
  assert.equal(toY(geo, [1, 3], 3), geo.top);
});
