/** The filter panel's arithmetic, and its facets as they are edited. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import type { Model, Range } from "../src/model";
import {
  assignBins,
  axisFor,
  countBins,
  type FacetAxis,
  prefersLog,
  rangeBetween,
} from "../src/panels/filters/bins";
import { createFilterState } from "../src/panels/filters/state";
import { createStore } from "../src/store";
import { fakeOverview } from "./fake";

Object.assign(globalThis, {
  requestAnimationFrame: (run: () => void) => setTimeout(run, 0),
  cancelAnimationFrame: clearTimeout,
});
const frame = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

test("wide-ranging statistics get a logarithmic scale", () => {
  assert.equal(prefersLog([1, 2, 30], 3), false);
  assert.equal(prefersLog([1, 2, 300], 3), true);
  assert.equal(prefersLog([-0.5, 0.3, 1], 3), false);
  assert.equal(prefersLog([-1, 0.5, 1, 800], 4), true);
  assert.equal(prefersLog([0, 0, 0], 3), false);
  assert.equal(axisFor([1, 300], 2, true)?.kind, "log");
  assert.equal(axisFor([0, 300], 2, true)?.kind, "symlog");
  assert.equal(axisFor([0, 300], 2, false)?.kind, "linear");
  assert.equal(axisFor([Number.NaN, Number.POSITIVE_INFINITY], 2, false), null);
});

test("only tensors count, and one value has an axis", () => {
  assert.deepEqual(axisFor([1, 2, 99], 2, false)?.domain, [1, 2]);
  assert.deepEqual(axisFor([4, 4], 2, false)?.domain, [2, 6]);
  assert.deepEqual(axisFor([0], 1, false)?.domain, [-0.5, 0.5]);
});

test("every finite value has a bin; the last one includes its upper edge", () => {
  const values = [0, 1, 2.5, 9.999, 10, Number.NaN, Number.POSITIVE_INFINITY];
  const axis = axisFor(values, values.length, false) as FacetAxis;
  const bins = assignBins(axis, values, values.length, 10);
  assert.deepEqual([...bins], [0, 1, 2, 9, 9, -1, -1]);
  assert.deepEqual([...countBins(bins, 10, [])], [1, 1, 1, 0, 0, 0, 0, 0, 0, 2]);
  const masks = [Uint8Array.of(1, 1, 0, 1, 1, 1, 1), Uint8Array.of(1, 0, 1, 1, 0, 1, 1)];
  assert.deepEqual([...countBins(bins, 10, masks)], [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
});

test("a brush over whole bins includes the values at its edges, on any scale", () => {
  for (const values of [
    [0.001, 0.02, 0.02001, 0.5, 3],
    [-7, -0.1, 0, 0.2, 4000],
    [3, 384, 147_456, 11_720_448, 12],
    [1e-9, 2e-9, 3.14159e-9, 7e-9, 8e-9],
    [0.99999, 1, 1.00001, 1.000005, 0.999995],
  ]) {
    for (const log of [false, true]) {
      const axis = axisFor(values, values.length, log) as FacetAxis;
      assert.ok(values.every((value) => within(value, rangeBetween(axis, 0, 1, 170, false))));
      for (const a of values) {
        for (const b of values) {
          const range = rangeBetween(axis, axis.place(a), axis.place(b), 170, false);
          assert.ok(within(a, range) && within(b, range), `${a} ${b} ${range}`);
        }
      }
    }
  }
});

test("ranges are no finer than a pixel, and counts are whole", () => {
  const axis = axisFor([0, 1], 2, false) as FacetAxis;
  assert.deepEqual(rangeBetween(axis, 0.123456, 0.654321, 100, false), [0.12, 0.66]);
  const counts = axisFor([1, 5_000_000], 2, true) as FacetAxis;
  for (const end of rangeBetween(counts, 0.1, 0.8, 170, true)) assert.ok(Number.isInteger(end));
});

function within(value: number, [low, high]: Range): boolean {
  // The axis itself is exact to rounding only; facets are compared with more tolerance than that.
  const slack = 1e-9 * Math.abs(value);
  return value >= low - slack && value <= high + slack;
}

function panel(): {
  state: ReturnType<typeof createFilterState>;
  facets: { value: Record<string, Range> };
  query: { value: string };
} {
  const overview = signal(
    fakeOverview({
      tensors: ["a", "b", "c", "d"].map((name) => ({ name })),
      columns: { std: [1, 2, 3, 4], mean: [1, 1, 2, 2], l2: [0, 0, 0, 9] },
    }),
  );
  const facets = signal<Record<string, Range>>({});
  const query = signal("");
  const traits = { selected: signal(""), query, facets, drawn_axes: signal(null) };
  const store = createStore(
    { traits } as unknown as Model,
    overview,
    signal("light"),
    new AbortController().signal,
  );
  return { state: createFilterState(store), facets, query };
}

function passing(masks: readonly Uint8Array[]): number[] {
  return [0, 1, 2, 3].filter((row) => masks.every((mask) => mask[row]));
}

test("each histogram counts what passes the query and all other facets", () => {
  const { state, facets, query } = panel();
  facets.value = { std: [2, 4], mean: [2, 2] };
  assert.deepEqual(passing(state.masksFor("std")), [2, 3]);
  assert.deepEqual(passing(state.masksFor("mean")), [1, 2, 3]);
  assert.deepEqual(passing(state.masksFor("l2")), [2, 3]);
  query.value = "-d";
  assert.deepEqual(passing(state.masksFor("mean")), [1, 2]);
});

test("facets are written once a frame, and undone a gesture at a time", async () => {
  const { state, facets } = panel();
  let writes = 0;
  signalEffect(facets, () => writes++);
  writes = 0;
  state.begin();
  for (let i = 0; i < 10; i++) state.set("std", [1, 2 + i]);
  await frame();
  assert.deepEqual(facets.value, { std: [1, 11] });
  assert.equal(writes, 1);
  state.begin();
  state.set("mean", [0, 1]);
  await frame();
  state.begin(); // a gesture that changes nothing
  state.begin();
  state.set("std", null);
  await frame();
  assert.deepEqual(facets.value, { mean: [0, 1] });
  state.undo();
  assert.deepEqual(facets.value, { std: [1, 11], mean: [0, 1] });
  state.undo();
  assert.deepEqual(facets.value, { std: [1, 11] });
  state.undo();
  state.undo();
  assert.deepEqual(facets.value, {});
});

test("clearing takes the query too, and comes back with one undo", () => {
  const { state, facets, query } = panel();
  facets.value = { std: [1, 2] };
  query.value = "a";
  state.clear();
  assert.deepEqual([facets.value, query.value], [{}, ""]);
  state.undo();
  assert.deepEqual([facets.value, query.value], [{ std: [1, 2] }, "a"]);
});

test("a facet that is set elsewhere gets its histogram", () => {
  const { state, facets } = panel();
  assert.equal(state.shown.value.includes("l2"), false);
  facets.value = { l2: [0, 1], nonsense: [0, 1] };
  assert.equal(state.shown.value.includes("l2"), true);
  assert.equal(state.shown.value.includes("nonsense"), false);
  state.add("l1");
  state.remove("std");
  assert.deepEqual(state.shown.value.slice(-2), ["l2", "l1"]);
  assert.equal(state.shown.value.includes("std"), false);
});

function signalEffect(of: { value: unknown }, run: () => void): void {
  (of as unknown as { subscribe(run: () => void): void }).subscribe(run);
}
