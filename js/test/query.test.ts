/** The filter language: the cases that Python reads too, and what only the front end does with it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import data from "../../tests/protocol/query.json";
import type { Range } from "../src/model";
import { facetMask, marksOf, queryMask, quote, runQuery } from "../src/query";
import { fakeOverview } from "./fake";

const overview = fakeOverview(data);

function rowsOf(mask: ArrayLike<number>): number[] {
  return Array.from(mask).flatMap((pass, row) => (pass ? [row] : []));
}

for (const given of data.cases) {
  test(`shared case ${JSON.stringify(given.query).slice(0, 60)} ${JSON.stringify(given.facets ?? "")}`, () => {
    const facets = (given.facets ?? {}) as unknown as Record<string, Range>;
    const result = runQuery(overview, given.query, facets);
    assert.deepEqual(rowsOf(result.passes), given.passes);
    assert.equal(result.count, given.passes.length);
    assert.equal(result.error, given.error ?? "");
  });
}

test("a quoted name finds its tensor", () => {
  overview.names.slice(0, overview.tensors).forEach((name, row) => {
    const result = runQuery(overview, quote(name), {});
    assert.equal(result.error, "");
    assert.equal(result.passes[row], 1, name);
  });
});

test("no text makes it throw", () => {
  const pieces = [
    ...'abx"\\[]*?|-!<>=:.%0 1\t\0',
    "std",
    "count",
    "kind",
    "..",
    "\u{1f9e0}",
    "İ",
    "Σ",
    "1M",
    ">=",
  ];
  let seed = 7;
  const random = (n: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * n);
  };
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: random(14) }, () => pieces[random(pieces.length)]).join("");
    const result = runQuery(overview, text, {});
    assert.equal(result.passes.length, overview.tensors);
  }
});

test("no pattern takes forever", () => {
  const long = fakeOverview({ tensors: [{ name: "a".repeat(3000) }] });
  // Going back and forth would not end while the tests run.
  assert.equal(runQuery(long, `${"*a".repeat(40)}*b`, {}).count, 0);
});

test("the mask of the query alone leaves the facets out, and is not spoilt by them", () => {
  const before = rowsOf(queryMask(overview, "conv"));
  runQuery(overview, "conv", { std: [0.1, 0.25] });
  assert.deepEqual(rowsOf(queryMask(overview, "conv")), before);
  assert.deepEqual(before, [6, 7]);
  assert.equal(facetMask(overview, "std", [0.1, 0.25])[7], 0);
});

test("marks are what names are asked for", () => {
  assert.deepEqual(marksOf('Query -bias "A b" kind:Linear std>0.1 name:x|y'), ["query", "a b", "x", "y"]);
  assert.deepEqual(marksOf("encoder.*.weight"), ["encoder.", ".weight"]);
  assert.deepEqual(marksOf(""), []);
});

test("20 000 tensors are filtered", () => {
  const tensors = Array.from({ length: 20_000 }, (_, i) => ({
    name: `layers.${i % 100}.experts.${Math.floor(i / 100)}.weight`,
    shape: [4, 4],
  }));
  const big = fakeOverview({ tensors, columns: { std: tensors.map((_, i) => i / 20_000) } });
  const expected = tensors.filter(
    ({ name }, i) => name.startsWith("layers.1") && i / 20_000 > 0.2 && i / 20_000 <= 0.5,
  );
  assert.equal(runQuery(big, "layers.1*.weight std>0.2", { std: [0.1, 0.5] }).count, expected.length);
});
