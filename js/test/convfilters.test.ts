import assert from "node:assert/strict";
import { test } from "node:test";
import cases from "../../tests/protocol/filters.json";
import type { Axes } from "../src/anatomy";
import { palette, unpack } from "../src/draw/colour";
import { cosineText, mostAlike } from "../src/panels/convfilters/detail";
import type { Frequencies, Similarity } from "../src/panels/convfilters/facts";
import {
  byInput,
  channelNumber,
  type FilterLayout,
  filterAt,
  filterLayout,
  kernelKind,
  positionOf,
} from "../src/panels/convfilters/layout";
import { LocalWeights, overviewNorms } from "../src/panels/convfilters/local";
import { countsLine, marksOf } from "../src/panels/convfilters/marks";
import { descending, orderOf } from "../src/panels/convfilters/order";
import { formOf, limitOf, rgbColour } from "../src/panels/convfilters/paint";
import { directionWord, frequencyWords } from "../src/panels/convfilters/words";
import { fakeOverview } from "./fake";

interface Expected {
  filters: number;
  channels: number;
  kernel: number[];
  places: { filter: number; channel: number; at: number[]; position: number[] }[];
}

interface Case {
  title: string;
  axes: Omit<Axes, "certain" | "why" | "splits">;
  shape: number[];
  layout: Expected | null;
  by_input?: Expected;
}

const CASES = cases as unknown as Case[];

const axesOf = (axes: Case["axes"]): Axes => ({ ...axes, certain: true, why: "", splits: [] });

const CONV: Axes = axesOf({
  names: ["out", "in", "kh", "kw"],
  what: "conv",
  output: 0,
  input: 1,
  spatial: [2, 3],
  groups: 1,
});

const layoutOf = (shape: number[], more: Partial<Axes> = {}): FilterLayout => {
  const layout = filterLayout({ ...CONV, ...more }, shape);
  assert(layout);
  return layout;
};

const placeOf = (layout: FilterLayout) => ({ row: 0, by: "output" as const, layout });

for (const { title, axes, shape, layout, by_input } of CASES) {
  test(`layout of the protocol: ${title}`, () => {
    const found = filterLayout(axesOf(axes), shape);
    if (!layout || !by_input) {
      assert.equal(found, null);
      return;
    }
    assert(found);
    for (const [own, expected] of [
      [found, layout],
      [byInput(found), by_input],
    ] as const) {
      assert.deepEqual(
        [own.filters, own.channels, own.kernel],
        [expected.filters, expected.channels, expected.kernel],
      );
      for (const { filter, channel, at, position } of expected.places) {
        assert.deepEqual(positionOf(own, filter, channel, at), position);
        assert.deepEqual(filterAt(own, position), { filter, channel });
      }
    }
  });
}

test("positions that the tensor does not have are no filters", () => {
  const layout = layoutOf([6, 4, 3, 5]);
  assert.equal(filterAt(layout, []), null);
  assert.equal(filterAt(layout, [6, 0, 0, 0]), null);
  assert.equal(filterAt(layout, [0, 0, 0]), null);
});

test("a grouped filter reads the channels of its group", () => {
  const layout = layoutOf([6, 4, 3, 3], { groups: 2 });
  assert.equal(channelNumber(layout, 2, 3), 3);
  assert.equal(channelNumber(layout, 3, 0), 4);
  const depthwise = layoutOf([8, 1, 3, 3], { groups: 4 });
  assert.deepEqual(
    [0, 1, 2, 7].map((filter) => channelNumber(depthwise, filter, 0)),
    [0, 0, 1, 3],
  );
});

test("kinds of kernels", () => {
  assert.equal(kernelKind(layoutOf([6, 4, 1, 1])), "point");
  assert.equal(kernelKind(layoutOf([6, 4, 1, 7])), "plane");
  const line = { names: ["out", "in", "k"], spatial: [2] };
  assert.equal(kernelKind(layoutOf([6, 4, 5], line)), "line");
  const volume = { names: ["out", "in", "kd", "kh", "kw"], spatial: [2, 3, 4] };
  assert.equal(kernelKind(layoutOf([6, 4, 2, 3, 3], volume)), "volume");
  assert.equal(kernelKind(layoutOf([6, 4, 1, 3, 3], volume)), "plane");
});

