import assert from "node:assert/strict";
import { test } from "node:test";
import { indexTicks, niceStep } from "../src/panels/heatmap/edges";
import { runs } from "../src/panels/heatmap/render";
import { extent, tilesIn } from "../src/panels/heatmap/tilecache";
import {
  centreOn,
  drawnSize,
  elementAt,
  fit,
  fitScales,
  isFit,
  LARGEST_CELL,
  levelFor,
  pan,
  resize,
  reveal,
  showWindow,
  type Viewport,
  visibleWindow,
  zoomAt,
} from "../src/panels/heatmap/viewport";

const close = (a: number, b: number, slack = 1e-6): void => assert.ok(Math.abs(a - b) < slack, `${a} ≠ ${b}`);

test("large matrices fill the room, each axis by itself", () => {
  for (const [rows, cols] of [
    [30522, 384],
    [4096, 11008],
    [384, 384],
  ] as const) {
    const [width, height] = drawnSize(fit(rows, cols, 700, 300));
    close(width, 700);
    close(height, 300);
  }
});

test("small matrices keep square cells that are not too large", () => {
  assert.deepEqual(fitScales(7, 7, 700, 400), [48, 48]);
  const [sx, sy] = fitScales(10, 64, 700, 300);
  close(sx, sy);
  assert.ok(fitScales(16, 144, 600, 320)[1] <= 20);
});

test("what is under the pointer stays there when zooming", () => {
  const v = fit(4096, 11008, 700, 300);
  const [px, py] = [123, 77];
  const before = [v.x + px / v.sx, v.y + py / v.sy];
  const zoomed = zoomAt(v, 9.7, px, py);
  close(zoomed.x + px / zoomed.sx, before[0] as number);
  close(zoomed.y + py / zoomed.sy, before[1] as number);
  close(zoomed.sx / v.sx, 9.7);
  close(zoomed.sy / v.sy, 9.7);
});

test("zooming ends at single cells and at the whole", () => {
  let v = fit(4096, 11008, 700, 300);
  const whole = v;
  for (let i = 0; i < 100; i++) v = zoomAt(v, 1.4, 300, 100);
  assert.equal(v.sx, LARGEST_CELL);
  assert.equal(v.sy, LARGEST_CELL);
  for (let i = 0; i < 100; i++) v = zoomAt(v, 1 / 1.4, 300, 100);
  assert.ok(isFit(v));
  assert.deepEqual(v, whole);
});

test("one axis can be zoomed alone", () => {
  const v = fit(4096, 4096, 400, 400);
  const wide = zoomAt(v, 4, 200, 200, "cols");
  assert.equal(wide.sy, v.sy);
  close(wide.sx, 4 * v.sx);
  assert.equal(zoomAt(v, 4, 200, 200, "rows").sx, v.sx);
});

test("moving follows the pointer exactly and ends at the edges", () => {
  const v = zoomAt(fit(1000, 1000, 500, 500), 10, 250, 250);
  const moved = pan(pan(v, 33, -21), -33, 21);
  close(moved.x, v.x);
  close(moved.y, v.y);
  const far = pan(v, 1e6, -1e6);
  assert.equal(far.x, 0);
  close(far.y, 1000 - 500 / v.sy);
});

test("a window that is shown is the one that is seen", () => {
  const v = showWindow(fit(4096, 11008, 640, 320), [100, 140, 800, 880]);
  assert.deepEqual(visibleWindow(v), [100, 140, 800, 880]);
  assert.deepEqual(visibleWindow(fit(4096, 11008, 640, 320)), [0, 4096, 0, 11008]);
});

test("a window smaller than the largest cells allow is shown in the middle", () => {
  const v = showWindow(fit(1000, 1000, 640, 320), [500, 501, 500, 501]);
  assert.equal(v.sx, LARGEST_CELL);
  const [row0, row1, col0, col1] = visibleWindow(v);
  close(row0 + row1, 1001, 1.01);
  close(col0 + col1, 1001, 1.01);
});

