import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ink,
  luminance,
  type Palette,
  pack,
  palette,
  parse,
  type Rgb,
  type Theme,
  toOklab,
  unpack,
} from "../src/draw/colour";
import {
  colourOf,
  colourScale,
  paint,
  place,
  scaleOfDrawn,
  sharesOf,
  typicalPixel,
  valueAt,
} from "../src/draw/colourscale";
import type { ColorMap } from "../src/model";

const MAPS: ColorMap[] = ["blue-red", "purple-green", "brown-teal", "grey"];
const THEMES: Theme[] = ["light", "dark"];
const WEIGHTS = { absmax: 8, q01: -0.1, q99: 0.12, rms: 0.05, pixel: Number.NaN };

const lightness = (colour: number): number => toOklab(unpack(colour))[0] as number;
const distance = (a: number, b: number): number =>
  Math.hypot(...toOklab(unpack(a)).map((value, i) => value - (toOklab(unpack(b))[i] as number)));

/** As a reader without green cones (deuteranopia) sees it; Machado et al. 2009, on linear values. */
function deutan(colour: number): number {
  const linear = unpack(colour).map((c) => (c / 255) ** 2.2) as unknown as Rgb;
  const rows = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ];
  const seen = rows.map((row) => {
    const value = row.reduce((sum, weight, i) => sum + weight * (linear[i] as number), 0);
    return Math.round(255 * Math.min(1, Math.max(0, value)) ** (1 / 2.2));
  });
  return pack(seen as unknown as Rgb);
}

for (const theme of THEMES) {
  for (const map of MAPS) {
    const colours: Palette = palette(map, theme);
    const { lut } = colours;
    test(`${map}, ${theme}: lightness goes one way from zero to the ends and beyond`, () => {
      const way = theme === "light" ? -1 : 1;
      for (let i = 128; i < 255; i++) {
        assert.ok(
          way * (lightness(lut[i + 1] as number) - lightness(lut[i] as number)) > -0.004,
          `entry ${i}`,
        );
        const j = 255 - i;
        assert.ok(
          way * (lightness(lut[j - 1] as number) - lightness(lut[j] as number)) > -0.004,
          `entry ${j}`,
        );
      }
      assert.ok(way * (lightness(colours.above) - lightness(lut[255] as number)) > 0.05);
      assert.ok(way * (lightness(colours.below) - lightness(lut[0] as number)) > 0.05);
      assert.ok(distance(lut[127] as number, lut[128] as number) < 0.02, "zero is smooth");
    });
    test(`${map}, ${theme}: NaN and infinities look like nothing on the map`, () => {
      const special = [colours.nan, colours.posinf, colours.neginf];
      special.forEach((one, at) => {
        for (const other of special.slice(at + 1)) assert.ok(distance(one, other) > 0.2);
        for (const other of [...lut, colours.above, colours.below]) assert.ok(distance(one, other) > 0.06);
      });
    });
    if (map === "grey") continue;
    test(`${map}, ${theme}: the signs can be told apart without red and green`, () => {
      for (const t of [40, 70, 100, 127]) {
        const [low, high] = [deutan(lut[127 - t] as number), deutan(lut[128 + t] as number)];
        assert.ok(distance(low, high) > 0.05, `${t}: ${distance(low, high)}`);
      }
    });
  }
}

test("colours are packed for ImageData and unpacked again", () => {
  const rgb = parse("#2166ac");
  assert.deepEqual(rgb, [0x21, 0x66, 0xac]);
  assert.deepEqual(unpack(pack(rgb)), rgb);
  assert.deepEqual([...new Uint8Array(Uint32Array.of(pack(rgb)).buffer)], [...rgb, 255]);
});

test("ink has a contrast of at least 4.5 on every colour", () => {
  for (const theme of THEMES) {
    for (const map of MAPS) {
      const { lut, above, below, nan, posinf, neginf } = palette(map, theme);
      for (const colour of [...lut, above, below, nan, posinf, neginf]) {
        const own = luminance(unpack(colour));
        const contrast = ink(colour) === "#000000" ? (own + 0.05) / 0.05 : 1.05 / (own + 0.05);
        assert.ok(contrast >= 4.5);
      }
    }
  }
});

