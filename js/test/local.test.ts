/** What the front end answers from an overview's weights is what Python answers from the tensors. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import { answerLocally } from "../src/local/answers";
import { withLocalAnswers } from "../src/local/model";
import { type KernelState, type Model, RequestCancelled } from "../src/model";
import { parseOverview } from "../src/overview";
import type { RequestKind, Requests } from "../src/protocol";

type Request = { kind: RequestKind } & Record<string, unknown>;

interface Case {
  request: Request;
  reply: Record<string, unknown>;
  buffers: string[];
}

const stored = JSON.parse(readFileSync("../tests/protocol/local.json", "utf8")) as {
  blob: string;
  cases: Case[];
};
const bytes = Uint8Array.from(Buffer.from(stored.blob, "base64"));
const overview = parseOverview(new DataView(bytes.buffer));

function ask(request: Request): ReturnType<typeof answerLocally> {
  return answerLocally(overview, request.kind, request as unknown as Requests[RequestKind]["request"]);
}

function numbers(kind: string, at: number, view: DataView): number[] {
  const own = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
  if (kind === "tile" && at === 1) return [...new Uint8Array(own)];
  return [...(kind === "histogram" ? new Float64Array(own) : new Float32Array(own))];
}

function near(found: number, expected: number, of: string): void {
  if (Object.is(found, expected) || (Number.isNaN(found) && Number.isNaN(expected))) return;
  const off = Math.abs(found - expected);
  assert.ok(off <= 2e-6 * Math.max(Math.abs(expected), 1e-2), `${of}: ${found} is not ${expected}`);
}

/** Fields that are compared; numbers in texts as numbers, for two languages write them differently. */
function comparable({ value, ...reply }: Record<string, unknown>): Record<string, unknown> {
  if (typeof value !== "string") return reply;
  const number = Number(value.replace("Inf", "Infinity"));
  return { ...reply, value: Number.isNaN(number) ? value : number };
}

for (const { request, reply, buffers } of stored.cases) {
  test(`${request.kind} of ${request.tensor ?? request.path} ${JSON.stringify(request)}`, () => {
    const found = ask(request);
    assert.ok(found, "not answered");
    const { buffers: own, ...fields } = found as unknown as Record<string, unknown> & { buffers: DataView[] };
    const { rough, ...rest } = fields;
    if (request.kind === "tile") assert.equal(rough, request.tensor === "coarse");
    const { kind: _, ...expected } = reply;
    const [mine, theirs] = [comparable(rest), comparable(expected)];
    assert.deepEqual(Object.keys(mine).sort(), Object.keys(theirs).sort());
    for (const [key, value] of Object.entries(theirs)) {
      const flat = [value].flat();
      const got = [mine[key]].flat();
      assert.equal(got.length, flat.length, key);
      flat.forEach((each, i) => {
        if (typeof each === "number") near(got[i] as number, each, key);
        else assert.equal(got[i], each, key);
      });
    }
    assert.equal(own.length, buffers.length);
    buffers.forEach((base64, at) => {
      const raw = Uint8Array.from(Buffer.from(base64, "base64"));
      const expectedNumbers = numbers(request.kind, at, new DataView(raw.buffer));
      const foundNumbers = numbers(request.kind, at, own[at] as DataView);
      assert.equal(foundNumbers.length, expectedNumbers.length);
      foundNumbers.forEach((number, i) => {
        near(number, expectedNumbers[i] as number, `buffer ${at}[${i}]`);
      });
    });
  });
}

const COARSE = { tensor: "coarse", axes: { rows: [0], cols: [1] }, index: [0, 0], range: null };

test("what the weights here cannot tell is left to a kernel", () => {
  const tile = (more: object): unknown => ask({ kind: "tile", ...COARSE, ...more } as Request);
  assert.equal(tile({ tile: [1, 2, 0, 0], aggregate: "absmax" }), null, "finer than what is kept");
  assert.equal(tile({ tile: [2, 2, 0, 0], aggregate: "mean" }), null, "a mean of extremes is none");
  const turned = { axes: { rows: [1], cols: [0] }, tile: [2, 2, 0, 0], aggregate: "absmax" };
  assert.equal(tile(turned), null, "other axes");
  assert.equal(ask({ kind: "count", path: "coarse", range: [0, 1] } as Request), null);
  assert.equal(ask({ kind: "count", path: "no such tensor", range: [0, 1] } as Request), null);
  assert.equal(ask({ kind: "spectrum_top", tensor: "float32" } as unknown as Request), null);
});

function farModel(state: KernelState): {
  model: Model;
  answer(reply: unknown): void;
  asked: AbortSignal[];
  kernel: ReturnType<typeof signal<KernelState>>;
} {
  const kernel = signal<KernelState>(state);
  const waiting: ((reply: unknown) => void)[] = [];
  const asked: AbortSignal[] = [];
  const model = {
    kernel,
    request: (_kind: string, _payload: unknown, options: { signal: AbortSignal }) =>
      new Promise((resolve, reject) => {
        asked.push(options.signal);
        waiting.push(resolve);
        options.signal.addEventListener("abort", () => reject(new RequestCancelled()));
      }),
  } as unknown as Model;
  return { model, kernel, asked, answer: (reply) => waiting.shift()?.(reply) };
}

const COUNT = { path: "float32", range: [-0.25, 0.5] as [number, number] };

test("the kernel is asked first, and its answer stands", async () => {
  const far = farModel("alive");
  const model = withLocalAnswers(far.model, () => overview);
  const reply = model.request("count", COUNT);
  far.answer({ count: 1, total: 2, exact: true, buffers: [] });
  assert.equal((await reply).count, 1);
});

test("a kernel that goes away leaves the answer to the overview", async () => {
  const far = farModel("alive");
  const model = withLocalAnswers(far.model, () => overview);
  const reply = model.request("count", COUNT);
  far.kernel.value = "slow";
  far.kernel.value = "gone";
  const found = await reply;
  assert.equal(found.total, 105);
  assert.ok(found.count > 1);
});

test("a busy kernel that has answered before is waited for", async () => {
  const far = farModel("alive");
  const model = withLocalAnswers(far.model, () => overview);
  await Promise.all([model.request("count", COUNT), far.answer({ count: 7, buffers: [] })]);
  far.kernel.value = "slow";
  const reply = model.request("count", COUNT);
  far.answer({ count: 8, total: 105, exact: true, buffers: [] });
  assert.equal((await reply).count, 8);
});

test("without a kernel one request goes on waiting for it, the others are withdrawn", async () => {
  const far = farModel("gone");
  const model = withLocalAnswers(far.model, () => overview);
  await model.request("count", COUNT);
  await model.request("count", COUNT);
  await model.request("count", COUNT);
  assert.deepEqual(
    far.asked.map((each) => each.aborted),
    [false, true, true],
  );
});

test("a request that is withdrawn is rejected, whoever would answer it", async () => {
  const far = farModel("alive");
  const model = withLocalAnswers(far.model, () => overview);
  const abort = new AbortController();
  const reply = model.request("count", COUNT, { signal: abort.signal });
  abort.abort();
  await assert.rejects(reply, RequestCancelled);
});
