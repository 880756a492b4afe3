import assert from "node:assert/strict";
import { test } from "node:test";
import { type Range, RequestCancelled } from "../src/model";
import { cellText, decimalsFor } from "../src/panels/heatmap/celltext";
import { shortestFloat32 } from "../src/panels/heatmap/exact";
import { halve } from "../src/panels/heatmap/matrix";
import { largestIn } from "../src/panels/heatmap/norms";
import { type Place, TileCache, type TileData } from "../src/panels/heatmap/tilecache";

interface Asked {
  place: Place;
  range: Range | null;
  signal: AbortSignal;
  resolve(data: TileData): void;
  reject(reason: unknown): void;
}

function kernel(): {
  asked: Asked[];
  fetch: (p: Place, r: Range | null, s: AbortSignal) => Promise<TileData>;
} {
  const asked: Asked[] = [];
  const fetch = (place: Place, range: Range | null, signal: AbortSignal): Promise<TileData> =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new RequestCancelled()));
      asked.push({ place, range, signal, resolve, reject });
    });
  return { asked, fetch };
}

const data = (value = 1, shares = false): TileData => ({
  height: 2,
  width: 2,
  values: new Float32Array(4).fill(value),
  shares: shares ? new Uint8Array(4) : null,
});
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
const row = (n: number, level = 1): Place[] => Array.from({ length: n }, (_, col) => [level, level, 0, col]);
const none = (): boolean => false;

test("the most urgent tiles are asked for first, a few at a time", async () => {
  const { asked, fetch } = kernel();
  let arrived = 0;
  const cache = new TileCache(fetch, () => arrived++);
  cache.want(row(10), null, none);
  assert.deepEqual(
    asked.map(({ place }) => place[3]),
    [0, 1, 2, 3, 4, 5],
  );
  asked[2]?.resolve(data(7));
  await settle();
  assert.equal(arrived, 1);
  assert.equal(cache.get([1, 1, 0, 2])?.values[0], 7);
  assert.equal(asked.at(-1)?.place[3], 6);
});

test("what is not wanted any more is withdrawn, the rest goes on", async () => {
  const { asked, fetch } = kernel();
  const cache = new TileCache(fetch, () => {});
  cache.want(row(3), null, none);
  cache.want(
    [
      [1, 1, 0, 1],
      [1, 1, 5, 5],
    ],
    null,
    none,
  );
  assert.deepEqual(
    asked.map(({ place, signal }) => [place[3], signal.aborted]),
    [
      [0, true],
      [1, false],
      [2, true],
      [5, false],
    ],
  );
  // An answer that was on its way when it was withdrawn is not taken.
  asked[0]?.resolve(data());
  asked[1]?.resolve(data());
  await settle();
  assert.equal(cache.size, 1);
  cache.want(row(2), null, none);
  assert.equal(asked.length, 5, "what is there is not asked for again");
});

test("a brush asks for shares, single elements need none", async () => {
  const { asked, fetch } = kernel();
  const cache = new TileCache(fetch, () => {});
  const places: Place[] = [
    [1, 0, 0, 0],
    [0, 0, 0, 0],
  ];
  cache.want(places, null, none);
  for (const one of asked) one.resolve(data());
  await settle();
  cache.want(places, [0, 1], none);
  assert.deepEqual(asked.at(-1)?.range, [0, 1]);
  assert.equal(asked.length, 3);
  cache.want(places, [0, 2], none);
  assert.ok(asked[2]?.signal.aborted);
  asked[3]?.resolve(data(1, true));
  await settle();
  const tile = cache.get([1, 0, 0, 0]);
  assert.equal(tile?.range, "0,2");
  assert.equal(tile?.version, 1);
  cache.want(places, [0, 2], none);
  assert.equal(asked.length, 4);
});

