import assert from "node:assert/strict";
import { test } from "node:test";
import { computed, effect, signal } from "@preact/signals-core";
import { type KernelState, type Range, RequestCancelled, RequestFailed } from "../src/model";
import type { Overview } from "../src/overview";
import {
  type Bins,
  binAt,
  binsToText,
  countBetween,
  fromOverview,
  fromReply,
  gridFor,
  height,
  normalCount,
  outside,
  tailsKnown,
} from "../src/panels/histogram/bins";
import { brushState } from "../src/panels/histogram/brush";
import { brushCount } from "../src/panels/histogram/count";
import {
  axisOf,
  brushPixels,
  geometry,
  heightOf,
  pan,
  roundTo,
  zoom,
} from "../src/panels/histogram/geometry";
import { histogramState } from "../src/panels/histogram/state";
import { entries, entriesToText, flatCell } from "../src/panels/statistics/entries";
import { rankOf } from "../src/panels/statistics/rank";
import type { Store } from "../src/store";
import { defaultAxes } from "../src/tensor";

/** Two tensors and the module around them; the first tensor has tails, a NaN and zeros. */
const COLUMNS: Record<string, number[]> = {
  count: [110, 6, 116],
  nan: [1, 0, 1],
  posinf: [0, 0, 0],
  neginf: [2, 0, 2],
  zeros: [7, 6, 13],
  mean: [0, 0, 0],
  std: [1, 0, 1],
  min: [-9, 0, -9],
  max: [5, 0, 5],
  absmax: [9, 0, 9],
};

function fakeOverview(): Overview {
  const local = { counts: Float64Array.of(10, 40, 40, 10), range: [-2, 2] as Range, below: 4, above: 3 };
  return {
    name: "model",
    tensors: 2,
    rows: 3,
    names: ["a.weight", "a.zero", "a"],
    isTensor: (row: number) => row < 2,
    rowOf: (path: string) => ["a.weight", "a.zero", "a"].indexOf(path),
    moduleRowOf: () => 2,
    shape: (row: number) => [[10, 11], [2, 3], []][row] ?? [],
    dtype: () => "float32",
    role: () => "weight",
    kind: () => "Linear",
    axes: () => null,
    sharedWith: () => -1,
    error: () => "",
    summarised: () => true,
    column: (key: string) => COLUMNS[key] ?? [Number.NaN, Number.NaN, Number.NaN],
    extremeAt: (row: number, which: string) => (row === 0 ? (which === "argmin" ? [3, 10] : [9, 0]) : null),
    histogram: (row: number) => (row === 1 ? null : local),
    logHistogram: () => null,
    thumbnail: () => null,
    profiles: () => null,
  } as unknown as Overview;
}

function overviewBins(): Bins {
  return fromOverview(fakeOverview(), 0, "value") as Bins;
}

test("the overview's tails become wide bins up to the extremes", () => {
  const bins = overviewBins();
  assert.deepEqual([...bins.edges], [-9, -2, -1, 0, 1, 2, 5]);
  assert.deepEqual([...bins.counts], [4, 10, 40, 40, 10, 3]);
  assert.deepEqual([bins.below, bins.above, bins.step], [0, 0, 1]);
  // Seven bins wide, so as high as a seventh of its weights.
  assert.equal(height(bins, 0), 4 / 7);
  assert.equal(height(bins, 1), 10);
  assert.deepEqual(outside(bins, [-2, 2]), { below: 4, above: 3 });
  assert.ok(tailsKnown(bins, [-2, 2]));
  assert.ok(!tailsKnown(bins, [-2, 1.5]));
  assert.ok(tailsKnown(bins, [-20, 20]));
});

test("every weight is in a bin, a tail or a bin of its own", () => {
  const bins = overviewBins();
  const all = countBetween(bins, -9, 5) + bins.nan + bins.posinf + bins.neginf;
  assert.equal(all, bins.total);
  assert.equal(countBetween(bins, -0.5, 0.5), 40);
  assert.equal(countBetween(bins, 6, 7), 0);
});

