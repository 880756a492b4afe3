import assert from "node:assert/strict";
import { test } from "node:test";
import { countTicks, magnitudeTicks, placeTicks, valueTicks } from "../src/draw/axis";
import {
  formatBytes,
  formatCount,
  formatExact,
  formatNumber,
  formatPosition,
  formatPower,
  formatShape,
  formatShare,
  formatShort,
  formatToStep,
  parseNumber,
} from "../src/draw/format";

const same = (pairs: [string, string][]): void => {
  for (const [found, expected] of pairs) assert.equal(found, expected.replaceAll(" ", "\u2009"));
};

test("numbers have few digits and a real minus sign", () => {
  same([
    [formatNumber(0.05541), "0.05541"],
    [formatNumber(-0.0001119), "−0.0001119"],
    [formatNumber(-3.2e-7), "−3.2e−7"],
    [formatNumber(1e-7), "1e−7"],
    [formatNumber(1e10), "1e10"],
    [formatNumber(12), "12"],
    [formatNumber(1200), "1200"],
    [formatNumber(123456), "123 456"],
    [formatNumber(9999.99), "10 000"],
    [formatNumber(999999.9), "1e6"],
    [formatNumber(0.00009999999), "0.0001000"],
    [formatNumber(0), "0"],
    [formatNumber(-0), "0"],
    [formatNumber(Number.NaN), "NaN"],
    [formatNumber(-Infinity), "−Inf"],
    [formatNumber(2.5, 2), "2.5"],
    [formatNumber(0.000001, 1), "1e−6"],
  ]);
});

test("numbers on a grid show the place of its step", () => {
  same([
    [formatToStep(0.15, 0.01), "0.15"],
    [formatToStep(0.1, 0.1), "0.1"],
    [formatToStep(-0.30000000000000004, 0.1), "−0.3"],
    [formatToStep(0.3, 0.05), "0.30"],
    [formatToStep(1234.5, 0.5), "1 234.5"],
    [formatToStep(20, 10), "20"],
    [formatToStep(0.00002, 0.00001), "2e−5"],
    [formatToStep(0.000021, 0.000001), "2.1e−5"],
    [formatToStep(-1e-20, 0.1), "−1e−20"],
    [formatToStep(0.0004, 0.1), "0"],
    [formatToStep(3e8, 1e8), "3e8"],
  ]);
});

test("counts, shares and sizes", () => {
  same([
    [formatCount(22713216), "22 713 216"],
    [formatCount(Number.NaN), "–"],
    [formatShort(22713216), "22.7M"],
    [formatShort(147456), "147k"],
    [formatShort(999950), "1M"],
    [formatShort(384), "384"],
    [formatShare(0), "0 %"],
    [formatShare(1), "100 %"],
    [formatShare(0.0082), "0.82 %"],
    [formatShare(1e-7), "<0.01 %"],
    [formatShare(1 - 1e-9), ">99.99 %"],
    [formatBytes(90_868_376), "90.9 MB"],
    [formatBytes(999_900), "1.00 MB"],
    [formatBytes(12), "12 B"],
  ]);
  assert.equal(formatShape([384, 1536]), "384 × 1\u2009536");
  assert.equal(formatShape([]), "scalar");
  assert.equal(formatPosition([99, 856]), "[99, 856]");
  assert.equal(formatPower(-13), "10⁻¹³");
});

test("typed numbers are read as they are shown", () => {
  for (const value of [0.05541, -0.0001119, -3.2e-7, 1234, -98765, 1e10]) {
    assert.equal(parseNumber(formatNumber(value)), value);
  }
  assert.equal(parseNumber(" .5 "), 0.5);
  assert.equal(parseNumber("-1E-3"), -0.001);
  for (const text of ["", "abc", "1e", "0x10", "1e999", "--1", "1.2.3"])
    assert.equal(parseNumber(text), null);
});

test("copied numbers lose nothing", () => {
  for (const value of [0.1 + 0.2, -5e-324, 1e300]) assert.equal(Number(formatExact(value)), value);
  assert.equal(formatExact(Number.NaN), "nan");
  assert.equal(formatExact(-Infinity), "-inf");
});

const labels = (ticks: { label: string }[]): string[] => ticks.map((tick) => tick.label);

test("ticks stand at round values, with equal digits", () => {
  assert.deepEqual(labels(valueTicks([-0.17, 0.17], 3)), ["−0.1", "0", "0.1"]);
  assert.deepEqual(labels(valueTicks([0.965, 1.025], 3)), ["0.98", "1.00", "1.02"]);
  assert.deepEqual(labels(valueTicks([-2e-6, 2e-6], 4)), ["−2e−6", "−1e−6", "0", "1e−6", "2e−6"]);
});

test("ticks of magnitudes are powers of ten, finer when there is room", () => {
  assert.deepEqual(labels(magnitudeTicks([-8, 0], 5)), ["10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "10⁰"]);
  assert.deepEqual(labels(magnitudeTicks([-2, -0.9], 6)), ["0.01", "0.02", "0.05", "0.1"]);
  const near = magnitudeTicks([-1, -0.9], 4);
  assert.equal(near[0]?.label, "0.100");
  for (const tick of near) assert.ok(Math.abs(10 ** tick.value - Number(tick.label)) < 1e-12);
});

test("ticks of counts are whole numbers", () => {
  assert.deepEqual(labels(countTicks(2, false, 3)), ["1", "2"]);
  assert.deepEqual(labels(countTicks(41_000, false, 2)), ["20k", "40k"]);
  assert.deepEqual(labels(countTicks(41_000, true, 3)), ["1", "100", "10k"]);
  assert.deepEqual(countTicks(0, true, 3), []);
});

test("labels neither meet nor leave the plot", () => {
  const ticks = valueTicks([0, 1], 40);
  const placed = placeTicks(ticks, (value) => 30 + value * 170, 0, 200).filter((tick) => tick.shown);
  for (const [i, tick] of placed.entries()) {
    const before = placed[i - 1];
    // Six pixels a sign, both centred.
    if (before) assert.ok(tick.x - before.x >= 3 * (tick.label.length + before.label.length));
  }
  const [only] = placeTicks([{ value: 1, label: "−0.0001234" }], () => 198, 0, 200);
  assert.equal(only?.anchor, "end");
});
