/** The gates of a recurrent layer: their weights and biases, eigenvalues, memory by bias, single units. */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { RecurrentLayer } from "../anatomy";
import { h, setText } from "../draw/dom";
import { formatCount, formatNumber } from "../draw/format";
import { type Lack, lack } from "../lack";
import type { Store } from "../store";
import type { View } from "../views";
import { gateCard } from "./gates/cards";
import { type GateState, gateState, type LayerData } from "./gates/data";
import { eigenSection } from "./gates/eigen";
import { counterpart, keyOf, layerLabel, layersAt } from "./gates/layers";
import { drawColourBar } from "./gates/picture";
import { timeScaleSection, type UnitState } from "./gates/timescale";
import { unitSection } from "./gates/unit";

export const gatesView: View = {
  name: "gates",
  label: "Gates",
  title: "gates, eigenvalues and time scales of recurrent layers",
  whole: false,
  available: (overview, _row, path) =>
    overview.layers.recurrent.length > 0 && layersAt(overview, path).length > 0,
  panel: gatesPanel,
};

function gatesPanel(store: Store, shown: ReadonlySignal<boolean>): HTMLElement {
  /** Key of the layer that was chosen here: it counts where the selection leaves a choice. */
  const chosen = signal("");
  const layer = computed<RecurrentLayer | null>(() => {
    const overview = store.overview.value;
    const there = layersAt(overview, store.traits.selected.value);
    return there.find((one) => keyOf(overview, one) === chosen.value) ?? there[0] ?? null;
  });
  const own = signal(false);
  const units: UnitState = { unit: signal(null), hovered: signal(null) };
  const state = gateState(store, shown, layer);
  const choose = (to: RecurrentLayer): void => {
    const from = layer.peek();
    const overview = store.overview.peek();
    const path = store.traits.selected.peek();
    chosen.value = keyOf(overview, to);
    if (from && !layersAt(overview, path).includes(to)) store.select(counterpart(overview, path, from, to));
  };

  // A unit is one of a layer.
  let before = "";
  store.effect(() => {
    const now = layer.value ? keyOf(store.overview.value, layer.value) : "";
    if (now !== before) units.unit.value = units.hovered.value = null;
    before = now;
  });
  const body = h(
    "div",
    { class: "ww-gates-body" },
    cardSection(store, state, layer, own, units),
    eigenSection(store, state, layer),
    timeScaleSection(store, state.data, layer, units),
    unitSection(store, state.data, layer, units),
  );
  store.effect(() => {
    body.dataset.single = String((layer.value?.gates.length ?? 0) === 1);
    body.style.setProperty("--ww-gates", String(layer.value?.gates.length ?? 1));
  });
  return h(
    "div",
    { class: "ww-gates" },
    header(store, layer, choose, scaleControl(store, state.data, own)),
    body,
  );
}

function header(
  store: Store,
  layer: ReadonlySignal<RecurrentLayer | null>,
  choose: (to: RecurrentLayer) => void,
  scale: HTMLElement,
): HTMLElement {
  const select = h("select", { "aria-label": "recurrent layer" });
  const directions = h("span", { class: "ww-gates-directions", role: "group", "aria-label": "direction" });
  const facts = h("span", { class: "ww-soft" });
  const sibling = (one: RecurrentLayer): RecurrentLayer | undefined =>
    store.overview
      .peek()
      .layers.recurrent.find(
        (other) => other.path === one.path && other.layer === one.layer && other.reverse !== one.reverse,
      );
  select.addEventListener("change", () => {
    const overview = store.overview.peek();
    const to = overview.layers.recurrent.find((one) => keyOf(overview, one) === select.value);
    if (!to) return;
    // The direction stays where the other layer has it, too.
    const other = sibling(to);
    choose(other && other.reverse === layer.peek()?.reverse ? other : to);
  });

  store.effect(() => {
    const overview = store.overview.value;
    const found = layer.value;
    const heads = overview.layers.recurrent.filter(
      (one, at, all) => all.findIndex((other) => other.path === one.path && other.layer === one.layer) === at,
    );
    const label = (one: RecurrentLayer): string => layerLabel(overview, one);
    select.hidden = heads.length < 2;
    select.replaceChildren(
      ...heads.map((one) =>
        h(
          "option",
          {
            value: keyOf(overview, one),
            selected: one.path === found?.path && one.layer === found.layer,
          },
          label(one),
        ),
      ),
    );
    const other = found && sibling(found);
    directions.hidden = !other;
    directions.replaceChildren(
      ...[false, true].map((reverse) => {
        const button = h(
          "button",
          { type: "button", "aria-pressed": String(found?.reverse === reverse) },
          reverse ? "backward" : "forward",
        );
        button.addEventListener("click", () => {
          if (other && other.reverse === reverse) choose(other);
        });
        return button;
      }),
    );
    if (!found) return;
    const projected =
      found.projection === null ? "" : ` → ${formatCount(overview.shape(found.projection)[0] ?? 0)}`;
    facts.replaceChildren(
      `${found.kind} · ${formatCount(found.inputs)} inputs · ${formatCount(found.hidden)} units${projected} · `,
      h("span", { class: found.certain ? undefined : "ww-gates-guess", title: found.why }, originText(found)),
    );
  });
  return h("div", { class: "ww-gates-header" }, select, directions, facts, scale);
}

