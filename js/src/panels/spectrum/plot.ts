/** The frame of a plot: its size, its axes, and where the pointer is. */

import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { placeTicks, type Tick, valueTicks } from "../../draw/axis";
import { h } from "../../draw/dom";
import { formatCount } from "../../draw/format";
import { s, set } from "../../draw/svg";
import type { Store } from "../../store";

/** Room for the labels at the left, and for the axis below. */
const LEFT = 46;
const BELOW = 20;
const RIGHT = 6;
const ABOVE = 8;

export interface Frame {
  readonly element: HTMLElement;
  /** For what is drawn; cut off at the axes. */
  readonly inside: SVGSVGElement;
  /** For labels, not cut off. */
  readonly over: SVGGElement;
  readonly size: ReadonlySignal<{ width: number; height: number }>;
  /** The pointer, from the corner at the top left of what is drawn; null while it is elsewhere. */
  readonly pointer: Signal<{ x: number; y: number } | null>;
  /** Draws the axes of a picture. Ticks are in pixels from the left and from the top. */
  axes(x: Scale, y: Scale): void;
  /** Shows text in a corner, null hides it: it must not cover what it is about. */
  tip(text: string | null, corner?: "above" | "below"): void;
}

export interface Scale {
  ticks: readonly Tick[];
  at(value: number): number;
}

export function frame(store: Store, name: string, label: string): Frame {
  const grid = s("g", { class: "ww-sp-grid" });
  const axis = s("g", { class: "ww-sp-axis" });
  const inside = s("svg", { x: LEFT, y: ABOVE, overflow: "hidden" });
  const over = s("g", { transform: `translate(${LEFT},${ABOVE})` });
  const root = s("svg", { class: "ww-sp-svg", "aria-hidden": "true" }, grid, inside, axis, over);
  const pad = h("div", { class: "ww-sp-pad", role: "group", tabindex: 0, "aria-label": label });
  const tip = h("div", { class: "ww-sp-tip", hidden: true, role: "status" });
  const element = h("div", { class: "ww-sp-plot", "data-plot": name });
  element.append(root, pad, tip);

  const size = signal({ width: 0, height: 0 });
  const pointer = signal<{ x: number; y: number } | null>(null);
  const observer = new ResizeObserver((entries) => {
    const { width, height } = entries[0]?.contentRect ?? { width: 0, height: 0 };
    const inner = {
      width: Math.floor(width) - LEFT - RIGHT,
      height: Math.floor(height) - ABOVE - BELOW,
    };
    if (inner.width < 20 || inner.height < 20) return;
    set(root, { width: Math.floor(width), height: Math.floor(height) });
    set(inside, inner);
    size.value = inner;
  });
  observer.observe(element);
  store.lifetime.addEventListener("abort", () => observer.disconnect());

  pad.addEventListener("pointermove", (event) => {
    const box = pad.getBoundingClientRect();
    pointer.value = { x: event.clientX - box.left - LEFT, y: event.clientY - box.top - ABOVE };
  });
  pad.addEventListener("pointerleave", () => {
    pointer.value = null;
  });

  return {
    element,
    inside,
    over,
    size,
    pointer,
    axes: (x, y) => {
      const { width, height } = size.peek();
      const lines: SVGElement[] = [];
      for (const tick of y.ticks) {
        const at = Math.round(y.at(tick.value)) + 0.5;
        if (at < -1 || at > height + 1) continue;
        lines.push(s("line", { x1: LEFT, x2: LEFT + width, y1: ABOVE + at, y2: ABOVE + at }));
        lines.push(s("text", { x: LEFT - 5, y: ABOVE + at + 3.5, "text-anchor": "end" }, tick.label));
      }
      grid.replaceChildren(...lines);
      const bottom = ABOVE + height;
      const marks: SVGElement[] = [
        s("line", { x1: LEFT, x2: LEFT + width, y1: bottom + 0.5, y2: bottom + 0.5 }),
      ];
      const inner = x.ticks.filter(({ value }) => x.at(value) >= -0.5 && x.at(value) <= width + 0.5);
      for (const tick of placeTicks(inner, (value) => LEFT + x.at(value), LEFT - 14, LEFT + width + RIGHT)) {
        marks.push(s("line", { x1: tick.x, x2: tick.x, y1: bottom, y2: bottom + 4 }));
        if (tick.shown) {
          marks.push(s("text", { x: tick.x, y: bottom + 15, "text-anchor": tick.anchor }, tick.label));
        }
      }
      axis.replaceChildren(...marks);
    },
    tip: (text, corner = "above") => {
      tip.hidden = text === null;
      tip.textContent = text ?? "";
      tip.dataset.corner = corner;
    },
  };
}

/** Ticks of an axis of ranks, rows or columns: whole numbers. */
export function wholeTicks(domain: readonly [number, number], count: number): Tick[] {
  return valueTicks(domain, count)
    .filter(({ value }) => Number.isInteger(value))
    .map(({ value }) => ({ value, label: formatCount(value) }));
}

/** A path through points in pixels; a gap where one is not a number. */
export function pathOf(points: Iterable<readonly [number, number]>): string {
  const parts: string[] = [];
  let pen = "M";
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      pen = "M";
      continue;
    }
    parts.push(`${pen}${x.toFixed(2)},${y.toFixed(2)}`);
    pen = "L";
  }
  return parts.join("");
}

/** Dots at points in pixels, as one path: lines of no length with round ends. */
export function dotsOf(points: Iterable<readonly [number, number]>): string {
  const parts: string[] = [];
  for (const [x, y] of points) {
    if (Number.isFinite(x) && Number.isFinite(y)) parts.push(`M${x.toFixed(2)},${y.toFixed(2)}h0`);
  }
  return parts.join("");
}