test("a reply is read wherever its buffer starts", () => {
  const raw = new ArrayBuffer(8 * 2 + 4);
  const view = new DataView(raw, 4);
  view.setFloat64(0, 3, true);
  view.setFloat64(8, 5, true);
  const counts = { below: 1, above: 2, zeros: 0, nan: 0, posinf: 0, neginf: 0 };
  const reply = { range: [-1, 1] as Range, ...counts, exact: true, relative_error: 0, buffers: [view] };
  const bins = fromReply(reply, "value", 11);
  assert.deepEqual([...bins.edges], [-1, 0, 1]);
  assert.deepEqual([...bins.counts], [3, 5]);
  assert.deepEqual(outside(bins, [-1, 1]), { below: 1, above: 2 });
  assert.throws(() => fromReply({ ...reply, buffers: [] }, "value", 11), /without counts/);
});

test("bins are found by their edges, the last one closed", () => {
  const bins = overviewBins();
  assert.deepEqual(
    [-9, -2, -1.5, 0, 5, 5.1, -10, Number.NaN].map((w) => binAt(bins, w)),
    [0, 1, 1, 3, 5, -1, -1, -1],
  );
});

test("whole numbers are not cut apart", () => {
  assert.deepEqual(gridFor([0, 1], 350, true), { bins: 2, range: [-0.5, 1.5] });
  assert.deepEqual(gridFor([-128, 127], 3500, true), { bins: 256, range: [-128.5, 127.5] });
  const coarse = gridFor([-1000, 1000], 350, true);
  assert.ok(Number.isInteger((coarse.range[1] - coarse.range[0]) / coarse.bins));
  assert.ok(coarse.bins <= 100 && coarse.range[1] >= 1000);
  assert.deepEqual(gridFor([-0.3, 0.4], 350, false), { bins: 100, range: [-0.3, 0.4] });
});

test("the normal curve holds as many weights as there are, on both axes", () => {
  for (const [scale, low, high] of [
    ["value", -6, 6],
    ["magnitude", -5, 1],
  ] as const) {
    const step = (high - low) / 2000;
    const bins = { ...overviewBins(), scale, step };
    let sum = 0;
    for (let at = low; at < high; at += step) sum += normalCount(bins, 0.1, 1, at + step / 2);
    assert.ok(Math.abs(sum - 107) < 0.02, `${scale}: ${sum}`);
  }
});

test("copied bins lose nothing", () => {
  const lines = binsToText(overviewBins()).trimEnd().split("\n");
  assert.equal(lines[0], "from w\tto w\tcount");
  assert.equal(lines[2], "-9\t-2\t4");
  assert.deepEqual(lines.slice(-3), ["NaN\t\t1", "-Inf\t\t2", "+Inf\t\t0"]);
});

test("nothing stands outside the plot, and tails keep their room", () => {
  for (const width of [206, 400, 700]) {
    const bare = geometry(width, 130, { ...overviewBins(), nan: 0, neginf: 0 });
    const full = geometry(width, 130, { ...overviewBins(), posinf: 3 });
    assert.equal(bare.specials.length, 0);
    assert.deepEqual(full.specials.map((bin) => bin.label).sort(), ["+Inf", "NaN", "−Inf"]);
    for (const place of [bare, full]) {
      assert.ok(place.below.x + place.below.width <= place.x0);
      assert.ok(place.x1 <= place.above.x && place.above.x + place.above.width <= width);
      for (const bin of place.specials) assert.ok(bin.x > place.above.x && bin.x + bin.width <= width);
    }
  }
  const zeros = geometry(400, 130, { ...overviewBins(), scale: "magnitude" }).specials.find(
    (b) => b.key === "zeros",
  );
  assert.equal(zeros?.count, 7);
});

test("a single weight has a height on both axes of counts", () => {
  for (const log of [false, true]) {
    assert.ok(heightOf(1, 1e9, 100, log) >= 1);
    assert.equal(heightOf(0, 10, 100, log), 0);
    assert.equal(heightOf(20, 10, 100, log), 100);
  }
  assert.ok(heightOf(1, 1e4, 100, true) > 4);
});