const norms = (values: number[], nonfinite: number[] = values.map(() => 0)) => ({
  norms: Float64Array.from(values),
  absmax: null,
  nonfinite: Float64Array.from(nonfinite),
  biases: null,
  meanLimit: Number.NaN,
  normLimit: Number.NaN,
});

test("dead, weak, copied and broken filters are marked", () => {
  const similarity: Similarity = {
    copyOf: Int32Array.from([0, -1, -1, 0, -1, -1]),
    cosine: Float32Array.from([1, Number.NaN, Number.NaN, -0.9999, Number.NaN, Number.NaN]),
    order: Int32Array.from([0, 3, 1, 2, 4, 5]),
  };
  const marks = marksOf(norms([2, 0, 0.099, 1, 0.1, 1.5], [0, 0, 0, 0, 0, 2]), similarity);
  const all = [0, 1, 2, 3, 4, 5];
  assert.deepEqual(
    all.map((filter) => marks.of(filter)),
    ["copy", "dead", "weak", "copy", "", "not finite"],
  );
  assert.deepEqual(
    all.map((filter) => marks.rank(filter)),
    [1, 6, 5, 3, 4, 2],
  );
  assert.match(marks.words(3), /copy of 0 with the sign turned/);
  assert.match(marks.words(5), /2 of its weights are NaN or infinite/);
  assert.equal(
    countsLine(marks, 6, "filters"),
    "1 of 6 filters is not finite, 1 is all zero, 1 is under 5 % of the strongest, 2 are copies of one another",
  );
});

test("the line says how many there are where none stands out", () => {
  assert.equal(countsLine(marksOf(norms([1, 2]), null), 2, "filters"), "2 filters");
  assert.equal(countsLine(marksOf(null, null), 2, "filters"), "2 filters");
  const weak = marksOf(norms([1, ...new Array<number>(8).fill(0.01)]), null);
  assert.equal(countsLine(weak, 9, "filters"), "8 of 9 filters are under 5 % of the strongest");
});

test("orders", () => {
  const frequencies: Frequencies = {
    frequency: Float64Array.from([0.3, Number.NaN, 0.1, 0.3]),
    orientation: Float64Array.from([90, Number.NaN, 0, 45]),
    coherence: new Float64Array(4),
    neighbours: 0,
  };
  const of = (order: Parameters<typeof orderOf>[0]): number[] =>
    Array.from(orderOf(order, 4, norms([1, 3, 2, 3]), frequencies, null));
  assert.deepEqual(of("stored"), [0, 1, 2, 3]);
  assert.deepEqual(of("norm"), [1, 3, 2, 0]);
  assert.deepEqual(of("frequency"), [2, 3, 0, 1]);
  assert.deepEqual(of("similarity"), [0, 1, 2, 3], "stored until the kernel has answered");
  assert.deepEqual(Array.from(descending([1, Number.NaN, 2])), [2, 0, 1]);
});

test("colours have one scale for three channels, and grey is zero", () => {
  const colours = palette("blue-red", "light");
  const values = Float32Array.from([0, 0.5, -1, Number.NaN, 0, 0, 1, 0, 0, 0, 0.25, 0]);
  const at = (place: number) => unpack(rgbColour(colours, values, place, 4, 1));
  assert.deepEqual(at(0), [128, 128, 128]);
  assert.deepEqual(at(1), [191, 128, 128]);
  assert.deepEqual(at(2), [0, 255, 159]);
  assert.deepEqual(at(3), unpack(colours.nan));
});

test("the largest weight of a filter ends its own scale", () => {
  const scale = { kind: "full" as const, limit: 4, linear: 0, note: "" };
  const colours = { palette: palette("blue-red", "light"), scale, range: null };
  const values = Float32Array.from([0.5, -2, Number.NEGATIVE_INFINITY]);
  assert.equal(limitOf(values, { ...colours, each: true }), 2);
  assert.equal(limitOf(values, { ...colours, each: false }), 4);
});

