/** The gates of a recurrent layer from weights that are here. As weightwidget/wire/answers/gates.py tells them. */

import { type RecurrentLayer, SEPARATOR } from "../anatomy";
import { views } from "../buffers";
import { isWhole, type Overview } from "../overview";
import { biasTimeScale } from "../panels/gates/numbers";
import type { Reply } from "../protocol";
import type { Numbers } from "../safetensors";
import { countBins } from "./histogram";
import { type Drawn, draw, norms, tileOf } from "./matrix";
import { finiteCount, quantile, type Summary, summarise } from "./summary";

const BINS = 40;
/** Largest side of the picture of a block, in pixels. */
const PICTURE = 128;
/** How many times the largest 1 % to 99 % range of a block colours and histograms reach. */
const REACH = 1.5;
const KEEPERS: Record<RecurrentLayer["kind"], string | null> = { LSTM: "f", GRU: "z", RNN: null };

interface Block {
  data: Numbers;
  matrix: Drawn;
  summary: Summary;
}

/** @returns null if not all of the layer's weights are here */
export function gatesOf(overview: Overview, recurrent: string): Reply<"gates"> | null {
  const layer = overview.layers.recurrent.find((one) => overview.names[one.recurrent] === recurrent);
  if (!layer) return null;
  const { gates, hidden: units } = layer;
  const whole = (row: number): Numbers | null => {
    const kept = overview.error(row) ? null : overview.kept(row);
    return kept && isWhole(kept) ? kept.data : null;
  };
  const blocks: Block[] = [];
  for (const row of [layer.input, layer.recurrent]) {
    for (const gate of gates) {
      // A plain RNN's only block is the tensor.
      const own = gates.length === 1 ? row : overview.rowOf(`${overview.names[row]}${SEPARATOR}${gate}`);
      const data = own < 0 ? null : whole(own);
      if (!data) return null;
      blocks.push({ data, matrix: draw(data, overview.shape(own)), summary: summarise([data]) });
    }
  }
  const sides = [layer.input_bias, layer.recurrent_bias];
  const biases = new Float64Array(2 * gates.length * units).fill(Number.NaN);
  for (const [side, row] of sides.entries()) {
    if (row === null) continue;
    const values = whole(row);
    if (!values) return null;
    const size = gates.length * units;
    // Keras's GRU holds both sides in one tensor.
    const from = overview.shape(row).length === 2 ? side * size : 0;
    biases.set(values.subarray(from, from + size), side * size);
  }
  const projection = layer.projection === null ? null : whole(layer.projection);
  if (layer.projection !== null && !projection) return null;
  const projected =
    projection && layer.projection !== null
      ? norms(draw(projection, overview.shape(layer.projection))).cols
      : new Float32Array();

  const limit = limitOf(blocks);
  const keeper = KEEPERS[layer.kind];
  const pictures = blocks.map(({ matrix }) => {
    const level = (size: number): number => Math.max(0, Math.ceil(Math.log2(Math.max(size, 1) / PICTURE)));
    return tileOf(matrix, [level(matrix.rows.length), level(matrix.cols.length), 0, 0], "absmax", null);
  });
  const size = (at: number): [number, number] => [pictures[at]?.height ?? 0, pictures[at]?.width ?? 0];
  const arrays: Numbers[] = [
    Float64Array.from(blocks.flatMap(({ summary }) => statistics(summary))),
    Float64Array.from(blocks.flatMap((block) => histogram(block, limit))),
    unitNorms(layer, blocks),
    biases,
    keeper === null ? new Float64Array() : scales(layer, keeper, biases),
    Float64Array.from(projected),
    ...pictures.map(({ values }) => values),
  ];
  return {
    gates: [...gates],
    units,
    bins: BINS,
    limit,
    pictures: [size(0), size(gates.length)],
    separate:
      layer.kind === "GRU" && layer.recurrent_bias !== null ? [gates[gates.length - 1] as string] : [],
    keeper,
    buffers: views(...arrays),
  };
}

function statistics(summary: Summary): number[] {
  const { mean, std, min, max, nan, posinf, neginf } = summary;
  const l2 = Math.sqrt((mean * mean + std * std) * finiteCount(summary));
  return [mean, std, l2, min, max, quantile(summary, 0.01), quantile(summary, 0.99), nan + posinf + neginf];
}

/** Magnitude that colours and histograms of all blocks reach. */
function limitOf(blocks: readonly Block[]): number {
  let [most, inner] = [0, 0];
  for (const { summary } of blocks) {
    if (finiteCount(summary) === 0) continue;
    most = Math.max(most, Math.abs(summary.min), Math.abs(summary.max));
    inner = Math.max(inner, Math.abs(quantile(summary, 0.01)), Math.abs(quantile(summary, 0.99)));
  }
  return Math.min(most, REACH * inner) || most || 1;
}

/** Counts below −limit, in equal bins, and from the limit on. */
function histogram({ data, summary }: Block, limit: number): number[] {
  if (finiteCount(summary) === 0) return new Array<number>(BINS + 2).fill(0);
  const { counts, below, above } = countBins(data, BINS, "value", [-limit, limit]);
  let at = 0;
  for (let i = 0; i < data.length; i++) if (data[i] === limit) at++;
  counts[BINS - 1] = (counts[BINS - 1] as number) - at;
  return [below, ...counts, above + at];
}

/** Of what the gates read of the inputs, of the state, and of what they read of each unit. */
function unitNorms(layer: RecurrentLayer, blocks: readonly Block[]): Float64Array {
  const count = layer.gates.length;
  const torch = layer.layout === "torch";
  const all = blocks.map(({ matrix }) => norms(matrix));
  const reads = all.map(({ rows, cols }) => (torch ? rows : cols));
  const isRead = all.slice(count).map(({ rows, cols }) => {
    return layer.projection === null
      ? torch
        ? cols
        : rows
      : new Float32Array(layer.hidden).fill(Number.NaN);
  });
  return Float64Array.from([...reads, ...isRead].flatMap((part) => [...part]));
}

/** Steps, as the bias of the keeper implies: a bias that there is not adds nothing. */
function scales(layer: RecurrentLayer, keeper: string, biases: Float64Array): Float64Array {
  const { gates, hidden } = layer;
  const from = gates.indexOf(keeper) * hidden;
  const of = (side: number, row: number | null, unit: number): number =>
    row === null ? 0 : (biases[side * gates.length * hidden + from + unit] as number);
  return Float64Array.from({ length: hidden }, (_, unit) =>
    biasTimeScale(of(0, layer.input_bias, unit) + of(1, layer.recurrent_bias, unit)),
  );
}
