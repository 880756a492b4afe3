/** The numbers behind the spectrum view, and its requests. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { computed, effect, signal } from "@preact/signals-core";
import { RequestCancelled, RequestFailed } from "../src/model";
import {
  atRanks,
  cumulativeEnergy,
  densityOf,
  noiseCurve,
  noiseDensity,
  normOf,
  powerLawDensity,
  valuesToText,
} from "../src/panels/spectrum/curves";
import { numbersOf, numbersToText } from "../src/panels/spectrum/numbers";
import { dotsOf, pathOf } from "../src/panels/spectrum/plot";
import { type Full, type Law, readFull, readTop, type Top } from "../src/panels/spectrum/replies";
import { spectrumState } from "../src/panels/spectrum/state";
import { NUMBERS, type Reply } from "../src/protocol";
import type { Store } from "../src/store";
import { fakeOverview } from "./fake";

const view = (array: Float64Array | Float32Array | Int32Array): DataView => {
  // In the middle of a larger buffer, as messages have it.
  const all = new Uint8Array(array.byteLength + 3);
  all.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), 3);
  return new DataView(all.buffer, 3);
};
const doubles = (...values: number[]): DataView => view(Float64Array.from(values));
const singles = (...values: number[]): DataView => view(Float32Array.from(values));

const LAW: Law = {
  x: Float64Array.of(0.25, 1, 2.25),
  perDecade: Float64Array.of(0, 2, 0),
  below: Float64Array.of(0, 0.5, 1),
};

function fullReply(values: number[], more: Partial<Reply<"spectrum">> = {}): Reply<"spectrum"> {
  return {
    rows: values.length,
    cols: 40,
    method: "svd",
    places: 1,
    rank: values.length,
    rank_is_limited: false,
    condition_is_limited: false,
    spikes: 1,
    tail: 9,
    buffers: [
      doubles(...values),
      doubles(...NUMBERS.map((_, i) => i + 0.5)),
      doubles(),
      doubles(...LAW.x, ...LAW.perDecade, ...LAW.below),
    ],
    ...more,
  } as Reply<"spectrum">;
}

function topReply(seconds: number | null = 0.1): Reply<"spectrum.top"> {
  return {
    rows: 3,
    cols: 4,
    frobenius: 5,
    steps: [3, 2],
    seconds,
    why_not: seconds === null ? "too large" : "",
    shuffles: true,
    init: { text: "some initialisation", certain: true, std: 0.1 },
    buffers: [
      doubles(4, 3),
      doubles(0, 0.25),
      doubles(1, 2, 3, 4),
      singles(1, 0, 0, 0, 1, 0, /* high */ 1, 0, 0, 0, 1, 0),
      singles(-1, 0, 0, 0.5, /* high */ 0, 1, 0, 0.75),
      view(Int32Array.of(0, 1)),
      view(Int32Array.of(3, 2)),
      singles(1, 1),
      singles(0.9, 0.8),
      doubles(0, 3),
      doubles(2, 1),
    ],
  } as Reply<"spectrum.top">;
}

test("energy is the share of the squares, whatever the scale", () => {
  assert.deepEqual([...cumulativeEnergy([4, 3], 5)], [0.64, 1]);
  const tiny = cumulativeEnergy([4e-200, 3e-200], 5e-200);
  assert.ok(Math.abs((tiny[0] as number) - 0.64) < 1e-12);
  assert.deepEqual([...cumulativeEnergy([0, 0], 0)], [0, 0]);
  assert.equal(normOf([4, 3]), 5);
  assert.ok(Math.abs(normOf([4e200, 3e200]) / 5e200 - 1) < 1e-12);
  assert.equal(normOf([0, 0]), 0);
});

test("curves are read at the middles of the ranks", () => {
  const curve = { ranks: Float64Array.of(0, 2, 4), values: Float64Array.of(8, 4, 0) };
  assert.deepEqual([...atRanks(curve, 4)], [7, 5, 3, 1]);
  const steps = { ranks: Float64Array.of(0.5, 1.5), values: Float64Array.of(3, 2) };
  assert.deepEqual([...atRanks(steps, 2)], [3, 2]);
});

