/** The canvases of the plot: as large as the room is, drawn once a frame when something has changed. */

import { computed, untracked } from "@preact/signals-core";
import { visible } from "../../draw/visible";
import { drawBands, drawBoundaries } from "./boundaries";
import { drawEdges } from "./edges";
import { type Geometry, geometry } from "./geometry";
import { type Inks, inksOf } from "./inks";
import { drawOverlay, type OverlayScene } from "./overlay";
import { painter } from "./picture";
import { drawMatrix } from "./render";
import type { HeatmapState } from "./state";
import { drawValues } from "./vectorplot";

export interface Stage {
  geometry(): Geometry | null;
  /** What the overlay is drawn from. */
  overlay(): OverlayScene | null;
  /** Draws in the next frame: all, or only what moves with the pointer. */
  request(what: "base" | "over"): void;
  /** All as one picture, with its background. */
  image(): HTMLCanvasElement;
}

/**
 * @param base for the matrix and its edges
 * @param over for what moves with the pointer
 * @param changed called when something else may lie under the pointer
 */
export function stage(
  state: HeatmapState,
  element: HTMLElement,
  base: HTMLCanvasElement,
  over: HTMLCanvasElement,
  changed: () => void,
): Stage {
  const { store } = state;
  const size = { width: 0, height: 0 };
  let geo: Geometry | null = null;
  let inks: Inks | null = null;
  const paint = computed(() => painter(state));

  let frame = 0;
  let stale = { base: false, over: false };
  const request = (what: "base" | "over"): void => {
    stale[what] = true;
    if (!frame) frame = requestAnimationFrame(draw);
  };
  const draw = (): void => {
    frame = 0;
    const now = stale;
    stale = { base: false, over: false };
    if (now.base) drawBase();
    drawOver();
  };
  const blank = (canvas: HTMLCanvasElement): CanvasRenderingContext2D | null => {
    const context = canvas.getContext("2d");
    const ratio = state.ratio.peek();
    context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    context?.clearRect(0, 0, size.width, size.height);
    return context;
  };

  const drawBase = (): void => {
    const context = blank(base);
    const matrix = state.matrix.peek();
    const v = state.viewport.peek();
    if (!context || !matrix || !v || !geo || v.rows !== matrix.rows || v.cols !== matrix.cols) return;
    inks ??= inksOf(element);
    const ratio = state.ratio.peek();
    const scene = { state, matrix, v, room: geo.room, ratio, painter: paint.peek(), inks };
    const done = drawMatrix(context, scene);
    const parts = { parts: state.parts.peek(), v, geometry: geo, inks };
    drawBoundaries(context, parts);
    drawBands(context, parts);
    drawEdges(context, {
      matrix,
      v,
      geometry: geo,
      norms: state.norms.peek(),
      inks,
      axes: state.axes.peek(),
    });
    drawValues(context, state, matrix, v, geo, inks);
    if (!done) request("base");
  };
  const overlay = (): OverlayScene | null => {
    const v = state.viewport.peek();
    if (!v || !geo) return null;
    inks ??= inksOf(element);
    return {
      v,
      geometry: geo,
      inks,
      hover: element.dataset.dragging === undefined ? store.hover.peek() : null,
      pinned: state.pinned.peek(),
      region: store.region.peek(),
      largest: state.markLargest.peek() ? state.largest.peek() : null,
      norms: state.norms.peek(),
    };
  };
  const drawOver = (): void => {
    const context = blank(over);
    const scene = overlay();
    if (context && scene) drawOverlay(context, scene);
  };

  const layOut = (): void => {
    const matrix = state.matrix.peek();
    geo = matrix && size.width > 0 ? geometry(matrix, size.width, size.height, state.parts.peek()) : null;
    state.setRoom(geo?.room.width ?? 0, geo?.room.height ?? 0);
    request("base");
  };
  const measure = (): void => {
    const ratio = globalThis.devicePixelRatio || 1;
    size.width = element.clientWidth;
    size.height = element.clientHeight;
    for (const canvas of [base, over]) {
      canvas.width = Math.max(1, Math.round(size.width * ratio));
      canvas.height = Math.max(1, Math.round(size.height * ratio));
    }
    state.ratio.value = ratio;
    layOut();
    // A canvas is blank after a change of size: drawing in the next frame would flicker.
    cancelAnimationFrame(frame);
    draw();
  };
  const observer = new ResizeObserver(measure);
  observer.observe(element);
  store.lifetime.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });

  store.effect(() => {
    void [state.matrix.value, state.parts.value];
    untracked(layOut);
  });
  store.effect(() => {
    void store.theme.value;
    inks = null;
  });
  store.effect(() => {
    void [paint.value, state.viewport.value, state.arrivals.value, state.norms.value, store.theme.value];
    void [state.thumbnail.value, store.overview.value, state.ratio.value];
    request("base");
    untracked(changed);
  });
  store.effect(() => {
    void store.region.value;
    void [store.hover.value, state.pinned.value, state.markLargest.value, state.largest.value];
    request("over");
  });
  store.effect(() => {
    const matrix = state.matrix.value;
    const label = matrix ? `heatmap of ${matrix.tensor}, ${matrix.rows} rows, ${matrix.cols} columns` : "";
    base.setAttribute("aria-label", visible(label));
  });

  return {
    geometry: () => geo,
    overlay,
    request,
    image: () => {
      const picture = document.createElement("canvas");
      picture.width = base.width;
      picture.height = base.height;
      const context = picture.getContext("2d");
      if (context) {
        context.fillStyle = inksOf(element).bg;
        context.fillRect(0, 0, picture.width, picture.height);
        context.drawImage(base, 0, 0);
        context.drawImage(over, 0, 0);
      }
      return picture;
    },
  };
}
