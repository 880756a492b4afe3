/** The named parts along the sides of the matrix. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Axes, Split } from "../src/anatomy";
import { banded } from "../src/panels/heatmap/boundaries";
import { axisTitle } from "../src/panels/heatmap/edges";
import { geometry } from "../src/panels/heatmap/geometry";
import type { MatrixInfo } from "../src/panels/heatmap/matrix";
import { matrixParts, partAt, partsBetween, placeOnAxis } from "../src/panels/heatmap/parts";
import { usualAxes } from "../src/tensor";

function split(axis: number, name: string, labels: string[], sizes: number[], inner: Split[] = []): Split {
  return { axis, name, labels, sizes, inner: inner.length > 0 ? labels.map(() => inner) : [] };
}

function axes(names: string[], splits: Split[], what: Axes["what"] = "other"): Axes {
  return { names, splits, what, certain: true, why: "", output: 0, input: 1, spatial: [], groups: 1 };
}

/** As unpackAnatomy has it: splits that are alike in all parts are one object. */
function nested(
  axis: number,
  name: string,
  labels: string[],
  sizes: number[],
  inner: readonly Split[],
): Split {
  return { axis, name, labels, sizes, inner: labels.map(() => inner) };
}

const GATES = axes(["(gate hidden)", "in"], [split(0, "gate", ["i", "f", "g", "o"], [7, 7, 7, 7])]);
const HEADS = split(0, "head", ["head 0", "head 1", "head 2"], [4, 4, 4]);
const FUSED = axes(["(qkv head head_dim)", "in"], [nested(0, "qkv", ["q", "k", "v"], [12, 12, 12], [HEADS])]);
const HALVES = split(1, "half", ["gate", "up"], [4, 6]);
const EXPERTS = axes(
  ["expert", "(gate_up out)", "in"],
  [nested(0, "expert", ["expert 0", "expert 1"], [1, 1], [HALVES])],
  "expert",
);
const CONV = axes(["out", "in", "kh", "kw"], [], "conv");

test("gates divide the rows", () => {
  const { rows, cols } = matrixParts(GATES, [28, 5], { rows: [0], cols: [1] }, [0, 0]);
  assert.deepEqual(cols, []);
  assert.equal(rows.length, 1);
  assert.equal(rows[0]?.name, "gate");
  assert.deepEqual(
    rows[0]?.parts.map(({ label, start, end }) => [label, start, end]),
    [
      ["i", 0, 7],
      ["f", 7, 14],
      ["g", 14, 21],
      ["o", 21, 28],
    ],
  );
  const other = matrixParts(GATES, [28, 5], { rows: [1], cols: [0] }, [0, 0]);
  assert.deepEqual([other.rows.length, other.cols.length], [0, 1]);
});

test("parts within parts are a level of their own", () => {
  const { rows } = matrixParts(FUSED, [36, 8], { rows: [0], cols: [1] }, [0, 0]);
  assert.deepEqual(
    rows.map(({ name, parts }) => [name, parts.length]),
    [
      ["qkv", 3],
      ["head", 9],
    ],
  );
  assert.deepEqual(rows[1]?.parts[4], { label: "head 1", start: 16, end: 20 });
});

test("what stands at a fixed place decides the parts of the other axes", () => {
  const two = axes(
    ["expert", "out", "in"],
    [
      {
        ...split(0, "expert", ["expert 0", "expert 1"], [1, 1]),
        inner: [[split(1, "half", ["a", "b"], [4, 6])], [split(1, "half", ["c", "d"], [5, 5])]],
      },
    ],
  );
  const at = (expert: number) => matrixParts(two, [2, 10, 3], { rows: [1], cols: [2] }, [expert, 0, 0]).rows;
  assert.deepEqual(
    at(0)[0]?.parts.map(({ end }) => end),
    [4, 10],
  );
  assert.deepEqual(
    at(1)[0]?.parts.map(({ label }) => label),
    ["c", "d"],
  );
  // Drawn on the other side, only what is alike in all parts can be told.
  const across = matrixParts(EXPERTS, [2, 10, 3], { rows: [0], cols: [1, 2] }, [0, 0, 0]);
  assert.deepEqual(
    across.cols[0]?.parts.map(({ start, end }) => [start, end]),
    [
      [0, 12],
      [12, 30],
    ],
  );
  assert.deepEqual(matrixParts(two, [2, 10, 3], { rows: [0], cols: [1, 2] }, [0, 0, 0]).cols[0]?.name, "out");
});

