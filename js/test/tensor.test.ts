import assert from "node:assert/strict";
import { test } from "node:test";
import cases from "../../tests/protocol/axes.json";
import { cellAt, fittingAxes, fittingIndex, type MatrixInfo } from "../src/panels/heatmap/matrix";
import { defaultAxes, matrixSize, position } from "../src/tensor";

for (const { shape, axes, index, drawn, size, cells } of cases.matrices) {
  test(`matrix of ${JSON.stringify(shape)} by ${JSON.stringify(axes)}`, () => {
    if (axes === null) assert.deepEqual(defaultAxes(shape), drawn);
    assert.deepEqual(matrixSize(shape, drawn), size);
    const info = { shape, axes: drawn, index } as unknown as MatrixInfo;
    for (const { cell, position: at } of cells) {
      assert.deepEqual(position(shape, drawn, index, cell[0] as number, cell[1] as number), at);
      assert.deepEqual(cellAt(info, at), cell);
    }
  });
}

test("axes that the tensor does not have give way to the default ones", () => {
  for (const { shape, axes } of cases.refused) {
    const chosen = { rows: axes.rows ?? [], cols: axes.cols ?? [] };
    const drawn = fittingAxes(chosen, shape);
    const all = [...drawn.rows, ...drawn.cols];
    assert.ok(all.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < shape.length));
    assert.equal(new Set(all).size, all.length);
  }
  assert.deepEqual(fittingAxes({ rows: [1], cols: [0] }, [2, 3]), { rows: [1], cols: [0] });
});

test("an index that does not fit is zero where it does not", () => {
  assert.deepEqual(fittingIndex([1, 9, -1, 2], [4, 4, 4, 4]), [1, 0, 0, 2]);
  assert.deepEqual(fittingIndex([1], [4, 4]), [0, 0]);
  assert.deepEqual(fittingIndex([], [4]), [0]);
});

test("what the fixed axes leave out is drawn nowhere", () => {
  const info = {
    shape: [4, 5, 6],
    axes: { rows: [0], cols: [1] },
    index: [0, 0, 2],
  } as unknown as MatrixInfo;
  assert.deepEqual(cellAt(info, [3, 1, 2]), [3, 1]);
  assert.equal(cellAt(info, [3, 1, 3]), null);
});