test("another room shows all again, or keeps scale and corner", () => {
  const whole = fit(300, 300, 500, 400);
  assert.ok(isFit(resize(whole, 320, 200)));
  const part = zoomAt(whole, 5, 100, 100);
  const resized = resize(part, 450, 380);
  assert.equal(resized.sx, part.sx);
  close(resized.x, part.x);
});

test("pointing finds the element, and nothing outside", () => {
  const v = fit(7, 7, 700, 400);
  assert.deepEqual(elementAt(v, 0, 0), [0, 0]);
  assert.deepEqual(elementAt(v, 48 * 3 + 1, 48 * 6 + 47), [6, 3]);
  assert.equal(elementAt(v, 48 * 7 + 1, 10), null);
  assert.equal(elementAt(v, -1, 10), null);
});

test("moving to a cell moves no more than needed", () => {
  const v = centreOn(zoomAt(fit(1000, 1000, 500, 500), 40, 0, 0), 500, 500);
  assert.deepEqual(reveal(v, [500, 501, 500, 501]), v);
  const moved = reveal(v, [520, 521, 500, 501]);
  assert.equal(moved.x, v.x);
  close(moved.y + 500 / moved.sy, 521);
});

test("an entry covers at least one device pixel, and less than two", () => {
  for (const scale of [0.01, 0.3, 0.5, 0.51, 0.9999, 1, 3, 64]) {
    for (const ratio of [1, 1.25, 2, 3]) {
      const level = levelFor(scale, ratio);
      const pixels = 2 ** level * scale * ratio;
      assert.ok(pixels >= 1 - 1e-6);
      if (level > 0) assert.ok(pixels < 2);
    }
  }
});

test("tiles cover what is seen, the middle first", () => {
  const v = showWindow(fit(4096, 11008, 700, 300), [1000, 2000, 3000, 7000]);
  const levels = [levelFor(v.sy, 1), levelFor(v.sx, 1)] as const;
  const places = tilesIn(v, levels);
  for (const [row, col] of [
    [1000, 3000],
    [1999, 6999],
    [1500, 5000],
  ] as const) {
    assert.ok(
      places.some((place) => {
        const [row0, row1, col0, col1] = extent(place, v.rows, v.cols);
        return row >= row0 && row < row1 && col >= col0 && col < col1;
      }),
    );
  }
  const [row0, row1, col0, col1] = extent(places[0] as never, v.rows, v.cols);
  assert.ok(row0 <= 1500 && 1500 <= row1 + 256 && col0 <= 5000 && 5000 <= col1 + 2048);
});

test("every entry of a tile gets a device pixel of its own, wherever the view is", () => {
  // The last entry stands for one element of eight: it must not vanish.
  for (let step = 0; step < 400; step++) {
    const scale = 0.126 + step * 0.0007;
    const v: Viewport = { ...fit(2049, 2049, 300, 300), sx: scale, x: (step * 7.13) % 200 };
    const level = levelFor(scale, 1);
    const unit = 2 ** level;
    const entries = Math.ceil(2049 / unit);
    const found = runs(entries, 0, 2049, unit, [v.x, 2049], (col) => 40 + (col - v.x) * scale);
    assert.equal(
      found.reduce((sum, run) => sum + run.count, 0),
      entries - Math.floor(v.x / unit),
    );
    for (const run of found)
      assert.ok(run.length >= run.count, `${run.count} entries in ${run.length} pixels`);
    for (let i = 1; i < found.length; i++) {
      const [last, next] = [found[i - 1], found[i]];
      assert.ok(last && next && last.start + last.length <= next.start + 1);
    }
  }
});

test("ticks stand at round indices, far enough apart", () => {
  assert.equal(niceStep(1, 30), 50);
  assert.equal(niceStep(40, 30), 1);
  assert.equal(niceStep(0.05, 50), 1000);
  assert.deepEqual(indexTicks(0, 384, 384, 1, 50), [0, 50, 100, 150, 200, 250, 300, 350]);
  assert.deepEqual(indexTicks(97.2, 5, 384, 48, 30), [97, 98, 99, 100, 101]);
});
