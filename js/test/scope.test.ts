/** What the histogram counts: parts of a tensor, how they are named, and what is asked for. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { computed, effect, signal } from "@preact/signals-core";
import { type KernelState, type Range, RequestCancelled } from "../src/model";
import type { Overview } from "../src/overview";
import { between, marker, spanned } from "../src/panels/heatmap/region";
import { fit } from "../src/panels/heatmap/viewport";
import { brushCount } from "../src/panels/histogram/count";
import { scopeState } from "../src/panels/histogram/scope";
import { histogramState } from "../src/panels/histogram/state";
import type { Region } from "../src/protocol";
import type { Hover, ScopeKind, Store } from "../src/store";

interface Asked {
  kind: string;
  payload: { path: string; bins?: number; range?: Range; region?: Region };
  signal: AbortSignal;
  answer(reply: unknown): void;
}

const AXES = { rows: [0], cols: [1, 2] };

/** One tensor of 6 x 4 x 5, drawn as 6 x 20. */
function fakeStore(kept: object | null = null): { store: Store; asked: Asked[]; end(): void } {
  const asked: Asked[] = [];
  const life = new AbortController();
  const local = { counts: Float64Array.of(60, 60), range: [-2, 2] as Range, below: 0, above: 0 };
  const overview = signal({
    names: ["w"],
    isTensor: () => true,
    rowOf: () => 0,
    shape: () => [6, 4, 5],
    dtype: () => "float32",
    error: () => "",
    block: () => null,
    kept: () => kept,
    summarised: () => true,
    column: (key: string) => [{ count: 120, min: -2, max: 2, absmax: 2, mean: 0, std: 1 }[key] ?? 0],
    histogram: () => local,
    logHistogram: () => null,
  } as unknown as Overview);
  const store = {
    overview,
    traits: {
      selected: signal("w"),
      value_range: signal<Range | null>(null),
      window: signal<number[] | null>(null),
      index: signal<number[]>([]),
      drawn_axes: signal(null),
    },
    selectedRow: signal(0),
    usualAxes: () => AXES,
    pinned: signal<Hover | null>(null),
    region: signal<Region | null>(null),
    scope: signal<ScopeKind>("all"),
    model: {
      kernel: signal<KernelState>("alive"),
      request: (kind: string, payload: Asked["payload"], { signal }: { signal: AbortSignal }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(new RequestCancelled()));
          asked.push({ kind, payload, signal, answer: resolve });
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

function cell(row: number, col: number, rows = 1, cols = 1): Hover {
  return { row, col, rows, cols, value: 0 };
}

test("parts are named with their place in the matrix and their number of weights", () => {
  const { store, end } = fakeStore();
  const { scope, missing } = scopeState(store);
  const text = computed(() => [scope.value.text, scope.value.count]);
  assert.deepEqual(text.value, ["", null]);
  store.scope.value = "row";
  assert.match(missing.value.row ?? "", /click a cell/);
  assert.equal(scope.value.kind, "all"); // as long as there is no row
  store.pinned.value = cell(4, 17);
  assert.deepEqual(text.value, ["row 4 of 6", 20]);
  assert.deepEqual(scope.value.fields.region, { rows: [4, 5], cols: [0, 20] });
  store.scope.value = "column";
  assert.deepEqual(text.value, ["column 17 of 20", 6]);
  store.pinned.value = cell(4, 16, 4, 8); // a pixel of several elements, cut off by the edges
  assert.deepEqual(text.value, ["columns 16–19 of 20", 24]);
  store.scope.value = "window";
  store.traits.window.value = [0, 6, 3, 9];
  assert.deepEqual(text.value, ["all rows × columns 3–8", 36]);
  store.scope.value = "region";
  store.region.value = { rows: [1, 3], cols: [2, 3] };
  assert.deepEqual(text.value, ["rows 1–2 × column 2", 2]);
  assert.deepEqual(scope.value.fields.axes, AXES);
  store.region.value = { rows: [1, 7], cols: [2, 3] }; // of another matrix
  assert.equal(scope.value.kind, "all");
  end();
});

test("without a kernel only what the overview keeps whole has parts", () => {
  for (const [kept, kind] of [
    [null, "all"],
    [{ levels: [0, 0] }, "row"],
  ] as const) {
    const { store, end } = fakeStore(kept);
    const { scope, missing } = scopeState(store);
    store.pinned.value = cell(1, 1);
    store.scope.value = "row";
    assert.equal(scope.value.kind, "row");
    (store.model.kernel as unknown as { value: KernelState }).value = "gone";
    assert.equal(scope.value.kind, kind);
    assert.equal(missing.value.row === null, kind === "row");
    if (kind === "all") assert.match(missing.value.region ?? "", /running kernel/);
    end();
  }
});

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function replyTo({ payload }: Asked): object {
  const counts = new Float64Array(payload.bins ?? 0).fill(1);
  const apart = { below: 0, above: 0, zeros: 0, nan: 0, posinf: 0, neginf: 0 };
  return {
    range: payload.range,
    ...apart,
    exact: true,
    relative_error: 0,
    buffers: [new DataView(counts.buffer)],
  };
}

test("a part is asked for alone, and named only once its numbers are there", async () => {
  const { store, asked, end } = fakeStore();
  const parts = scopeState(store);
  const state = histogramState(store, parts);
  state.pixels.value = 350;
  asked[0]?.answer(replyTo(asked[0]));
  await rest(0);
  assert.equal(state.bins.value?.total, 120);
  store.pinned.value = cell(2, 3);
  store.scope.value = "row";
  const first = asked.at(-1) as Asked;
  assert.deepEqual(first.payload.region, { rows: [2, 3], cols: [0, 20] });
  assert.equal(state.counted.value.kind, "all");
  first.answer(replyTo(first));
  await rest(0);
  assert.equal(state.counted.value.text, "row 2 of 6");
  assert.equal(state.bins.value?.total, 20);
  // Another row before the last one was answered: that one is withdrawn.
  store.pinned.value = cell(3, 3);
  const second = asked.at(-1) as Asked;
  store.pinned.value = cell(5, 3);
  assert.ok(second.signal.aborted);
  assert.equal(state.counted.value.text, "row 2 of 6");
  const third = asked.at(-1) as Asked;
  third.answer(replyTo(third));
  await rest(0);
  assert.equal(state.counted.value.text, "row 5 of 6");
  store.scope.value = "all";
  assert.equal(state.counted.value.kind, "all");
  assert.equal(state.bins.value?.total, 120);
  end();
});

test("brushing counts within the part", async () => {
  const { store, asked, end } = fakeStore();
  const parts = scopeState(store);
  const count = brushCount(store, signal(null), parts);
  store.region.value = { rows: [0, 2], cols: [1, 4] };
  store.scope.value = "region";
  store.traits.value_range.value = [0, 1];
  assert.equal(count.value, null);
  await rest(120);
  assert.deepEqual(asked[0]?.payload, {
    path: "w",
    range: [0, 1],
    region: { rows: [0, 2], cols: [1, 4] },
    axes: AXES,
    index: [0, 0, 0],
  });
  asked[0]?.answer({ count: 5, total: 6, exact: true });
  await rest(0);
  assert.deepEqual(count.value, { count: 5, total: 6, exact: true });
  end();
});

test("a region reaches from one point to the other, whichever comes first", () => {
  const v = { ...fit(60, 200, 400, 300), x: 10, y: 5, sx: 4, sy: 10 };
  const region = { rows: [7, 10], cols: [12, 28] };
  assert.deepEqual(spanned(v, [8, 20], [70, 49]), region);
  assert.deepEqual(spanned(v, [70, 49], [8, 20]), region);
  assert.deepEqual(spanned(v, [-500, -500], [9999, 9999]), { rows: [0, 60], cols: [0, 200] });
  assert.deepEqual(spanned(v, [8, 0], [8, 0], true), { rows: [0, 60], cols: [12, 13] });
  assert.deepEqual(between(cell(4, 9, 2, 2), cell(1, 12)), { rows: [1, 6], cols: [9, 13] });
});

test("a region is begun, stretched and let go by keys", () => {
  const { store, end } = fakeStore();
  const region = marker(store);
  region.toggle(null);
  assert.equal(store.region.value, null);
  region.toggle(cell(2, 3));
  assert.deepEqual([store.region.value, store.scope.value], [{ rows: [2, 3], cols: [3, 4] }, "region"]);
  region.follow(cell(1, 5));
  assert.deepEqual(store.region.value, { rows: [1, 3], cols: [3, 6] });
  region.toggle(cell(1, 5));
  region.follow(cell(0, 0)); // it stands
  assert.deepEqual(store.region.value, { rows: [1, 3], cols: [3, 6] });
  assert.ok(region.clear());
  assert.deepEqual([store.region.value, store.scope.value], [null, "all"]);
  assert.ok(!region.clear());
  end();
});
