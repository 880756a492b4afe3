/** Where the panels stand: side by side when there is room, one under the other in a sidebar. */

import { append, h } from "./draw/dom";
import { filterPanel } from "./panels/filters";
import { headingPanel } from "./panels/heading";
import { histogramPanel } from "./panels/histogram";
import { statisticsPanel } from "./panels/statistics";
import { toolbar } from "./panels/toolbar";
import { treePanel } from "./panels/tree";
import type { Store } from "./store";
import { shownView, VIEWS, viewTabs } from "./views";

/** Widths in CSS pixels from which the tree stands beside the panels, and the statistics beside the heatmap. */
const MEDIUM = 620;
const WIDE = 980;

const SIDE_MIN = 200;
const SIDE_MAX = 640;

export function explorerLayout(root: HTMLElement, store: Store): void {
  const filters = filterSection(store);
  const side = h(
    "div",
    { class: "ww-side" },
    h("section", { class: "ww-side-tree", "aria-label": "layers" }, treePanel(store)),
    filters,
  );
  const shown = shownView(store);
  const { tabs, places } = viewTabs(store, shown);
  const histogram = h(
    "section",
    { class: "ww-place-histogram", "aria-label": "histogram" },
    histogramPanel(store),
  );
  const statistics = h(
    "section",
    { class: "ww-place-statistics", "aria-label": "statistics" },
    statisticsPanel(store),
  );
  const work = h("div", { class: "ww-work" }, ...places, histogram, statistics);
  store.effect(() => {
    const whole = VIEWS.find((view) => view.name === shown.value)?.whole ?? false;
    work.dataset.whole = String(whole);
    histogram.hidden = whole;
    statistics.hidden = whole;
  });
  const main = h("div", { class: "ww-main" }, headingPanel(store), tabs, work);
  const body = h("div", { class: "ww-body" }, side, splitter(side, store.lifetime), main);
  append(root, [toolbar(store), body]);

  const observer = new ResizeObserver((entries) => {
    const width = entries[0]?.contentRect.width ?? 0;
    if (width === 0) return; // hidden, in an inactive tab: keep what stands
    const size = width >= WIDE ? "wide" : width >= MEDIUM ? "medium" : "narrow";
    // In a sidebar the filters would push everything else out of sight: they wait to be opened.
    if (root.dataset.size === undefined && size === "narrow") filters.open = false;
    root.dataset.size = size;
  });
  observer.observe(root);
  store.lifetime.addEventListener("abort", () => observer.disconnect());

  root.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.key === "/" && !typing) {
      event.preventDefault();
      root.querySelector<HTMLInputElement>(".ww-search input")?.focus();
    }
  });
  // Notebook hosts act on single keys (a, b, dd, arrows): what is typed inside must stay inside. They look for the mark
  // from the focused element upwards, and their keys in command mode are meant for whatever has the focus.
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("focusin", ({ target }) => {
    if (target instanceof HTMLElement || target instanceof SVGElement)
      target.dataset.lmSuppressShortcuts = "true";
  });
}

function filterSection(store: Store): HTMLDetailsElement {
  return h(
    "details",
    { class: "ww-side-filters", open: true },
    h("summary", { class: "ww-heading" }, "Filter by statistic"),
    filterPanel(store),
  );
}

/** A bar between tree and panels that is dragged, or moved with the arrow keys. */
function splitter(side: HTMLElement, lifetime: AbortSignal): HTMLElement {
  const bar = h("div", {
    class: "ww-splitter",
    role: "separator",
    "aria-orientation": "vertical",
    "aria-label": "width of the layer tree",
    tabindex: 0,
  });
  const set = (width: number): void => {
    side.style.setProperty("--ww-side", `${Math.min(SIDE_MAX, Math.max(SIDE_MIN, width))}px`);
  };
  bar.addEventListener("pointerdown", (event) => {
    const start = event.clientX;
    const before = side.getBoundingClientRect().width;
    bar.setPointerCapture(event.pointerId);
    const move = (to: PointerEvent): void => set(before + to.clientX - start);
    bar.addEventListener("pointermove", move, { signal: lifetime });
    bar.addEventListener("lostpointercapture", () => bar.removeEventListener("pointermove", move), {
      once: true,
    });
  });
  bar.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowLeft" ? -16 : event.key === "ArrowRight" ? 16 : 0;
    if (step === 0) return;
    event.preventDefault();
    set(side.getBoundingClientRect().width + step);
  });
  bar.addEventListener("dblclick", () => side.style.removeProperty("--ww-side"));
  return bar;
}
