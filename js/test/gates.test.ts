import assert from "node:assert/strict";
import { test } from "node:test";
import type { RecurrentLayer } from "../src/anatomy";
import { NO_LAYERS } from "../src/anatomy";
import type { Overview, Thumbnail } from "../src/overview";
import { biasRange } from "../src/panels/gates/cards";
import { type Gate, ofOverview } from "../src/panels/gates/data";
import { blockPath, counterpart, gateMeaning, layerLabel, layersAt } from "../src/panels/gates/layers";
import {
  addBiases,
  biasTimeScale,
  binned,
  cutThumbnail,
  eigenFacts,
  median,
  ranking,
} from "../src/panels/gates/numbers";
import { domainOf } from "../src/panels/gates/timescale";
import { type FakeTensor, fakeOverview } from "./fake";

const TENSORS: FakeTensor[] = [
  { name: "emb.weight", shape: [9, 3] },
  ...["", "_reverse"].flatMap((suffix) =>
    [0, 1].flatMap((layer) => [
      { name: `enc.lstm.weight_ih_l${layer}${suffix}`, shape: [8, layer === 0 ? 3 : 4] },
      { name: `enc.lstm.weight_hh_l${layer}${suffix}`, shape: [8, 2] },
      { name: `enc.lstm.bias_ih_l${layer}${suffix}`, shape: [8] },
      { name: `enc.lstm.bias_hh_l${layer}${suffix}`, shape: [8] },
    ]),
  ),
  { name: "rnn.weight_ih_l0", shape: [5, 4] },
  { name: "rnn.weight_hh_l0", shape: [5, 5] },
  { name: "gru.kernel", shape: [3, 12] },
  { name: "gru.recurrent_kernel", shape: [4, 12] },
  { name: "gru.bias", shape: [2, 12] },
];

const row = (name: string): number => TENSORS.findIndex((tensor) => tensor.name === name);

function lstm(layer: number, reverse: boolean): RecurrentLayer {
  const end = `_l${layer}${reverse ? "_reverse" : ""}`;
  return {
    path: "enc.lstm",
    kind: "LSTM",
    layer,
    reverse,
    gates: ["i", "f", "g", "o"],
    hidden: 2,
    inputs: layer === 0 ? 3 : 4,
    input: row(`enc.lstm.weight_ih${end}`),
    recurrent: row(`enc.lstm.weight_hh${end}`),
    input_bias: row(`enc.lstm.bias_ih${end}`),
    recurrent_bias: row(`enc.lstm.bias_hh${end}`),
    projection: null,
    layout: "torch",
    certain: true,
    why: "",
  };
}

const RNN: RecurrentLayer = {
  ...lstm(0, false),
  path: "rnn",
  kind: "RNN",
  gates: ["h"],
  hidden: 5,
  inputs: 4,
  input: row("rnn.weight_ih_l0"),
  recurrent: row("rnn.weight_hh_l0"),
  input_bias: null,
  recurrent_bias: null,
};

const GRU: RecurrentLayer = {
  ...RNN,
  path: "gru",
  kind: "GRU",
  gates: ["z", "r", "h"],
  hidden: 4,
  inputs: 3,
  input: row("gru.kernel"),
  recurrent: row("gru.recurrent_kernel"),
  input_bias: row("gru.bias"),
  recurrent_bias: row("gru.bias"),
  layout: "keras",
};

const LAYERS = [lstm(0, false), lstm(0, true), lstm(1, false), lstm(1, true), RNN, GRU];

function overviewOf(thumbnails: Record<string, Thumbnail> = {}): Overview {
  return {
    ...fakeOverview({ tensors: TENSORS }),
    layers: { ...NO_LAYERS, recurrent: LAYERS },
    thumbnail: (at) => thumbnails[TENSORS[at]?.name ?? ""] ?? null,
  };
}

