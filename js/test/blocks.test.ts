/** Blocks: the cases that Python follows too, their rows in the overview, and how their records come and go. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import cases from "../../tests/protocol/blocks.json";
import type { AttentionLayer, Axes, HeadBlocks, Split } from "../src/anatomy";
import { placesOf, withoutName } from "../src/blocks/place";
import { createBlocks } from "../src/blocks/store";
import { type Model, RequestFailed } from "../src/model";
import type { Overview } from "../src/overview";
import { crumbsOf } from "../src/panels/heading";
import { createTreeState } from "../src/panels/tree/state";
import { createStore } from "../src/store";
import type { TreeNode } from "../src/tree";
import { type FakeModel, fakeOverview } from "./fake";

interface GivenSplit extends Omit<Split, "inner"> {
  inner: GivenSplit[][];
}

const names = Object.keys(cases.tensors);

function axesOf(name: string): Axes | undefined {
  const given = (cases.axes as Record<string, { names: string[]; splits: GivenSplit[] }>)[name];
  if (!given) return undefined;
  const known = {
    what: "other",
    certain: true,
    why: "",
    output: 0,
    input: 1,
    spatial: [],
    groups: 1,
  } as const;
  return { ...known, ...given };
}

function layers() {
  const head = (given: { tensor: string } | null): HeadBlocks | null =>
    given && ({ ...given, tensor: names.indexOf(given.tensor) } as HeadBlocks);
  const attention = cases.attention.map((layer) => ({
    ...layer,
    query: head(layer.query),
    key: head(layer.key),
    value: head(layer.value),
    output: head(layer.output),
    rotary: null,
    certain: true,
    why: "",
  })) as AttentionLayer[];
  return { attention, recurrent: [], experts: [], embeddings: [] };
}

const LAYERS = layers();

function overviewOf(more: Partial<FakeModel> = {}): Overview {
  return fakeOverview({
    tensors: Object.entries(cases.tensors).map(([name, shape]) => ({
      name,
      shape,
      dtype: "float32",
      role: "weight",
      axes: axesOf(name),
    })),
    modules: { "enc.0.attn": "Attention" },
    layers: LAYERS,
    ...more,
  });
}

for (const given of cases.paths) {
  test(`shared case: ${given.path}`, () => {
    const overview = overviewOf();
    const place = placesOf(overview).find(given.path);
    if (given.missing) {
      assert.equal(place, null);
      return;
    }
    assert.ok(place);
    assert.equal(place.path, given.kept ?? given.path);
    if (given.parts) {
      assert.deepEqual(
        place.parts.map((part) => part.path),
        given.parts,
      );
      assert.deepEqual([place.box.length, place.shape.length, place.axes], [0, 0, null]);
      return;
    }
    assert.equal(overview.names[place.tensor], given.tensor);
    assert.deepEqual(place.box, given.box);
    assert.deepEqual(place.shape, given.shape);
    if (given.names) assert.deepEqual(place.axes?.names, given.names);
    assert.equal(place.axes?.names.length, place.shape.length);
  });
}

test("what is inside is listed, parents before children", () => {
  const { inside } = placesOf(overviewOf());
  // The tensor of that name comes before the block.
  assert.deepEqual(inside("lstm.weight"), ["lstm.weight › i", "lstm.weight › f", "lstm.weight › g"]);
  assert.deepEqual(
    inside("attn.qkv › q"),
    [0, 1, 2].map((head) => `attn.qkv › q › head ${head}`),
  );
  assert.deepEqual(inside("moe.w1 › expert 2"), ["moe.w1 › expert 2 › gate", "moe.w1 › expert 2 › up"]);
  assert.equal(inside("enc.0.attn").length, 6);
  assert.equal(inside("enc.1 › head 7").length, 3);
  assert.deepEqual(inside("enc.0.attn.q"), []);
  assert.deepEqual(inside("lstm.weight › f"), []);
});

test("names of axes lose what a part is", () => {
  assert.equal(withoutName("(gate hidden)", "gate"), "hidden");
  assert.equal(withoutName("(qkv head head_dim)", "qkv"), "(head head_dim)");
  assert.equal(withoutName("(gate_up hidden)", "half"), "hidden");
  assert.equal(withoutName("in", "gate"), "in");
});

// -- records ----------------------------------------------------------------------------------------------------------

const COLUMNS = ["count", "std", "min", "max", "argmin", "argmax"];

interface Asked {
  paths: string[];
  detail: string;
  answer(values?: Record<string, number[]>, errors?: Record<string, string>): Promise<void>;
  fail(message: string): Promise<void>;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 6; i++) await Promise.resolve();
}

function kernel() {
  const asked: Asked[] = [];
  const request = (kind: string, payload: { paths: string[]; detail: string }) =>
    new Promise((resolve, reject) => {
      assert.equal(kind, "records");
      const { paths, detail } = payload;
      const answer: Asked["answer"] = (values = {}, errors = {}) => {
        // At an odd offset, as it may lie in a host's message.
        const raw = new ArrayBuffer(8 * paths.length * COLUMNS.length + 4);
        const view = new DataView(raw, 4);
        paths.forEach((path, i) => {
          COLUMNS.forEach((_, k) => {
            view.setFloat64(8 * (i * COLUMNS.length + k), values[path]?.[k] ?? Number.NaN, true);
          });
        });
        resolve({
          columns: COLUMNS,
          shapes: paths.map(() => []),
          errors,
          buffers: [view],
        });
        return settle();
      };
      const fail: Asked["fail"] = (message) => {
        reject(new RequestFailed({ type: "ValueError", message }));
        return settle();
      };
      asked.push({ paths, detail, answer, fail });
    });
  return { asked, request };
}

function setUp(overview = overviewOf()) {
  const { asked, request } = kernel();
  const base = signal(overview);
  const life = new AbortController();
  const blocks = createBlocks({ request } as unknown as Model, base, life.signal);
  return { asked, base, life, ...blocks };
}

test("a block has a row beyond those of the overview, with what is known before its record comes", () => {
  const { overview } = setUp();
  const now = overview.value;
  const row = now.rowOf("lstm.weight › f");
  assert.ok(row >= now.rows);
  assert.equal(now.rowOf("lstm.weight › f"), row);
  assert.equal(now.names[row], "lstm.weight › f");
  assert.equal(now.isTensor(row), true);
  assert.deepEqual(now.shape(row), [7, 5]);
  assert.deepEqual([now.dtype(row), now.role(row), now.summarised(row)], ["float32", "weight", false]);
  assert.deepEqual(now.axes(row)?.names, ["hidden", "in"]);
  assert.equal(now.column("count")[row], 35);
  assert.ok(Number.isNaN(now.column("std")[row]));
  const head = now.rowOf("enc.0 › head 5");
  assert.equal(now.names[head], "enc.0.attn › head 5");
  assert.deepEqual([now.isTensor(head), now.kind(head), now.shape(head)], [false, "Attention", []]);
  assert.equal(now.column("count")[head], 4 * 8 * 4);
  assert.equal(now.rowOf("lstm.weight › x"), -1);
  assert.equal(now.block(0), null);
  assert.equal(now.names.length, now.rows + 2);
});

test("what is wanted in one turn is asked for at once, and then in the columns", async () => {
  const { asked, overview, store } = setUp();
  store.want(["lstm.weight › f", "lstm.weight › g"]);
  store.want(["lstm.weight › f", "lstm.weight", "no such path", "lstm.weight › x"]);
  await settle();
  assert.deepEqual(
    asked.map(({ paths, detail }) => [paths, detail]),
    [[["lstm.weight › f", "lstm.weight › g"], "numbers"]],
  );
  assert.equal(store.progress.value, 0);
  const before = overview.value;
  await asked[0]?.answer({
    "lstm.weight › f": [35, 0.5, -1, 2, 7, 34],
    "lstm.weight › g": [35, 0.25, -3, 1, 0, 1],
  });
  const now = overview.value;
  assert.notEqual(now, before);
  const row = now.rowOf("lstm.weight › f");
  assert.equal(now.column("std")[row], 0.5);
  assert.equal(now.column("std")[now.rowOf("lstm.weight › g")], 0.25);
  assert.deepEqual(now.extremeAt(row, "argmin"), [1, 2]);
  assert.deepEqual(now.extremeAt(row, "argmax"), [6, 4]);
  assert.ok(now.summarised(row));
  assert.equal(store.progress.value, 1);
  store.want(["lstm.weight › f"]);
  await settle();
  assert.equal(asked.length, 1);
});

test("more detail is asked for once more, and comes first", async () => {
  const { asked, store } = setUp();
  const experts = [0, 1, 2, 3, 4].map((expert) => `moe.w1 › expert ${expert}`);
  store.want(experts);
  await settle();
  store.want(["attn.qkv › q"]);
  store.want(["attn.qkv › v", "attn.qkv › k"], { detail: "histograms" });
  store.want(["moe.w1 › expert 1"], { detail: true });
  await settle();
  assert.equal(asked.length, 1);
  await asked[0]?.answer();
  assert.deepEqual([asked[1]?.paths, asked[1]?.detail], [["moe.w1 › expert 1"], "all"]);
  await asked[1]?.answer();
  assert.deepEqual([asked[2]?.paths, asked[2]?.detail], [["attn.qkv › k", "attn.qkv › v"], "histograms"]);
  await asked[2]?.answer();
  assert.deepEqual([asked[3]?.paths, asked[3]?.detail], [["attn.qkv › q"], "numbers"]);
  await asked[3]?.answer();
  assert.equal(store.progress.value, 1);
});

test("histograms come as those of the overview", async () => {
  const model = {
    request: async () => {
      return {
        columns: ["count"],
        shapes: [[7, 5]],
        errors: {},
        bins: 2,
        log_bins: 1,
        thumbnails: [[1, 2]],
        profiles: [[1, 2]],
        buffers: [
          Float64Array.of(35),
          Float64Array.of(30, 2, -1, 1, 1, 2),
          Float64Array.of(Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN),
          Float32Array.of(0.5, -0.25),
          Float32Array.of(3, 4, 5),
        ].map((array) => new DataView(array.buffer)),
      };
    },
  } as unknown as Model;
  const { overview, store } = createBlocks(model, signal(overviewOf()), new AbortController().signal);
  store.want(["lstm.weight › f"], { detail: true });
  await settle();
  const now = overview.value;
  const row = now.rowOf("lstm.weight › f");
  assert.deepEqual(now.histogram(row), {
    counts: Float64Array.of(30, 2),
    range: [-1, 1],
    below: 1,
    above: 2,
  });
  assert.equal(now.logHistogram(row), null);
  assert.deepEqual(now.thumbnail(row), { height: 1, width: 2, data: Float32Array.of(0.5, -0.25) });
  assert.deepEqual(now.profiles(row), { rows: Float32Array.of(3), cols: Float32Array.of(4, 5) });
});

test("an error is told of its block, and is not asked for again", async () => {
  const { asked, overview, store } = setUp();
  store.want(["attn.qkv › q", "attn.qkv › k"]);
  await settle();
  await asked[0]?.answer({ "attn.qkv › q": [96, 1, 0, 1, 0, 1] }, { 1: "the file is gone" });
  const now = overview.value;
  assert.equal(now.error(now.rowOf("attn.qkv › q")), "");
  assert.equal(now.error(now.rowOf("attn.qkv › k")), "the file is gone");
  assert.ok(Number.isNaN(now.column("std")[now.rowOf("attn.qkv › k")]));
  store.want(["attn.qkv › k"]);
  await settle();
  assert.equal(asked.length, 1);
  store.want(["attn.qkv › v"]);
  await settle();
  await asked[1]?.fail("unknown request 'records'");
  const later = overview.value;
  assert.equal(later.error(later.rowOf("attn.qkv › v")), "unknown request 'records'");
});

test("changed weights drop what was known, and it is asked for again", async () => {
  const columns = (std: number) => ({ std: names.map((name) => (name === "lstm.weight" ? std : 1)) });
  const { asked, base, overview, store } = setUp(overviewOf({ columns: columns(1) }));
  store.want(["lstm.weight › f", "attn.qkv › k"]);
  await settle();
  const values = { "lstm.weight › f": [35, 0.5, -1, 2, 7, 34], "attn.qkv › k": [96, 0.25, 0, 1, 0, 1] };
  await asked[0]?.answer(values);
  // Another overview of the same weights, as a scan sends them.
  base.value = overviewOf({ columns: columns(1) });
  await settle();
  assert.equal(asked.length, 1);
  const row = overview.value.rowOf("lstm.weight › f");
  assert.equal(overview.value.column("std")[row], 0.5);

  base.value = overviewOf({ columns: columns(2) });
  assert.equal(overview.value.summarised(row), false);
  assert.equal(overview.value.column("std")[overview.value.rowOf("attn.qkv › k")], 0.25);
  await settle();
  assert.deepEqual(asked[1]?.paths, ["lstm.weight › f"]);

  // The weights change once more while the answer is on its way: it is of the old ones.
  base.value = overviewOf({ columns: columns(3) });
  store.want(["attn.qkv › v"]);
  await asked[1]?.answer({ "lstm.weight › f": [35, 7, -1, 2, 7, 34] });
  assert.deepEqual(asked[2]?.paths.includes("lstm.weight › f"), true);
  await asked[2]?.answer({ "lstm.weight › f": [35, 9, -1, 2, 7, 34] });
  assert.equal(overview.value.column("std")[row], 9);
});

test("many weights are asked for in several requests", async () => {
  const wide = Array.from({ length: 600 }, (_, i) => `expert ${i}`);
  const split = { axis: 0, name: "expert", labels: wide, sizes: wide.map(() => 1), inner: [] };
  const axes = { ...(axesOf("lstm.weight") as Axes), names: ["expert", "out", "in"], splits: [split] };
  const { asked, store, overview } = setUp(
    fakeOverview({ tensors: [{ name: "w", shape: [600, 4, 3], axes }], modules: {} }),
  );
  store.want(overview.value.blocksOf("w"));
  await settle();
  let seen = 0;
  for (let i = 0; i < asked.length; i++) {
    const { paths, answer } = asked[i] as Asked;
    assert.ok(paths.length <= 256);
    seen += paths.length;
    await answer();
    assert.ok(Math.abs(store.progress.value - seen / 600) < 1e-12, `${store.progress.value} after ${seen}`);
  }
  assert.equal(seen, 600);
  assert.equal(asked[0]?.paths[0], "w › expert 0");
});

// -- the tree ---------------------------------------------------------------------------------------------------------

function tree() {
  const { asked, request } = kernel();
  const base = signal(overviewOf());
  const traits = { selected: signal(""), query: signal(""), facets: signal({}), drawn_axes: signal(null) };
  const model = { traits, request, kernel: signal("alive") } as unknown as Model;
  const store = createStore(model, base, signal("light"), new AbortController().signal);
  const state = createTreeState(store);
  const shown = (): string[] => state.rows.value.map(({ node, level }) => `${level} ${node.label}`);
  return { asked, base, state, store, traits, shown };
}

test("tensors unfold into blocks, layers into heads, when somebody asks", () => {
  const { state, shown } = tree();
  const before = shown();
  assert.ok(!before.includes("4 i"));
  const weight = state.nodeOf("lstm.weight") as TreeNode;
  assert.equal(state.rows.value.find(({ node }) => node === weight)?.open, false);
  assert.equal(state.rows.value.find(({ node }) => node.path === "enc.0.attn.q")?.open, null);
  state.setOpen([weight], true);
  const at = shown().indexOf("3 weight");
  assert.deepEqual(shown().slice(at, at + 5), ["3 weight", "4 i", "4 f", "4 g", "3 weight › o"]);
  assert.equal(state.rows.value[at + 1]?.open, null);

  const group = state.rows.value.find(({ node }) => node.label === "head 0 … 5");
  assert.equal(group?.open, false);
  state.setOpen([group?.node as TreeNode], true);
  const head = state.nodeOf("enc.0.attn › head 4") as TreeNode;
  assert.equal(head.kind, "block");
  state.setOpen([head], true);
  const labels = state.rows.value.filter(({ node }) => node.parent === head).map(({ node }) => node.label);
  assert.deepEqual(labels, ["query", "key", "value", "output"]);
  assert.ok(Number.isNaN(state.statistic(group?.node as TreeNode, "count")));
  assert.equal(state.statistic(head, "count"), 128);
});

test("a block deep inside is revealed", () => {
  const { state } = tree();
  for (const path of ["attn.qkv › k › head 2", "enc.0 › head 4 › value", "moe.w1 › expert 3 › up"]) {
    const node = state.nodeOf(path) as TreeNode;
    assert.ok(node, path);
    assert.equal(
      state.rows.value.some((row) => row.node === node),
      false,
    );
    state.reveal(node);
    assert.equal(
      state.rows.value.some((row) => row.node === node),
      true,
      path,
    );
  }
  assert.equal(state.nodeOf("attn.qkv › k › head 3"), null);
});

test("a filter neither unfolds blocks nor loses those that are unfolded", () => {
  const { state, traits, shown } = tree();
  traits.query.value = "lstm";
  assert.deepEqual(
    shown(),
    ["1 fake", "2 lstm", "3 weight", "3 weight › o"].map((row) => row.replace("fake", "")),
  );
  state.setOpen([state.nodeOf("lstm.weight") as TreeNode], true);
  assert.ok(shown().includes("4 f"));
  traits.query.value = "attn";
  assert.ok(!shown().includes("4 f"));
  traits.query.value = "";
  assert.ok(shown().includes("4 f"));
});

test("blocks are sorted by their statistics, heads stay behind what is in their layer", async () => {
  const { asked, state, store, shown } = tree();
  state.setOpen([state.nodeOf("lstm.weight") as TreeNode], true);
  store.blocks.want(["lstm.weight › i", "lstm.weight › f", "lstm.weight › g"]);
  await settle();
  await asked[0]?.answer({
    "lstm.weight › i": [35, 2, 0, 0, 0, 0],
    "lstm.weight › f": [35, 3, 0, 0, 0, 0],
    "lstm.weight › g": [35, 1, 0, 0, 0, 0],
  });
  store.sort.value = { key: "std", descending: true };
  assert.deepEqual(
    shown().filter((row) => row.startsWith("4 ") && row.length === 3),
    ["4 f", "4 i", "4 g", "4 q", "4 k", "4 v", "4 o"],
  );
  const attn = state.rows.value
    .filter(({ node }) => node.parent?.path === "enc.0.attn")
    .map(({ node }) => node.label);
  assert.equal(attn.at(-1), "head 0 … 5");
});

test("axes set by hand show at once", () => {
  const { base, state } = tree();
  state.setOpen([state.nodeOf("lstm.weight") as TreeNode], true);
  const thirds = { axis: 0, name: "part", labels: ["a", "b"], sizes: [8, 20], inner: [] };
  const overview = overviewOf();
  const own = { ...(axesOf("lstm.weight") as Axes), splits: [thirds] };
  base.value = { ...overview, axes: (row) => (row === 0 ? own : overview.axes(row)), layers: layers() };
  const labels = state.rows.value
    .filter(({ node }) => node.parent?.path === "lstm.weight")
    .map(({ node }) => node.label);
  assert.deepEqual(labels, ["a", "b"]);
});

test("the way to a block leads through its tensor or layer", () => {
  const { store } = tree();
  const crumbs = (path: string) =>
    crumbsOf(store.overview.value, path).map(({ label, target }) => [label, target]);
  assert.deepEqual(crumbs("attn.qkv › k › head 2"), [
    ["attn", "attn"],
    ["qkv", "attn.qkv"],
    ["k", "attn.qkv › k"],
    ["head 2", "attn.qkv › k › head 2"],
  ]);
  assert.deepEqual(crumbs("enc.0.attn › head 1 › key").at(-2), ["head 1", "enc.0.attn › head 1"]);
  assert.deepEqual(crumbs("lstm.weight › o"), [
    ["lstm", "lstm"],
    ["weight › o", "lstm.weight › o"],
  ]);
});
