/** The widget's model: its traits as signals, its requests as promises. */

import type { AnyModel } from "@anywidget/types";
import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Aggregate, DrawnAxes, ErrorBody, Reply, RequestKind, Requests } from "./protocol";

export type Range = [number, number];
export type ColorScale = "robust" | "full" | "symlog" | "row";
export type ColorMap = "blue-red" | "purple-green" | "brown-teal" | "grey";
export type ViewName =
  | "heatmap"
  | "filters"
  | "gates"
  | "heads"
  | "tokens"
  | "experts"
  | "channel"
  | "spectrum";
export type Status = "scanning" | "ready" | "cancelled" | "failed";

/** Of a scan: bytes a second, and the seconds that are left where that can be told. Empty when none goes on. */
export interface Pace {
  rate?: number;
  left?: number | null;
}

/** Of a training that is watched; empty when none is. */
export interface Watch {
  step?: number;
  /** Steps from one refresh to the next now, and those that were asked for. */
  every?: number;
  asked?: number;
  /** Share of the training's time that it takes. */
  share?: number;
  /** Why it ended by itself. */
  error?: string;
}

/** The traits of WeightExplorer that the front end knows. */
export interface Traits {
  _overview: DataView | null;
  _message: string;
  /** Counts the changes of the tokens' strings. */
  _strings_version: number;
  _pace: Pace;
  _watch: Watch;
  selected: string;
  query: string;
  facets: Record<string, Range>;
  value_range: Range | null;
  /** Visible part of the heatmap in elements: row0, row1, col0, col1. */
  window: [number, number, number, number] | null;
  /** Position on every axis of the selected tensor; entries of drawn axes do not matter. */
  index: number[];
  /** null: the default axes of the tensor (see defaultAxes in tensor.ts). */
  drawn_axes: DrawnAxes | null;
  view: ViewName;
  /** What the channel view follows: an axis of the selected tensor, and a position on it. */
  channel: [number, number] | null;
  color_scale: ColorScale;
  color_map: ColorMap;
  aggregate: Aggregate;
  progress: number;
  status: Status;
}

export type TraitSignals = { readonly [K in keyof Traits]: Signal<Traits[K]> };

const TRAIT_NAMES: readonly (keyof Traits)[] = [
  "_overview",
  "_message",
  "_strings_version",
  "_pace",
  "_watch",
  "selected",
  "query",
  "facets",
  "value_range",
  "window",
  "index",
  "drawn_axes",
  "view",
  "channel",
  "color_scale",
  "color_map",
  "aggregate",
  "progress",
  "status",
];

const READ_ONLY: ReadonlySet<keyof Traits> = new Set([
  "_overview",
  "_message",
  "_strings_version",
  "_pace",
  "_watch",
  "progress",
  "status",
]);

/** Cancelled by the caller or overtaken by a later request. Not a fault. */
export class RequestCancelled extends Error {}

/** The kernel answered with an error. */
export class RequestFailed extends Error {
  constructor(readonly body: ErrorBody) {
    super(body.message);
  }
}

interface Pending {
  resolve(reply: unknown): void;
  reject(error: Error): void;
  onProgress?(share: number): void;
  sent: number;
}

export type KernelState = "unknown" | "alive" | "slow" | "gone";

/** How long the kernel may take before the view says that it is waiting, in milliseconds. */
const SLOW_AFTER = 1500;
/** ... and before the view says that there seems to be no kernel. A late answer is still used. */
const GONE_AFTER = 8000;
/** Event of ipywidgets' models: the connection with the kernel's side ended. A later answer shows that it did not. */
const DISCONNECTED = "comm_live_update";

export interface RequestOptions {
  signal?: AbortSignal;
  /** Takes the share that is done, for what takes long. */
  onProgress?(share: number): void;
}

export interface Model {
  readonly traits: TraitSignals;
  /** Whether this is a stored copy, which never had a kernel. */
  readonly isCopy: boolean;
  /** Whether a kernel answers: drawn from the fate of the requests. */
  readonly kernel: ReadonlySignal<KernelState>;
  /** Asks the kernel. Rejects with RequestCancelled or RequestFailed. */
  request<K extends RequestKind>(
    kind: K,
    payload: Requests[K]["request"],
    options?: RequestOptions,
  ): Promise<Reply<K>>;
  /** Stops the kernel's scan. */
  cancelScan(): void;
  /** Stops watching a training. */
  stopWatch(): void;
  /** Tells the kernel which tensors are in sight: they are read next. */
  look(paths: readonly string[]): void;
}

