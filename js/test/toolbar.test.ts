/** Texts of the toolbar about scan and training, and what the kernel is told of what is in sight. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import type { Model } from "../src/model";
import { formatRate, formatSeconds } from "../src/panels/toolbar/progress";
import { watchWords } from "../src/panels/toolbar/watch";
import { tensorsInSight } from "../src/panels/tree/look";
import { createTreeState } from "../src/panels/tree/state";
import { createStore } from "../src/store";
import { fakeOverview } from "./fake";

const plain = (text: string): string => text.replaceAll("\u2009", " ");

test("rates have two digits, whatever their size", () => {
  const cases: [number, string][] = [
    [2_140_000_000, "2.1 GB/s"],
    [2_000_000_000, "2.0 GB/s"],
    [960_000_000, "1.0 GB/s"],
    [14_400_000_000, "14 GB/s"],
    [340_400_000, "340 MB/s"],
    [52_000, "52 kB/s"],
    [3, "1 kB/s"],
  ];
  for (const [rate, text] of cases) assert.equal(plain(formatRate(rate)), text);
});

test("the time that is left is rounded up", () => {
  const cases: [number, string][] = [
    [0, "1 s"],
    [3.2, "4 s"],
    [89, "89 s"],
    [100, "2 min"],
    [5400, "2 h"],
  ];
  for (const [seconds, text] of cases) assert.equal(plain(formatSeconds(seconds)), text);
});

test("a training says its step, and how often it is read where that is not what was asked for", () => {
  assert.equal(plain(watchWords({ step: 1200, every: 100, asked: 100 })), "watching · step 1 200");
  assert.equal(
    plain(watchWords({ step: 1200, every: 400, asked: 100 })),
    "watching · step 1 200 · every 400 steps",
  );
});

test("what is in sight: unknown tensors in rows of their own, then those in closed modules", () => {
  const names = ["a.x.weight", "a.x.bias", "b.y.weight", "b.y.bias", "c.weight"];
  const known = new Set([1]);
  const base = signal(
    fakeOverview({
      tensors: names.map((name) => ({ name, shape: [3, 4] })),
      summarised: (row) => known.has(row),
    }),
  );
  const traits = { selected: signal(""), query: signal(""), facets: signal({}), drawn_axes: signal(null) };
  const model = { traits, kernel: signal("alive"), isCopy: false } as unknown as Model;
  const store = createStore(model, base, signal("light"), new AbortController().signal);
  const state = createTreeState(store);
  state.setOpen(state.branches(state.tree.value.root), true);
  assert.deepEqual(
    tensorsInSight(state.rows.value, base.value),
    names.filter((_, row) => !known.has(row)),
  );
  state.setOpen([state.nodeOf("a.x") ?? state.tree.value.root], false);
  assert.deepEqual(tensorsInSight(state.rows.value, base.value), [
    "b.y.weight",
    "b.y.bias",
    "c.weight",
    "a.x.weight",
  ]);
  // Of those in sight alone.
  assert.deepEqual(tensorsInSight(state.rows.value.slice(-1), base.value), ["c.weight"]);
});

test("a closed module of very many tensors is no long message", () => {
  const tensors = Array.from({ length: 5000 }, (_, k) => ({ name: `experts.${k}.weight`, shape: [2, 3] }));
  const base = signal(fakeOverview({ tensors, summarised: () => false }));
  const traits = { selected: signal(""), query: signal(""), facets: signal({}), drawn_axes: signal(null) };
  const model = { traits, kernel: signal("alive"), isCopy: false } as unknown as Model;
  const store = createStore(model, base, signal("light"), new AbortController().signal);
  const state = createTreeState(store);
  state.setOpen([state.tree.value.root], false);
  const paths = tensorsInSight(state.rows.value, base.value);
  assert.equal(paths.length, 200);
  assert.equal(paths[0], "experts.0.weight");
});
