/** The filters of a convolution: all of them in a grid, one of them large. */

import type { ReadonlySignal } from "@preact/signals-core";
import { h } from "../draw/dom";
import type { Store } from "../store";
import type { View } from "../views";
import { copyList, saveGrid } from "./convfilters/actions";
import { controls, lines } from "./convfilters/controls";
import { detail } from "./convfilters/detail";
import { channelGrid, filterGrid } from "./convfilters/grids";
import { kernelRow } from "./convfilters/layer";
import { filtersState } from "./convfilters/state";
import { makeTip } from "./convfilters/tip";
import { nameOf } from "./convfilters/words";

/** Width from which the filter that is looked at stands beside the grid. */
const BESIDE = 640;

/** How long it is told what was copied, in milliseconds. */
const TOLD = 4000;

export const filtersView: View = {
  name: "filters",
  label: "Filters",
  title: "the filters of a convolution as pictures",
  whole: true,
  available: (overview, row, path) => kernelRow(overview, row, path) >= 0,
  panel: filtersPanel,
};

function filtersPanel(store: Store, shown: ReadonlySignal<boolean>): HTMLElement {
  const state = filtersState(store, shown);
  const panel = h("div", { class: "ww-cf" });
  const tip = makeTip(panel);
  const all = filterGrid(state, tip);
  const channels = channelGrid(state, tip);
  const look = (filter: number): void => {
    state.choose(filter);
    all.show(Array.prototype.indexOf.call(state.sequence.peek(), filter));
  };
  const said = h("span", { class: "ww-soft ww-cf-said", role: "status" });
  let saying: ReturnType<typeof setTimeout> | undefined;
  const say = (text: string): void => {
    said.textContent = text;
    clearTimeout(saying);
    saying = setTimeout(() => {
      said.textContent = "";
    }, TOLD);
  };
  store.lifetime.addEventListener("abort", () => clearTimeout(saying));

  const button = (text: string, title: string, run: () => void): HTMLButtonElement => {
    const element = h("button", { type: "button", title }, text);
    element.addEventListener("click", run);
    return element;
  };
  const top = h(
    "div",
    { class: "ww-cf-top" },
    controls(state),
    h(
      "div",
      { class: "ww-cf-buttons" },
      said,
      button("copy list", "copy number, norm and spatial frequency of every filter", () => {
        copyList(state)
          .then(say)
          .catch((reason: unknown) => say(reason instanceof Error ? reason.message : "copying failed"));
      }),
      button("png", "save the filters that are seen as a picture", () =>
        saveGrid(state, state.opened.peek() ? channels.element : all.element),
      ),
    ),
  );
  const back = button("", "back to all filters (Esc)", () => {
    state.opened.value = false;
  });
  const opened = h("div", { class: "ww-cf-opened" }, back, h("span", {}));
  const body = h(
    "div",
    { class: "ww-cf-body" },
    h("div", { class: "ww-cf-main" }, opened, all.element, channels.element),
    detail(state, { tip, look, say }),
  );
  panel.prepend(top, lines(state), body);

  let wasOpen = false;
  store.effect(() => {
    const open = state.opened.value;
    const layer = state.layer.value;
    // Asked before what has the focus is hidden, and loses it.
    const hadFocus = panel.contains((panel.getRootNode() as Document | ShadowRoot).activeElement);
    all.element.hidden = open;
    channels.element.hidden = !open;
    opened.hidden = !open;
    if (layer) {
      const names = nameOf(layer);
      back.textContent = `‹ all ${layer.layout.filters} ${names.many}`;
      (opened.lastChild as HTMLElement).textContent =
        `${names.one} ${state.chosen.value}: its ${layer.layout.channels} ${names.channels}`;
    }
    if (open === wasOpen) return;
    wasOpen = open;
    if (hadFocus) (open ? channels : all).focus();
    tip.hide();
  });
  // The picture that is large may lie outside of what the grid asks for.
  store.effect(() => {
    void state.pictures.value?.arrivals.value;
    const filter = state.chosen.value;
    const pictures = state.pictures.value;
    if (shown.value && pictures && state.opened.value && !pictures.get(filter)?.exact)
      pictures.want([filter]);
  });
  // Python may choose a filter, too; and in another order it lies elsewhere.
  store.effect(() => {
    const filter = state.chosen.value;
    void [state.order.value, state.layer.value];
    if (!shown.value) return;
    const chosen = state.isChosen.value;
    requestAnimationFrame(() => {
      if (chosen) all.show(Array.prototype.indexOf.call(state.sequence.peek(), filter));
      else all.toTop();
    });
  });

  const observer = new ResizeObserver(() => {
    if (panel.clientWidth > 0) panel.dataset.beside = String(panel.clientWidth >= BESIDE);
  });
  observer.observe(panel);
  store.lifetime.addEventListener("abort", () => observer.disconnect());
  return panel;
}
