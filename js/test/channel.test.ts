/** The channel view's arithmetic: profiles over pixels, scales, words. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { hasChannels } from "../src/panels/channel";
import { type Profile, type Spread, unpackNumbers, unpackSpace } from "../src/panels/channel/data";
import { sliceOf } from "../src/panels/channel/open";
import { columns, isNothing, middles, stepAt, stripScale } from "../src/panels/channel/strip";
import { choiceText, deviationText, roleOf, shortName, strangeText } from "../src/panels/channel/words";
import type { ChannelMember } from "../src/protocol";
import { fakeOverview } from "./fake";

const spread = (parts: Partial<Spread>): Spread => ({
  median: 0,
  mad: 1,
  low: -1,
  high: 1,
  q05: -1,
  q95: 1,
  ...parts,
});

const profile = (low: number[], high = low): Profile => ({
  low: Float32Array.from(low),
  high: Float32Array.from(high),
  spread: spread({}),
});

const member = (parts: Partial<ChannelMember>): ChannelMember => ({
  tensor: "net.fc.weight",
  axis: 0,
  role: "writes",
  part: "",
  certain: true,
  why: "",
  times: 1,
  norm: true,
  error: "",
  ...parts,
});

const view = (numbers: number[], make: (of: number[]) => ArrayBufferView): DataView => {
  const made = make(numbers);
  return new DataView(made.buffer, made.byteOffset, made.byteLength);
};
const single = (numbers: number[]): DataView => view(numbers, (of) => Float32Array.from(of));
const double = (numbers: number[]): DataView => view(numbers, (of) => Float64Array.from(of));

test("a column of pixels holds every channel under it, the farthest ones too", () => {
  const values = Array.from({ length: 8192 }, (_, at) => (at === 4711 ? 90 : at === 17 ? -70 : at % 3));
  for (const width of [7, 301, 1000]) {
    const { low, high } = columns(profile(values), width);
    assert.equal(Math.max(...high), 90);
    assert.equal(Math.min(...low), -70);
    assert.equal(high[Math.floor((4711 * width) / 8192)], 90);
    assert.equal(low[Math.floor((17 * width) / 8192)], -70);
  }
});

test("few channels fill several columns each, without gaps", () => {
  const { low, high } = columns(profile([1, 2, 3]), 10);
  assert.deepEqual([...low], [1, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
  assert.deepEqual([...high], [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]);
});

test("channels that a tensor does not carry leave gaps, and hide none beside them", () => {
  const { low, high } = columns(profile([Number.NaN, 5, Number.NaN, Number.NaN]), 2);
  assert.deepEqual([low[0], high[0]], [5, 5]);
  assert.ok(Number.isNaN(low[1]));
});

test("what is under the pointer is a channel there is", () => {
  assert.equal(stepAt(-3, 100, 384), 0);
  assert.equal(stepAt(100, 100, 384), 383);
  assert.equal(stepAt(50, 100, 384), 192);
});

test("a strip's scale holds zero, and no outlier sets it", () => {
  const tame = stripScale(spread({ median: 1, mad: 0.1, low: 0.7, high: 1.4 }));
  assert.deepEqual(tame, { low: 0, high: 1.4 });
  const wild = stripScale(spread({ median: 1, mad: 0.1, low: 0.7, high: 80 }));
  assert.ok(wild.high < 3);
  assert.equal(wild.low, 0);
  assert.deepEqual(stripScale(spread({ median: 0, mad: 0, low: 0, high: 0 })), { low: 0, high: 1 });
  assert.deepEqual(stripScale(spread({ median: Number.NaN, mad: Number.NaN })), { low: 0, high: 1 });
  // More than half are equal: nothing says what is far.
  assert.deepEqual(stripScale(spread({ median: 1, mad: 0, low: 1, high: 9 })), { low: 0, high: 9 });
});

test("a gain of next to nothing and a norm of zero are nothing; a bias of zero is not", () => {
  assert.equal(isNothing(1e-9, "scales", false, 0.6), true);
  assert.equal(isNothing(-1e-9, "scales", false, -0.6), true);
  assert.equal(isNothing(0.01, "scales", false, 0.6), false);
  assert.equal(isNothing(0, "writes", true, 1), true);
  assert.equal(isNothing(0, "shifts", false, 1), false);
});

test("runs of columns are marked once", () => {
  assert.deepEqual(middles([3, 4, 5, 9, 12, 13]), [4, 9, 12.5]);
  assert.deepEqual(middles([]), []);
});

test("a channel's slice as a window of the heatmap", () => {
  assert.deepEqual(sliceOf([384, 1536], 0, 99), [99, 100, 0, 1536]);
  assert.deepEqual(sliceOf([384, 1536], 1, 856), [0, 384, 856, 857]);
  assert.deepEqual(sliceOf([32, 16, 3, 3], 1, 2), [0, 32, 18, 27]);
  assert.deepEqual(sliceOf([32], 0, 7), [0, 1, 7, 8]);
});

test("deviations have a tenth, large ones none", () => {
  assert.equal(deviationText(75.98), "+76\u2009σ");
  assert.equal(deviationText(-0.568), "\u22120.6\u2009σ");
  assert.equal(deviationText(0.0034), "0\u2009σ");
  assert.equal(deviationText(Number.NaN), "");
});

test("roles, names and choices say what a tensor does with a channel", () => {
  assert.equal(roleOf(member({}), false).label, "fan-in");
  assert.equal(roleOf(member({ role: "reads" }), false).label, "fan-out");
  assert.equal(roleOf(member({ role: "shifts" }), true).label, "β");
  assert.equal(roleOf(member({ role: "shifts" }), false).label, "bias");
  assert.equal(shortName(member({})), "net.fc");
  assert.equal(shortName(member({ tensor: "attn.in_proj_weight" })), "attn.in_proj_weight");
  const choice = {
    space: 1,
    name: "outputs of a",
    size: 3,
    axis: 1,
    role: "reads",
    part: "",
    first: 0,
  } as const;
  assert.equal(choiceText(choice), "inputs, axis 1: outputs of a");
});

test("why a channel is unusual", () => {
  const one = { channel: 3, reason: "off", member: 0, members: 2, value: 1e-9, deviation: -20 } as const;
  assert.equal(strangeText(one, member({})).short, "off in 2 norms");
  assert.equal(strangeText({ ...one, reason: "unread" }, member({})).short, "no fan-out");
  assert.match(strangeText({ ...one, reason: "small" }, member({})).title, /net\.fc\.weight/);
});

test("replies are unpacked, and refused when they do not fit", () => {
  const members = [member({}), member({ role: "reads" })];
  const reply = {
    space: 4,
    name: "outputs of fc",
    size: 3,
    step: 2,
    certain: true,
    members,
    unusual: [{ channel: 2, reason: "large" as const, member: 1, members: 1 }],
    unusual_count: 5,
    buffers: [
      single([1, 2, 3, 4]),
      single([5, 6, 7, 8]),
      double(Array.from({ length: 12 }, (_, at) => at)),
      double([9, 40]),
    ],
  };
  const data = unpackSpace(reply);
  assert.equal(data.steps, 2);
  assert.deepEqual([...(data.profiles[1]?.high ?? [])], [7, 8]);
  assert.equal(data.profiles[1]?.spread.q95, 11);
  assert.deepEqual([data.unusual[0]?.value, data.unusual[0]?.deviation], [9, 40]);
  assert.throws(() => unpackSpace({ ...reply, size: 9 }), /wrong size/);
  const [first] = unpackNumbers({ channel: 1, positions: [7], buffers: [double([2.5, 1, 3, 1, 4])] });
  assert.deepEqual(first, { position: 7, value: 2.5, rank: 1, of: 3, below: 1, deviation: 4 });
});

test("tensors with numbers of channels have the view, others do not", () => {
  const overview = fakeOverview({
    tensors: [
      { name: "a.weight", shape: [3, 2], dtype: "float32", role: "weight" },
      { name: "a.mask", shape: [3, 2], dtype: "bool", role: "mask" },
      { name: "a.steps", shape: [], dtype: "int64", role: "buffer" },
      { name: "a.broken", shape: [2], dtype: "float32", role: "weight", error: "cannot be read" },
    ],
  });
  assert.equal(hasChannels(overview, "a.weight"), true);
  assert.equal(hasChannels(overview, "a.weight › q"), true);
  for (const path of ["a.mask", "a.steps", "a.broken", "a", "nothing"]) {
    assert.equal(hasChannels(overview, path), false, path);
  }
});