test("layers of modules, tensors and blocks", () => {
  const overview = overviewOf();
  const at = (path: string): number[] => layersAt(overview, path).map((layer) => LAYERS.indexOf(layer));
  assert.deepEqual(at(""), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(at("enc"), [0, 1, 2, 3]);
  assert.deepEqual(at("enc.lstm"), [0, 1, 2, 3]);
  assert.deepEqual(at("enc.lstm.weight_ih_l1"), [2]);
  assert.deepEqual(at("enc.lstm.weight_ih_l1_reverse"), [3]);
  assert.deepEqual(at("enc.lstm.weight_hh_l0 › f"), [0]);
  assert.deepEqual(at("enc.lstm.bias_hh_l0 › f"), [0]);
  assert.deepEqual(at("gru.bias › recurrent › z"), [5]);
  assert.deepEqual(at("rnn"), [4]);
  assert.deepEqual(at("emb"), []);
  assert.deepEqual(at("emb.weight"), []);
  assert.deepEqual(at("enc.lst"), []);
  assert.deepEqual(at("nowhere › f"), []);
});

test("a plain RNN's block is its tensor", () => {
  const overview = overviewOf();
  assert.equal(
    blockPath(overview, lstm(0, false), row("enc.lstm.weight_hh_l0"), "f"),
    "enc.lstm.weight_hh_l0 › f",
  );
  assert.equal(blockPath(overview, RNN, RNN.recurrent, "h"), "rnn.weight_hh_l0");
});

test("what is selected, in another layer", () => {
  const overview = overviewOf();
  const to = (path: string, from: RecurrentLayer, other: RecurrentLayer): string =>
    counterpart(overview, path, from, other);
  const [first, back] = [lstm(0, false), lstm(0, true)];
  assert.equal(to("enc.lstm.weight_hh_l0 › f", first, back), "enc.lstm.weight_hh_l0_reverse › f");
  assert.equal(to("enc.lstm.bias_ih_l0", first, lstm(1, false)), "enc.lstm.bias_ih_l1");
  assert.equal(to("enc.lstm.weight_ih_l0 › f", first, GRU), "gru.kernel");
  assert.equal(to("enc.lstm.bias_ih_l0", first, RNN), "rnn");
  assert.equal(to("enc.lstm", first, RNN), "rnn");
});

test("layers have a number in the chooser only where there are several", () => {
  const overview = overviewOf();
  assert.equal(layerLabel(overview, lstm(1, true)), "enc.lstm · layer 1");
  assert.equal(layerLabel(overview, RNN), "rnn");
});

test("every gate has a name, and sigmoid gates are told from candidates", () => {
  for (const layer of LAYERS) {
    for (const gate of layer.gates) assert.notEqual(gateMeaning(layer.kind, gate).name, "");
  }
  const sigmoid = (kind: RecurrentLayer["kind"], gates: string): boolean[] =>
    [...gates].map((gate) => gateMeaning(kind, gate).sigmoid);
  assert.deepEqual(sigmoid("LSTM", "ifgoc"), [true, true, false, true, false]);
  assert.deepEqual(sigmoid("GRU", "rznh"), [true, true, false, false]);
});

test("time scales are those of the definition, for large biases too", () => {
  for (const bias of [-8, -1, 0, 0.3, 2, 5]) {
    const kept = 1 / (1 + Math.exp(-bias));
    const off = biasTimeScale(bias) * -Math.log(kept);
    assert.ok(Math.abs(off - 1) < 1e-9, `${bias}: ${off}`);
  }
  assert.ok(Math.abs(biasTimeScale(0) - Math.LOG2E) < 1e-15);
  assert.ok(Math.abs(biasTimeScale(40) / Math.exp(40) - 1) < 1e-9);
  assert.ok(Math.abs(biasTimeScale(-800) - 1 / 800) < 1e-15);
  assert.equal(biasTimeScale(800), Number.POSITIVE_INFINITY);
  assert.ok(Number.isNaN(biasTimeScale(Number.NaN)));
});

test("biases are added, and one that is not there adds nothing", () => {
  const one = Float64Array.of(1, -2);
  assert.deepEqual(addBiases(one, Float64Array.of(0.5, 2)), Float64Array.of(1.5, 0));
  assert.equal(addBiases(one, null), one);
  assert.equal(addBiases(null, one), one);
  assert.equal(addBiases(null, null), null);
});

test("medians, rankings and bins leave NaN out", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, Number.NaN, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
  assert.deepEqual([...ranking([1, 5, Number.NaN, 5, 7])], [4, 1, 3, 0, 2]);
  assert.deepEqual([...ranking([0, Number.POSITIVE_INFINITY])], [1, 0]);
  assert.deepEqual([...binned([-1, -0.5, 0, 0.99, 1, 1.2, Number.NaN], -1, 1, 4)], [1, 1, 1, 2]);
});

test("what an eigenvalue says", () => {
  const turning = eigenFacts(0, 0.5);
  assert.equal(turning.size, 0.5);
  assert.equal(turning.period, 4);
  assert.ok(!turning.grows && Math.abs(turning.steps - 1 / Math.LN2) < 1e-12);
  assert.equal(eigenFacts(-1.5, 0).period, 2);
  assert.ok(eigenFacts(-1.5, 0).grows);
  assert.equal(eigenFacts(0.9, 0).period, null);
  assert.equal(eigenFacts(1, 0).steps, Number.POSITIVE_INFINITY);
  assert.equal(eigenFacts(0, 0).steps, 0);
});

