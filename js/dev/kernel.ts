/** Answers the requests of src/protocol.ts from fake weights, as weightwidget/wire/handlers.py does from real ones. */

import { histogramOf } from "../src/local/histogram";
import { type Drawn, draw, elements, largest, norms, tileOf } from "../src/local/matrix";
import { poolLargest } from "../src/local/picture";
import { logRange, robustRange, type Summary } from "../src/local/summary";
import type {
  HeatmapRequests,
  HistogramRequests,
  MatrixAddress,
  Requests,
  Restricted,
} from "../src/protocol";
import { position } from "../src/tensor";
import { ancestors } from "../src/tree";
import type { FakeSource, FakeTensor } from "./fake-tensor";
import type { Records } from "./pack";

/** Largest number of norms in a profile. */
const PROFILE = 8192;

export interface Answer {
  content: Record<string, unknown>;
  buffers: ArrayBuffer[];
}

/** What the fake kernel answers. The other views are tested before a Python explorer. */
type Answered = keyof (HeatmapRequests & HistogramRequests);
type Handlers = { [K in Answered]: (request: Requests[K]["request"]) => Answer };

/** Named as the Python exception, so that the view shows the same text. */
class KernelError extends Error {
  constructor(
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}

/** @returns a function from a request to the reply without its id; faults become error replies */
export function kernel(source: FakeSource, records: Records): (request: Record<string, unknown>) => Answer {
  const byName = new Map(source.tensors.map((tensor) => [tensor.name, tensor]));

  const find = (name: string): FakeTensor => {
    const tensor = byName.get(name);
    if (!tensor) throw new KernelError("KeyError", `there is no tensor '${name}'`);
    if (tensor.error) throw new KernelError("TypeError", tensor.error);
    return tensor;
  };
  const matrix = (address: MatrixAddress): Drawn => {
    const tensor = find(address.tensor);
    return draw(tensor.data(), tensor.shape, address);
  };
  const record = (path: string): Summary => {
    const found = records.tensors.get(path) ?? records.modules.get(path);
    if (!found) throw new KernelError("KeyError", `there is no tensor or module '${path}'`);
    return found;
  };
  const parts = (path: string): Float32Array[] => {
    if (byName.has(path)) return [find(path).data()];
    return source.tensors
      .filter((tensor) => ancestors(tensor.name).includes(path) && !tensor.sharedWith && !tensor.error)
      .map((tensor) => tensor.data());
  };

  /** The weights that a request is about. */
  const asked = ({ path, region, axes, index }: Restricted & { path: string }): readonly Float32Array[] => {
    if (!region || !axes || !index) return parts(path);
    const tensor = find(path);
    const drawn = draw(tensor.data(), tensor.shape, { axes, index });
    return [elements(drawn, [...region.rows, ...region.cols]) as Float32Array];
  };

  const handlers: Handlers = {
    tile: (request) => {
      const tile = tileOf(matrix(request), request.tile, request.aggregate, request.range ?? null);
      const buffers = [bufferOf(tile.values)];
      if (tile.shares) buffers.push(bufferOf(tile.shares));
      return { content: { height: tile.height, width: tile.width }, buffers };
    },
    profile: (request) => {
      const { rows, cols } = norms(matrix(request));
      const step = (length: number): number => Math.max(1, Math.ceil(length / PROFILE));
      const pooled = [rows, cols].map((all) => poolLargest(all, Math.ceil(all.length / step(all.length))));
      return {
        content: { row_step: step(rows.length), col_step: step(cols.length) },
        buffers: pooled.map(bufferOf),
      };
    },
    cell: (request) => {
      const tensor = find(request.tensor);
      const { row, col, value } = largest(matrix(request), request.window);
      const at = position(tensor.shape, request.axes, request.index, row, col);
      return { content: { value: digits(value), row, col, position: at }, buffers: [] };
    },
    histogram: (request) => {
      const known = record(request.path);
      const all = asked(request);
      const range =
        request.range ?? (request.scale === "value" ? robustRange(known) : (logRange(known) ?? [-1, 0]));
      const { counts, below, above } = histogramOf(all, request.bins, range, request.scale);
      const { zeros, nan, posinf, neginf } = request.region ? specials(all) : known;
      const exact = byName.has(request.path);
      const content = {
        range,
        below,
        above,
        zeros,
        nan,
        posinf,
        neginf,
        exact,
        relative_error: exact ? 0 : 0.004,
      };
      return { content, buffers: [bufferOf(counts)] };
    },
    count: (request) => {
      const [low, high] = request.range;
      let count = 0;
      const all = asked(request);
      for (const part of all) for (const w of part) if (w >= low && w <= high) count++;
      return {
        content: {
          count,
          total: request.region ? (all[0]?.length ?? 0) : record(request.path).count,
          exact: byName.has(request.path),
        },
        buffers: [],
      };
    },
  };

  return (request) => {
    const kind = request.kind as Answered;
    try {
      if (!Object.hasOwn(handlers, kind)) throw new KernelError("ValueError", `unknown request '${kind}'`);
      const handler = handlers[kind] as unknown as (request: Record<string, unknown>) => Answer;
      const { content, buffers } = handler(request);
      return { content: { kind, ...content }, buffers };
    } catch (error) {
      const type = error instanceof KernelError ? error.type : "RuntimeError";
      return { content: { error: { type, message: (error as Error).message } }, buffers: [] };
    }
  };
}

/** What has bins of its own. */
function specials(all: readonly Float32Array[]): Record<"zeros" | "nan" | "posinf" | "neginf", number> {
  const found = { zeros: 0, nan: 0, posinf: 0, neginf: 0 };
  for (const part of all) {
    for (const w of part) {
      if (w === 0) found.zeros++;
      else if (Number.isNaN(w)) found.nan++;
      else if (!Number.isFinite(w)) found[w > 0 ? "posinf" : "neginf"]++;
    }
  }
  return found;
}

/** A buffer of its own, which can be transferred. */
function bufferOf(array: Float32Array | Float64Array | Uint8Array): ArrayBuffer {
  return array.slice().buffer as ArrayBuffer;
}

/** A float32 with all its digits: the shortest text that gives it back. */
function digits(value: number): string {
  for (let precision = 6; precision < 10; precision++) {
    const text = String(Number(value.toPrecision(precision)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return Number.isNaN(value) ? "nan" : String(value);
}
