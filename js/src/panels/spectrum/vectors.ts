/** The vectors of the largest singular values as profiles along rows and columns. */

import { batch, computed, type ReadonlySignal } from "@preact/signals-core";
import { valueTicks } from "../../draw/axis";
import { h } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import { s } from "../../draw/svg";
import type { MatrixInfo } from "../heatmap/matrix";
import { energyText } from "./numbers";
import { frame, type Scale, wholeTicks } from "./plot";
import type { Vector } from "./replies";
import type { SpectrumState } from "./state";

type Side = "left" | "right";

/** Rows and columns of the heatmap's window around what is jumped to. */
const WINDOW = [16, 24] as const;

export function vectorsSection(state: SpectrumState): HTMLElement {
  const { store } = state;
  const chooser = h("span", { class: "ww-segments", role: "group", "aria-label": "singular value" });
  const about = h("span", { class: "ww-soft ww-sp-about" });
  const section = h(
    "div",
    { class: "ww-sp-vectors" },
    h("div", { class: "ww-sp-bar" }, h("span", { class: "ww-heading" }, "Singular vectors"), chooser, about),
    h("div", { class: "ww-sp-pair" }, sideOf(state, "left"), sideOf(state, "right")),
  );
  let built = -1;
  store.effect(() => {
    const count = state.known.value.top?.left.length ?? 0;
    section.hidden = count === 0;
    if (count !== built) {
      built = count;
      chooser.replaceChildren(
        ...Array.from({ length: count }, (_, rank) => {
          const button = h("button", { type: "button", title: `vectors of σ${rank + 1}` }, String(rank + 1));
          button.addEventListener("click", () => {
            state.vector.value = rank;
          });
          return button;
        }),
      );
    }
    const chosen = Math.min(state.vector.value, count - 1);
    for (const [rank, button] of [...chooser.children].entries())
      button.setAttribute("aria-pressed", String(rank === chosen));
  });
  store.effect(() => {
    const { top, full } = state.known.value;
    const rank = Math.min(state.vector.value, (top?.left.length ?? 0) - 1);
    if (!top || rank < 0) return;
    const value = full?.values[rank] ?? (top.values[rank] as number);
    const error = top.errors[rank] as number;
    const share = error / (top.values[0] as number);
    about.textContent = `σ ${formatNumber(value)} · ${energyText(value, top.frobenius)}${share > 1e-3 ? " · not yet settled" : ""}`;
    about.title =
      share > 1e-3
        ? `neighbouring singular values are so close that a few passes do not tell their vectors apart: residual ${formatNumber(error, 2)}`
        : `residual ${formatNumber(error, 2)}`;
  });
  return section;
}

