/** The views of what is selected: which there are, and which one is shown. */

import { computed, type ReadonlySignal } from "@preact/signals-core";
import { h } from "./draw/dom";
import type { ViewName } from "./model";
import type { Overview } from "./overview";
import { channelView } from "./panels/channel";
import { filtersView } from "./panels/convfilters";
import { expertsView } from "./panels/experts";
import { gatesView } from "./panels/gates";
import { headsView } from "./panels/heads";
import { heatmapPanel } from "./panels/heatmap";
import { spectrumView } from "./panels/spectrum";
import { tokensView } from "./panels/tokens";
import type { Store } from "./store";

export interface View {
  readonly name: ViewName;
  /** What its tab says. */
  readonly label: string;
  /** What its tab's tooltip says. */
  readonly title: string;
  /** Whether it takes all the room; else histogram and statistics stand beside it. */
  readonly whole: boolean;
  /**
   * Whether what is selected has this view. Asked often: it must be quick.
   * @param row of the selected tensor, block or module; -1 for none
   */
  available(overview: Overview, row: number, path: string): boolean;
  /**
   * Made when the view is first shown, and kept.
   * @param shown whether the view is the one that is seen: what is hidden asks the kernel for nothing
   */
  panel(store: Store, shown: ReadonlySignal<boolean>): HTMLElement;
}

const heatmapView: View = {
  name: "heatmap",
  label: "Heatmap",
  title: "every weight",
  whole: false,
  available: () => true,
  panel: (store) => heatmapPanel(store),
};

export const VIEWS: readonly View[] = [
  heatmapView,
  filtersView,
  gatesView,
  headsView,
  tokensView,
  expertsView,
  channelView,
  spectrumView,
];

/** The view that is shown: the chosen one if what is selected has it, else the heatmap. */
export function shownView(store: Store): ReadonlySignal<ViewName> {
  const there = availableViews(store);
  return computed(() => {
    const chosen = store.traits.view.value;
    return there.value.includes(chosen) ? chosen : "heatmap";
  });
}

/** Names of the views that what is selected has; the same array until they change. */
export function availableViews(store: Store): ReadonlySignal<readonly ViewName[]> {
  let last: readonly ViewName[] = [];
  return computed(() => {
    const overview = store.overview.value;
    const row = store.selectedRow.value;
    const path = store.traits.selected.value;
    const now = VIEWS.filter((view) => view.available(overview, row, path)).map((view) => view.name);
    if (String(now) !== String(last)) last = now;
    return last;
  });
}

/** Tabs, hidden where there is nothing to choose; and the place for each view, filled when it is first shown. */
export function viewTabs(
  store: Store,
  shown: ReadonlySignal<ViewName>,
): { tabs: HTMLElement; places: HTMLElement[] } {
  const there = availableViews(store);
  const tabs = h("div", { class: "ww-tabs", role: "tablist", "aria-label": "views" });
  const choose = (name: ViewName): void => {
    store.traits.view.value = name;
  };
  const buttons = VIEWS.map((view) => {
    const tab = h("button", { type: "button", role: "tab", class: "ww-tab", title: view.title }, view.label);
    tab.addEventListener("click", () => choose(view.name));
    return tab;
  });
  tabs.append(...buttons);
  tabs.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const names = there.peek();
    const next = names[(names.indexOf(shown.peek()) + step + names.length) % names.length] as ViewName;
    choose(next);
    buttons[VIEWS.findIndex((view) => view.name === next)]?.focus();
  });
  const places = VIEWS.map((view) =>
    h("section", { class: `ww-place-view ww-place-${view.name}`, "aria-label": view.label.toLowerCase() }),
  );
  VIEWS.forEach((view, at) => {
    const place = places[at] as HTMLElement;
    const tab = buttons[at] as HTMLElement;
    const isShown = computed(() => shown.value === view.name);
    let made = false;
    store.effect(() => {
      place.hidden = !isShown.value;
      tab.setAttribute("aria-selected", String(isShown.value));
      tab.tabIndex = isShown.value ? 0 : -1;
      if (!isShown.value || made) return;
      made = true;
      // Not inside this effect, whose signals would then be those of the panel, too.
      queueMicrotask(() => {
        if (!store.lifetime.aborted) place.append(view.panel(store, isShown));
      });
    });
    store.effect(() => {
      tab.hidden = !there.value.includes(view.name);
    });
  });
  store.effect(() => {
    tabs.hidden = there.value.length < 2;
  });
  return { tabs, places };
}