test("slices of a volume lie side by side, a pixel apart", () => {
  const form = formOf("volume", [3, 2, 2], 1, 2);
  assert.deepEqual([form.width, form.height, form.slices], [5, 5, 3]);
  assert.deepEqual(Array.from(form.places.subarray(0, 5)), [0, 1, -1, 4, 5]);
  assert.deepEqual(Array.from(form.places.subarray(15, 20)), [8, 9, -1, -1, -1]);
  const shown = [...form.places].filter((place) => place >= 0);
  assert.deepEqual(
    shown.sort((a, b) => a - b),
    Array.from({ length: 12 }, (_, i) => i),
  );
});

test("a plane and a line have a pixel for each weight", () => {
  assert.deepEqual(
    [formOf("plane", [3, 5], 1), formOf("line", [4], 6)].map(({ width, height }) => [width, height]),
    [
      [5, 3],
      [4, 6],
    ],
  );
});

test("directions are those of the stripes", () => {
  assert.deepEqual([0, 44, 90, 135, 179].map(directionWord), [
    "horizontal",
    "rising diagonal",
    "vertical",
    "falling diagonal",
    "horizontal",
  ]);
  const frequencies = {
    frequency: Float64Array.from([0.14, 0.45, Number.NaN, 0.2]),
    orientation: Float64Array.from([86, 2, Number.NaN, 10]),
    coherence: Float64Array.from([0.6, 0.7, Number.NaN, 0.1]),
    neighbours: 0,
  };
  const of = (filter: number): string => frequencyWords(frequencies, filter, [7, 7]);
  assert.equal(of(0), "vertical edge, 0.14 cycles a pixel, orientation 86°");
  assert.match(of(1), /^horizontal stripes/);
  assert.match(of(2), /^none/);
  assert.match(of(3), /^no clear direction/);
});

test("similar filters come by the size of the cosine", () => {
  assert.deepEqual(mostAlike(Float64Array.from([0.3, 1, -0.9, Number.NaN, 0.1]), 1), [2, 0]);
  assert.equal(cosineText(-0.38), "−0.38");
  assert.equal(cosineText(0.9991), "0.9991");
  assert.equal(cosineText(1), "1.00");
});

test("small layers are whole in the overview", () => {
  const shape = [2, 2, 1, 3];
  const data = Float32Array.from([1, 2, 3, -4, 5, 6, 0, 0, 0, 1, Number.NaN, 2]);
  const overview = {
    ...fakeOverview({ tensors: [{ name: "w", shape, axes: CONV }] }),
    thumbnail: () => ({ height: 2, width: 6, data }),
  };
  const layout = layoutOf(shape);
  const local = LocalWeights.of(overview, placeOf(layout));
  assert(local);
  assert.deepEqual(Array.from(local.picture("channel", 0, 1).values), [-4, 5, 6]);
  assert.deepEqual(Array.from(local.picture("mean", 0, 0).values), [-1.5, 3.5, 4.5]);
  assert.equal(local.picture("largest", 0, 0).channel, 1);
  const found = local.norms();
  assert.deepEqual(Array.from(found.norms), [Math.sqrt(91), Math.sqrt(5)]);
  assert.deepEqual(Array.from(found.nonfinite ?? []), [0, 1]);
  assert.equal(found.meanLimit, 4.5);
  assert(Number.isNaN(local.cosines(0)[1]));
  assert.equal(LocalWeights.of(overview, placeOf(layoutOf([2, 2, 1, 3])))?.channelNorms(0)[0], Math.sqrt(14));
  const coarse = { ...overview, thumbnail: () => ({ height: 1, width: 6, data: data.subarray(0, 6) }) };
  assert.equal(LocalWeights.of(coarse, placeOf(layout)), null);
});

test("row norms of the overview are the filters' where those are its rows", () => {
  const overview = {
    ...fakeOverview({ tensors: [{ name: "w", shape: [3, 2, 1, 1] }] }),
    profiles: () => ({ rows: Float32Array.from([1, 2, 3]), cols: new Float32Array(2) }),
  };
  assert.deepEqual(
    Array.from(overviewNorms(overview, placeOf(layoutOf([3, 2, 1, 1])))?.norms ?? []),
    [1, 2, 3],
  );
  assert.equal(overviewNorms(overview, placeOf(byInput(layoutOf([3, 2, 1, 1])))), null);
  assert.equal(overviewNorms(overview, placeOf(layoutOf([6, 2, 1, 1]))), null);
});
