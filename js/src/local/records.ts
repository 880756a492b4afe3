/** Records of blocks from weights that are here. As weightwidget/wire/answers/records.py makes them. */

import { views } from "../buffers";
import { type Overview, thumbnailSize } from "../overview";
import type { RecordDetail, Reply } from "../protocol";
import type { Numbers } from "../safetensors";
import { defaultAxes, matrixSize } from "../tensor";
import { histogramOf } from "./histogram";
import { draw, norms } from "./matrix";
import { poolLargest, thumbnail } from "./picture";
import { finiteCount, logRange, quantile, robustRange, type Summary, summarise } from "./summary";

/** As much of each as the overview of a small model has. */
const BINS = 128;
const LOG_BINS = 96;
const THUMBNAIL = 64;
const PROFILE = 128;

/** A block, or a head: what it is made of, one after the other. */
interface Weights {
  /** Empty for a head, which has no places and no picture. */
  shape: readonly number[] | null;
  parts: readonly Numbers[];
  bytes: number;
}

/** @returns null if the weights of any are not here */
export function recordsOf(
  overview: Overview,
  paths: readonly string[],
  detail: RecordDetail = "numbers",
): Reply<"records"> | null {
  const found: Weights[] = [];
  for (const path of paths) {
    const weights = weightsOf(overview, path);
    if (!weights) return null;
    found.push(weights);
  }
  const summaries = found.map(({ parts }) => summarise(parts));
  const columns = summaries.map((summary, i) => columnsOf(summary, found[i] as Weights));
  const keys = Object.keys(columns[0] ?? {});
  const reply: Reply<"records"> = {
    columns: keys,
    shapes: found.map(({ shape }) => [...(shape ?? [])]),
    errors: {},
    buffers: [],
  };
  const numbers = columns.flatMap((column) => keys.map((key) => column[key] as number));
  const buffers: Numbers[] = [Float64Array.from(numbers)];
  if (detail !== "numbers") {
    Object.assign(reply, { bins: BINS, log_bins: LOG_BINS });
    for (const [bins, scale] of [
      [BINS, "value"],
      [LOG_BINS, "magnitude"],
    ] as const) {
      const rows = found.map(({ parts }, i) => histogram(summaries[i] as Summary, parts, bins, scale));
      buffers.push(Float64Array.from(rows.flat()));
    }
  }
  if (detail === "all") {
    const pictures = found.map(pictureOf);
    reply.thumbnails = pictures.map(({ size }) => size);
    reply.profiles = pictures.map(({ rows, cols }) => [rows.length, cols.length]);
    buffers.push(Float32Array.from(pictures.flatMap(({ cells }) => [...cells])));
    buffers.push(Float32Array.from(pictures.flatMap(({ rows, cols }) => [...rows, ...cols])));
  }
  return { ...reply, buffers: views(...buffers) };
}

function weightsOf(overview: Overview, path: string): Weights | null {
  const row = overview.rowOf(path);
  const place = overview.block(row);
  if (!place || overview.error(row)) return null;
  const bytes = overview.column("bytes")[row] ?? Number.NaN;
  if (place.parts.length === 0) {
    const data = overview.kept(row)?.data;
    return data ? { shape: place.shape, parts: [data], bytes } : null;
  }
  const parts = place.parts.map((part) => overview.kept(overview.rowOf(part.path))?.data);
  return parts.every((part) => part !== undefined) ? { shape: null, parts: parts as Numbers[], bytes } : null;
}

/** The statistics that filters know, to the digits that an overview has. */
function columnsOf(summary: Summary, { shape, bytes }: Weights): Record<string, number> {
  const { count, nan, posinf, neginf, zeros } = summary;
  const stored = {
    min: summary.min,
    max: summary.max,
    mean: summary.mean,
    std: summary.std,
    skewness: summary.skewness,
    kurtosis: summary.kurtosis,
    l1: summary.l1,
    q01: quantile(summary, 0.01),
    q25: quantile(summary, 0.25),
    q50: quantile(summary, 0.5),
    q75: quantile(summary, 0.75),
    q99: quantile(summary, 0.99),
  };
  for (const key of Object.keys(stored) as (keyof typeof stored)[]) stored[key] = single(stored[key]);
  const inf = posinf + neginf;
  const rms = Math.sqrt(stored.mean * stored.mean + stored.std * stored.std);
  const place = (flat: number): number => (shape && flat >= 0 ? flat : Number.NaN);
  return {
    ...{ count, nan, posinf, neginf, zeros, bytes },
    ...stored,
    absmax: Math.max(Math.abs(stored.min), Math.abs(stored.max)),
    median: stored.q50,
    rms,
    inf,
    l2: rms * Math.sqrt(finiteCount(summary)),
    sparsity: zeros / count,
    argmin: place(summary.argmin),
    argmax: place(summary.argmax),
  };
}

const LEAST = 2 ** -126;

/** Rounded to float32, if that has room for it. */
function single(value: number): number {
  const rounded = Math.fround(value);
  const lost =
    (Math.abs(rounded) < LEAST && value !== 0) || (Number.isFinite(value) && !Number.isFinite(rounded));
  return lost ? value : rounded;
}

/** Counts, first and last edge, and the weights below and above; NaN where there is none. */
function histogram(
  summary: Summary,
  parts: readonly Numbers[],
  bins: number,
  scale: "value" | "magnitude",
): number[] {
  const none = new Array<number>(bins + 4).fill(Number.NaN);
  if (finiteCount(summary) === 0) return none;
  const range = scale === "value" ? robustRange(summary) : logRange(summary);
  if (!range) return none;
  const { counts, below, above } = histogramOf(parts, bins, range, scale);
  return [...counts, ...range, below, above];
}

interface Picture {
  size: [number, number];
  cells: Float32Array;
  rows: Float32Array;
  cols: Float32Array;
}

function pictureOf({ shape, parts }: Weights): Picture {
  const [data] = parts;
  const none = new Float32Array();
  if (!shape || !data || data.length === 0) return { size: [0, 0], cells: none, rows: none, cols: none };
  const [height, width] = matrixSize(shape, defaultAxes(shape));
  const matrix = draw(data, shape);
  const size = thumbnailSize(height, width, THUMBNAIL);
  const along = shape.length > 1 ? norms(matrix) : { rows: none, cols: none };
  return {
    size,
    cells: thumbnail(matrix, ...size),
    rows: poolLargest(along.rows, PROFILE),
    cols: poolLargest(along.cols, PROFILE),
  };
}
