/** An overview that Python packed reads back as Python meant it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseOverview } from "../src/overview";

interface Row {
  name: string;
  shape: number[];
  dtype: string;
  argmax: number[] | null;
  error: string;
  shared_with: string | null;
  finite: number;
  [statistic: string]: unknown;
}

const stored = JSON.parse(readFileSync("../tests/protocol/overview.json", "utf8")) as {
  blob: string;
  rows: Row[];
  skipped: Record<string, string>;
};
const bytes = Buffer.from(stored.blob, "base64");
// At an odd offset, as it may lie in a host's message.
const shifted = new Uint8Array(bytes.length + 3);
shifted.set(bytes, 3);
const overview = parseOverview(new DataView(shifted.buffer, 3));

test("rows, facts and statistics", () => {
  assert.deepEqual(
    [...overview.names],
    stored.rows.map((row) => row.name),
  );
  stored.rows.forEach((row, at) => {
    assert.deepEqual([...overview.shape(at)], row.shape);
    assert.equal(overview.dtype(at), row.dtype);
    assert.equal(overview.error(at), row.error);
    assert.deepEqual(overview.extremeAt(at, "argmax"), row.argmax);
    const first = overview.sharedWith(at);
    assert.equal(first < 0 ? null : overview.names[first], row.shared_with);
    if (row.error) return;
    for (const key of ["count", "nan", "inf", "zeros", "min", "max", "mean", "std", "rms", "l2", "median"]) {
      const found = overview.column(key)[at] as number;
      const expected = row[key] as number | null;
      if (expected === null) assert.ok(Number.isNaN(found), `${row.name} ${key}: ${found}`);
      else
        assert.ok(
          Math.abs(found - expected) <= 1e-6 * Math.max(1, Math.abs(expected)),
          `${row.name} ${key}: ${found}`,
        );
    }
  });
});

test("histograms account for every finite weight", () => {
  stored.rows.forEach((row, at) => {
    const local = overview.histogram(at);
    if (row.finite === 0) return;
    assert.ok(local, row.name);
    const total = local.counts.reduce((sum, count) => sum + count, 0) + local.below + local.above;
    assert.ok(Math.abs(total - row.finite) < 1e-3 * row.finite + 1e-6, `${row.name}: ${total}`);
  });
});

test("a small tensor's thumbnail holds its weights, non-finite ones too", () => {
  const weight = overview.thumbnail(overview.rowOf("block.0.weight"));
  assert.ok(weight);
  assert.deepEqual([weight.height, weight.width], [7, 10]);
  assert.deepEqual(Array.from(weight.data.subarray(0, 3)), [-30 / 16, -29 / 16, -28 / 16]);
  const odd = overview.thumbnail(overview.rowOf("block.1.weight"));
  assert.ok(odd);
  assert.ok(Number.isNaN(odd.data[23]));
  assert.equal(odd.data[45], Number.POSITIVE_INFINITY);
  assert.equal(odd.data[67], Number.NEGATIVE_INFINITY);
  assert.equal(overview.thumbnail(overview.rowOf("empty")), null);
  assert.equal(overview.thumbnail(overview.rowOf("unread")), null);
});

test("norms of rows and columns", () => {
  const profiles = overview.profiles(overview.rowOf("lone.weight"));
  assert.ok(profiles);
  assert.deepEqual([profiles.rows.length, profiles.cols.length], [3, 4]);
  const first = Math.hypot(-15, -14.5, -14, -13.5);
  assert.ok(Math.abs((profiles.rows[0] as number) / first - 1) < 0.01);
});

test("what was left out comes with its reason", () => {
  assert.deepEqual(Object.fromEntries(overview.skipped.reasons), stored.skipped);
  assert.equal(overview.skipped.count, 1);
});
