/** The state of the filters' view: which filters, how they are drawn, in which order, which one is looked at. */

import { batch, computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import { type Palette, palette } from "../../draw/colour";
import { type ColourScale, colourScale } from "../../draw/colourscale";
import type { FilterMode, FilterSide } from "../../protocol";
import type { Store } from "../../store";
import { weightGeneration } from "../heatmap/data";
import {
  bestNorms,
  type Fetched,
  type FilterFacts,
  type Frequencies,
  fetched,
  MOST_COMPARED,
  type Similarity,
  unpackFilter,
  unpackFrequencies,
  unpackNorms,
  unpackSimilarity,
} from "./facts";
import { type Layer, shownLayer } from "./layer";
import { filterAt, kernelSize, positionOf } from "./layout";
import { type LayerNorms, LocalWeights, StrongestKernels } from "./local";
import { type Marks, marksOf } from "./marks";
import { type Order, orderOf } from "./order";
import { channelPictures, filterPictures, type Pictures } from "./pictures";

/** What a cell shows: a mode of the request, or the three channels as colours. */
export type Show = FilterMode | "rgb";
export type Scale = "shared" | "robust" | "each";

export interface FiltersState {
  readonly store: Store;
  readonly layer: ReadonlySignal<Layer | null>;
  /** null: as the layer suggests. */
  readonly by: Signal<FilterSide | null>;
  readonly show: ReadonlySignal<Show>;
  readonly shows: ReadonlySignal<readonly Show[]>;
  setShow(show: Show): void;
  readonly scale: Signal<Scale>;
  readonly order: Signal<Order>;
  /** The channel that mode "channel" shows, among those that a filter reads. */
  readonly channel: ReadonlySignal<number>;
  setChannel(channel: number): void;
  /** The filter that is looked at: chosen, or else the first in order. */
  readonly chosen: ReadonlySignal<number>;
  /** Whether somebody chose it. */
  readonly isChosen: ReadonlySignal<boolean>;
  choose(filter: number): void;
  /** Whether its channels are shown instead of all filters. */
  readonly opened: Signal<boolean>;
  readonly norms: ReadonlySignal<LayerNorms | null>;
  readonly frequencies: Fetched<Frequencies>;
  readonly similarity: Fetched<Similarity>;
  readonly facts: ReadonlySignal<FilterFacts | null>;
  readonly marks: ReadonlySignal<Marks>;
  /** Numbers of the filters as they are laid out. */
  readonly sequence: ReadonlySignal<ArrayLike<number>>;
  readonly pictures: ReadonlySignal<Pictures | null>;
  /** The kernels of the filter that is looked at; null unless they are shown. */
  readonly kernels: ReadonlySignal<Pictures | null>;
  readonly palette: ReadonlySignal<Palette>;
  /** Of all filters together; its limit does not hold where each is scaled by itself. */
  readonly colours: ReadonlySignal<ColourScale>;
  /** All weights of the layer, if the overview has them. */
  readonly local: ReadonlySignal<LocalWeights | null>;
  /** What can be drawn at once without a kernel; null for all of it. */
  readonly drawable: ReadonlySignal<readonly Show[] | null>;
}

/** Weights up to which frequencies and copies are looked for unasked: some seconds. */
const UNASKED = 30_000_000;
/** Most weights of a picture of all channels of a filter, and most channels that are rows of one. */
const MOST_IN_CELL = 4096;
const MOST_ROWS = 96;

export function filtersState(store: Store, shown: ReadonlySignal<boolean>): FiltersState {
  const { traits, overview, model } = store;
  const by = signal<FilterSide | null>(null);
  const layer = shownLayer(store, by);
  const generation = weightGeneration(store, layer);
  const chosenShow = signal<Show | null>(null);
  const scale = signal<Scale>("shared");
  const order = signal<Order>("norm");
  const opened = signal(false);

  // What was set for one tensor may not fit another.
  let tensor: string | undefined;
  store.effect(() => {
    const now = layer.value?.tensor;
    if (now === tensor) return;
    tensor = now;
    batch(() => {
      by.value = null;
      chosenShow.value = null;
      opened.value = false;
    });
  });

  const shows = computed<readonly Show[]>(() => (layer.value ? showsOf(layer.value) : ["channel"]));

  const place = computed(() => {
    const now = layer.value;
    return now ? filterAt(now.layout, traits.index.value) : null;
  });
  const summarised = computed(() => layer.value !== null && overview.value.summarised(layer.value.row));
  const local = computed(() => {
    void generation.value;
    const now = layer.value;
    return now && summarised.value ? LocalWeights.of(overview.peek(), now) : null;
  });
  const strongest = computed(() => {
    void generation.value;
    const now = layer.value;
    return now && summarised.value && !local.value ? StrongestKernels.of(overview.peek(), now) : null;
  });
  const away = computed(() => model.kernel.value === "gone");
  const drawable = computed<readonly Show[] | null>(() => {
    if (!away.value || local.value) return null;
    return strongest.value ? ["largest"] : [];
  });
  const show = computed<Show>(() => {
    const own = chosenShow.value;
    if (own && shows.value.includes(own)) return own;
    return shows.value.find((one) => drawable.value?.includes(one)) ?? (shows.value[0] as Show);
  });

  // Texts and truth values: what depends on them is not run again before they change.
  const key = computed(() => (layer.value ? `${generation.value} ${layer.value.key}` : ""));
  const ask = computed(() => shown.value && !away.value);
  const of = (): { tensor: string; by: FilterSide } | null => {
    const now = layer.peek();
    return key.value && now ? { tensor: now.tensor, by: now.by } : null;
  };
  const isQuick = computed(() => {
    const layout = layer.value?.layout;
    return layout !== undefined && layout.filters * layout.channels * kernelSize(layout) <= UNASKED;
  });
  const askFrequencies = computed(() => ask.value && (isQuick.value || order.value === "frequency"));
  const askSimilarity = computed(() => ask.value && (isQuick.value || order.value === "similarity"));
  const hasFrequencies = computed(() => layer.value !== null && layer.value.kind !== "point");
  const isComparable = computed(() => (layer.value?.layout.filters ?? 0) <= MOST_COMPARED);
  const exactNorms = fetched(
    store,
    "filter_norms",
    () => {
      const request = of();
      return request && { key: key.value, request, ask: ask.value };
    },
    unpackNorms,
  );
  const frequencies = fetched(
    store,
    "filter_frequencies",
    () => {
      const request = of();
      return request && hasFrequencies.value ? { key: key.value, request, ask: askFrequencies.value } : null;
    },
    unpackFrequencies,
  );
  const similarity = fetched(
    store,
    "filter_similarity",
    () => {
      const request = of();
      return request && isComparable.value ? { key: key.value, request, ask: askSimilarity.value } : null;
    },
    unpackSimilarity,
  );
  const norms = bestNorms(store, layer, local, exactNorms.value);

  const sequence = computed<ArrayLike<number>>(() => {
    const count = layer.value?.layout.filters ?? 0;
    return orderOf(order.value, count, norms.value, frequencies.value.value, similarity.value.value);
  });
  const chosen = computed(() => place.value?.filter ?? sequence.value[0] ?? 0);
  const exactFacts = fetched(
    store,
    "filter",
    () => {
      const request = of();
      const filter = chosen.value;
      return request && { key: `${key.value} ${filter}`, request: { ...request, filter }, ask: ask.value };
    },
    (reply) => unpackFilter(reply, chosen.peek()),
  );
  const facts = computed<FilterFacts | null>(() => {
    const exact = exactFacts.value.value;
    if (exact?.filter === chosen.value) return exact;
    const weightsHere = local.value;
    if (!weightsHere) return null;
    const filter = chosen.value;
    return { filter, channelNorms: weightsHere.channelNorms(filter), cosines: weightsHere.cosines(filter) };
  });

  const channel = computed(() => place.value?.channel ?? 0);
  const drawnChannel = computed(() => (show.value === "channel" ? channel.value : 0));
  const pictures = signal<Pictures | null>(null);
  store.effect(() => {
    const now = layer.value;
    const mode = show.value === "rgb" ? "all" : show.value;
    const here = local.value ?? strongest.value;
    void [generation.value, drawnChannel.value];
    if (!now) {
      pictures.value = null;
      return;
    }
    const made = untracked(() => filterPictures(store, now, mode, drawnChannel.value, here));
    pictures.value = made;
    return () => made.close();
  });
  const kernels = signal<Pictures | null>(null);
  store.effect(() => {
    const now = layer.value;
    const filter = chosen.value;
    void [generation.value, local.value];
    if (!now || !opened.value) {
      kernels.value = null;
      return;
    }
    const made = untracked(() => channelPictures(store, now, filter, local.value));
    kernels.value = made;
    return () => made.close();
  });

  const goTo = (filter: number, at: number): void => {
    const now = layer.peek();
    if (!now) return;
    const { layout } = now;
    if (filter < 0 || filter >= layout.filters || at < 0 || at >= layout.channels) return;
    traits.index.value = positionOf(layout, filter, at, []);
  };

  return {
    store,
    layer,
    by,
    show,
    shows,
    setShow: (next) => {
      chosenShow.value = next;
    },
    scale,
    order,
    channel,
    setChannel: (next) => goTo(chosen.peek(), next),
    chosen,
    isChosen: computed(() => place.value !== null),
    choose: (filter) => goTo(filter, channel.peek()),
    opened,
    norms,
    frequencies,
    similarity,
    facts,
    marks: computed(() => marksOf(norms.value, similarity.value.value)),
    sequence,
    pictures,
    kernels,
    palette: computed(() => palette(traits.color_map.value, store.theme.value)),
    colours: computed(() => sharedScale(store, layer.value, show.value, scale.value, norms.value)),
    local,
    drawable,
  };
}

/** What can be drawn of the filters of a layer, the best first. */
export function showsOf({ layout, kind }: Layer): Show[] {
  const { channels } = layout;
  if (channels === 1) return ["channel"];
  const all = channels * kernelSize(layout) <= MOST_IN_CELL;
  if (kind === "point") return all ? ["all"] : ["channel"];
  if (kind === "line")
    return [
      ...(all && channels <= MOST_ROWS ? (["all"] as const) : []),
      "largest",
      "channel",
      "mean",
      "norm",
    ];
  const rgb = channels === 3 && kind === "plane";
  return [...(rgb ? (["rgb"] as const) : []), "largest", "channel", "mean", "norm"];
}

/** The scale that all filters share. */
function sharedScale(
  store: Store,
  layer: Layer | null,
  show: Show,
  scale: Scale,
  norms: LayerNorms | null,
): ColourScale {
  const of = (key: string): number => store.overview.value.column(key)[layer?.row ?? -1] ?? Number.NaN;
  if (show === "mean" || show === "norm") {
    const limit = (show === "mean" ? norms?.meanLimit : norms?.normLimit) || 1;
    const note = show === "mean" ? "± largest mean of the layer" : "largest norm of the layer";
    return { kind: "full", limit, linear: 0, note };
  }
  const absmax = of("absmax");
  const largest = Number.isFinite(absmax) ? absmax : Math.max(0, ...(norms?.absmax ?? []));
  const spread = { absmax: largest, q01: of("q01"), q99: of("q99"), rms: of("rms"), pixel: Number.NaN };
  return colourScale(scale === "robust" && show !== "rgb" ? "robust" : "full", spread);
}
