/** Pictures of filters, fetched by stretches as they come into view. */

import { type ReadonlySignal, signal } from "@preact/signals-core";
import { floats } from "../../buffers";
import { RequestCancelled } from "../../model";
import type { FilterMode } from "../../protocol";
import type { Store } from "../../store";
import type { Layer } from "./layer";
import { kernelSize } from "./layout";
import type { LocalPictures, LocalWeights } from "./local";

export interface Picture {
  readonly values: Float32Array;
  /** Channel that is drawn, of mode "largest". */
  readonly channel: number;
  /** Whether it has the stored values; else the overview gave it, to three digits. */
  readonly exact: boolean;
}

/** Most weights, and most filters, in one request. */
const STRETCH = 1 << 17;
const MOST = 512;
/** Most weights that are kept: 16 MB. */
const KEPT = 1 << 22;

/** One set of pictures: of a layer's filters in one mode, or of one filter's channels. */
export class Pictures {
  private readonly held = new Map<number, Picture>();
  private wanted: readonly number[] = [];
  private flying: { numbers: Set<number>; abort: AbortController } | null = null;
  private closed = false;
  private readonly came = signal(0);
  private readonly failure = signal("");
  /** Counts pictures that came: read it to draw again. */
  readonly arrivals: ReadonlySignal<number> = this.came;
  /** Why the kernel could not send them, else "". */
  readonly error: ReadonlySignal<string> = this.failure;

  /**
   * @param size weights of one picture
   * @param fetch gets pictures by their numbers: at least the first of them, perhaps others besides
   * @param local what is shown until the kernel answers
   * @param ready whether to ask the kernel now
   */
  constructor(
    private readonly size: number,
    private readonly fetch: (numbers: number[], abort: AbortSignal) => Promise<Map<number, Picture>>,
    private readonly local: (number: number) => Picture | null,
    private readonly ready: () => boolean,
  ) {}

  get(number: number): Picture | null {
    const found = this.held.get(number);
    if (found) return found;
    const local = this.local(number);
    if (local) this.held.set(number, local);
    return local;
  }

  /** Fetches what is missing of these, the first ones first; what is under way for others is withdrawn. */
  want(numbers: readonly number[]): void {
    this.wanted = numbers;
    const now = this.flying;
    if (now && !numbers.some((number) => now.numbers.has(number))) {
      this.flying = null;
      now.abort.abort();
    }
    this.pump();
  }

  /** Fetches all of these; resolved when they are there, rejected if the kernel cannot send them. */
  async all(numbers: readonly number[]): Promise<void> {
    const abort = new AbortController();
    for (;;) {
      const missing = numbers.filter((number) => !this.get(number)?.exact);
      if (missing.length === 0) return;
      for (const [number, picture] of await this.fetch(missing.slice(0, MOST), abort.signal)) {
        this.held.set(number, picture);
      }
    }
  }

  close(): void {
    this.closed = true;
    this.flying?.abort.abort();
  }

  private pump(): void {
    if (this.closed || this.flying || this.failure.peek() !== "" || !this.ready()) return;
    const most = Math.max(1, Math.min(MOST, Math.floor(STRETCH / this.size)));
    const missing: number[] = [];
    for (const number of this.wanted) {
      if (this.held.get(number)?.exact) continue;
      missing.push(number);
      if (missing.length === most) break;
    }
    if (missing.length === 0) return;
    const flight = { numbers: new Set(missing), abort: new AbortController() };
    this.flying = flight;
    this.fetch(missing, flight.abort.signal)
      .then((pictures) => {
        for (const [number, picture] of pictures) {
          // Set anew, so that the oldest come first.
          this.held.delete(number);
          this.held.set(number, picture);
        }
        this.forget();
      })
      .catch((reason: unknown) => {
        if (reason instanceof RequestCancelled || this.closed) return;
        this.failure.value = reason instanceof Error ? reason.message : String(reason);
      })
      .finally(() => {
        if (this.flying !== flight) return;
        this.flying = null;
        if (this.closed) return;
        this.came.value = this.came.peek() + 1;
        this.pump();
      });
  }

  /** Drops the oldest beyond what is kept. */
  private forget(): void {
    const wanted = new Set(this.wanted);
    const most = Math.max(wanted.size, Math.floor(KEPT / this.size));
    for (const number of this.held.keys()) {
      if (this.held.size <= most) break;
      if (!wanted.has(number)) this.held.delete(number);
    }
  }
}

/** Pictures of a layer's filters. */
export function filterPictures(
  store: Store,
  layer: Layer,
  mode: FilterMode,
  channel: number,
  local: LocalPictures | null,
): Pictures {
  const { layout } = layer;
  const drawn = mode === "all" ? layout.channels : 1;
  const size = drawn * kernelSize(layout);
  const channels: [number, number] = mode === "all" ? [0, layout.channels] : [channel, channel + 1];
  return new Pictures(
    size,
    async (filters, abort) => {
      const { tensor, by } = layer;
      const request = { tensor, by, mode, filters, channels };
      const { buffers } = await store.model.request("filters", request, { signal: abort });
      const found = unpack(buffers, filters.length, size);
      return new Map(found.map((picture, i) => [filters[i] as number, picture]));
    },
    (filter) => {
      const picture = local?.picture(mode, filter, channel);
      return local && picture ? { ...picture, exact: local.exact } : null;
    },
    () => store.model.kernel.peek() !== "gone",
  );
}

/** Pictures of the channels of one filter. */
export function channelPictures(
  store: Store,
  layer: Layer,
  filter: number,
  local: LocalWeights | null,
): Pictures {
  const size = kernelSize(layer.layout);
  return new Pictures(
    size,
    async (channels, abort) => {
      // Fetched as one stretch: what is seen lies mostly side by side, and kernels are small.
      const from = channels[0] as number;
      const to = Math.min(layer.layout.channels, from + Math.max(1, Math.floor(STRETCH / size)));
      const { tensor, by } = layer;
      const request = {
        tensor,
        by,
        mode: "all" as const,
        filters: [filter],
        channels: [from, to] as [number, number],
      };
      const { buffers } = await store.model.request("filters", request, { signal: abort });
      const found = unpack(buffers, to - from, size);
      return new Map(found.map((picture, i) => [from + i, picture]));
    },
    (channel) =>
      local ? { values: local.kernels(filter, channel, channel + 1), channel, exact: local.exact } : null,
    () => store.model.kernel.peek() !== "gone",
  );
}

function unpack(buffers: readonly DataView[], count: number, size: number): Picture[] {
  const [values, channels] = buffers;
  if (!values || values.byteLength !== 4 * count * size)
    throw new Error("the kernel sent filters of the wrong size");
  const all = floats(values);
  return Array.from({ length: count }, (_, i) => ({
    values: all.slice(i * size, (i + 1) * size),
    channel: channels ? channels.getInt32(4 * i, true) : 0,
    exact: true,
  }));
}
