/** What the front end answers about blocks from an overview's weights is what Python answers from the tensors. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import { createBlocks } from "../src/blocks/store";
import { blockTable, withBlocks } from "../src/blocks/table";
import { answerLocally } from "../src/local/answers";
import { cut } from "../src/local/cut";
import { withLocalAnswers } from "../src/local/model";
import { type Model, RequestCancelled } from "../src/model";
import { parseOverview } from "../src/overview";
import type { RequestKind, Requests } from "../src/protocol";

type Request = { kind: RequestKind } & Record<string, unknown>;

interface Case {
  request: Request;
  reply: Record<string, unknown>;
  buffers: string[];
}

const stored = JSON.parse(readFileSync("../tests/protocol/block_records.json", "utf8")) as {
  blob: string;
  cases: Case[];
};
const bytesOf = (base64: string): ArrayBuffer => Uint8Array.from(Buffer.from(base64, "base64")).buffer;
const base = parseOverview(new DataView(bytesOf(stored.blob)));
const overview = withBlocks(base, blockTable());

function near(found: number, expected: number, of: string): void {
  if (Object.is(found, expected) || (Number.isNaN(found) && Number.isNaN(expected))) return;
  const off = Math.abs(found - expected);
  assert(off <= 1e-6 * Math.max(Math.abs(expected), 1e-2), `${of}: ${found} is not ${expected}`);
}

function compare(found: ArrayLike<number>, expected: ArrayLike<number>, of: string): void {
  assert.equal(found.length, expected.length, of);
  for (let i = 0; i < expected.length; i++) near(found[i] as number, expected[i] as number, `${of}[${i}]`);
}

function own(view: DataView): ArrayBuffer {
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}

/** The arrays of a reply, by what they are. */
function arrays(kind: string, buffers: readonly ArrayBuffer[]): ArrayLike<number>[] {
  return buffers.map((buffer, at) => {
    if (kind === "tile" && at === 1) return new Uint8Array(buffer);
    const wide = kind === "histogram" || (kind === "records" && at < 3) || (kind === "gates" && at < 6);
    return wide ? new Float64Array(buffer) : new Float32Array(buffer);
  });
}

for (const { request, reply, buffers } of stored.cases) {
  const { kind } = request;
  test(`${kind} of ${JSON.stringify(request.paths ?? request.tensor ?? request.path ?? request.recurrent)}`, () => {
    const found = answerLocally(overview, kind, request as unknown as Requests[RequestKind]["request"]);
    assert(found, "not answered");
    const mine = arrays(kind, found.buffers.map(own));
    const theirs = arrays(kind, buffers.map(bytesOf));
    assert.equal(mine.length, theirs.length);
    const fields = found as unknown as Record<string, unknown>;
    if (kind === "records") {
      const expected = reply.columns as string[];
      const columns = fields.columns as string[];
      assert.deepEqual([...columns].sort(), [...expected].sort());
      for (let row = 0; row < (request.paths as string[]).length; row++) {
        for (const [at, key] of expected.entries()) {
          const of = `${key} of ${(request.paths as string[])[row]}`;
          const place = row * columns.length;
          const value = mine[0]?.[place + columns.indexOf(key)] as number;
          near(value, theirs[0]?.[place + at] as number, of);
        }
      }
      for (const key of ["shapes", "errors", "bins", "log_bins", "thumbnails", "profiles"]) {
        assert.deepEqual(fields[key], reply[key], key);
      }
    }
    theirs.forEach((array, at) => {
      if (kind !== "records" || at > 0) compare(mine[at] as ArrayLike<number>, array, `buffer ${at}`);
    });
    if (kind === "gates") {
      near(fields.limit as number, reply.limit as number, "limit");
      for (const key of ["gates", "units", "bins", "pictures", "separate", "keeper"])
        assert.deepEqual(fields[key], reply[key], key);
    }
    for (const key of ["row", "col", "count", "total", "below", "above", "height", "width"]) {
      if (key in reply) assert.equal(fields[key], reply[key], key);
    }
  });
}

test("a box is cut out of any axes", () => {
  const shape = [3, 4, 5];
  const data = Int32Array.from({ length: 60 }, (_, i) => i);
  const box = [
    [1, 3],
    [2, 3],
    [1, 4],
  ] as const;
  assert.deepEqual([...cut(data, shape, box)], [31, 32, 33, 51, 52, 53]);
  const rows = [
    [1, 2],
    [0, 4],
    [0, 5],
  ] as const;
  assert.deepEqual([...cut(data, shape, rows)], [...data.subarray(20, 40)]);
  assert.deepEqual([...cut(Int32Array.of(7), [], [])], [7]);
});

test("without a kernel blocks that are here have records, and the others wait without being in their way", async () => {
  const asked: string[][] = [];
  const model = {
    kernel: signal("gone"),
    request: (_kind: string, { paths }: { paths: string[] }, { signal: abort }: { signal: AbortSignal }) => {
      asked.push(paths);
      return new Promise((_, reject) => {
        abort.addEventListener("abort", () => reject(new RequestCancelled()));
      });
    },
  } as unknown as Model;
  const partly = {
    ...base,
    kept: (row: number) => (base.names[row] === "moe" ? null : base.kept(row)),
  };
  const wrapped = withLocalAnswers(model, () => blocks.overview.peek());
  const blocks = createBlocks(wrapped, signal(partly), new AbortController().signal);
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  blocks.store.want(["moe › expert 4", "odd › left"], { detail: true });
  await settled();
  blocks.store.want(["attention › head 2", "moe › expert 3"], { detail: true });
  await settled();
  const now = blocks.overview.value;
  const known = (path: string): boolean => now.summarised(now.rowOf(path));
  assert(known("odd › left") && known("attention › head 2"));
  assert(!known("moe › expert 4") && !known("moe › expert 3"));
  assert.equal(now.kept(now.rowOf("moe › expert 4")), null);
  assert.equal(now.kept(now.rowOf("odd › left"))?.data.length, 450);
  assert.deepEqual(asked[0], ["odd › left"]);
  assert.deepEqual(asked[1], ["moe › expert 4"]);
});
