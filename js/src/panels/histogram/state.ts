/** The state of one histogram: what is shown of which tensor, and its numbers, exact as soon as the kernel has them. */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { lack } from "../../lack";
import { type Range, RequestCancelled, RequestFailed } from "../../model";
import type { Store } from "../../store";
import {
  type Bins,
  emptyBins,
  extent,
  fromOverview,
  fromReply,
  type Grid,
  gridFor,
  placeable,
  type Scale,
  widened,
} from "./bins";
import { pan, zoom } from "./geometry";
import { type Scope, type ScopeState, WHOLE } from "./scope";

export interface HistogramState {
  readonly scale: Signal<Scale>;
  /** Whether counts are drawn on a logarithmic axis. */
  readonly logCounts: Signal<boolean>;
  readonly normal: Signal<boolean>;
  /** Size of the plot, set by it. */
  readonly size: Signal<{ width: number; height: number }>;
  /** Pixels for the ordinary bins, set by the plot. */
  readonly pixels: Signal<number>;
  /** What is shown of the axis; null while nothing is known. */
  readonly view: ReadonlySignal<Range | null>;
  /** Whether the view differs from the robust range. */
  readonly zoomed: ReadonlySignal<boolean>;
  /** From the smallest to the largest weight, as far as they are known. */
  readonly limits: ReadonlySignal<Range | null>;
  readonly bins: ReadonlySignal<Bins | null>;
  /** What the bins count. */
  readonly counted: ReadonlySignal<Scope>;
  /** Whether only whole numbers occur. */
  readonly integers: ReadonlySignal<boolean>;
  /** A histogram of w, for estimates on any axis. */
  readonly valueBins: ReadonlySignal<Bins | null>;
  /** Why there is nothing better to show; "" if all is well. */
  readonly problem: ReadonlySignal<string>;
  show(view: Range | null): void;
  zoomBy(factor: number, about?: number): void;
  panBy(distance: number): void;
  /** Shows all up to the smallest or the largest weight. */
  extend(side: "below" | "above"): void;
}

interface Known {
  /** Of which tensor, on which axis. */
  of: string;
  /** The same for all parts of the tensor. */
  kin: string;
  scope: Scope;
  bins: Bins;
}

/** Milliseconds that the view must rest before the kernel is asked again. */
const REST = 60;

/** Decades of magnitudes that one step to the left adds, where the smallest is not known. */
const MORE_DECADES = 4;
const SMALLEST_DECADE: Record<string, number> = { float64: -324 };