/** Binds an anywidget model. Called once a model, from `initialize`; `lifetime` ends with the model. */
export function bindModel(model: AnyModel, lifetime: AbortSignal): Model {
  const traits = {} as Record<keyof Traits, Signal<unknown>>;
  for (const name of TRAIT_NAMES) {
    traits[name] = bindTrait(model, name, lifetime);
  }
  const kernel = signal<KernelState>("unknown");
  const pending = new Map<string, Pending>();
  const session = Math.random().toString(36).slice(2, 10);
  let serial = 0;

  /** When the kernel last said anything. */
  let heard = 0;
  const onMessage = (message: unknown, buffers: DataView[]): void => {
    if (!isReply(message)) return;
    heard = Date.now();
    kernel.value = "alive";
    const waiting = pending.get(message.id);
    if (!waiting) return;
    if (typeof message.progress === "number") {
      waiting.onProgress?.(message.progress);
      return;
    }
    pending.delete(message.id);
    // A histogram's reply has a field of that name, too: a number.
    if (message.error) waiting.reject(new RequestFailed(message.error));
    else waiting.resolve({ ...message, buffers: buffers ?? [] });
  };
  model.on("msg:custom", onMessage);
  // ipywidgets tells so when the kernel restarts: no need to wait for what will not be answered. Elsewhere it is the
  // name of no event.
  const onDisconnected = (): void => {
    kernel.value = "gone";
  };
  model.on(DISCONNECTED, onDisconnected);

  const watch = setInterval(() => {
    if (pending.size === 0) return;
    const oldest = Math.min(...[...pending.values()].map((p) => p.sent));
    // A kernel that answers others, or tells how far it has come, is there: the rest waits its turn.
    const age = Date.now() - Math.max(oldest, heard);
    if (age > GONE_AFTER) kernel.value = "gone";
    else if (age > SLOW_AFTER && kernel.value !== "gone") kernel.value = "slow";
  }, 500);

  lifetime.addEventListener("abort", () => {
    model.off("msg:custom", onMessage);
    model.off(DISCONNECTED, onDisconnected);
    clearInterval(watch);
    for (const waiting of pending.values()) waiting.reject(new RequestCancelled());
    pending.clear();
  });

  const send = (content: Record<string, unknown>): void => {
    try {
      model.send(content);
    } catch {
      // Hosts without a kernel have no comm: sending throws there.
      kernel.value = "gone";
    }
  };

  return {
    traits: traits as unknown as TraitSignals,
    // Told by the page that holds the copy: a notebook's models have no such trait.
    isCopy: model.get("_is_copy") === true,
    kernel,
    request: (kind, payload, options = {}) =>
      new Promise((resolve, reject) => {
        const id = `${session}-${serial++}`;
        const abort = options.signal;
        if (abort?.aborted) {
          reject(new RequestCancelled());
          return;
        }
        abort?.addEventListener("abort", () => {
          if (!pending.delete(id)) return;
          send({ cancel: id });
          reject(new RequestCancelled());
        });
        pending.set(id, {
          resolve: resolve as (reply: unknown) => void,
          reject,
          onProgress: options.onProgress,
          sent: Date.now(),
        });
        send({ id, kind, ...payload });
      }),
    cancelScan: () => send({ cancel: "scan" }),
    stopWatch: () => send({ stop: "watch" }),
    look: (paths) => send({ look: paths }),
  };
}

function bindTrait(model: AnyModel, name: keyof Traits, lifetime: AbortSignal): Signal<unknown> {
  const trait = signal<unknown>(model.get(name));
  let fromModel = false;
  const onChange = (): void => {
    fromModel = true;
    trait.value = model.get(name);
    fromModel = false;
  };
  model.on(`change:${name}`, onChange);
  let first = true;
  const stop = trait.subscribe((value) => {
    if (first) {
      first = false;
      return;
    }
    if (fromModel || READ_ONLY.has(name)) return;
    if (same(model.get(name), value)) return;
    model.set(name, value);
    model.save_changes();
  });
  lifetime.addEventListener("abort", () => {
    model.off(`change:${name}`, onChange);
    stop();
  });
  return trait;
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function isReply(message: unknown): message is { id: string; error?: ErrorBody; progress?: number } {
  return typeof message === "object" && message !== null && "id" in message;
}