/** The colour scale of the pictures, and whether they have one in common. */
function scaleControl(
  store: Store,
  data: ReadonlySignal<LayerData | null>,
  own: Signal<boolean>,
): HTMLElement {
  const bar = h("canvas", { class: "ww-gates-colourbar", "aria-hidden": "true" });
  const ends = h("span", { class: "ww-number" });
  const scale = h(
    "select",
    {
      "aria-label": "colour scale of the gates",
      title: "one colour scale for all gates, or one for each block",
    },
    h("option", { value: "shared" }, "one scale"),
    h("option", { value: "own" }, "own scales"),
  );
  scale.addEventListener("change", () => {
    own.value = scale.value === "own";
  });
  store.effect(() => {
    const known = data.value;
    drawColourBar(bar, store.traits.color_map.value, store.theme.value);
    bar.hidden = ends.hidden = own.value || !known || !Number.isFinite(known.limit);
    ends.textContent = known ? `±${formatNumber(known.limit, 3)}` : "";
    ends.title =
      known?.origin === "kernel"
        ? "1.5 × the 1–99 % range of the widest block; the small histograms reach as far"
        : "98 % of the overview's cells";
  });
  return h("span", { class: "ww-gates-scale" }, scale, bar, ends);
}

function originText(layer: RecurrentLayer): string {
  if (!layer.certain) return layer.why || "guessed from name and shape";
  return layer.why || `${layer.layout === "torch" ? "PyTorch" : "Keras"} layout`;
}

function cardSection(
  store: Store,
  state: GateState,
  layer: ReadonlySignal<RecurrentLayer | null>,
  own: ReadonlySignal<boolean>,
  { unit, hovered }: UnitState,
): HTMLElement {
  const grid = h("div", { class: "ww-gates-grid" });
  const note = h("p", { class: "ww-note" });
  let marks: ((unit: number | null) => void)[] = [];

  store.effect(() => {
    const known = state.data.value;
    const found = layer.value;
    // Read here, for the pictures are drawn in these colours.
    void store.traits.color_map.value;
    void store.theme.value;
    marks = [];
    if (!known || !found) {
      grid.replaceChildren();
      return;
    }
    const options = { layer: found, data: known, own: own.value, marks };
    grid.replaceChildren(...known.gates.map((gate) => gateCard(store, gate, options)));
    for (const mark of marks) mark(hovered.peek() ?? unit.peek());
  });
  store.effect(() => {
    const at = hovered.value ?? unit.value;
    for (const mark of marks) mark(at);
  });
  // What is selected is outlined.
  store.effect(() => {
    const selected = store.traits.selected.value;
    void state.data.value;
    void own.value;
    for (const button of grid.querySelectorAll<HTMLElement>(".ww-gates-picture")) {
      button.setAttribute("aria-pressed", String(button.dataset.block === selected));
    }
  });
  store.effect(() => {
    const known = state.data.value;
    const gone = store.model.kernel.value === "gone";
    const error = state.problem.value;
    note.dataset.tone = error ? "error" : "";
    setText(
      note,
      error || (known && gone && known.origin === "overview" ? offlineText(known.gates, lack(store)) : ""),
      true,
    );
    note.hidden = note.textContent === "";
  });
  return h("section", { class: "ww-gates-section ww-gates-cards", "aria-label": "gate by gate" }, grid, note);
}

function offlineText(
  gates: readonly { input: { picture: unknown }; recurrent: { picture: unknown } }[],
  missing: Lack,
): string {
  const cut = gates.every((gate) => gate.input.picture && gate.recurrent.picture);
  const from = cut
    ? "Pictures are cut from the overview's thumbnails, whose cells show the largest weight under them."
    : "The overview's thumbnails cannot be cut at the gates' edges.";
  return `${missing.fact}. ${from} ${missing.With} there are exact pictures, distributions, norms and eigenvalues.`;
}