function sideOf(state: SpectrumState, side: Side): HTMLElement {
  const { store } = state;
  const title = h("span", { class: "ww-sp-side-title" });
  const largest = h("div", { class: "ww-sp-largest" });
  const plot = frame(store, side, `${side} singular vector; a click shows the place in the heatmap`);
  const pad = plot.element.querySelector(".ww-sp-pad") as HTMLElement;
  pad.removeAttribute("tabindex"); // the largest elements are buttons below
  const vector: ReadonlySignal<Vector | null> = computed(() => {
    const vectors = state.known.value.top?.[side] ?? [];
    return vectors[Math.min(state.vector.value, vectors.length - 1)] ?? null;
  });
  const along = computed(() => {
    const drawn = state.matrix.value;
    return drawn ? nameOfSide(state, drawn, side) : "";
  });

  store.effect(() => {
    const shown = vector.value;
    if (!shown) return;
    const what = side === "left" ? "rows" : "columns";
    title.textContent = `${side === "left" ? "left, along the rows" : "right, along the columns"}${along.value}`;
    title.title = `spread over ${formatNumber(shown.participation, 3)} of ${formatCount(shown.length)} ${what}: participation ratio 1 / Σu⁴`;
    largest.replaceChildren(
      h(
        "span",
        { class: "ww-soft", title: title.title },
        `spread over ${formatNumber(shown.participation, 3)} of ${formatCount(shown.length)}; largest: `,
      ),
      ...Array.from(shown.places, (place, i) => {
        const text = `${place} (${formatNumber(shown.elements[i] as number, 2)})`;
        const name = side === "left" ? "row" : "column";
        const button = h(
          "button",
          { type: "button", class: "ww-plain ww-sp-link", title: `show ${name} ${place} in the heatmap` },
          text,
        );
        button.addEventListener("click", () => jump(state, side, place));
        return button;
      }),
    );
  });

  const place = computed(() => {
    const shown = vector.value;
    const { width, height } = plot.size.value;
    if (!shown || width === 0) return null;
    let [low, high] = [0, 0];
    for (const value of shown.low) low = Math.min(low, value);
    for (const value of shown.high) high = Math.max(high, value);
    const pad = 0.05 * (high - low || 1);
    [low, high] = [low - pad, high + pad];
    const x: Scale = {
      ticks: wholeTicks([0, shown.length], Math.max(2, Math.floor(width / 70))),
      at: (value) => (value / shown.length) * width,
    };
    const y: Scale = {
      ticks: valueTicks([low, high], Math.max(3, Math.floor(height / 22))),
      at: (value) => ((high - value) / (high - low)) * height,
    };
    return { x, y };
  });
  store.effect(() => {
    const shown = vector.value;
    const scales = place.value;
    if (!shown || !scales) return;
    const steps = shown.low.length;
    const zero = scales.y.at(0);
    const gap = plot.size.value.width / steps >= 4 ? 1 : 0;
    const parts: string[] = [];
    for (let i = 0; i < steps; i++) {
      // A step holds several elements where there is no room for all: bars reach to the lowest and the highest.
      const top = scales.y.at(Math.max(0, shown.high[i] as number));
      const bottom = scales.y.at(Math.min(0, shown.low[i] as number));
      const left = scales.x.at(firstOf(i, shown));
      const right = Math.max(left + 1.2, scales.x.at(firstOf(i + 1, shown)) - gap);
      parts.push(
        `M${left.toFixed(2)},${top.toFixed(2)}H${right.toFixed(2)}V${bottom.toFixed(2)}H${left.toFixed(2)}Z`,
      );
    }
    plot.inside.replaceChildren(
      s("path", { class: "ww-sp-bars", d: parts.join("") }),
      s("line", { class: "ww-sp-zero", x1: 0, x2: plot.size.value.width, y1: zero, y2: zero }),
    );
    plot.axes(scales.x, scales.y);
  });
  const at = computed(() => {
    const pointer = plot.pointer.value;
    const shown = vector.value;
    const { width } = plot.size.value;
    if (!pointer || !shown || pointer.x < 0 || pointer.x >= width) return null;
    const step = Math.min(shown.low.length - 1, Math.floor((pointer.x / width) * shown.low.length));
    return { step, shown };
  });
  store.effect(() => {
    const under = at.value;
    if (!under) {
      plot.tip(null);
      return;
    }
    const { step, shown } = under;
    const [first, end] = [firstOf(step, shown), firstOf(step + 1, shown)];
    const name = side === "left" ? "row" : "column";
    const [low, high] = [shown.low[step] as number, shown.high[step] as number];
    const text =
      end - first === 1
        ? `${name} ${formatCount(first)} · ${formatNumber(low, 3)}`
        : `${name}s ${formatCount(first)} to ${formatCount(end - 1)} · ${formatNumber(low, 3)} to ${formatNumber(high, 3)}`;
    plot.tip(text);
  });
  pad.addEventListener("click", () => {
    const under = at.peek();
    if (under)
      jump(
        state,
        side,
        Math.floor((firstOf(under.step, under.shown) + firstOf(under.step + 1, under.shown) - 1) / 2),
      );
  });
  return h(
    "div",
    { class: "ww-sp-side" },
    h("div", { class: "ww-sp-side-head" }, title),
    plot.element,
    largest,
  );
}

function firstOf(step: number, vector: Vector): number {
  return Math.floor((step * vector.length) / vector.low.length);
}

/** What lies along a side: " (out)". */
function nameOfSide(state: SpectrumState, drawn: MatrixInfo, side: Side): string {
  const axes = state.axes.value;
  if (!axes || axes.what === "") return "";
  const list = side === "left" ? drawn.axes.rows : drawn.axes.cols;
  return ` (${list.map((axis) => axes.names[axis] ?? `axis ${axis}`).join(" × ")}${axes.certain ? "" : ", a guess"})`;
}

/** Shows a row or column in the heatmap, where it meets the largest element of the vector on the other side. */
function jump(state: SpectrumState, side: Side, place: number): void {
  const drawn = state.matrix.peek();
  const top = state.known.peek().top;
  if (!drawn || !top) return;
  const rank = Math.min(state.vector.peek(), top.left.length - 1);
  const across = (vectors: readonly Vector[]): number => vectors[rank]?.places[0] ?? 0;
  const row = side === "left" ? place : across(top.left);
  const col = side === "right" ? place : across(top.right);
  const around = (at: number, length: number, room: number): [number, number] => {
    const size = Math.min(length, room);
    const start = Math.min(Math.max(0, at - (size >> 1)), length - size);
    return [start, start + size];
  };
  const { traits } = state.store;
  batch(() => {
    traits.view.value = "heatmap";
    traits.window.value = [...around(row, drawn.rows, WINDOW[0]), ...around(col, drawn.cols, WINDOW[1])];
  });
}