test("a failure is told once and not asked for again", async () => {
  const { asked, fetch } = kernel();
  const cache = new TileCache(fetch, () => {});
  cache.want(row(1), null, none);
  asked[0]?.reject(new Error("no such tensor"));
  await settle();
  assert.equal(cache.error, "no such tensor");
  cache.want(row(1), null, none);
  assert.equal(asked.length, 1);
});

test("the oldest tiles make room, wanted and pinned ones stay", async () => {
  const { asked, fetch } = kernel();
  const cache = new TileCache(fetch, () => {}, undefined, 4 * 9 * 3);
  for (let col = 0; col < 6; col++) {
    cache.want([[1, 1, 0, col]], null, ([, , , c]) => c === 0);
    asked.at(-1)?.resolve(data(col));
    await settle();
  }
  assert.equal(cache.size, 3);
  assert.ok(cache.get([1, 1, 0, 0]), "pinned");
  assert.ok(cache.get([1, 1, 0, 5]), "wanted");
  assert.equal(cache.get([1, 1, 0, 1]), undefined);
});

test("a cache that is closed withdraws everything and takes nothing", async () => {
  const { asked, fetch } = kernel();
  let arrived = 0;
  const cache = new TileCache(fetch, () => arrived++);
  cache.want(row(2), null, none);
  cache.close();
  assert.ok(asked.every(({ signal }) => signal.aborted));
  cache.want(row(2), null, none);
  await settle();
  assert.equal(asked.length, 2);
  assert.equal(arrived, 0);
});

test("without a kernel one request waits for it to come back", () => {
  const { asked, fetch } = kernel();
  const cache = new TileCache(
    fetch,
    () => {},
    (flying) => flying === 0,
  );
  cache.want(row(5), null, none);
  assert.equal(asked.length, 1);
});

test("numbers in cells stand in line and never pass for zero", () => {
  assert.equal(decimalsFor(0.34), 3);
  assert.equal(decimalsFor(7.9), 2);
  assert.equal(decimalsFor(5000), 0);
  assert.equal(cellText(0.0273, 5, 3), ".027");
  assert.equal(cellText(-0.12, 5, 3), "−.120");
  assert.equal(cellText(7.9148, 4, 3), "7.91");
  assert.equal(cellText(0.00003, 5, 3), "3e−5");
  assert.equal(cellText(-0.00003, 4, 3), "−0");
  assert.equal(cellText(0, 5, 3), "0");
  assert.equal(cellText(Number.NaN, 3, 3), "NaN");
  assert.equal(cellText(Number.NEGATIVE_INFINITY, 3, 3), "−∞");
  assert.equal(cellText(123456, 3, 0), "1e5");
});

test("values of float32 are told with the digits that they have", () => {
  assert.equal(shortestFloat32(Math.fround(7.9148)), "7.9148");
  assert.equal(shortestFloat32(Math.fround(-0.1)), "−0.1");
  assert.equal(shortestFloat32(Math.fround(0.100097656)), "0.100097656");
  assert.equal(shortestFloat32(16777216), "16777216");
  assert.equal(shortestFloat32(Number.NaN), "NaN");
});

test("a smaller picture keeps the largest magnitudes and NaN", () => {
  const whole = { height: 1, width: 5, data: Float32Array.of(1, -3, Number.NaN, 2, -1) };
  assert.deepEqual([...halve(whole, "cols").data], [-3, Number.NaN, -1]);
  const two = { height: 2, width: 2, data: Float32Array.of(1, -5, 2, Number.NaN) };
  assert.deepEqual([...halve(two, "rows").data], [2, Number.NaN]);
});

test("norms of several rows are the largest of theirs", () => {
  const norms = { values: Float32Array.of(1, 5, 2, 4), step: 2, largest: 5 };
  assert.equal(largestIn(norms, 0, 2), 1);
  assert.equal(largestIn(norms, 1, 3), 5);
  assert.equal(largestIn(norms, 4, 8), 4);
  assert.equal(largestIn({ ...norms, step: 1.5 }, 5, 6), 4);
});