test("the law of noise has the units of the matrix", () => {
  const curve = noiseCurve(LAW, 0.1, 10, 400);
  assert.deepEqual([...curve.ranks], [0, 5, 10]);
  assert.deepEqual(
    [...curve.values].map((value) => Number(value.toFixed(9))),
    [3, 2, 1],
  );
  const points = noiseDensity(LAW, 0.1, { rows: 400, cols: 10 }, 0.5);
  assert.deepEqual(
    points.map(({ x, y }) => [Number((10 ** x).toFixed(9)), y]),
    [
      [1, 0],
      [4, 10],
      [9, 0],
    ],
  );
});

test("every value lies in a bin, and a boundary between two", () => {
  const squares = [100, 10, 9, 1, 0.5, 0.2, 1e-30, 0];
  const density = densityOf(squares);
  assert.ok(density);
  assert.equal(
    density.counts.reduce((sum, count) => sum + count, 0),
    6,
  );
  assert.equal(density.below, 2);
  const boundary = Math.log10(9.5);
  const split = densityOf(squares, boundary);
  assert.ok(split);
  const bin = (boundary - split.from) / split.width;
  assert.ok(Math.abs(bin - Math.round(bin)) < 1e-9);
  const beyond = split.counts.slice(Math.round(bin)).reduce((sum, count) => sum + count, 0);
  assert.equal(beyond, 2);
  assert.equal(densityOf([0, 0]), null);
  assert.equal(densityOf([7])?.counts.length, 1);
  assert.equal(densityOf([7, 7, 7])?.counts[0], 3);
});

test("the power law holds as many values as its tail", () => {
  const fit = { alpha: 2.5, xmin: 0.3, tail: 40 };
  const width = 0.001;
  const points = powerLawDensity(fit, 12, width);
  assert.equal(points[0]?.x, Math.log10(0.3));
  // A straight line on logarithmic axes ...
  const slopes = points.slice(1).map((point, i) => {
    const before = points[i] as { x: number; y: number };
    return (Math.log10(point.y) - Math.log10(before.y)) / (point.x - before.x);
  });
  for (const slope of slopes) assert.ok(Math.abs(slope + 1.5) < 1e-9);
  // ... whose integral is the number of values.
  let sum = 0;
  for (let x = Math.log10(0.3); x < 12; x += width)
    sum += 40 * 1.5 * Math.LN10 * width * 10 ** (-1.5 * (x - Math.log10(0.3)));
  assert.ok(Math.abs(sum - 40) < 0.1);
  assert.equal(points[0]?.y, 40 * 1.5 * Math.LN10 * width);
  assert.deepEqual(powerLawDensity({ alpha: Number.NaN, xmin: Number.NaN, tail: 0 }, 3, 1), []);
});

test("what the kernel sends is unpacked", () => {
  const full = readFull(fullReply([3, 2, 1]));
  assert.deepEqual([...full.values], [3, 2, 1]);
  assert.equal(full.numbers.spectral_norm, 0.5);
  assert.equal(full.numbers.xmin, NUMBERS.length - 0.5);
  assert.equal(full.pooled, null);
  assert.deepEqual([...(full.law?.below ?? [])], [0, 0.5, 1]);
  const top = readTop(topReply());
  assert.deepEqual([...top.values], [4, 3]);
  assert.deepEqual([top.left.length, top.right.length], [2, 2]);
  const [, second] = top.right;
  assert.ok(second);
  assert.deepEqual([...second.low], [0, 0.5]);
  assert.deepEqual([...second.high], [0, 0.75]);
  assert.deepEqual([second.length, second.participation], [4, 4]);
  assert.deepEqual([...second.places], [2]);
  assert.deepEqual([...(top.init?.values ?? [])], [2, 1]);
  assert.throws(() => readTop({ ...topReply(), buffers: [] }), /too little/);
});

const full = (values: number[], more: object = {}): Full => ({ ...readFull(fullReply(values)), ...more });
const text = (key: string, numbers: ReturnType<typeof numbersOf>): string =>
  numbers.find((number) => number.key === key)?.text ?? "missing";

