/** Where only a summary was opened: what is asked for all the same, and what is said. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals-core";
import { lack, withoutWeights } from "../src/lack";
import { type KernelState, type Model, RequestCancelled } from "../src/model";
import type { Overview } from "../src/overview";
import { fakeOverview } from "./fake";

function bare(hasWeights: boolean): Overview {
  const overview = fakeOverview({ tensors: [{ name: "a.weight", shape: [3, 5] }] });
  return { ...overview, hasWeights };
}

function far(): { model: Model; kernel: ReturnType<typeof signal<KernelState>>; asked: string[] } {
  const asked: string[] = [];
  const kernel = signal<KernelState>("alive");
  const request = (kind: string): Promise<unknown> => {
    asked.push(kind);
    return Promise.resolve({ buffers: [] });
  };
  return { model: { kernel, request } as unknown as Model, kernel, asked };
}

test("what takes the weights is not asked for, what the summary holds is", async () => {
  const { model, asked } = far();
  const wrapped = withoutWeights(model, signal(bare(false)));
  const path = "a.weight";
  await wrapped.request("histogram", { path, bins: 8, scale: "value", range: null });
  await wrapped.request("count", { path, range: [0, 1] });
  await wrapped.request("histogram", { path: "a", bins: 8, scale: "value", range: null });
  assert.deepEqual(asked, ["histogram", "count", "histogram"]);

  const withdrawn = new AbortController();
  const refused = [
    wrapped.request("eigenvalues", { recurrent: path, gate: "i" } as never, { signal: withdrawn.signal }),
    wrapped.request("count", { path: "a.weight › f", range: [0, 1] }, { signal: withdrawn.signal }),
  ];
  withdrawn.abort();
  for (const one of refused) await assert.rejects(one, RequestCancelled);
  await assert.rejects(
    wrapped.request("eigenvalues", {} as never, { signal: AbortSignal.abort() }),
    RequestCancelled,
  );
  assert.equal(asked.length, 3);
});

test("panels find no kernel until the weights are there", async () => {
  const { model, kernel, asked } = far();
  const overview = signal(bare(false));
  const wrapped = withoutWeights(model, overview);
  assert.equal(wrapped.kernel.value, "gone");
  assert.match(lack({ base: overview }).without, /^Only the summary was opened/);
  overview.value = bare(true);
  assert.equal(wrapped.kernel.value, "alive");
  kernel.value = "slow";
  assert.equal(wrapped.kernel.value, "slow");
  assert.equal(lack({ base: overview }).fact, "No kernel answers");
  await wrapped.request("eigenvalues", {} as never);
  assert.deepEqual(asked, ["eigenvalues"]);
});
