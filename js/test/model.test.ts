import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { FakeModel } from "../dev/fake-model";
import { bindModel, type Model } from "../src/model";

function bound(): { far: FakeModel; model: Model; end: AbortController } {
  const far = new FakeModel();
  const end = new AbortController();
  return { far, model: bindModel(far.asAnyModel(), end.signal), end };
}

const COUNT = { path: "w", range: [0, 1] as [number, number] };

function quiet(request: Promise<unknown>): void {
  request.catch(() => {});
}

test("a kernel that says nothing is slow, then gone; a late answer brings it back", () => {
  mock.timers.enable({ apis: ["setInterval", "Date"] });
  const { far, model, end } = bound();
  quiet(model.request("count", COUNT));
  mock.timers.tick(2000);
  assert.equal(model.kernel.value, "slow");
  mock.timers.tick(7000);
  assert.equal(model.kernel.value, "gone");
  far.deliver({ id: far.sent[0]?.id, kind: "count", count: 1, total: 2, exact: true });
  assert.equal(model.kernel.value, "alive");
  end.abort();
  mock.timers.reset();
});

test("a request that waits its turn behind a long one does not make the kernel gone", () => {
  mock.timers.enable({ apis: ["setInterval", "Date"] });
  const { far, model, end } = bound();
  const shares: number[] = [];
  quiet(model.request("count", COUNT, { onProgress: (share) => shares.push(share) }));
  quiet(model.request("count", COUNT));
  for (let step = 1; step <= 20; step++) {
    mock.timers.tick(1000);
    far.deliver({ id: far.sent[0]?.id, progress: step / 20 });
    assert.equal(model.kernel.value, "alive");
  }
  assert.equal(shares.length, 20);
  mock.timers.tick(9000);
  assert.equal(model.kernel.value, "gone");
  end.abort();
  mock.timers.reset();
});

test("a host that tells of the kernel's end is believed at once, and so is an answer after that", () => {
  const { far, model, end } = bound();
  quiet(model.request("count", COUNT));
  far.deliver({ id: far.sent[0]?.id, progress: 0.5 });
  assert.equal(model.kernel.value, "alive");
  far.disconnect();
  assert.equal(model.kernel.value, "gone");
  far.deliver({ id: far.sent[0]?.id, kind: "count", count: 1, total: 2, exact: true });
  assert.equal(model.kernel.value, "alive");
  end.abort();
  assert.equal(far.listeners, 0);
});