test("zooming keeps the value under the pointer and stays inside", () => {
  const limits: Range = [-9, 5];
  const near = zoom([-2, 2], 0.5, 1, limits);
  assert.deepEqual(near, [-0.5, 1.5]);
  assert.deepEqual(zoom(near, 100, 1, limits), limits);
  assert.deepEqual(pan([-2, 2], 50, limits), [1, 5]);
  const [low, high] = zoom([-2, 2], 0, 0.1, limits);
  assert.ok(high > low && low <= 0.1 && high >= 0.1);
});

test("a brush beyond the view stands on the end bins", () => {
  const place = geometry(400, 130, null);
  const view: Range = [-1, 1];
  const { toPixel } = axisOf(view, place);
  assert.deepEqual(brushPixels([-0.5, 0.5], view, place), [toPixel(-0.5), toPixel(0.5)]);
  assert.ok(brushPixels([0, 9], view, place)[1] > place.above.x + place.above.width);
  assert.deepEqual(brushPixels([-9, -8], view, place), [place.below.x, place.below.x + place.below.width]);
});

test("values read off the screen have the digits of a pixel", () => {
  assert.equal(roundTo(0.123456, 0.0013), 0.123);
  assert.equal(roundTo(-0.123456, 0.0013), -0.123);
  assert.equal(roundTo(1234.5, 13), 1230);
  assert.equal(roundTo(0.3, 0), 0.3);
  assert.equal(roundTo(1e-320, 1e-322), 1e-320);
});

interface Asked {
  kind: string;
  payload: { path: string; bins?: number; range?: Range | null; scale?: string };
  signal: AbortSignal;
  answer(reply: unknown): void;
  fail(message: string): void;
}

function fakeStore(): { store: Store; asked: Asked[]; end(): void } {
  const asked: Asked[] = [];
  const life = new AbortController();
  const overview = signal(fakeOverview());
  const traits = { selected: signal("a.weight"), value_range: signal<Range | null>(null) };
  const store = {
    overview,
    traits,
    selectedRow: computed(() => overview.value.rowOf(traits.selected.value)),
    model: {
      kernel: signal<KernelState>("alive"),
      request: (kind: string, payload: Asked["payload"], { signal }: { signal: AbortSignal }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(new RequestCancelled()));
          const fail = (message: string): void => reject(new RequestFailed({ type: "ValueError", message }));
          asked.push({ kind, payload, signal, answer: resolve, fail });
        }),
    },
    lifetime: life.signal,
    effect: (run: () => void) => {
      const stop = effect(run);
      life.signal.addEventListener("abort", stop);
    },
  };
  return { store: store as unknown as Store, asked, end: () => life.abort() };
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function replyTo({ payload }: Asked, range: Range = payload.range as Range): object {
  const counts = new Float64Array(payload.bins ?? 0).fill(1);
  const apart = { below: 4, above: 3, zeros: 7, nan: 1, posinf: 0, neginf: 2 };
  return { range, ...apart, exact: true, relative_error: 0, buffers: [new DataView(counts.buffer)] };
}

test("the overview shows at once, the exact histogram when it comes", async () => {
  const { store, asked, end } = fakeStore();
  const state = histogramState(store);
  assert.equal(state.bins.value?.origin, "overview");
  assert.deepEqual(state.view.value, [-2, 2]);
  assert.equal(asked.length, 0); // before the plot has a width
  state.pixels.value = 350;
  assert.deepEqual(asked[0]?.payload, { path: "a.weight", scale: "value", bins: 100, range: [-2, 2] });
  asked[0]?.answer(replyTo(asked[0]));
  await rest(0);
  assert.equal(state.bins.value?.exact, true);
  assert.deepEqual(state.view.value, [-2, 2]);
  // All weights of the other tensor are zero: nothing to ask for on the axis of magnitudes.
  store.traits.selected.value = "a.zero";
  state.scale.value = "magnitude";
  assert.equal(state.problem.value, "all weights are zero");
  assert.equal(state.bins.value?.zeros, 6);
  end();
});

