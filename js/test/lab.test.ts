import assert from "node:assert/strict";
import { test } from "node:test";
import { isWeightFile, pythonKernel } from "../lab/files";
import type { ExecuteReply, Future, Kernel } from "../lab/jupyterlab";
import { call, evaluate, literal } from "../lab/kernel";
import {
  describe,
  EXPRESSION,
  find,
  type Item,
  matches,
  read,
  sizeOf,
  typeOf,
  weightsOf,
} from "../lab/listing";
import { newerFirst, shared } from "../lab/share";
import { explain } from "../lab/view";

const THIN = "\u2009";

function item(more: Partial<Item> = {}): Item {
  return {
    name: "model",
    aliases: [],
    type: "Sequential",
    kind: "module",
    token: "7f",
    tensors: 6,
    weights: 1234567,
    bytes: 4938268,
    dtypes: ["float32"],
    note: "",
    at_least: false,
    ...more,
  };
}

/** A kernel that gives these replies, one after the other. */
function kernel(...replies: ExecuteReply["content"][]): Kernel {
  const requestExecute = (): Future =>
    ({ done: Promise.resolve({ content: replies.shift() }) }) as unknown as Future;
  return { requestExecute } as unknown as Kernel;
}

test("names become Python literals that cannot be broken out of", () => {
  assert.equal(literal('a"b\\c\nd'), '"a\\"b\\\\c\\nd"');
  assert.equal(literal("\ud800"), '"\\ud800"');
  assert.equal(
    call("show", 'x"); import os; ("', "v"),
    '__import__("weightwidget.panel", fromlist=["panel"]).show("x\\"); import os; (\\"", "v")',
  );
  // One line: what is evaluated is an expression.
  assert.ok(!EXPRESSION.includes("\n"));
});

test("an item is told in few words, and in all", () => {
  assert.equal(weightsOf(item()), `1${THIN}234${THIN}567`);
  assert.equal(sizeOf(item()), `4.94${THIN}MB`);
  assert.equal(weightsOf(item({ at_least: true })), `≥${THIN}1${THIN}234${THIN}567`);
  assert.equal(typeOf(item({ dtypes: ["float16", "int8", "int64"] })), "Sequential · float16 +2");
  assert.equal(typeOf(item({ kind: "file", type: "PosixPath", label: "runs/last/model.pt" })), "model.pt");
  const file = item({ kind: "file", weights: null, tensors: null, bytes: null });
  assert.deepEqual([weightsOf(file), sizeOf(file)], ["", ""]);
  const lazy = item({ tensors: 0, weights: 0, bytes: 0, dtypes: [], note: "not initialised yet" });
  assert.deepEqual(
    [weightsOf(lazy), sizeOf(lazy), typeOf(lazy)],
    ["", "", "Sequential · not initialised yet"],
  );
  const text = describe(item({ aliases: ["net"], note: "one lazy tensor" }));
  assert.equal(
    text,
    `model = net\nSequential\n6 tensors, 1${THIN}234${THIN}567 weights\n4.94${THIN}MB, float32\none lazy tensor`,
  );
});

test("the filter looks for every word in names, types and dtypes", () => {
  const net = item({ aliases: ["net"] });
  for (const filter of ["", "MOD", "net float", "sequential 32", "  module "])
    assert.ok(matches(net, filter), filter);
  for (const filter of ["conv", "net int8"]) assert.ok(!matches(net, filter), filter);
});

test("a listing is found by every name of an object, and an error is thrown worded", () => {
  const listing = { items: [item({ aliases: ["net"] })], skipped: [], left_out: 0 };
  const data = { "application/vnd.weightwidget.listing": JSON.stringify(listing) };
  assert.deepEqual(read({ status: "ok", data }), listing);
  assert.equal(find(listing, "net")?.name, "model");
  assert.equal(find(listing, "other"), undefined);
  assert.throws(() => read({ status: "error", ename: "E", evalue: "v", traceback: [] }), /E: v/);
  assert.throws(() => read({ status: "ok", data: { "text/plain": "1" } }), /no list/);
});

test("a question that a failing cell swept away is asked again", async () => {
  const answer = { status: "ok", data: {} } as const;
  const aborted = { status: "aborted" } as const;
  const ok = { status: "ok", user_expressions: { weightwidget: answer } } as const;
  assert.deepEqual(await evaluate(kernel(aborted, aborted, ok), "1"), answer);
  const none = await evaluate(kernel({ status: "ok" }), "1");
  assert.equal(none.status, "error");
});

test("errors say what to do", () => {
  assert.match(explain("ModuleNotFoundError", "No module named 'weightwidget'"), /%pip install weightwidget/);
  assert.match(explain("ModuleNotFoundError", "No module named 'weightwidget.panel'"), /%pip install -U/);
  assert.equal(explain("WeightFileError", "a.pt: damaged"), "a.pt: damaged");
  assert.equal(explain("RuntimeError", "odd"), "RuntimeError: odd");
});

test("shared packages: the copy in use, else the newest", async () => {
  const copy = (name: string, loaded?: number): { get: () => () => string; loaded?: number } => ({
    get: () => () => name,
    loaded,
  });
  const versions = ["4.9.0", "4.10.1", "4.10.1-beta.2", "3.12.0"];
  assert.deepEqual(versions.sort(newerFirst), ["4.10.1", "4.10.1-beta.2", "4.9.0", "3.12.0"]);
  const name = "@lumino/widgets";
  const newest = { [name]: { "2.3.0": copy("old"), "2.10.0": copy("new") } };
  assert.equal(await shared(newest, name), "new");
  const used = { [name]: { "2.3.0": copy("old", 1), "2.10.0": copy("new") } };
  assert.equal(await shared(used, name), "old");
  await assert.rejects(shared({}, name), /shares no package/);
});

test("files of weights, and a kernel to read them with", () => {
  for (const name of [
    "a.safetensors",
    "A.PT",
    "b.pth",
    "pytorch_model.bin",
    "x.ckpt",
    "m.safetensors.index.json",
  ])
    assert.ok(isWeightFile(name), name);
  for (const name of ["a.json", "a.py", "safetensors", "a.pt.txt"]) assert.ok(!isWeightFile(name), name);
  const specs = { ir: { language: "R" }, torch: { language: "Python" }, python3: { language: "python" } };
  assert.equal(pythonKernel({ default: "python3", kernelspecs: specs }), "python3");
  assert.equal(pythonKernel({ default: "ir", kernelspecs: specs }), "torch");
  assert.equal(pythonKernel({ default: "ir", kernelspecs: { ir: { language: "R" } } }), undefined);
  assert.equal(pythonKernel(null), undefined);
});