test("numbers that are not known yet, or not at all, are not made up", () => {
  const none = numbersOf({ top: null, full: null, l2: 5, conv: false });
  assert.equal(text("frobenius_norm", none), "5");
  assert.equal(text("alpha", none), "–");
  const top: Top = readTop(topReply());
  const first = numbersOf({ top, full: null, l2: Number.NaN, conv: false });
  assert.equal(text("spectral_norm", first), "4");
  assert.equal(text("stable_rank", first), "1.563");
  assert.equal(text("effective_rank", first), "…");
  const values = Array.from({ length: 12 }, (_, i) => 12 - i);
  const all = numbersOf({ top, full: full(values), l2: Number.NaN, conv: false });
  assert.equal(text("numerical_rank", all), "12 of 12");
  assert.equal(text("spikes", all), "1");
  const few = numbersOf({ top, full: full([2, 1], { tail: 0 }), l2: Number.NaN, conv: false });
  assert.equal(text("spikes", few), "–");
  assert.equal(text("alpha", few), "–");
});

test("limits of the method are told where they matter", () => {
  const values = Array.from({ length: 12 }, (_, i) => 12 - i);
  const limited = full(values, { conditionIsLimited: true, rankIsLimited: true, method: "gram" });
  const numbers = numbersOf({ top: null, full: limited, l2: 1, conv: false });
  assert.match(text("condition_number", numbers), /^> /);
  assert.match(numbers.find(({ key }) => key === "numerical_rank")?.note ?? "", /lost in rounding/);
  assert.match(numbersToText("w", { top: null, full: limited, l2: 1, conv: false }), /Gram matrix/);
});

test("copied text has all digits and one line a number", () => {
  const values = Array.from({ length: 12 }, (_, i) => 12 - i);
  const copied = numbersToText("a\tb\n", { top: null, full: full(values), l2: 1, conv: true });
  const lines = new Map(
    copied
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t") as [string, string]),
  );
  assert.equal(lines.get("name"), "a b ");
  assert.equal(lines.get("matrix"), "12×40 (reshaped kernel)");
  assert.equal(lines.get("stable_rank"), "2.5");
  assert.equal(lines.get("spikes"), "1");
  assert.equal(valuesToText([2.5, 1]), "rank\tsingular value\n1\t2.5\n2\t1\n");
});

test("paths have gaps where there are no numbers", () => {
  assert.equal(
    pathOf([
      [0, 1],
      [1, Number.NaN],
      [2, 3],
      [3, 4],
    ]),
    "M0.00,1.00M2.00,3.00L3.00,4.00",
  );
  assert.equal(
    dotsOf([
      [1, 2],
      [Number.POSITIVE_INFINITY, 2],
    ]),
    "M1.00,2.00h0",
  );
});

interface Asked {
  kind: string;
  payload: { tensor: string };
  signal: AbortSignal;
  onProgress?(share: number): void;
  answer(reply: unknown): void;
  fail(error: Error): void;
}

