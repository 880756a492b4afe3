/** The histogram of the selected tensor or module: the overview's at once, the exact one when the kernel has it. */

import { computed } from "@preact/signals-core";
import { h } from "../draw/dom";
import {
  formatCount,
  formatNumber,
  formatShare,
  formatToStep,
  formatTrimmed,
  parseNumber,
} from "../draw/format";
import { type Lack, lack } from "../lack";
import type { Range } from "../model";
import type { Store } from "../store";
import { type Bins, outside, tailsKnown } from "./histogram/bins";
import { type BrushState, brushState } from "./histogram/brush";
import { histogramControls, scopeControl } from "./histogram/controls";
import { brushCount } from "./histogram/count";
import { tailText } from "./histogram/draw";
import { edgeText, histogramPlot } from "./histogram/plot";
import { type ScopeState, scopeState } from "./histogram/scope";
import { type HistogramState, histogramState } from "./histogram/state";

export function histogramPanel(store: Store): HTMLElement {
  const scope = scopeState(store);
  const state = histogramState(store, scope);
  const brush = brushState(store, state);
  const panel = h(
    "div",
    { class: "ww-histogram" },
    h("div", { class: "ww-hist-head" }, title(store, state), readout(store, state, brush, scope)),
    scopeControl(store, state, scope),
    tails(store, state, brush),
    histogramPlot(store, state, brush),
    histogramControls(store, state, brush),
  );
  panel.addEventListener("keydown", (event) => {
    // In the inputs it undoes typing.
    if (event.target instanceof HTMLInputElement) return;
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.stopPropagation();
    brush.undo();
  });
  return panel;
}

/** "Histogram", and how far its numbers can be trusted. */
function title(store: Store, state: HistogramState): HTMLElement {
  const source = h("span", { class: "ww-soft" });
  store.effect(() => {
    const bins = state.bins.value;
    const missing = store.model.kernel.value === "gone" ? lack(store) : null;
    source.textContent = bins ? sourceText(bins) : "";
    source.title = bins ? sourceHelp(bins, missing) : "";
  });
  return h("div", { class: "ww-hist-title" }, h("span", { class: "ww-heading" }, "Histogram"), source);
}

function sourceText(bins: Bins): string {
  if (bins.exact) return "exact";
  if (bins.origin === "kernel") return `from the sketch, ±${formatShare(bins.error)}`;
  const half = bins.step / 2;
  if (bins.scale === "value") return `from the overview, ±${formatNumber(half, 2)}`;
  return `from the overview, ±${formatShare(10 ** half - 1)}`;
}

function sourceHelp(bins: Bins, missing: Lack | null): string {
  if (bins.exact) return "every weight is counted in its bin";
  if (bins.origin === "kernel")
    return "from the sketches of the tensors; values are known to that relative error";
  const kernel = missing ? `${missing.without}, these are exact, and finer on zoom.` : "Exact ones follow.";
  return `bins of the overview, their values known to half a bin. ${kernel}`;
}

/** The weights beyond what is shown, as buttons that show them. Their row is always there: nothing jumps. */
function tails(store: Store, state: HistogramState, brush: BrushState): HTMLElement {
  const row = h("div", { class: "ww-hist-tails" });
  const hint = h("span", { class: "ww-soft", role: "status" });
  for (const side of ["below", "above"] as const) {
    const button = h("button", { type: "button", class: "ww-plain", "data-side": side });
    button.addEventListener("click", () => state.extend(side));
    store.effect(() => {
      const bins = state.bins.value;
      const view = state.view.value;
      const count = bins && view ? outside(bins, view)[side] : 0;
      button.style.visibility = count > 0 ? "visible" : "hidden";
      if (!bins || !view || count === 0) return;
      const edge = edgeText(view[side === "below" ? 0 : 1], bins.scale, view);
      const text = tailText(count, side, edge, bins.exact && tailsKnown(bins, view));
      button.textContent = side === "below" ? `◂ ${text}` : `${text} ▸`;
      const limit = state.limits.value?.[side === "below" ? 0 : 1];
      const to = bins.scale === "value" && limit !== undefined ? `, to ${formatNumber(limit)}` : "";
      button.title = `${formatCount(count)} weights lie ${side} ${edge}: show them${to}`;
    });
    row.append(button);
    if (side === "below") row.append(hint);
  }
  store.effect(() => {
    hint.textContent = brush.hint.value;
  });
  return row;
}

