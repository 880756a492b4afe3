/** The layer tree: the cases that Python reads too, and what the front end alone does with it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import cases from "../../tests/protocol/tree.json";
import { barHeights } from "../src/draw/sparkline";
import type { Model } from "../src/model";
import type { LocalHistogram } from "../src/overview";
import { mergedHistogram, mergedStatistic } from "../src/panels/tree/merged";
import { createTreeState } from "../src/panels/tree/state";
import { markedRanges } from "../src/panels/tree/text";
import { createStore } from "../src/store";
import { ancestors, buildTree, type TreeNode } from "../src/tree";
import { fakeOverview } from "./fake";

interface Expected {
  path: string;
  label: string;
  kind?: string;
  children?: Expected[];
  groups?: number[][];
}

function asJson(node: TreeNode): Expected {
  if (node.kind === "tensor") return { path: node.path, label: node.label, kind: "tensor" };
  const out: Expected = { path: node.path, label: node.label, children: node.children.map(asJson) };
  if (node.groups.length > 0) {
    out.groups = node.groups.map((group) => {
      const start = node.children.indexOf(group.children[0] as TreeNode);
      return [start, start + group.children.length];
    });
  }
  return out;
}

for (const given of cases) {
  test(`shared case: ${given.case}`, () => {
    const shapes = new Map(Object.entries(given.shapes ?? {}) as [string, number[]][]);
    const kinds = new Map(Object.entries(given.kinds ?? {}) as [string, string][]);
    const tree = buildTree(given.names, {
      shape: (tensor) => shapes.get(given.names[tensor] as string) ?? [],
      kind: (path) => kinds.get(path) ?? "",
    });
    assert.deepEqual(asJson(tree.root), given.tree as Expected);
  });
}

test("nodes know their place, their parent and their number", () => {
  const names = ["h.0.w", "h.1.w", "h.2.w", "a.b.c.x", "a.b.c.y", "h"];
  const tree = buildTree(names);
  tree.nodes.forEach((node, place) => {
    assert.equal(node.index, place);
    for (const child of node.children) {
      assert.equal(child.parent, node);
      assert.ok(child.index > place);
    }
  });
  names.forEach((name, tensor) => {
    assert.equal(tree.tensors[tensor]?.path, name);
    assert.equal(tree.tensors[tensor]?.tensor, tensor);
  });
  assert.equal(new Set(tree.nodes.map((node) => node.key)).size, tree.nodes.length);
  assert.equal(tree.modules.get("a")?.path, "a.b.c");
  assert.equal(tree.modules.get("a.b")?.path, "a.b.c");
  assert.equal(tree.modules.get("h")?.kind, "module");
});

test("a group says its lowest and highest number and holds the merged rows", () => {
  const tree = buildTree(["h.10.conv.w", "h.2.conv.w", "h.1.conv.w"]);
  const group = tree.modules.get("h")?.groups[0];
  assert.equal(group?.label, "1 … 10");
  assert.deepEqual(
    group?.children.map((child) => child.path),
    ["h.10.conv", "h.2.conv", "h.1.conv"],
  );
});

test("ancestors are those of Python", () => {
  assert.deepEqual(ancestors("a.b.weight"), ["", "a", "a.b"]);
  assert.deepEqual(ancestors(".a.b"), ["", ".a"]);
  assert.equal(ancestors(".".repeat(100_000)).length, 64);
});

test("20 000 tensors are a tree", () => {
  const names = Array.from(
    { length: 20_000 },
    (_, i) => `layers.${i % 40}.moe.experts.${Math.floor(i / 40)}.w`,
  );
  const tree = buildTree(names, { shape: () => [8, 8] });
  assert.equal(tree.root.children[0]?.groups[0]?.children.length, 40);
});

test("statistics of a group are those of all its weights", () => {
  const parts = [
    [1, 2, 3, 10],
    [-4, 0, 0.5, 0.25, 7],
    [2, 2, 2],
  ];
  const tensors = parts.map((_, i) => ({ name: `h.${i}`, shape: [1] }));
  const moments = (x: number[]): Record<string, number> => {
    const mean = x.reduce((a, b) => a + b, 0) / x.length;
    const central = (k: number): number => x.reduce((a, b) => a + (b - mean) ** k, 0) / x.length;
    const std = Math.sqrt(central(2));
    return {
      count: x.length,
      nan: 0,
      inf: 0,
      zeros: x.filter((v) => v === 0).length,
      sparsity: x.filter((v) => v === 0).length / x.length,
      mean,
      std,
      rms: Math.hypot(...x) / Math.sqrt(x.length),
      l2: Math.hypot(...x),
      l1: x.reduce((a, b) => a + Math.abs(b), 0),
      min: Math.min(...x),
      max: Math.max(...x),
      absmax: Math.max(...x.map(Math.abs)),
      skewness: std > 0 ? central(3) / std ** 3 : Number.NaN,
      kurtosis: std > 0 ? central(4) / std ** 4 - 3 : Number.NaN,
    };
  };
  const each = parts.map(moments);
  const keys = Object.keys(each[0] as object);
  const columns = Object.fromEntries(keys.map((key) => [key, each.map((one) => one[key] as number)]));
  const overview = fakeOverview({ tensors, columns });
  const all = moments(parts.flat());
  for (const key of keys) {
    const merged = mergedStatistic(overview, [0, 1, 2], key);
    assert.ok(Math.abs(merged - (all[key] as number)) < 1e-12 * Math.max(1, Math.abs(merged)), key);
  }
  assert.ok(Number.isNaN(mergedStatistic(overview, [0, 1, 2], "median")));
});

test("a merged histogram loses no weight", () => {
  const histograms: LocalHistogram[] = [
    { counts: Float64Array.of(1, 5, 2), range: [-1, 1], below: 1, above: 0 },
    { counts: Float64Array.of(4, 4), range: [0, 3], below: 0, above: 2 },
    { counts: Float64Array.of(7), range: [0.5, 0.5], below: 0, above: 0 },
  ];
  const overview = fakeOverview({
    tensors: histograms.map((_, i) => ({ name: `h.${i}` })),
    histogram: (row) => histograms[row] ?? null,
  });
  const merged = mergedHistogram(overview, [0, 1, 2]);
  assert.ok(merged);
  assert.deepEqual(merged.range, [-1, 3]);
  assert.ok(Math.abs(merged.counts.reduce((a, b) => a + b, 0) - 23) < 1e-6);
  assert.deepEqual([merged.below, merged.above], [1, 2]);
  assert.equal(mergedHistogram(overview, []), null);
});

test("bars show every bin that is not empty, and tails never hide them", () => {
  const counts = Float64Array.from({ length: 48 }, (_, i) => (i === 20 ? 1e6 : i === 40 ? 1 : 0));
  const bars = barHeights({ counts, range: [0, 1], below: 1, above: 1e9 }, 44, 17, 1);
  assert.equal(bars.bins.length, 44);
  assert.equal(Math.max(...bars.bins), 17);
  assert.equal(bars.bins.filter((height) => height > 0).length, 2);
  assert.deepEqual([bars.below, bars.above], [1, 17]);
  const even = barHeights(
    { counts: new Float64Array(48).fill(3), range: [0, 1], below: 0, above: 0 },
    44,
    17,
    1,
  );
  assert.ok(even.bins.every((height) => height === 17));
});

test("matches are marked in the label, those that begin in a parent's part too", () => {
  const tree = buildTree(["a.attention.query.weight", "a.attention.key.weight", "İ.query"]);
  const node = tree.modules.get("a.attention.query") as TreeNode;
  assert.deepEqual(markedRanges(node, ["query"]), [[0, 5]]);
  assert.deepEqual(markedRanges(node, ["n.q", "e"]), [
    [0, 1],
    [2, 3],
  ]);
  assert.deepEqual(markedRanges(node, ["attention"]), []);
  assert.deepEqual(markedRanges(node, ["que", "uery"]), [[0, 5]]);
});

function view(names: string[], columns: Record<string, number[]> = {}) {
  const overview = signal(fakeOverview({ tensors: names.map((name) => ({ name, shape: [2] })), columns }));
  const traits = { selected: signal(""), query: signal(""), facets: signal({}), drawn_axes: signal(null) };
  const model = { traits } as unknown as Model;
  const store = createStore(model, overview, signal("light"), new AbortController().signal);
  const state = createTreeState(store);
  const shown = (): string[] => state.rows.value.map(({ node, level }) => `${level} ${node.label}`);
  return { store, state, traits, shown, overview };
}

const BLOCKS = Array.from({ length: 12 }, (_, i) => [`h.${i}.a`, `h.${i}.b`]).flat();

test("long runs start folded, and open as a row with their blocks", () => {
  const { state, shown } = view([...BLOCKS, "out.w"]);
  assert.deepEqual(shown(), ["1 ", "2 h", "3 0 … 11", "2 out", "3 w"]);
  const group = state.rows.value[2]?.node as TreeNode;
  state.setOpen([group], true);
  assert.equal(shown().length, 17);
  assert.equal(shown()[3], "4 0");
  state.setFolding("none");
  assert.deepEqual(shown().slice(0, 3), ["1 ", "2 h", "3 0"]);
  assert.equal(state.grouped.value, false);
  state.setFolding("all");
  assert.deepEqual(shown(), ["1 ", "2 h", "3 0 … 11", "2 out", "3 w"]);
});

test("short runs are folded only when asked for", () => {
  const { state, shown } = view(["h.0", "h.1", "h.2"]);
  assert.deepEqual(shown(), ["1 ", "2 h", "3 0", "3 1", "3 2"]);
  state.setFolding("all");
  assert.deepEqual(shown(), ["1 ", "2 h", "3 0 … 2"]);
});

test("a filter opens what it finds and leaves the open set as it was", () => {
  const { state, traits, shown } = view([...BLOCKS, "out.w"]);
  const before = shown();
  traits.query.value = "h.7.b";
  assert.deepEqual(shown(), ["1 ", "2 h", "3 0 … 11", "4 7", "5 b"]);
  const group = state.rows.value[2]?.node as TreeNode;
  assert.equal(state.passing(group), 1);
  state.setOpen([group], false);
  assert.deepEqual(shown(), ["1 ", "2 h", "3 0 … 11"]);
  traits.query.value = "";
  assert.deepEqual(shown(), before);
  traits.query.value = "nothing";
  assert.deepEqual(shown(), []);
});

test("children are sorted within their parent, what is not known last", () => {
  const names = ["b.x", "b.y", "a.z", "a.10", "a.9"];
  const { store, shown } = view(names, { std: [1, 3, Number.NaN, 5, 4] });
  store.sort.value = { key: "std", descending: true };
  assert.deepEqual(shown(), ["1 ", "2 b", "3 y", "3 x", "2 a", "3 10", "3 9", "3 z"]);
  store.sort.value = { key: "std", descending: false };
  assert.deepEqual(shown().slice(-3), ["3 9", "3 10", "3 z"]);
  store.sort.value = { key: "name", descending: false };
  assert.deepEqual(shown(), ["1 ", "2 a", "3 9", "3 10", "3 z", "2 b", "3 x", "3 y"]);
  store.sort.value = null;
  assert.deepEqual(shown(), ["1 ", "2 b", "3 x", "3 y", "2 a", "3 z", "3 10", "3 9"]);
});

test("a node deep in closed groups is revealed", () => {
  const { state, shown } = view(BLOCKS);
  state.setAllOpen(false);
  assert.deepEqual(shown(), ["1 ", "2 h"]);
  state.reveal(state.nodeOf("h.3.b") as TreeNode);
  assert.ok(shown().includes("5 b"));
  const rows = state.rows.value;
  const at = rows.findIndex((row) => row.node.path === "h.3.b");
  assert.equal(rows[state.parentRow(at)]?.node.path, "h.3");
  assert.deepEqual([rows[at]?.position, rows[at]?.siblings], [2, 2]);
});

test("a new overview of the same model keeps the tree and what is open", () => {
  const { state, overview, shown } = view(BLOCKS);
  const tree = state.tree.value;
  state.setOpen([state.rows.value[2]?.node as TreeNode], true);
  const before = shown();
  overview.value = fakeOverview({
    tensors: BLOCKS.map((name) => ({ name, shape: [2] })),
    columns: { std: [1] },
  });
  assert.equal(state.tree.value, tree);
  assert.deepEqual(shown(), before);
});

test("20 000 open rows: closing and opening one branch", () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `layers.${i % 40}.experts.${Math.floor(i / 40)}.w`);
  const { state } = view(names);
  state.setAllOpen(true);
  assert.ok(state.rows.value.length > 20_000);
  const branch = state.nodeOf("layers.3.experts.7") as TreeNode;
  const open = state.rows.value.length;
  for (let round = 0; round < 10; round++) {
    state.setOpen([branch], round % 2 === 1);
    assert.equal(state.rows.value.length, round % 2 === 1 ? open : open - branch.children.length);
  }
});