test("only the resting places of a zoom are asked for, and what is overtaken is withdrawn", async () => {
  const { store, asked, end } = fakeStore();
  const state = histogramState(store);
  state.pixels.value = 350;
  for (let i = 0; i < 10; i++) state.zoomBy(0.9);
  assert.ok(asked[0]?.signal.aborted);
  await rest(120);
  assert.equal(asked.length, 2);
  assert.deepEqual(asked[1]?.payload.range, state.view.value);
  assert.equal(state.bins.value?.origin, "overview"); // stretched meanwhile
  assert.ok(state.zoomed.value);
  state.show(null);
  assert.ok(!state.zoomed.value);
  state.extend("below");
  assert.deepEqual(state.view.value, [-9, 2]);
  // Another tensor is seen whole, and asked for at once.
  store.traits.selected.value = "a";
  assert.deepEqual(state.view.value, [-2, 2]);
  assert.equal(asked.at(-1)?.payload.path, "a");
  end();
  assert.ok(asked.at(-1)?.signal.aborted);
});

test("without a histogram in the overview the kernel names the range, and faults are told", async () => {
  const { store, asked, end } = fakeStore();
  const state = histogramState(store);
  state.pixels.value = 350;
  state.scale.value = "magnitude";
  const last = (): Asked => asked.at(-1) as Asked;
  assert.deepEqual([last().payload.scale, last().payload.range], ["magnitude", null]);
  last().fail("the file has gone");
  await rest(0);
  assert.equal(state.problem.value, "the file has gone");
  state.scale.value = "value";
  assert.equal(state.problem.value, "");
  state.scale.value = "magnitude";
  last().answer(replyTo(last(), [-3, 1]));
  await rest(0);
  assert.deepEqual(state.view.value, [-3, 1]);
  assert.equal(state.bins.value?.counts.length, 100);
  const before = asked.length;
  await rest(100);
  assert.equal(asked.length, before); // the same once more would be idle
  end();
});

test("the brush's count is estimated first and exact later", async () => {
  const { store, asked, end } = fakeStore();
  const count = brushCount(store, computed(overviewBins));
  assert.equal(count.value, null);
  store.traits.value_range.value = [-1, 0.5];
  assert.deepEqual(count.value, { count: 60, total: 110, exact: false });
  store.traits.value_range.value = [-1, 1];
  await rest(120);
  assert.deepEqual(
    asked.map(({ payload }) => payload.range),
    [[-1, 1]],
  );
  asked[0]?.answer({ count: 81, total: 110, exact: true });
  await rest(0);
  assert.deepEqual(count.value, { count: 81, total: 110, exact: true });
  store.traits.value_range.value = null;
  assert.equal(count.value, null);
  end();
});