/** The brushed interval, which can be typed, and what it holds. */
function readout(store: Store, state: HistogramState, brush: BrushState, scope: ScopeState): HTMLElement {
  const trait = store.traits.value_range;
  const count = brushCount(store, state.valueBins, scope);
  const input = (placeholder: string, label: string): HTMLInputElement =>
    h("input", {
      class: "ww-number",
      type: "text",
      inputmode: "decimal",
      spellcheck: "false",
      autocomplete: "off",
      placeholder,
      "aria-label": label,
      title: `${label}, included; type a number`,
    });
  const low = input("from", "lowest brushed value");
  const high = input("to", "highest brushed value");
  const held = h("span", { class: "ww-hist-count-text" });
  const clear = h(
    "button",
    { type: "button", class: "ww-plain", title: "clear the brush", "aria-label": "clear the brush" },
    "×",
  );
  clear.addEventListener("click", () => brush.set(null));

  const texts = computed<[string, string]>(() => {
    const range = trait.value;
    return range ? rangeTexts(range) : ["", ""];
  });
  const fill = (): void => {
    [low, high].forEach((field, i) => {
      field.value = texts.value[i] as string;
      field.style.width = `${Math.max(4, field.value.length) + 0.5}ch`;
      field.removeAttribute("aria-invalid");
    });
  };
  const take = (): void => {
    const before = trait.peek();
    if (low.value.trim() === "" && high.value.trim() === "") {
      brush.set(null);
      return;
    }
    // A field that still shows the brush keeps its value with all digits, of which it shows a few.
    const ends = [low, high].map((field, i) => {
      if (before && field.value === texts.peek()[i]) return before[i] as number;
      return field.value.trim() === "" ? openEnd(store, i) : parseNumber(field.value);
    });
    for (const [i, end] of ends.entries()) {
      const field = i === 0 ? low : high;
      // Empty, as toggleAttribute leaves it, it would say that nothing is wrong.
      if (end === null) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    const [from, to] = ends as [number | null, number | null];
    if (from !== null && to !== null) brush.set(from <= to ? [from, to] : [to, from]);
  };
  for (const field of [low, high]) {
    // One number alone waits for the other: leaving a field completes nothing, Enter does.
    field.addEventListener("change", () => {
      if (low.value.trim() !== "" && high.value.trim() !== "") take();
      else if (trait.peek()) take();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") take();
      else if (event.key === "Escape") {
        fill();
        field.blur();
      } else return;
      event.stopPropagation();
    });
  }
  store.effect(fill);
  store.effect(() => {
    const range = trait.value;
    clear.style.visibility = range ? "visible" : "hidden";
    const found = count.value;
    // Estimates change with every frame of a drag: too much to be read out.
    held.setAttribute("aria-live", found?.exact ? "polite" : "off");
    if (!range) held.textContent = "drag to brush";
    else if (!found) held.textContent = store.model.kernel.value === "gone" ? ": –" : "…";
    else {
      const share = found.total > 0 ? ` (${formatShare(found.count / found.total)})` : "";
      held.textContent = `: ${found.exact ? "" : "≈ "}${formatCount(found.count)}${share}`;
    }
    held.classList.toggle("ww-soft", !range);
    held.title = found && !found.exact ? "estimated from the bins" : "weights in the brushed interval";
  });
  return h(
    "div",
    { class: "ww-hist-readout ww-number" },
    low,
    h("span", { class: "ww-soft" }, "…"),
    high,
    held,
    clear,
  );
}

/** Both ends: with all their digits if they have few (they were read off the screen, or typed), else in short. */
function rangeTexts([low, high]: Range): [string, string] {
  const step = isOpen(low) || isOpen(high) ? 0 : (high - low) / 100;
  const text = (value: number): string => {
    if (isOpen(value)) return value > 0 ? "∞" : "−∞";
    return Number(value.toPrecision(5)) === value || !(step > 0)
      ? formatTrimmed(value, 5)
      : formatToStep(value, step);
  };
  return [text(low), text(high)];
}

/** Python's infinite ends arrive as the largest float: messages hold no infinities. */
function isOpen(value: number): boolean {
  return Math.abs(value) >= Number.MAX_VALUE;
}

/** Where an interval ends that only one number was typed for: at the smallest or the largest weight. */
function openEnd(store: Store, which: number): number | null {
  const value = store.overview.peek().column(which === 0 ? "min" : "max")[store.selectedRow.peek()];
  return value !== undefined && Number.isFinite(value) ? value : null;
}