function counting(height: number, width: number): Thumbnail {
  return { height, width, data: Float32Array.from({ length: height * width }, (_, i) => i) };
}

test("thumbnails are cut where no cell belongs to two gates", () => {
  const rows = cutThumbnail(counting(8, 3), "rows", 4, 8);
  assert.deepEqual(
    rows?.map((part) => [part.height, part.width, part.data[0]]),
    [0, 1, 2, 3].map((part) => [2, 3, 6 * part]),
  );
  const cols = cutThumbnail(counting(2, 6), "cols", 3, 12);
  assert.deepEqual([...(cols?.[1]?.data ?? [])], [2, 3, 8, 9]);
  // 64 cells of 300 rows: a third of them is no whole number of cells.
  assert.equal(cutThumbnail(counting(64, 2), "rows", 3, 300), null);
  // 8 cells of 24 rows in 4 parts of 6: cells of 3 rows, two a part.
  assert.notEqual(cutThumbnail(counting(8, 2), "rows", 4, 24), null);
  // 8 cells of 20 rows in 4 parts of 5: cell 2 begins at row 5.
  assert.notEqual(cutThumbnail(counting(8, 2), "rows", 4, 20), null);
});

test("a range of biases holds zero and those of separate sides", () => {
  const gate = (bias: number[] | null, separate: [number[], number[]] | null = null): Gate =>
    ({
      bias: bias && Float64Array.from(bias),
      separate: separate?.map((side) => Float64Array.from(side)) ?? null,
    }) as unknown as Gate;
  const [low, high] = biasRange([gate([1, 2, Number.NaN]), gate(null, [[-3], [12]])]);
  assert.ok(low < -3 && low > -4 && high > 12 && high < 13);
  assert.deepEqual(biasRange([gate([0, 0])]), [-1, 1]);
  assert.ok(biasRange([gate([2, 3])])[0] < 0);
});

test("an axis of time scales spans at least half a decade", () => {
  const [low, high] = domainOf([0.3, 0.3]);
  assert.ok(high - low >= 0.5 && low < 0.3 && high > 0.3);
  const wide = domainOf([-1, 2]);
  assert.ok(wide[0] < -1 && wide[1] > 2);
});

test("without a kernel biases give the time scales where the overview has each of them", () => {
  const vector = (values: number[]): Thumbnail => ({
    height: 1,
    width: values.length,
    data: Float32Array.from(values),
  });
  const thumbnails = {
    "enc.lstm.weight_ih_l0": counting(8, 3),
    "enc.lstm.weight_hh_l0": counting(8, 2),
    "enc.lstm.bias_ih_l0": vector([0, 0, 1, 2, 0, 0, 0, 0]),
    "enc.lstm.bias_hh_l0": vector([0, 0, 0.5, -1, 0, 0, 0, 0]),
  };
  const known = ofOverview(overviewOf(thumbnails), lstm(0, false));
  assert.equal(known.origin, "overview");
  assert.deepEqual(known.gates[1]?.bias, Float64Array.of(1.5, 1));
  assert.deepEqual([...(known.scales ?? [])], [biasTimeScale(1.5), biasTimeScale(1)]);
  assert.deepEqual([...(known.gates[3]?.input.picture?.data ?? [])], [18, 19, 20, 21, 22, 23]);

  // One of the two is too long for the overview: their sum is not known.
  const short = ofOverview(
    overviewOf({ ...thumbnails, "enc.lstm.bias_hh_l0": vector([0, 1]) }),
    lstm(0, false),
  );
  assert.equal(short.scales, null);
  assert.equal(short.gates[1]?.bias, null);
  assert.equal(ofOverview(overviewOf(), RNN).scales, null);
});

test("a GRU's candidate keeps its two biases apart", () => {
  const known = ofOverview(overviewOf({ "gru.bias": counting(2, 12) }), GRU);
  assert.deepEqual(
    known.gates.map((gate) => gate.bias?.[0]),
    [12, 20, undefined],
  );
  assert.deepEqual(
    known.gates[2]?.separate?.map((side) => [...side]),
    [
      [8, 9, 10, 11],
      [20, 21, 22, 23],
    ],
  );
  assert.equal(known.scales?.[0], biasTimeScale(12));
});