test("gestures set the trait once a frame, and are undone whole", () => {
  const frames: (() => void)[] = [];
  const frame = (): void => frames.splice(0).forEach((run) => void run());
  Object.assign(globalThis, {
    requestAnimationFrame: (run: () => void) => frames.push(run),
    cancelAnimationFrame: () => frames.splice(0),
  });
  const { store, end } = fakeStore();
  const state = histogramState(store);
  const brush = brushState(store, state);
  const { value_range: trait } = store.traits;
  let changes = 0;
  effect(() => {
    changes += trait.value ? 1 : 0;
  });
  brush.begin();
  for (let i = 1; i <= 20; i++) brush.drag([0, i / 10]);
  assert.equal(changes, 0);
  frame();
  assert.deepEqual(trait.value, [0, 2]);
  assert.equal(changes, 1);
  brush.drag([0, 1]);
  brush.end();
  assert.deepEqual(trait.value, [0, 1]);
  brush.begin();
  brush.drag([-1, 1]);
  brush.abandon();
  assert.deepEqual(trait.value, [0, 1]);
  brush.set(null);
  brush.undo();
  assert.deepEqual(trait.value, [0, 1]);
  brush.undo();
  assert.equal(trait.value, null);
  brush.undo();
  assert.equal(trait.value, null);

  // On the axis of magnitudes one interval lies on one side of zero.
  state.scale.value = "magnitude";
  brush.sign.value = -1;
  brush.begin();
  brush.drag([-2, -1]);
  brush.end();
  assert.deepEqual(trait.value, [-0.1, -0.01]);
  assert.deepEqual(brush.shown.value, [-2, -1]);
  brush.begin();
  brush.drag([-2, Math.log10(7.9148)]);
  brush.end();
  assert.deepEqual(trait.value, [-7.92, -0.01]);
  trait.value = [10, 100];
  assert.equal(brush.sign.value, 1);
  assert.deepEqual(brush.shown.value, [1, 2]);
  trait.value = [-1, 1];
  assert.equal(brush.shown.value, null);
  assert.match(brush.hint.value, /across zero/);
  end();
});

test("ranks among the tensors that pass", () => {
  const values = [5, 1, 3, 2, 4, Number.NaN];
  const overview = {
    tensors: values.length,
    isTensor: (row: number) => row < values.length,
    sharedWith: () => -1,
    column: () => values,
  } as unknown as Overview;
  const all = new Uint8Array(values.length).fill(1);
  assert.deepEqual(rankOf(overview, "std", 0, all), { share: 1, text: "largest of 5 tensors" });
  assert.deepEqual(rankOf(overview, "std", 1, all), { share: 0, text: "smallest of 5 tensors" });
  assert.deepEqual(rankOf(overview, "std", 4, all), { share: 0.75, text: "2nd largest of 5 tensors" });
  assert.equal(rankOf(overview, "std", 5, all), null);
  assert.equal(rankOf(overview, "std", 0, Uint8Array.of(1, 1, 1, 0, 0, 0)), null);
});

test("the table has all digits when it is copied, and one line a value", () => {
  const overview = fakeOverview();
  const shown = entries({ ...overview, kind: () => "a\tb\nc" } as Overview, 0, "a.weight");
  const copied = new Map(
    entriesToText(shown)
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t") as [string, string]),
  );
  assert.equal(copied.get("kind"), "a b c");
  assert.equal(copied.get("argmin"), "[3, 10]");
  assert.equal(copied.get("min"), "-9");
  const column = (key: string): ArrayLike<number> =>
    key === "std" ? Float64Array.of(Math.fround(0.1)) : key === "l2" ? [2.4e-200 / 7] : overview.column(key);
  const fine = entries({ ...overview, column } as Overview, 0, "a.weight").flatMap((entry) => entry.copied);
  assert.deepEqual(
    fine.filter(([key]) => key === "std" || key === "l2"),
    [
      ["std", "0.1"],
      ["l2", "3.4285714e-201"],
    ],
    "digits beyond those of the float32 that came would be made up",
  );
  assert.equal(copied.get("shape"), "10×11");
  const zeros = shown.find(({ label }) => label === "exact zeros");
  assert.equal(zeros?.text, "7 (6.36\u2009%)");
  const unknown = entries({ ...overview, summarised: () => false } as Overview, 0, "a.weight");
  assert.equal(unknown.find(({ label }) => label === "std")?.text, "…");
  assert.equal(unknown.find(({ label }) => label === "min")?.link, undefined);
});

test("positions are cells of the default matrix", () => {
  assert.deepEqual(flatCell([10, 11], defaultAxes([10, 11]), [3, 10]), [3, 10]);
  assert.deepEqual(flatCell([4, 3, 5, 2], defaultAxes([4, 3, 5, 2]), [2, 1, 4, 1]), [2, 19]);
  assert.deepEqual(flatCell([7], defaultAxes([7]), [5]), [0, 5]);
  assert.deepEqual(flatCell([], defaultAxes([]), []), [0, 0]);
});
