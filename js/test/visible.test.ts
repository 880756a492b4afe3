/** Names as they are shown: the cases that Python reads too, and what is left alone in texts of the explorer. */

import assert from "node:assert/strict";
import { test } from "node:test";
import cases from "../../tests/protocol/visible.json";
import { shown, visible } from "../src/draw/visible";

test("what is not seen becomes an escape", () => {
  for (const [text, expected] of cases as [string, string][]) assert.equal(visible(text), expected);
});

test("visible is its own fixed point", () => {
  for (const [, expected] of cases as [string, string][]) assert.equal(visible(expected), expected);
});

test("texts of the explorer keep their spaces, tooltips their lines", () => {
  assert.equal(shown("1\u2009234 weights\u00a0\u202e"), "1\u2009234 weights\\xa0\\u202e");
  assert.equal(shown("a\nb\u202e", true), "a\nb\\u202e");
  assert.equal(shown("a\nb"), "a\\nb");
});