export function histogramState(store: Store, parts: ScopeState = WHOLE): HistogramState {
  const scale = signal<Scale>("value");
  const pixels = signal(0);
  /** Of which tensor, on which axis. */
  const chosen = signal<{ of: string; view: Range } | null>(null);
  const known = signal<Known | null>(null);
  const fault = signal<{ of: string; message: string } | null>(null);
  /** The range that the kernel chose. */
  const named = signal<{ of: string; view: Range } | null>(null);

  const row = store.selectedRow;
  /** What a chosen view belongs to: it outlives a change of the weights, as in training. */
  const place = computed(() => `${scale.value} ${store.traits.selected.value}`);
  const zoomedTo = computed(() => (chosen.value?.of === place.value ? chosen.value.view : null));
  /** Changes when the weights do, so that nothing is shown of weights that are gone. */
  const weights = computed(() => {
    const overview = store.overview.value;
    const at = row.value;
    if (at < 0 || !overview.summarised(at) || overview.error(at)) return "";
    const marks = ["count", "mean", "std", "min", "max"].map((key) => overview.column(key)[at]);
    return JSON.stringify([store.traits.selected.value, ...marks]);
  });
  const empty = computed(
    () => weights.value !== "" && placeable(store.overview.value, row.value, scale.value) === 0,
  );
  const kin = computed(() => (weights.value && !empty.value ? `${scale.value} ${weights.value}` : ""));
  const { scope } = parts;
  const of = computed(() => kin.value && `${kin.value} ${JSON.stringify(scope.value.fields)}`);
  const local = computed(() =>
    of.value && scope.value.kind === "all"
      ? fromOverview(store.overview.value, row.value, scale.value)
      : null,
  );
  /** Until the numbers of a part have come, those of the last are shown, and named. */
  const stands = computed(() => {
    const last = known.value;
    if (!last) return null;
    const near = last.kin === kin.value && scope.value.kind !== "all";
    return last.of === of.value || near ? last : null;
  });
  const latest = computed(() => (known.value && known.value.of === of.value ? known.value.bins : null));

  /** The robust range: the overview's, or the one that the kernel chose where the overview has none. */
  const home = computed<Range | null>(() => {
    const overview = store.overview.value;
    if (!of.value) return null;
    const histogram =
      scale.value === "value" ? overview.histogram(row.value) : overview.logHistogram(row.value);
    if (histogram) return widened(histogram.range);
    return named.value?.of === kin.value ? named.value.view : null;
  });

  const integers = computed(() => {
    const dtype = row.value < 0 ? "" : store.overview.value.dtype(row.value);
    return scale.value === "value" && /^(u?int|bool)/.test(dtype);
  });
  const grid = computed<Grid | null>(() => {
    const view = home.value && (zoomedTo.value ?? home.value);
    return view && gridFor(view, pixels.value, integers.value);
  });
  const view = computed<Range | null>(() => grid.value?.range ?? null);

  const limits = computed<Range | null>(() => {
    const range = home.value;
    if (!range) return null;
    const [min, max] = extent(store.overview.value, row.value, scale.value);
    let low = Number.isFinite(min) ? Math.min(min, range[0]) : range[0];
    if (scale.value === "magnitude" && (local.value ?? latest.value)?.below) {
      low = Math.min(low, SMALLEST_DECADE[store.overview.value.dtype(row.value)] ?? -46);
    }
    return [low, Number.isFinite(max) ? Math.max(max, range[1]) : range[1]];
  });

  const bins = computed<Bins | null>(() => {
    if (empty.value) return emptyBins(store.overview.value, row.value, scale.value);
    const shown = view.value;
    const exact = stands.value?.bins ?? null;
    if (!exact || !shown) return exact ?? local.value;
    const [low, high] = ends(exact);
    const slack = exact.step / 2;
    const covers = low <= shown[0] + slack && high >= shown[1] - slack;
    return covers || !local.value ? exact : local.value;
  });

  const valueBins = computed<Bins | null>(() => {
    // The overview knows nothing of parts.
    if (scope.value.kind !== "all") return latest.value?.scale === "value" ? latest.value : null;
    // The overview's, which reach from the smallest to the largest weight however far the view is zoomed.
    const all = weights.value ? fromOverview(store.overview.value, row.value, "value") : null;
    return all ?? (bins.value?.scale === "value" ? bins.value : null);
  });

  ask(store, {
    of,
    kin,
    parts: scope,
    scale,
    grid,
    pixels,
    latest,
    answered: (reply, whose) => {
      const all = store.overview.peek().column("count")[row.peek()] ?? 0;
      const bins = fromReply(reply, whose.scale, whose.scope.count ?? all);
      batch(() => {
        known.value = { of: whose.of, kin: whose.kin, scope: whose.scope, bins };
        if (!home.peek()) named.value = { of: whose.kin, view: reply.range };
        fault.value = null;
      });
    },
    failed: (whose, message) => {
      fault.value = { of: whose, message };
    },
  });

  const show = (next: Range | null): void => {
    chosen.value = next && next[0] < next[1] ? { of: place.peek(), view: next } : null;
  };

  return {
    scale,
    logCounts: signal(false),
    normal: signal(true),
    size: signal({ width: 0, height: 0 }),
    pixels,
    view,
    zoomed: computed(() => {
      const range = zoomedTo.value;
      return Boolean(range && home.value && !(range[0] === home.value[0] && range[1] === home.value[1]));
    }),
    limits,
    bins,
    counted: computed(() => {
      if (bins.value?.origin !== "kernel") return scope.value;
      return stands.value?.scope ?? scope.value;
    }),
    integers,
    valueBins,
    problem: computed(() => {
      const overview = store.overview.value;
      if (row.value < 0) return overview.rows === 0 ? "" : "nothing is selected";
      const unread = overview.error(row.value);
      if (unread) return unread;
      if (!overview.summarised(row.value)) {
        const away = overview.block(row.value) && store.model.kernel.value === "gone";
        return away ? lack(store).block : "not summarised yet";
      }
      if (fault.value && fault.value.of === of.value) return fault.value.message;
      if (!empty.value) return "";
      if (overview.column("count")[row.value] === 0) return "no weights";
      return placeable(overview, row.value, "value") > 0 ? "all weights are zero" : "no finite weights";
    }),
    show,
    zoomBy: (factor, about) => {
      const now = view.peek();
      const all = limits.peek();
      if (now && all) show(zoom(now, factor, about ?? (now[0] + now[1]) / 2, all));
    },
    panBy: (distance) => {
      const now = view.peek();
      const all = limits.peek();
      if (now && all) show(pan(now, distance, all));
    },
    extend: (side) => {
      const now = view.peek();
      const all = limits.peek();
      if (!now || !all) return;
      if (side === "above") show([now[0], all[1]]);
      else show([scale.peek() === "magnitude" ? Math.max(all[0], now[0] - MORE_DECADES) : all[0], now[1]]);
    },
  };
}

