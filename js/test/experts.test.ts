import assert from "node:assert/strict";
import { test } from "node:test";
import { type ExpertLayer, NO_LAYERS } from "../src/anatomy";
import type { Overview } from "../src/overview";
import {
  concernsExperts,
  expertAt,
  inLayer,
  median,
  mostAlike,
  pathOf,
  pathsOf,
  ROUTER,
  rolesOf,
} from "../src/panels/experts/layers";
import { type Group, standouts } from "../src/panels/experts/standout";
import { fakeOverview } from "./fake";

const NAN = Number.NaN;

const SEPARATE: ExpertLayer = {
  path: "layers.0.mlp",
  experts: 12,
  weights: [
    { role: "up_proj", pattern: "layers.0.mlp.experts.*.up_proj.weight", stacked: null },
    { role: "down_proj", pattern: "layers.0.mlp.experts.*.down_proj.weight", stacked: null },
  ],
  router: 0,
  router_axis: 0,
  certain: true,
  why: "",
};

const STACKED: ExpertLayer = {
  path: "layers.1.mlp",
  experts: 3,
  weights: [{ role: "w1", pattern: "layers.1.mlp.w1", stacked: 0 }],
  router: null,
  router_axis: 0,
  certain: false,
  why: "",
};

function overview(): Overview {
  const made = fakeOverview({ tensors: [{ name: "layers.0.mlp.gate.weight" }, { name: "layers.1.mlp.w1" }] });
  return { ...made, layers: { ...NO_LAYERS, experts: [SEPARATE, STACKED] } };
}

test("paths lead to experts, of modules and of blocks", () => {
  const at = (path: string) => expertAt(SEPARATE, path);
  assert.deepEqual(at("layers.0.mlp.experts.11.up_proj.weight"), { expert: 11, role: "up_proj" });
  assert.deepEqual(at("layers.0.mlp.experts.1.down_proj.weight"), { expert: 1, role: "down_proj" });
  assert.deepEqual(at("layers.0.mlp.experts.1"), { expert: 1, role: null });
  assert.deepEqual(at("layers.0.mlp.experts.1.up_proj"), { expert: 1, role: null });
  for (const path of [
    "layers.0.mlp.experts.12.up_proj.weight",
    "layers.0.mlp.experts",
    "layers.0.mlp.experts.1x.up_proj.weight",
    "layers.0.mlp.experts.1.norm.weight",
    "layers.1.mlp.experts.1",
  ])
    assert.equal(at(path), null, path);
  assert.deepEqual(expertAt(STACKED, "layers.1.mlp.w1 › expert 2"), { expert: 2, role: "w1" });
  assert.deepEqual(expertAt(STACKED, "layers.1.mlp.w1 › expert 2 › gate"), { expert: 2, role: "w1" });
  assert.equal(expertAt(STACKED, "layers.1.mlp.w1"), null);
  assert.equal(expertAt(STACKED, "layers.1.mlp.w1 › expert 3"), null);
});

test("every path of an expert leads back to it", () => {
  for (const layer of [SEPARATE, STACKED])
    for (const { role } of layer.weights)
      pathsOf(layer, role).forEach((path, expert) => {
        assert.deepEqual(expertAt(layer, path), { expert, role });
      });
});

test("the view is there for layers, what is in them, and what contains them", () => {
  const made = overview();
  for (const path of [
    "",
    "layers",
    "layers.0",
    "layers.0.mlp",
    "layers.0.mlp.gate.weight",
    "layers.1.mlp.w1",
    "layers.1.mlp.w1 › expert 0",
  ])
    assert.ok(concernsExperts(made, path), path);
  for (const path of ["embed", "layers.2", "layers.0.norm", "layer"])
    assert.ok(!concernsExperts(made, path), path);
  assert.ok(inLayer(made, SEPARATE, "layers.0.mlp.gate.weight"));
  assert.ok(!inLayer(made, STACKED, "layers.0.mlp.gate.weight"));
});

test("roles of all layers, the router last", () => {
  assert.deepEqual(rolesOf([SEPARATE, STACKED]), ["up_proj", "down_proj", "w1", ROUTER]);
  assert.deepEqual(rolesOf([STACKED]), ["w1"]);
  assert.equal(pathOf(SEPARATE, "w1", 0), null);
  assert.equal(pathOf(SEPARATE, "up_proj", 12), null);
});

test("medians and the most alike", () => {
  assert.equal(median([3, NAN, 1, 2]), 2);
  assert.equal(median([4, 1]), 2.5);
  assert.ok(Number.isNaN(median([])));
  const cosines = [1, 0.2, -0.9, NAN, 0.2, 1, 0.1, NAN, -0.9, 0.1, 1, NAN, NAN, NAN, NAN, NAN];
  const { values, which } = mostAlike(cosines, 4);
  assert.deepEqual([...values], [-0.9, 0.2, -0.9, NAN]);
  assert.deepEqual([...which], [2, 0, 0, -1]);
});

function group(change: Partial<Group>): Group {
  const std = change.std ?? [1, 1.01, 0.99, 1.02, 0.98, 1];
  const same = Array.from(std, () => 0);
  return {
    layer: 0,
    role: "w1",
    shape: [40, 50],
    std,
    absmax: Array.from(std, (value) => 4 * value),
    nonfinite: same,
    noise: null,
    cosines: null,
    ...change,
  };
}

const told = (change: Partial<Group>): [number, string][] =>
  standouts([group(change)]).map(({ expert, what }) => [expert, what]);

test("experts that are alike do not stand out", () => {
  assert.deepEqual(told({}), []);
  // Far out by their spread, but by no tenth of their size.
  assert.deepEqual(told({ std: [1, 1.0001, 0.9999, 1, 1, 1.05] }), []);
});

test("larger, zero and broken experts stand out, the worst first", () => {
  assert.deepEqual(told({ std: [1, 1.01, 0.99, 1.02, 2, 1] }), [[4, "std 1.99 × the layer's median"]]);
  const found = told({ absmax: [4, 0, 4, 4, 4, 4], nonfinite: [0, 0, 2, 0, 0, 0] });
  assert.deepEqual(
    found.map(([expert]) => expert),
    [2, 1],
  );
});

test("weights that are like noise stand out, but not where small matrices are often so", () => {
  const noise = [1.4, 1.01, 1.5, 1.3, NAN, 1.2];
  assert.deepEqual(
    told({ noise }).map(([expert]) => expert),
    [1],
  );
  assert.deepEqual(told({ noise, shape: [12, 100] }), []);
  assert.deepEqual(told({ noise, shape: [20, 20] }), []);
  const fresh = told({ noise: [1, 1.01, 0.99, 1, 1, 1] });
  assert.equal(fresh.length, 1);
  assert.equal(fresh[0]?.[0], -1);
});

test("copies are told of the one that comes later", () => {
  const cosines = [1, 0, 1, 0, 1, 0, 1, 0, 1];
  assert.deepEqual(told({ std: [1, 1, 1], cosines }), [[2, "a copy of expert 0 (cosine 1)"]]);
});
