/** A grid of many small pictures of which only those in view exist as elements; a listbox for assistive tools. */

import type { ReadonlySignal } from "@preact/signals-core";
import { h } from "../../draw/dom";
import type { Store } from "../../store";

export interface Cell {
  readonly root: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly number: HTMLElement;
  readonly note: HTMLElement;
  readonly bar: HTMLElement;
}

/** Sizes in CSS pixels. */
export interface CellSize {
  /** Of the picture. */
  readonly width: number;
  readonly height: number;
}

export interface GridOptions {
  readonly store: Store;
  readonly label: string;
  readonly count: () => number;
  readonly size: (width: number, height: number) => CellSize;
  readonly active: () => number;
  readonly bind: (cell: Cell, place: number, size: CellSize) => void;
  /** Told which places are seen, the first ones first, then those around. */
  readonly seen: (places: number[]) => void;
  readonly move: (place: number) => void;
  readonly open: (place: number) => void;
  readonly leave: () => void;
  /** What the pointer is over: place, and where in the picture, 0 … 1; null for nothing. */
  readonly hover: (at: { place: number; x: number; y: number; event: PointerEvent } | null) => void;
  /** What redraws everything. */
  readonly changes: ReadonlySignal<unknown>;
}

export interface Grid {
  readonly element: HTMLElement;
  /** Brings a place into view. */
  show(place: number): void;
  focus(): void;
  toTop(): void;
}

const GAP = 8;
const LABEL = 19;
/** Labels need that much. */
const LEAST_WIDTH = 46;

let serial = 0;

