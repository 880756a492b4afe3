/** Norms of all filters as bars, in the order of the grid: a click looks at one. */

import { computed } from "@preact/signals-core";
import { h } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { tellFilter } from "./grids";
import { WEAK } from "./marks";
import type { FiltersState } from "./state";
import type { Tip } from "./tip";
import { nameOf } from "./words";

const HEIGHT = 74;

export function normBars(state: FiltersState, tip: Tip, choose: (place: number) => void): HTMLElement {
  const { store } = state;
  const canvas = h("canvas", { class: "ww-cf-bars-plot", role: "img" });
  const top = h("span", { class: "ww-soft ww-number" });
  const title = h("span", { class: "ww-heading" });
  const element = h(
    "div",
    { class: "ww-cf-bars" },
    h("div", { class: "ww-cf-part-title" }, title, top),
    canvas,
  );
  const isKnown = computed(() => state.norms.value !== null);

  const placeAt = (event: PointerEvent | MouseEvent): number => {
    const box = canvas.getBoundingClientRect();
    const count = state.sequence.peek().length;
    const at = Math.floor(((event.clientX - box.left) / box.width) * count);
    return at >= 0 && at < count ? at : -1;
  };
  const draw = (): void => {
    const ratio = globalThis.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(HEIGHT * ratio);
    if (width <= 0) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    const norms = state.norms.peek()?.norms;
    const sequence = state.sequence.peek();
    if (!context) return;
    context.clearRect(0, 0, width, height);
    if (!norms) return;
    const marks = state.marks.peek();
    const style = getComputedStyle(canvas);
    const inks = {
      plain: style.getPropertyValue("--ww-mark"),
      marked: style.getPropertyValue("--ww-brush"),
      chosen: style.getPropertyValue("--ww-accent"),
    };
    const count = sequence.length;
    const chosen = Array.prototype.indexOf.call(sequence, state.chosen.peek());
    const bars = Math.min(count, width);
    for (let bar = 0; bar < bars; bar++) {
      const from = Math.floor((bar * count) / bars);
      const to = Math.max(from + 1, Math.floor(((bar + 1) * count) / bars));
      let largest = 0;
      let weakest = false;
      for (let place = from; place < to; place++) {
        const filter = sequence[place] as number;
        largest = Math.max(largest, norms[filter] as number);
        const mark = marks.of(filter);
        weakest ||= mark === "weak" || mark === "dead" || mark === "not finite";
      }
      const left = Math.round((bar * width) / bars);
      const gap = width / bars > 4 * ratio ? Math.max(1, Math.round(0.18 * (width / bars))) : 0;
      const right = Math.max(left + 1, Math.round(((bar + 1) * width) / bars) - gap);
      const share = marks.strongest > 0 ? largest / marks.strongest : 0;
      const high = Math.max(2 * ratio, Math.round(share * height));
      context.fillStyle = chosen >= from && chosen < to ? inks.chosen : weakest ? inks.marked : inks.plain;
      context.fillRect(left, height - high, right - left, high);
    }
    context.fillStyle = inks.marked;
    context.globalAlpha = 0.6;
    context.fillRect(0, Math.round(height * (1 - WEAK)), width, Math.max(1, Math.round(ratio / 2)));
    context.globalAlpha = 1;
  };

  canvas.addEventListener("click", (event) => {
    const place = placeAt(event);
    if (place >= 0) choose(place);
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = placeAt(event);
    if (place >= 0) tip.show(event, [tellFilter(state, state.sequence.peek()[place] as number)]);
    else tip.hide();
  });
  canvas.addEventListener("pointerleave", () => tip.hide());

  let frame = 0;
  const later = (): void => {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  store.effect(() => {
    const layer = state.layer.value;
    void [state.norms.value, state.sequence.value, state.marks.value, state.chosen.value, store.theme.value];
    element.hidden = !isKnown.value || (layer?.layout.filters ?? 0) < 2;
    title.textContent = `Norm of each ${layer ? nameOf(layer).one : "filter"}`;
    top.textContent = `0 … ${formatNumber(state.marks.value.strongest, 3)}`;
    canvas.setAttribute(
      "aria-label",
      `norms of all filters, up to ${formatNumber(state.marks.value.strongest, 3)}`,
    );
    canvas.title = "";
    later();
  });
  const observer = new ResizeObserver(later);
  observer.observe(canvas);
  store.lifetime.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });
  return element;
}