function fakeStore() {
  const life = new AbortController();
  const asked: Asked[] = [];
  const columns = { mean: [1, 2], std: [1, 1] };
  const overview = signal(
    fakeOverview({
      tensors: [
        { name: "a", shape: [3, 4] },
        { name: "b", shape: [5, 6] },
      ],
      columns,
    }),
  );
  const selected = signal("a");
  const row = computed(() => overview.value.rowOf(selected.value));
  const traits = { selected, drawn_axes: signal(null), index: signal([]), view: signal("spectrum") };
  const store = {
    overview,
    selectedRow: row,
    traits,
    model: {
      kernel: signal("alive"),
      request: (kind: string, payload: Asked["payload"], options: Asked) =>
        new Promise((answer, fail) => {
          options.signal.addEventListener("abort", () => fail(new RequestCancelled()));
          asked.push({ kind, payload, signal: options.signal, onProgress: options.onProgress, answer, fail });
        }),
    },
    usualAxes: () => ({ rows: [0], cols: [1] }),
    lifetime: life.signal,
    effect: (run: () => void) => life.signal.addEventListener("abort", effect(run)),
  };
  return { store: store as unknown as Store, asked, selected, overview, columns, end: () => life.abort() };
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

test("the top is asked for first, then all; each once, and only while somebody looks", async () => {
  const { store, asked, selected, end } = fakeStore();
  const shown = signal(false);
  const state = spectrumState(store, shown);
  assert.equal(asked.length, 0);
  shown.value = true;
  assert.deepEqual(
    asked.map(({ kind, payload }) => [kind, payload.tensor]),
    [["spectrum.top", "a"]],
  );
  asked[0]?.answer(topReply());
  await settle();
  assert.equal(asked[1]?.kind, "spectrum");
  asked[1]?.onProgress?.(0.4);
  assert.deepEqual(state.progress.full.value.state === "running" && state.progress.full.value.share, 0.4);
  // What was begun goes on while another view is looked at.
  shown.value = false;
  assert.equal(asked[1]?.signal.aborted, false);
  asked[1]?.answer(fullReply([3, 2, 1]));
  await settle();
  assert.equal(state.known.value.full?.values.length, 3);
  shown.value = true;
  assert.equal(asked.length, 2);
  selected.value = "b";
  assert.equal(state.known.value.top, null);
  assert.equal(asked[2]?.payload.tensor, "b");
  // Kept: nothing is asked for again.
  selected.value = "a";
  assert.equal(asked[2]?.signal.aborted, true);
  assert.equal(state.known.value.full?.values.length, 3);
  assert.equal(asked.length, 3);
  end();
});

test("what takes long waits for a click and can be cancelled", async () => {
  const { store, asked, end } = fakeStore();
  const state = spectrumState(store, signal(true));
  asked[0]?.answer(topReply(45));
  await settle();
  assert.equal(asked.length, 1);
  assert.equal(state.asks.value, true);
  state.compute();
  assert.equal(asked[1]?.kind, "spectrum");
  state.cancel();
  await settle();
  assert.equal(asked[1]?.signal.aborted, true);
  assert.equal(state.progress.full.value.state, "idle");
  assert.equal(asked.length, 2);
  end();
});

test("a cancelled computation does not start again by itself", async () => {
  const { store, asked, end } = fakeStore();
  const state = spectrumState(store, signal(true));
  asked[0]?.answer(topReply());
  await settle();
  state.cancel();
  await settle();
  assert.equal(asked.length, 2);
  state.compute();
  assert.equal(asked.length, 3);
  end();
});

test("shuffled weights are asked for when somebody wants them", async () => {
  const { store, asked, end } = fakeStore();
  const state = spectrumState(store, signal(true));
  asked[0]?.answer(topReply());
  await settle();
  asked[1]?.answer(fullReply([3, 2, 1]));
  await settle();
  assert.equal(asked.length, 2);
  state.showShuffled.value = true;
  assert.equal(asked[2]?.kind, "spectrum.shuffled");
  asked[2]?.answer({ buffers: [doubles(2, 1.5, 1)] });
  await settle();
  assert.deepEqual([...(state.known.value.shuffled ?? [])], [2, 1.5, 1]);
  end();
});

test("faults are told, and not asked for again and again", async () => {
  const { store, asked, end } = fakeStore();
  const state = spectrumState(store, signal(true));
  asked[0]?.fail(
    new RequestFailed({ type: "NonFiniteError", message: "3 NaN: a spectrum needs finite weights" }),
  );
  await settle();
  assert.equal(state.problem.value, "3 NaN: a spectrum needs finite weights");
  assert.equal(asked.length, 1);
  end();
});

test("with other weights everything is asked for anew", async () => {
  const { store, asked, overview, end } = fakeStore();
  const state = spectrumState(store, signal(true));
  asked[0]?.answer(topReply());
  await settle();
  asked[1]?.answer(fullReply([3, 2, 1]));
  await settle();
  overview.value = fakeOverview({
    tensors: [
      { name: "a", shape: [3, 4] },
      { name: "b", shape: [5, 6] },
    ],
    columns: { mean: [1.5, 2], std: [1, 1] },
  });
  assert.equal(state.known.value.full, null);
  assert.equal(asked[2]?.kind, "spectrum.top");
  end();
});