export function virtualGrid(options: GridOptions): Grid {
  const { store } = options;
  const id = `ww-cf-${++serial}`;
  const surface = h("div", { class: "ww-cf-surface", role: "presentation" });
  const element = h(
    "div",
    { class: "ww-cf-grid", role: "listbox", tabindex: 0, "aria-label": options.label },
    surface,
  );
  const pool: Cell[] = [];
  const held: number[] = [];
  let stale = true;
  let frame = 0;
  let shape = { columns: 1, across: 1, down: 1, left: 0, size: { width: 1, height: 1 } };

  const measure = (): boolean => {
    const width = element.clientWidth - 2 * GAP;
    if (width <= 0) return false;
    const size = options.size(width, element.clientHeight - GAP);
    const across = Math.max(LEAST_WIDTH, size.width) + GAP;
    const down = size.height + LABEL + GAP;
    const columns = Math.max(1, Math.floor((width + GAP) / across));
    shape = { columns, across, down, left: GAP, size };
    const rows = Math.ceil(options.count() / columns);
    surface.style.height = `${rows * down + GAP}px`;
    return true;
  };

  const draw = (): void => {
    if (!measure()) return;
    const count = options.count();
    const { columns, across, down, left, size } = shape;
    const top = element.scrollTop;
    const height = element.clientHeight;
    const firstRow = Math.max(0, Math.floor((top - GAP) / down));
    const lastRow = Math.ceil((top + height) / down);
    const first = firstRow * columns;
    const stop = Math.min(count, (lastRow + 1) * columns);
    const needed = Math.max(0, stop - first);
    while (pool.length < needed) {
      const cell = createCell();
      pool.push(cell);
      surface.append(cell.root);
      held.fill(-1);
      held.push(-1);
      stale = true;
    }
    const active = options.active();
    const used = new Set<number>();
    for (let place = first; place < stop; place++) {
      const slot = place % pool.length;
      used.add(slot);
      const cell = pool[slot] as Cell;
      if (held[slot] !== place || stale) {
        const row = Math.floor(place / columns);
        cell.root.hidden = false;
        cell.root.id = `${id}-${place}`;
        cell.root.dataset.place = String(place);
        cell.root.style.width = `${across - GAP}px`;
        cell.root.style.transform = `translate(${left + (place % columns) * across}px, ${GAP + row * down}px)`;
        cell.canvas.style.width = `${size.width}px`;
        cell.canvas.style.height = `${size.height}px`;
        options.bind(cell, place, size);
        held[slot] = place;
      }
      cell.root.setAttribute("aria-selected", String(place === active));
    }
    pool.forEach((cell, slot) => {
      if (used.has(slot) || cell.root.hidden) return;
      cell.root.hidden = true;
      cell.root.removeAttribute("id");
      held[slot] = -1;
    });
    stale = false;
    if (active >= first && active < stop) element.setAttribute("aria-activedescendant", `${id}-${active}`);
    else element.removeAttribute("aria-activedescendant");
    const around = Math.ceil(height / down) * columns;
    const places: number[] = [];
    for (let place = first; place < stop; place++) places.push(place);
    for (let place = stop; place < Math.min(count, stop + around); place++) places.push(place);
    for (let place = first - 1; place >= Math.max(0, first - around); place--) places.push(place);
    options.seen(places);
  };
  const redraw = (): void => {
    stale = true;
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };

  const show = (place: number): void => {
    if (!measure()) return;
    const top = Math.floor(place / shape.columns) * shape.down;
    const bottom = top + shape.down + GAP;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) {
      element.scrollTop = bottom - element.clientHeight;
    }
  };

  element.addEventListener("scroll", draw, { passive: true });
  element.addEventListener("keydown", (event) => {
    const count = options.count();
    const { columns, down } = shape;
    const page = Math.max(1, Math.floor(element.clientHeight / down)) * columns;
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
      PageDown: page,
      PageUp: -page,
    };
    const at = Math.max(0, options.active());
    let to = at + (steps[event.key] ?? 0);
    if (event.key === "Home") to = 0;
    else if (event.key === "End") to = count - 1;
    else if (event.key === "Enter") {
      event.preventDefault();
      options.open(at);
      return;
    } else if (event.key === "Escape") {
      event.preventDefault();
      options.leave();
      return;
    } else if (!(event.key in steps)) return;
    event.preventDefault();
    if (event.key.startsWith("Page")) to = Math.max(0, Math.min(count - 1, to));
    if (to < 0 || to >= count) return;
    options.move(to);
    show(to);
  });
  const placeOf = (event: Event): number => {
    const cell = event.target instanceof Element ? event.target.closest<HTMLElement>(".ww-cf-cell") : null;
    return cell ? Number(cell.dataset.place) : -1;
  };
  element.addEventListener("click", (event) => {
    const place = placeOf(event);
    if (place >= 0) options.move(place);
  });
  element.addEventListener("dblclick", (event) => {
    const place = placeOf(event);
    if (place >= 0) options.open(place);
  });
  element.addEventListener("pointermove", (event) => {
    const place = placeOf(event);
    const canvas = place < 0 ? null : (pool[place % pool.length] as Cell).canvas;
    const box = canvas?.getBoundingClientRect();
    if (!box) options.hover(null);
    else {
      const x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      options.hover({ place, x, y, event });
    }
  });
  element.addEventListener("pointerleave", () => options.hover(null));

  store.effect(() => {
    void options.changes.value;
    redraw();
  });
  let known = "";
  const observer = new ResizeObserver(() => {
    const now = `${element.clientWidth} ${element.clientHeight}`;
    if (now === known || element.clientWidth === 0) return;
    known = now;
    redraw();
  });
  observer.observe(element);
  store.lifetime.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });
  const toTop = (): void => {
    element.scrollTop = 0;
  };
  return { element, show, toTop, focus: () => element.focus({ preventScroll: true }) };
}

function createCell(): Cell {
  const canvas = h("canvas", { class: "ww-cf-picture" });
  const bar = h("i", {});
  const number = h("span", { class: "ww-cf-number" });
  const note = h("span", { class: "ww-cf-note" });
  const root = h(
    "div",
    { class: "ww-cf-cell", role: "option" },
    canvas,
    h("div", { class: "ww-cf-norm" }, bar),
    h("div", { class: "ww-cf-label" }, number, note),
  );
  return { root, canvas, number, note, bar };
}