test("the places of a flattened axis are parts, and repeat under those outside", () => {
  const { cols } = matrixParts(CONV, [4, 3, 2, 5], { rows: [0], cols: [1, 2, 3] }, [0, 0, 0, 0]);
  assert.deepEqual(
    cols.map(({ name, period, split: own }) => [name, period, own]),
    [
      ["in", 30, false],
      ["kh", 10, false],
    ],
  );
  assert.deepEqual(partAt(cols[0] as never, 21), { label: "in 2", start: 20, end: 30 });
  assert.deepEqual(partAt(cols[1] as never, 27), { label: "kh 1", start: 25, end: 30 });
  assert.deepEqual(
    partsBetween(cols[1] as never, 8, 17).map(({ label, start }) => [label, start]),
    [
      ["kh 1", 5],
      ["kh 0", 10],
      ["kh 1", 15],
    ],
  );
  const unknown = matrixParts(null, [4, 3, 5], { rows: [0], cols: [1, 2] }, [0, 0, 0]);
  assert.deepEqual(unknown.cols[0]?.parts[2], { label: "2", start: 10, end: 15 });
});

test("every element is in one part of a level", () => {
  const { rows } = matrixParts(FUSED, [36, 8], { rows: [0], cols: [1] }, [0, 0]);
  for (const level of rows) {
    for (let at = 0; at < 36; at++) {
      const holding = level.parts.filter(({ start, end }) => start <= at && at < end);
      assert.equal(holding.length, 1);
      assert.deepEqual(partAt(level, at), holding[0]);
    }
    const all = partsBetween(level, 0, 36);
    assert.deepEqual(
      all.map(({ label }) => label),
      level.parts.map(({ label }) => label),
    );
  }
});

test("a place is told by the parts that lead there", () => {
  assert.equal(placeOnAxis(GATES, 0, 12, 12, [12, 0]), "f · hidden 5");
  assert.equal(placeOnAxis(GATES, 0, 7, 13, [7, 0]), "f · hidden 0–6");
  assert.equal(placeOnAxis(GATES, 0, 6, 7, [6, 0]), "i … f");
  assert.equal(placeOnAxis(GATES, 1, 3, 3, [0, 3]), "in 3");
  assert.equal(placeOnAxis(FUSED, 0, 18, 18, [18, 0]), "k · head 1 · 2");
  assert.equal(placeOnAxis(FUSED, 0, 15, 16, [15, 0]), "k · head 0 … k · head 1");
  assert.equal(placeOnAxis(EXPERTS, 0, 1, 1, [1, 0, 0]), "expert 1");
  assert.equal(placeOnAxis(EXPERTS, 1, 5, 5, [1, 5, 0]), "up · out 1");
  assert.equal(placeOnAxis(CONV, 2, 1, 1, [0, 0, 1, 0]), "kh 1");
});

test("of many levels those that can be read have a band", () => {
  const { rows } = matrixParts(FUSED, [36, 8], { rows: [0], cols: [1] }, [0, 0]);
  assert.deepEqual(
    banded(rows, 10, 2).map(({ name }) => name),
    ["qkv", "head"],
  );
  assert.deepEqual(
    banded(rows, 0.5, 2).map(({ name }) => name),
    ["qkv"],
  );
  assert.deepEqual(
    banded(rows, 10, 1).map(({ name }) => name),
    ["head"],
  );
  assert.deepEqual(
    banded(rows, 1, 1).map(({ name }) => name),
    ["qkv"],
  );
});

test("the room for bands does not depend on the zoom", () => {
  const matrix = {
    rows: 36,
    cols: 8,
    shape: [36, 8],
    axes: { rows: [0], cols: [1] },
  } as unknown as MatrixInfo;
  const parts = matrixParts(FUSED, [36, 8], matrix.axes, [0, 0]);
  const plain = geometry(matrix, 600, 400);
  const banded_ = geometry(matrix, 600, 400, parts);
  assert.deepEqual([plain.rowBands, banded_.rowBands, banded_.colBands], [0, 2, 0]);
  assert.ok(banded_.room.x > plain.room.x);
  assert.equal(banded_.room.y, plain.room.y);
  assert.equal(geometry(matrix, 300, 400, parts).rowBands, 1);
});

test("axes are named along the edges", () => {
  const matrix = { rows: 4, cols: 30, shape: [4, 3, 2, 5] } as unknown as MatrixInfo;
  assert.equal(axisTitle("columns", [1, 2, 3], matrix, CONV), "in × kh × kw 30");
  assert.equal(axisTitle("rows", [0], matrix, CONV), "out 4");
  assert.equal(
    axisTitle("columns", [1, 2, 3], matrix, { ...CONV, certain: false }),
    "in × kh × kw 30 · guess",
  );
  assert.equal(axisTitle("columns", [1, 2, 3], matrix, null), "30 columns · axes 1 × 2 × 3");
});

test("of stacked experts one is drawn at a time", () => {
  assert.deepEqual(usualAxes([2, 10, 3], EXPERTS), { rows: [1], cols: [2] });
  assert.deepEqual(usualAxes([10, 3], GATES), { rows: [0], cols: [1] });
  assert.deepEqual(usualAxes([4, 3, 2, 5], CONV), { rows: [0], cols: [1, 2, 3] });
  assert.deepEqual(usualAxes([2, 10], { ...EXPERTS, names: ["expert", "out"] }), { rows: [0], cols: [1] });
  assert.deepEqual(usualAxes([4, 3], null), { rows: [0], cols: [1] });
});