function ends(bins: Bins): Range {
  return [bins.edges[0] as number, bins.edges[bins.edges.length - 1] as number];
}

interface Whose {
  of: string;
  kin: string;
  scope: Scope;
  scale: Scale;
}

interface Question {
  of: ReadonlySignal<string>;
  kin: ReadonlySignal<string>;
  parts: ReadonlySignal<Scope>;
  scale: Signal<Scale>;
  grid: ReadonlySignal<Grid | null>;
  pixels: Signal<number>;
  latest: ReadonlySignal<Bins | null>;
  answered(reply: Parameters<typeof fromReply>[0], whose: Whose): void;
  failed(of: string, message: string): void;
}

/** Asks the kernel for the exact histogram of what is shown, and withdraws what nobody waits for any more. */
function ask(
  store: Store,
  { of, kin, parts, scale, grid, pixels, latest, answered, failed }: Question,
): void {
  let before = "";
  let asked = "";
  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    clearTimeout(timer);
    abort.abort();
  };
  store.lifetime.addEventListener("abort", stop);
  store.effect(() => {
    const whose = of.value;
    const cut = grid.value;
    const width = pixels.value;
    const question = whose && width > 0 ? JSON.stringify([whose, cut]) : "";
    if (question === asked) return;
    asked = question;
    stop();
    const have = latest.peek();
    if (!question || (have && cut && isOf(have, cut))) return;
    abort = new AbortController();
    const { signal } = abort;
    const scope = parts.peek();
    const asker: Whose = { of: whose, kin: kin.peek(), scope, scale: scale.peek() };
    const request = {
      ...scope.fields,
      path: store.traits.selected.peek(),
      scale: scale.peek(),
      bins: cut?.bins ?? gridFor([0, 1], width, false).bins,
      range: cut?.range ?? null,
    };
    const send = (): void => {
      store.model.request("histogram", request, { signal }).then(
        (reply) => answered(reply, asker),
        (error: unknown) => {
          if (error instanceof RequestCancelled) return;
          failed(whose, error instanceof RequestFailed ? error.message : String(error));
        },
      );
    };
    // A new tensor is asked for at once; while the view is dragged only its resting places are.
    if (whose !== before) send();
    else timer = setTimeout(send, REST);
    before = whose;
  });
}

function isOf(bins: Bins, cut: Grid): boolean {
  const [low, high] = ends(bins);
  return bins.counts.length === cut.bins && low === cut.range[0] && high === cut.range[1];
}
