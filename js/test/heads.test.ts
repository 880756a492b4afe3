import assert from "node:assert/strict";
import { test } from "node:test";
import { type AttentionLayer, type Axes, NO_LAYERS } from "../src/anatomy";
import {
  concernsAttention,
  describeHeads,
  headless,
  headPath,
  inside,
  kvHead,
  placeOf,
  roughNorms,
} from "../src/panels/heads/layers";
import { chain } from "../src/panels/heads/order";
import { fakeOverview } from "./fake";

const blocks = (tensor: number, axis: number, first: number, count: number, size = 4) => ({
  ...{ tensor, axis, first, step: size, size, count },
  transposed: axis === 1,
});

/** A fused grouped-query layer, and one with separate projections. */
const layers: AttentionLayer[] = [
  {
    ...{ path: "h.0.attn", heads: 6, kv_heads: 2, head_dim: 4, rotary: true, certain: true, why: "" },
    query: blocks(0, 0, 0, 6),
    key: blocks(0, 0, 24, 2),
    value: blocks(0, 0, 32, 2),
    output: blocks(1, 1, 0, 6),
  },
  {
    ...{ path: "h.1.attn", heads: 3, kv_heads: 3, head_dim: 4, rotary: null, certain: false, why: "a guess" },
    query: blocks(2, 0, 0, 3),
    key: blocks(3, 0, 0, 3),
    value: null,
    output: null,
  },
];
const attention: Axes = {
  ...{ names: ["(head head_dim)", "in"], what: "attention", certain: false, why: "", output: 0, input: 1 },
  ...{ spatial: [], groups: 1, splits: [] },
};
const overview = fakeOverview({
  tensors: [
    { name: "h.0.attn.qkv.weight", shape: [40, 10], axes: attention },
    { name: "h.0.attn.out.weight", shape: [10, 24] },
    { name: "h.1.attn.q.weight", shape: [12, 10] },
    { name: "h.1.attn.k.weight", shape: [12, 10] },
    { name: "h.2.attn.q.weight", shape: [12, 10], axes: attention },
    { name: "mlp.weight", shape: [12, 10] },
  ],
  layers: { ...NO_LAYERS, attention: layers },
});
const at = (path: string): [string, number] | null => {
  const found = placeOf(overview, path);
  return found && [found.layer.path, found.head];
};

test("a path lies in a layer and a head", () => {
  assert.deepEqual(at("h.0.attn › head 5"), ["h.0.attn", 5]);
  assert.deepEqual(at("h.0.attn › head 5 › key"), ["h.0.attn", 5]);
  assert.deepEqual(at("h.0.attn › head 12"), ["h.0.attn", -1]);
  assert.deepEqual(at("h.1.attn.q.weight › head 2"), ["h.1.attn", 2]);
  assert.deepEqual(at("h.1.attn.q.weight"), ["h.1.attn", -1]);
  assert.deepEqual(at("h.1.attn"), ["h.1.attn", -1]);
  assert.deepEqual(at("h.1.attn.q"), ["h.1.attn", -1]);
  assert.equal(at("h.1"), null);
  assert.equal(at("mlp.weight"), null);
});

test("blocks of shared keys and values are numbered by themselves", () => {
  assert.deepEqual(at("h.0.attn.qkv.weight › q › head 5"), ["h.0.attn", 5]);
  assert.deepEqual(at("h.0.attn.qkv.weight › k › head 1"), ["h.0.attn", 3]);
  assert.deepEqual(at("h.0.attn.qkv.weight › v"), ["h.0.attn", -1]);
  assert.deepEqual(at("h.0.attn.out.weight › head 4"), ["h.0.attn", 4]);
  assert.equal(kvHead(layers[0] as AttentionLayer, 2), 0);
  assert.equal(kvHead(layers[0] as AttentionLayer, 3), 1);
});

test("the view is there for layers, what contains them and what lies in them", () => {
  const there = (path: string): boolean => concernsAttention(overview, overview.rowOf(path), path);
  assert.ok(["", "h", "h.0", "h.0.attn", "h.0.attn.qkv.weight", "h.0.attn › head 1"].every(there));
  assert.ok(!["mlp", "mlp.weight", "h.2", "h.2.attn.q.weight"].some(there));
  assert.ok(inside("a.b", "a") && inside("a › x", "a") && !inside("ab", "a"));
});

test("projections whose heads nobody told are found", () => {
  assert.deepEqual(headless(overview), [4]);
});

test("what kind of attention it is", () => {
  const layer = layers[0] as AttentionLayer;
  assert.equal(describeHeads(layer), "6 heads of 4 on 2 key/value heads (grouped-query)");
  assert.match(describeHeads({ ...layer, kv_heads: 1 }), /multi-query/);
  assert.equal(describeHeads({ ...layer, kv_heads: 6 }), "6 heads of 4");
  assert.equal(headPath(layer, 3), "h.0.attn › head 3");
});

test("norms of heads from those of rows: exact where there is one for each, else at least as large", () => {
  const norms = Float64Array.from({ length: 12 }, (_, row) => Math.sin(row + 1) ** 2);
  const exact = Array.from({ length: 3 }, (_, head) => Math.hypot(...norms.slice(4 * head, 4 * head + 4)));
  const of = (entries: Float32Array) => {
    const rough = roughNorms(
      { ...overview, profiles: () => ({ rows: entries, cols: new Float32Array(10) }) },
      blocks(2, 0, 0, 3),
    );
    assert.ok(rough);
    return rough;
  };
  const whole = of(Float32Array.from(norms));
  assert.ok(whole.exact);
  exact.forEach((norm, head) => {
    assert.ok(Math.abs((whole.values[head] as number) - norm) < 1e-6);
  });
  for (const m of [5, 7, 11]) {
    const pooled = Float32Array.from({ length: m }, (_, k) =>
      Math.max(...norms.slice(Math.floor((k * 12) / m), Math.floor(((k + 1) * 12) / m))),
    );
    const bound = of(pooled);
    assert.ok(!bound.exact);
    exact.forEach((norm, head) => {
      assert.ok((bound.values[head] as number) >= norm - 1e-6, `${m} entries, head ${head}`);
    });
  }
});

test("neighbours in a chain are alike, whatever the sign", () => {
  // 0 – 2 – 3 – 1 by falling likeness.
  const cosines = [1, 0, 0.8, 0.1, 0, 1, 0.1, -0.5, 0.8, 0.1, 1, -0.7, 0.1, -0.5, -0.7, 1];
  assert.deepEqual(chain(cosines, 4), [0, 2, 3, 1]);
  assert.deepEqual([...chain(new Float64Array(25).fill(Number.NaN), 5)].sort(), [0, 1, 2, 3, 4]);
  assert.deepEqual(chain([], 0), []);
  assert.deepEqual(chain([1], 1), [0]);
});