test("the robust scale survives an outlier and says what it is", () => {
  const scale = colourScale("robust", WEIGHTS);
  assert.ok(Math.abs(scale.limit - 0.18) < 1e-12);
  assert.match(scale.note, /1–99 %/);
  const colours = palette("blue-red", "light");
  assert.equal(colourOf(colours, scale, 8), colours.above);
  assert.equal(colourOf(colours, scale, -8), colours.below);
  assert.equal(colourOf(colours, scale, scale.limit), colours.lut[255]);
  assert.equal(colourOf(colours, scale, Number.NaN), colours.nan);
  assert.equal(colourOf(colours, scale, Number.POSITIVE_INFINITY), colours.posinf);
  assert.equal(colourOf(colours, scale, Number.NEGATIVE_INFINITY), colours.neginf);
});

test("the robust scale does not reach beyond the largest magnitude, and falls back on it", () => {
  assert.equal(colourScale("robust", { ...WEIGHTS, absmax: 0.15 }).limit, 0.15);
  assert.equal(colourScale("robust", { ...WEIGHTS, q01: 0, q99: 0 }).limit, 8);
  assert.equal(colourScale("robust", { ...WEIGHTS, q01: Number.NaN, q99: Number.NaN }).limit, 8);
  assert.equal(colourScale("full", { ...WEIGHTS, absmax: Number.NaN }).limit, 1);
  assert.match(colourScale("robust", { ...WEIGHTS, absmax: 0 }).note, /every weight is 0/);
});

test("pixels of very many weights do not all end up beyond the robust scale", () => {
  assert.equal(colourScale("robust", { ...WEIGHTS, pixel: 0.3 }).limit, 0.3);
  // 11,008 normal weights a cell of the thumbnail: their largest is near 3.9 σ; near 2.8 σ for 200.
  const thumbnail = Float32Array.from({ length: 101 }, (_, i) => 3.9 + (i - 50) / 200);
  assert.ok(Math.abs(typicalPixel(thumbnail, 11008, 11008) / 1.1 - 3.9) < 0.01);
  const smaller = typicalPixel(thumbnail, 11008, 200) / 1.1;
  assert.ok(smaller > 2.5 && smaller < 3.1, String(smaller));
});

test("the symmetric logarithmic scale holds everything, keeps signs and can be turned back", () => {
  const scale = colourScale("symlog", WEIGHTS);
  assert.equal(place(scale, 8), 1);
  assert.equal(place(scale, -8), -1);
  assert.equal(place(scale, 0), 0);
  for (const value of [-3, -0.01, 0.0001, 0.5, 7.9]) {
    assert.ok(Math.abs(valueAt(scale, place(scale, value)) - value) < 1e-9);
  }
  assert.ok(place(scale, 0.05) > 0.15);
});

test("rows can be scaled by themselves", () => {
  const scale = colourScale("row", WEIGHTS);
  const colours = palette("blue-red", "light");
  const out = new Uint32Array(4);
  paint(Float32Array.of(1, -1, 0.01, 0), 2, out, { palette: colours, scale, limits: [1, 0.01] });
  assert.deepEqual([...out], [colours.lut[255], colours.lut[0], colours.lut[255], colours.lut[128]]);
  paint(new Float32Array(2), 2, out, { palette: colours, scale, limits: [0] });
  assert.equal(out[0], colours.lut[128], "a row of zeros has the colour of zero");
});

test("a brush dims what it leaves out, and never what it holds the least of", () => {
  const colours = palette("blue-red", "light");
  const scale = colourScale("full", { ...WEIGHTS, absmax: 1 });
  const values = Float32Array.of(1, 1, 1);
  const out = new Uint32Array(3);
  paint(values, 3, out, { palette: colours, scale, shares: Uint8Array.of(255, 1, 0) });
  const [full, least, none] = [...out] as [number, number, number];
  assert.equal(full, colours.lut[255]);
  assert.ok(distance(least, colours.ground) > 2.5 * distance(none, colours.ground));
  assert.ok(distance(none, colours.ground) < 0.12);
  assert.deepEqual([...sharesOf(Float32Array.of(0.1, 0.2, Number.NaN), [0.15, 0.3])], [0, 255, 0]);
});

test("a scale of what is drawn holds nearly all of it, whatever is not finite", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => (i - 500) / 500);
  values[3] = Number.NaN;
  values[4] = Number.POSITIVE_INFINITY;
  values[5] = 1e6;
  const { limit } = scaleOfDrawn(values);
  assert.ok(limit > 0.95 && limit <= 1);
  assert.equal(scaleOfDrawn(new Float32Array(3)).limit, 1);
  assert.equal(scaleOfDrawn([]).limit, 1);
});
