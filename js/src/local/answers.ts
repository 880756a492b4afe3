/**
 * What a kernel would answer, from the weights that the overview keeps. Of a tensor that is kept whole the answers are
 * the kernel's own; of one that is kept at a level of detail there are its tiles from that level up.
 */

import { views } from "../buffers";
import { isWhole, type Kept, type Overview } from "../overview";
import type { Reply, RequestKind, Requests, Restricted } from "../protocol";
import type { Numbers } from "../safetensors";
import { defaultAxes, position } from "../tensor";
import { gatesOf } from "./gates";
import { countBins, countWithin } from "./histogram";
import { draw, elements, largest, norms, tileOf } from "./matrix";
import { recordsOf } from "./records";

type Answers = {
  [K in RequestKind]?: (overview: Overview, request: Requests[K]["request"]) => Reply<K> | null;
};

const ANSWERS: Answers = {
  tile: (overview, request) => {
    const kept = keptOf(overview, request.tensor);
    const { tile, aggregate, range } = request;
    if (!kept) return null;
    if (isWhole(kept)) {
      const matrix = draw(kept.data, shapeOf(overview, request.tensor), request);
      const { height, width, values, shares } = tileOf(matrix, tile, aggregate, range ?? null);
      return { height, width, rough: false, buffers: shares ? views(values, shares) : views(values) };
    }
    // Of cells that are the largest of their elements, the larger are the largest of theirs.
    const [rowLevel, colLevel] = [tile[0] - kept.levels[0], tile[1] - kept.levels[1]];
    if (aggregate !== "absmax" || !isDefault(overview, request) || Math.min(rowLevel, colLevel) < 0)
      return null;
    const cells = draw(kept.data, [kept.height, kept.width]);
    const { height, width, values } = tileOf(cells, [rowLevel, colLevel, tile[2], tile[3]], aggregate, null);
    return { height, width, rough: true, buffers: views(values) };
  },
  profile: (overview, request) => {
    const kept = whole(overview, request.tensor);
    if (!kept) return null;
    const { rows, cols } = norms(draw(kept.data, shapeOf(overview, request.tensor), request));
    return { row_step: 1, col_step: 1, buffers: views(rows, cols) };
  },
  cell: (overview, request) => {
    const kept = whole(overview, request.tensor);
    if (!kept) return null;
    const shape = shapeOf(overview, request.tensor);
    const { row, col, value } = largest(draw(kept.data, shape, request), request.window);
    const at = position(shape, request.axes, request.index, row, col);
    const text = isBool(overview, request.tensor) ? (value ? "True" : "False") : digits(value, kept.data);
    return { value: text, row, col, position: at, buffers: [] };
  },
  histogram: (overview, request) => {
    const { path, bins, scale, range } = request;
    const kept = whole(overview, path);
    const row = overview.rowOf(path);
    const usual = scale === "value" ? overview.histogram(row) : overview.logHistogram(row);
    const over = range ?? usual?.range;
    if (!kept || !over) return null;
    const { counts, ...found } = countBins(part(overview, kept, request), bins, scale, over);
    return { ...found, exact: true, relative_error: 0, buffers: views(counts) };
  },
  gates: (overview, { recurrent }) => gatesOf(overview, recurrent),
  records: (overview, { paths, detail }) => recordsOf(overview, paths, detail),
  count: (overview, request) => {
    const kept = whole(overview, request.path);
    if (!kept) return null;
    const data = part(overview, kept, request);
    return { count: countWithin(data, request.range), total: data.length, exact: true, buffers: [] };
  },
};

/** The answer to a request; null if it takes a kernel. */
export function answerLocally<K extends RequestKind>(
  overview: Overview,
  kind: K,
  request: Requests[K]["request"],
): Reply<K> | null {
  return ANSWERS[kind]?.(overview, request) ?? null;
}

/** All weights of a tensor or block, if the overview keeps them. */
export function whole(overview: Overview, path: string): Kept | null {
  const kept = keptOf(overview, path);
  return kept && isWhole(kept) ? kept : null;
}

/** The weights that a request is about: all that are kept, or those of a region. */
function part(overview: Overview, { data }: Kept, request: Restricted & { path: string }): Numbers {
  const { region, axes, index } = request;
  if (!region) return data;
  const drawn = axes && index ? { axes, index } : undefined;
  return elements(draw(data, shapeOf(overview, request.path), drawn), [...region.rows, ...region.cols]);
}

function keptOf(overview: Overview, path: string): Kept | null {
  const row = overview.rowOf(path);
  return overview.isTensor(row) && !overview.error(row) ? overview.kept(row) : null;
}

function shapeOf(overview: Overview, path: string): readonly number[] {
  return overview.shape(overview.rowOf(path));
}

function isDefault(
  overview: Overview,
  { tensor, axes }: Pick<Requests["tile"]["request"], "tensor" | "axes">,
): boolean {
  const usual = defaultAxes(shapeOf(overview, tensor));
  return String(axes.rows) === String(usual.rows) && String(axes.cols) === String(usual.cols);
}

function isBool(overview: Overview, path: string): boolean {
  return overview.dtype(overview.rowOf(path)) === "bool";
}

/** A number with all its digits: the shortest text that gives it back in the type that it has. */
function digits(value: number, data: Numbers): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (!(data instanceof Float32Array)) return String(value);
  for (let precision = 6; precision < 10; precision++) {
    const text = String(Number(value.toPrecision(precision)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(value);
}
