/** The plot: what pointer and keys do on it. */

import { type Signal, signal } from "@preact/signals-core";
import { h } from "../../draw/dom";
import type { Hover } from "../../store";
import { attachGestures } from "./gestures";
import { handleKey, KEY_HELP } from "./keys";
import { RING, ringAt } from "./overlay";
import { probe } from "./probe";
import { marker, spanned } from "./region";
import { type Stage, stage } from "./stage";
import type { HeatmapState } from "./state";
import { centreOn, elementAt, fit, LARGEST_CELL, pan, reveal, type Viewport, zoomAt } from "./viewport";
import { syncWindow } from "./windowsync";

export interface Plot {
  readonly element: HTMLElement;
  /** Whether dragging marks a region rather than moving the view. */
  readonly marking: Signal<boolean>;
  zoom(factor: number): void;
  fit(): void;
  /** Zooms to a cell and pins it. */
  goTo(row: number, col: number): void;
  /** Something else has moved the view. */
  moved(): void;
  /** The plot as one picture, with its background. */
  image(): HTMLCanvasElement;
}

/** Cells that are gone to are so large that their numbers show. */
const GO_TO = 36;

export function plot(state: HeatmapState): Plot {
  const { store } = state;
  const base = h("canvas", { class: "ww-hm-canvas", role: "img" });
  const over = h("canvas", { class: "ww-hm-canvas", "aria-hidden": "true" });
  const hint = h(
    "div",
    { class: "ww-hm-hint", hidden: true },
    "click here first, or hold Ctrl, to zoom with the wheel",
  );
  const element = h(
    "div",
    {
      class: "ww-hm-plot",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "heatmap",
      "aria-label": `Weights. ${KEY_HELP}`,
    },
    base,
    over,
    hint,
  );

  const marking = signal(false);
  const region = marker(store);
  let pointer: [number, number] | null = null;
  let hinting: ReturnType<typeof setTimeout> | undefined;
  const gestureEnded = syncWindow(state);
  store.lifetime.addEventListener("abort", () => clearTimeout(hinting));

  const cellUnder = ([px, py]: [number, number]): Hover | null => {
    const v = state.viewport.peek();
    const geo = drawn.geometry();
    if (!v || !geo) return null;
    // The plot of a vector's values points at them as its strip does.
    const inPlot =
      geo.values && py >= geo.values.y - geo.room.y && py < geo.values.y - geo.room.y + geo.values.height;
    const at = elementAt(v, px, inPlot ? 1 : py);
    return at && probe(state, at[0], at[1]);
  };
  const pointAgain = (): void => {
    if (pointer) setHover(cellUnder(pointer));
    const pinned = state.pinned.peek();
    const now = pinned && probe(state, pinned.row, pinned.col);
    // A cell that was gone to gets its value when its tile comes.
    if (now && now.rows === pinned.rows && now.cols === pinned.cols && !Object.is(now.value, pinned.value)) {
      state.pinned.value = now;
    }
  };
  const setHover = (cell: Hover | null): void => {
    const last = store.hover.peek();
    if (JSON.stringify(last) !== JSON.stringify(cell)) store.hover.value = cell;
  };
  const drawn: Stage = stage(state, element, base, over, pointAgain);
  const nearRing = ([px, py]: [number, number]): boolean => {
    const scene = drawn.overlay();
    const ring = scene && ringAt(scene);
    if (!ring) return false;
    const { room } = scene.geometry;
    return Math.hypot(ring[0] - room.x - px, ring[1] - room.y - py) <= RING;
  };
  const set = (v: Viewport): boolean => {
    const before = state.viewport.peek();
    if (before && sameView(before, v)) return false;
    state.viewport.value = v;
    return true;
  };
  /** A strip keeps its height. */
  const along = (wanted: "both" | "rows" | "cols"): "both" | "rows" | "cols" =>
    drawn.geometry()?.values ? "cols" : wanted;
  const zoomAbout = (factor: number, px: number, py: number, wanted: "both" | "rows" | "cols"): boolean => {
    const v = state.viewport.peek();
    return v !== null && set(zoomAt(v, factor, px, py, along(wanted)));
  };

  attachGestures(
    {
      element,
      viewport: () => state.viewport.peek(),
      toRoom: (event) => {
        const at = element.getBoundingClientRect();
        const room = drawn.geometry()?.room;
        return [event.clientX - at.left - (room?.x ?? 0), event.clientY - at.top - (room?.y ?? 0)];
      },
      zoom: zoomAbout,
      panFrom: (start, dx, dy) => set(pan(start, dx, dy)),
      pinchFrom: (start, factor, from, to) => {
        const zoomed = zoomAt(start, factor, from[0], from[1], along("both"));
        set(pan(zoomed, to[0] - from[0], to[1] - from[1]));
      },
      point: (at) => {
        pointer = at;
        const cell = at && cellUnder(at);
        setHover(cell);
        element.title = at && nearRing(at) ? "the weight of largest magnitude" : "";
      },
      click: (at) => {
        const cell = cellUnder(at);
        const pinned = state.pinned.peek();
        const again = cell && pinned && cell.row === pinned.row && cell.col === pinned.col;
        state.pinned.value = again ? null : cell;
      },
      marking: () => marking.peek(),
      mark: (from, to) => {
        const v = state.viewport.peek();
        if (v) region.set(spanned(v, from, to, drawn.geometry()?.values !== null));
      },
      ended: () => {
        gestureEnded();
        drawn.request("over");
      },
      hint: () => {
        hint.hidden = false;
        clearTimeout(hinting);
        hinting = setTimeout(() => {
          hint.hidden = true;
        }, 1400);
      },
    },
    store.lifetime,
  );

  const inMiddle = (factor: number, wanted: "both" | "rows" | "cols"): void => {
    const v = state.viewport.peek();
    if (v && zoomAbout(factor, v.width / 2, v.height / 2, wanted)) gestureEnded();
  };
  const fitAll = (): void => {
    const v = state.viewport.peek();
    if (v && set(fit(v.rows, v.cols, v.width, v.height))) gestureEnded();
  };
  element.addEventListener("keydown", (event) => {
    const known = handleKey(event, {
      pan: (cols, rows) => {
        const v = state.viewport.peek();
        if (v && set(pan(v, -cols * v.width, -rows * v.height))) gestureEnded();
      },
      zoom: inMiddle,
      fit: fitAll,
      step: (cols, rows) => {
        if (step(state, cols, rows, set)) gestureEnded();
        region.follow(state.pinned.peek());
      },
      pin: () => {
        state.pinned.value = state.pinned.peek() ? null : store.hover.peek();
      },
      mark: () => region.toggle(state.pinned.peek() ?? store.hover.peek()),
      release: () => {
        if (region.clear()) return true;
        const held = state.pinned.peek() !== null;
        state.pinned.value = null;
        return held;
      },
    });
    if (!known) return;
    event.preventDefault();
    event.stopPropagation();
  });

  store.effect(() => {
    element.toggleAttribute("data-marking", marking.value);
  });

  return {
    element,
    marking,
    zoom: (factor) => inMiddle(factor, "both"),
    fit: fitAll,
    goTo: (row, col) => {
      const v = state.viewport.peek();
      if (!v) return;
      const [sx, sy] = [Math.max(v.sx, GO_TO), drawn.geometry()?.values ? v.sy : Math.max(v.sy, GO_TO)];
      set(centreOn({ ...v, sx: Math.min(sx, LARGEST_CELL), sy }, row + 0.5, col + 0.5));
      state.pinned.value = { row, col, rows: 1, cols: 1, value: probe(state, row, col)?.value ?? Number.NaN };
      gestureEnded();
    },
    moved: gestureEnded,
    image: drawn.image,
  };
}

/** Moves the pinned cell by one cell or pixel. @returns whether the view had to move with it */
function step(state: HeatmapState, cols: number, rows: number, set: (v: Viewport) => boolean): boolean {
  const v = state.viewport.peek();
  if (!v) return false;
  const from = state.pinned.peek() ?? state.store.hover.peek();
  const row = from ? (rows > 0 ? from.row + from.rows : from.row + Math.min(0, rows)) : Math.floor(v.y);
  const col = from ? (cols > 0 ? from.col + from.cols : from.col + Math.min(0, cols)) : Math.floor(v.x);
  const cell = probe(state, Math.min(v.rows - 1, Math.max(0, row)), Math.min(v.cols - 1, Math.max(0, col)));
  if (!cell) return false;
  state.pinned.value = cell;
  return set(reveal(v, [cell.row, cell.row + cell.rows, cell.col, cell.col + cell.cols]));
}

function sameView(a: Viewport, b: Viewport): boolean {
  return (
    a.x === b.x &&
    a.y === b.y &&
    a.sx === b.sx &&
    a.sy === b.sy &&
    a.width === b.width &&
    a.height === b.height
  );
}
