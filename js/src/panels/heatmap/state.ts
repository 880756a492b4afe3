/** The state of the heatmap: the part that is seen, at which level of detail, and how it is coloured. */

import { computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import type { Axes } from "../../anatomy";
import { type Palette, palette } from "../../draw/colour";
import { type ColourScale, colourScale, followsWeights, scaleOfDrawn } from "../../draw/colourscale";
import type { Thumbnail } from "../../overview";
import type { Hover, Store } from "../../store";
import { type HeatmapData, heatmapData } from "./data";
import { drawnMatrix, type Largest, largestOf, type MatrixInfo, spreadOf } from "./matrix";
import { type MatrixParts, matrixParts, NO_PARTS } from "./parts";
import { type Place, tilesIn } from "./tilecache";
import { fit, levelFor, resize, showWindow, type Viewport } from "./viewport";

/** Row level, column level: an entry stands for 2**level rows or columns. */
export type Levels = readonly [number, number];

export interface HeatmapState extends HeatmapData {
  readonly store: Store;
  readonly matrix: ReadonlySignal<MatrixInfo | null>;
  /** What the axes of the drawn tensor mean; null if nothing is known. */
  readonly axes: ReadonlySignal<Axes | null>;
  /** The named parts along the sides of the matrix. */
  readonly parts: ReadonlySignal<MatrixParts>;
  /** null until the panel has a size. */
  readonly viewport: Signal<Viewport | null>;
  /** Device pixels a CSS pixel. */
  readonly ratio: Signal<number>;
  /** What the viewport needs. */
  readonly levels: ReadonlySignal<Levels>;
  readonly thumbnail: ReadonlySignal<Thumbnail | null>;
  readonly palette: ReadonlySignal<Palette>;
  /** The scale of what is drawn now. */
  readonly scale: ReadonlySignal<ColourScale>;
  readonly thumbnailScale: ReadonlySignal<ColourScale>;
  scaleAt(levels: Levels): ColourScale;
  readonly largest: ReadonlySignal<Largest | null>;
  readonly markLargest: Signal<boolean>;
  readonly pinned: Signal<Hover | null>;
  /** Whether the kernel gave anything to draw of this matrix. */
  readonly hasTiles: ReadonlySignal<boolean>;
  /** Tells the size of the room for the matrix. */
  setRoom(width: number, height: number): void;
}

/** Part of the visible window that is fetched beyond each edge, once all that is seen has come. */
const MARGIN = 0.25;

export function heatmapState(store: Store): HeatmapState {
  const { model, traits, overview } = store;
  const matrix = drawnMatrix(store);
  const data = heatmapData(store, matrix);
  const axes = computed(() => (matrix.value ? overview.value.axes(matrix.value.row) : null));
  const parts = computed(() => {
    const drawn = matrix.value;
    return drawn ? matrixParts(axes.value, drawn.shape, drawn.axes, drawn.index) : NO_PARTS;
  });
  const viewport = signal<Viewport | null>(null);
  const ratio = signal(globalThis.devicePixelRatio || 1);
  const { pinned } = store;
  const room = { width: 0, height: 0 };

  /** All of the matrix, or the window that Python asks for. */
  const arrange = (): void => {
    const drawn = matrix.peek();
    if (!drawn || drawn.rows * drawn.cols === 0 || room.width <= 0 || room.height <= 0) {
      viewport.value = null;
      return;
    }
    const whole = fit(drawn.rows, drawn.cols, room.width, room.height);
    const window = traits.window.peek();
    const fits =
      window &&
      window[0] < window[1] &&
      window[2] < window[3] &&
      window[1] <= drawn.rows &&
      window[3] <= drawn.cols;
    viewport.value = fits ? showWindow(whole, window) : whole;
  };
  let fresh = true;
  store.effect(() => {
    void matrix.value;
    // Another matrix may get another room, and a window is to be shown in that.
    fresh = true;
    untracked(() => {
      pinned.value = null;
      store.region.value = null;
      store.hover.value = null;
      arrange();
    });
  });

  /** The finest level that there is: without a kernel the one that the overview keeps. */
  const finest = computed<Levels>(() => {
    const drawn = matrix.value;
    const kept = drawn?.isDefault && model.kernel.value === "gone" ? overview.value.kept(drawn.row) : null;
    return kept?.levels ?? [0, 0];
  });
  const levelsOf = (v: Viewport): Levels => [
    Math.max(finest.value[0], levelFor(v.sy, ratio.value)),
    Math.max(finest.value[1], levelFor(v.sx, ratio.value)),
  ];
  const levels = computed<Levels>(() => (viewport.value ? levelsOf(viewport.value) : [0, 0]));

  store.effect(() => {
    const tiles = data.cache.value;
    const v = viewport.value;
    void model.kernel.value;
    const drawn = matrix.value;
    if (!tiles || !v || !drawn || v.rows !== drawn.rows || v.cols !== drawn.cols) return;
    const whole = fit(v.rows, v.cols, v.width, v.height);
    const base = levelsOf(whole);
    const atFit = String(levels.value) === String(base);
    const seen = tilesIn(v, levels.value);
    // The tiles of the whole matrix stay: they are the ground while others come, and the picture of the minimap.
    const around = atFit ? [] : [...tilesIn(v, levels.value, MARGIN), ...tilesIn(whole, base)];
    const isBase = (place: Place): boolean => place[0] === base[0] && place[1] === base[1];
    tiles.want(unique([...seen, ...around]), traits.value_range.value, isBase);
    // At level 0 every element is there already.
    const wanted = levels.value[1] > 0 ? seen : [];
    data.envelope.value?.min.want(wanted, null, isBase);
    data.envelope.value?.max.want(wanted, null, isBase);
  });

  const thumbnail = computed(() => {
    const drawn = matrix.value;
    return drawn?.isDefault ? overview.value.thumbnail(drawn.row) : null;
  });
  const summarised = computed(() => matrix.value !== null && overview.value.summarised(matrix.value.row));
  const weightScale = computed(() => {
    const drawn = matrix.value;
    const v = viewport.value;
    const [rowLevel, colLevel] = v ? levelsOf(fit(v.rows, v.cols, v.width, v.height)) : [0, 0];
    const kind = traits.color_scale.value;
    return colourScale(
      // Rows can be scaled by themselves only when their norms are known.
      kind === "row" && !data.norms.value ? "robust" : kind,
      drawn ? spreadOf(overview.value, drawn, 2 ** (rowLevel + colLevel)) : UNKNOWN,
    );
  });
  const thumbnailScale = computed(() => {
    const scale = weightScale.value;
    // Its pixels stand for many more weights than those of tiles, and reach further.
    return thumbnail.value && scale.kind === "robust"
      ? scaleOfDrawn(thumbnail.value.data, scale.limit)
      : scale;
  });
  const hasTiles = computed(() => {
    void data.arrivals.value;
    return (data.cache.value?.size ?? 0) > 0;
  });

  const byLevel = new Map<string, ColourScale>();
  store.effect(() => {
    void [data.cache.value, weightScale.value];
    byLevel.clear();
  });
  const scaleAt = (at: Levels): ColourScale => {
    // Averages spread less the more they are of, and before the scan has come here nothing else is known.
    const described = followsWeights(traits.aggregate.value) && summarised.value;
    if (described || weightScale.value.kind !== "robust") return weightScale.value;
    const known = byLevel.get(String(at));
    if (known) return known;
    const tiles = [...(data.cache.value?.all() ?? [])];
    const first = tiles.find(({ place }) => place[0] === at[0] && place[1] === at[1]);
    if (!first) return weightScale.value;
    const found = scaleOfDrawn(first.values);
    byLevel.set(String(at), found);
    return found;
  };

  return {
    ...data,
    store,
    matrix,
    axes,
    parts,
    viewport,
    ratio,
    levels,
    thumbnail,
    palette: computed(() => palette(traits.color_map.value, store.theme.value)),
    scale: computed(() => (hasTiles.value ? scaleAt(levels.value) : thumbnailScale.value)),
    thumbnailScale,
    scaleAt,
    largest: computed(() => {
      const drawn = matrix.value;
      return drawn && largestOf(overview.value, drawn);
    }),
    markLargest: signal(true),
    pinned,
    hasTiles,
    setRoom: (width, height) => {
      const same = width === room.width && height === room.height;
      room.width = width;
      room.height = height;
      const v = viewport.peek();
      if (same && v) return;
      if (v && !fresh && width > 0 && height > 0) viewport.value = resize(v, width, height);
      else arrange();
      fresh = width <= 0;
    },
  };
}

const UNKNOWN = { absmax: 1, q01: -1, q99: 1, rms: 1, pixel: 1 };

function unique(places: Place[]): Place[] {
  return [...new Map(places.map((place) => [place.join(), place])).values()];
}
