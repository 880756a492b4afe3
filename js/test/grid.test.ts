import assert from "node:assert/strict";
import { test } from "node:test";
import { css, palette } from "../src/draw/colour";
import { type GridData, gridToText, stepped } from "../src/panels/grid";
import { cellText } from "../src/panels/grid/draw";
import { cellAt, gridGeometry, labelStep, shortLabels } from "../src/panels/grid/geometry";
import { cellColour, gridScale, placeOn, valueOn } from "../src/panels/grid/scale";

/** Two layers, of four and of two heads. */
const data: GridData = {
  rows: 2,
  cols: 4,
  rowLabels: ["0", "1"],
  colLabels: ["0", "1", "2", "3"],
  rowTitle: "layer",
  colTitle: "head",
  value: (row, col) => (row === 1 && col === 1 ? Number.NaN : row + col / 10),
  path: (row, col) => (row === 1 && col > 1 ? null : `layers.${row} › head ${col}`),
  rowName: (row) => `layers.${row}\tattn`,
};

test("magnitudes go from the smallest to the largest value, or from zero, or by their logarithm", () => {
  const values = [2, 8, Number.NaN, 4, Number.POSITIVE_INFINITY];
  const range = gridScale(values, "range");
  assert.deepEqual([range.signed, range.low, range.high], [false, 2, 8]);
  assert.equal(placeOn(range, 5), 0.5);
  assert.equal(valueOn(range, 0.5), 5);
  const zero = gridScale(values, "zero");
  assert.equal(placeOn(zero, 4), 0.5);
  const log = gridScale([...values, 0], "log");
  assert.deepEqual([log.low, log.high, log.unplaced], [2, 8, 1]);
  assert.ok(Math.abs(placeOn(log, 4) - 0.5) < 1e-12);
  assert.ok(Math.abs(valueOn(log, 0.5) - 4) < 1e-12);
  assert.equal(placeOn(log, 0), 0);
});

test("signed values have zero in the middle", () => {
  const scale = gridScale([-1, 4], "range");
  assert.deepEqual([scale.signed, scale.low, scale.high], [true, -4, 4]);
  assert.equal(placeOn(scale, -1), -0.25);
  assert.equal(gridScale([1, 4], "range", true).signed, true);
  const log = gridScale([-1e-3, 1, -1], "log");
  assert.equal(placeOn(log, 0), 0);
  assert.equal(placeOn(log, -1), -1);
  assert.ok(placeOn(log, 0.1) > 0.5);
  for (const t of [-1, -0.3, 0, 0.7]) assert.ok(Math.abs(placeOn(log, valueOn(log, t)) - t) < 1e-12);
});

test("all alike, all zero and none at all have a colour and no NaN", () => {
  const colours = palette("blue-red", "light");
  for (const values of [[3, 3], [0, 0], []]) {
    for (const spread of ["range", "zero", "log"] as const) {
      for (const signed of [true, false]) {
        const scale = gridScale(values, spread, signed);
        for (const value of [0, 3]) {
          assert.ok(Number.isFinite(placeOn(scale, value)), `${values} ${spread} ${signed} ${value}`);
          assert.notEqual(cellColour(colours, scale, value), undefined);
        }
      }
    }
  }
});

test("what is not a number has no colour, infinities have their own", () => {
  const colours = palette("blue-red", "light");
  const scale = gridScale([1, 2], "range");
  assert.equal(cellColour(colours, scale, Number.NaN), null);
  assert.equal(cellColour(colours, scale, Number.POSITIVE_INFINITY), colours.posinf);
  assert.equal(cellColour(colours, scale, Number.NEGATIVE_INFINITY), colours.neginf);
  // The largest magnitude is at the blue end: red alone would look like a warning.
  assert.equal(css(cellColour(colours, scale, 2) ?? 0), css(colours.lut[0] as number));
});

test("cells carry three digits of the largest value, fewer where there is no room", () => {
  const scale = gridScale([-0.95, 0.5], "range");
  assert.equal(cellText(-0.00523, 58, scale), "\u22120.005");
  assert.equal(cellText(0.5, 58, scale), "0.500");
  assert.equal(cellText(-0.5, 37, scale), "\u2212.50");
  assert.equal(cellText(0, 58, scale), "0");
  const log = gridScale([1e-6, 100], "log");
  assert.equal(cellText(1.234e-6, 58, log), "1.23e\u22126");
});

test("a pointer finds its cell, and none beside the grid", () => {
  const geo = gridGeometry(60, 256, 720, 40);
  assert.ok(geo.cellWidth > 2 && geo.width <= 720);
  assert.deepEqual(cellAt(geo, geo.left + 0.5 * geo.cellWidth, geo.top + 1), [0, 0]);
  assert.deepEqual(cellAt(geo, geo.left + 255.5 * geo.cellWidth, geo.top + 59.5 * geo.cellHeight), [59, 255]);
  assert.equal(cellAt(geo, geo.left - 1, geo.top + 1), null);
  assert.equal(cellAt(geo, geo.left + 1, geo.height), null);
});

test("cells have a largest and a least size", () => {
  assert.equal(gridGeometry(2, 4, 2000, 40).cellWidth, 58);
  const wide = gridGeometry(2, 4000, 720, 40);
  assert.equal(wide.cellWidth, 2);
  assert.ok(wide.width > 8000);
});

test("labels stand apart", () => {
  assert.equal(labelStep(24, 12), 1);
  assert.equal(labelStep(7, 12), 2);
  assert.equal(labelStep(2.6, 24), 10);
});

test("labels are what tells layers apart", () => {
  assert.deepEqual(shortLabels(["encoder.layer.0.attention", "encoder.layer.1.attention"]), ["0", "1"]);
  assert.deepEqual(shortLabels(["encoder.block.0.SelfAttention", "decoder.block.0.CrossAttention"]), [
    "encoder.block.0.SelfAttention",
    "decoder.block.0.CrossAttention",
  ]);
  assert.deepEqual(shortLabels(["attn"]), ["attn"]);
  assert.deepEqual(shortLabels([""]), ["model"]);
  assert.deepEqual(shortLabels(["a.0", "a.0.x"]), ["0", "0.x"]);
});

test("keys lead from cell to cell, and not to what is not there", () => {
  assert.deepEqual(stepped(data, null, "ArrowDown"), [0, 0]);
  assert.deepEqual(stepped(data, [0, 1], "ArrowRight"), [0, 2]);
  assert.deepEqual(stepped(data, [0, 1], "ArrowDown"), [1, 1]);
  assert.equal(stepped(data, [0, 3], "ArrowDown"), null);
  assert.equal(stepped(data, [0, 3], "ArrowRight"), null);
  assert.equal(stepped(data, [0, 3], "x"), null);
  assert.deepEqual(stepped(data, [1, 0], "End"), [1, 1]);
  assert.deepEqual(stepped(data, [1, 1], "Home"), [1, 0]);
  // From a row as a whole.
  assert.deepEqual(stepped(data, [1, -1], "ArrowRight"), [1, 0]);
  assert.deepEqual(stepped(data, [0, -1], "ArrowDown"), [1, 0]);
});

test("the copied table has all digits, and names cannot break it", () => {
  const lines = gridToText(data).slice(0, -1).split("\n");
  assert.deepEqual(lines[0]?.split("\t"), ["layer \\ head", "0", "1", "2", "3"]);
  assert.deepEqual(lines[1]?.split("\t"), ["layers.0 attn", "0", "0.1", "0.2", "0.3"]);
  assert.deepEqual(lines[2]?.split("\t"), ["layers.1 attn", "1", "nan", "", ""]);
});
