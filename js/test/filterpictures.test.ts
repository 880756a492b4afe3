/** What the front end draws of filters from an overview is what Python answers from the tensors. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseOverview } from "../src/overview";
import { byInput, filterLayout, kernelSize } from "../src/panels/convfilters/layout";
import { LocalWeights, overviewNorms, type Place, StrongestKernels } from "../src/panels/convfilters/local";
import type { FilterMode, FilterSide } from "../src/protocol";

interface Case {
  request: {
    tensor: string;
    by: FilterSide;
    mode: FilterMode;
    filters: number[];
    channels: [number, number];
  };
  buffers: string[];
}

const stored = JSON.parse(readFileSync("../tests/protocol/filter_pictures.json", "utf8")) as {
  blob: string;
  cases: Case[];
  /** By tensor and side: float64. */
  norms: Record<string, string>;
};
const bytesOf = (base64: string): ArrayBuffer => Uint8Array.from(Buffer.from(base64, "base64")).buffer;
const overview = parseOverview(new DataView(bytesOf(stored.blob)));

/** bfloat16 has eight bits. */
const ROUGH = 2 ** -8;

function placeOf(tensor: string, by: FilterSide): Place {
  const row = overview.rowOf(tensor);
  const layout = filterLayout(overview.axes(row), overview.shape(row));
  assert(layout);
  return { row, by, layout: by === "input" ? byInput(layout) : layout };
}

function near(found: number, expected: number, relative: number): void {
  if (Object.is(found, expected) || (Number.isNaN(found) && Number.isNaN(expected))) return;
  const off = Math.abs(found - expected);
  assert(off <= relative * Math.abs(expected) + 1e-9, `${found} is not ${expected}`);
}

for (const { request, buffers } of stored.cases) {
  const { tensor, by, mode, filters, channels } = request;
  test(`pictures of ${tensor} by ${by}, ${mode}`, () => {
    const place = placeOf(tensor, by);
    const weights = LocalWeights.of(overview, place);
    const local = weights ?? StrongestKernels.of(overview, place);
    assert(local);
    assert.equal(local.exact, tensor === "whole.weight");
    const size = kernelSize(place.layout) * (mode === "all" ? channels[1] - channels[0] : 1);
    const values = new Float32Array(bytesOf(buffers[0] as string));
    assert.equal(values.length, filters.length * size);
    const shown = buffers[1] ? new Int32Array(bytesOf(buffers[1])) : null;
    filters.forEach((filter, i) => {
      const picture = local.picture(mode, filter, channels[0]);
      assert(picture);
      assert.equal(picture.values.length, size);
      picture.values.forEach((value, at) => {
        near(value, values[i * size + at] as number, local.exact ? 1e-6 : ROUGH);
      });
      if (shown) assert.equal(picture.channel, shown[i]);
    });
    if (!weights) {
      assert.equal(local.picture("mean", 0, 0), null);
      const other = { ...place, by: by === "input" ? ("output" as const) : ("input" as const) };
      assert.equal(StrongestKernels.of(overview, other), null);
    }
  });
}

for (const [key, base64] of Object.entries(stored.norms)) {
  test(`norms of ${key}`, () => {
    const [tensor, by] = key.split(" ") as [string, FilterSide];
    const place = placeOf(tensor, by);
    const weights = LocalWeights.of(overview, place);
    const found = weights?.norms() ?? overviewNorms(overview, place);
    assert(found);
    const expected = new Float64Array(bytesOf(base64));
    assert.equal(found.norms.length, expected.length);
    found.norms.forEach((norm, filter) => {
      near(norm, expected[filter] as number, weights && !weights.exact ? ROUGH : 1e-6);
    });
  });
}

test("what is not kept is not drawn", () => {
  const place = placeOf("point.weight", "output");
  assert.equal(overview.filters(place.row), null);
  assert.equal(LocalWeights.of(overview, place), null);
  assert.equal(StrongestKernels.of(overview, place), null);
});
