/** The filter that is looked at: large, with its numbers, and the filters that are like it. */

import { h } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { lack } from "../../lack";
import { copyFilter, toHeatmap } from "./actions";
import { normBars } from "./bars";
import { channelNumber, groupOf } from "./layout";
import { legend } from "./legend";
import { channelOf, drawingOf, drawPicture, pictureSize, weightAt, weightText } from "./picture";
import type { FiltersState } from "./state";
import type { Tip } from "./tip";
import { frequencyWords, nameOf } from "./words";

/** Largest side of the picture. */
const SIDE = 200;
/** Largest width of one that is wider than high. */
const WIDEST = 280;
/** Filters that are listed as similar. */
const ALIKE = 8;
/** Least |cos| of what is listed. */
const LEAST_ALIKE = 0.2;

export interface DetailOptions {
  readonly tip: Tip;
  /** Looks at a filter, wherever it lies in the grid. */
  readonly look: (filter: number) => void;
  readonly say: (text: string) => void;
}

export function detail(state: FiltersState, { tip, look, say }: DetailOptions): HTMLElement {
  const { store } = state;
  const title = h("strong", {});
  const facts = h("span", { class: "ww-soft" });
  const mark = h("div", { class: "ww-cf-marked" });
  const canvas = h("canvas", { class: "ww-cf-picture ww-cf-large" });
  const waiting = h("div", { class: "ww-note ww-cf-large-waiting" });
  const caption = h("div", { class: "ww-soft ww-cf-caption" });
  const open = h("button", { type: "button" });
  open.addEventListener("click", () => {
    state.opened.value = !state.opened.peek();
  });
  const button = (text: string, tooltip: string, run: () => void): HTMLButtonElement => {
    const element = h("button", { type: "button", title: tooltip }, text);
    element.addEventListener("click", run);
    return element;
  };
  const buttons = h(
    "div",
    { class: "ww-cf-buttons" },
    open,
    button("copy", "copy the weights of this filter as text", () => {
      copyFilter(state)
        .then(say)
        .catch((reason: unknown) => say(reason instanceof Error ? reason.message : "copying failed"));
    }),
    button("in the heatmap", "show the weights of this filter in the heatmap", () => toHeatmap(state)),
  );

  let drawn: ReturnType<typeof drawingOf> | null = null;
  store.effect(() => {
    const layer = state.layer.value;
    if (!layer) return;
    const filter = state.chosen.value;
    const norms = state.norms.value;
    const marks = state.marks.value;
    const names = nameOf(layer);
    title.textContent = `${names.one[0]?.toUpperCase()}${names.one.slice(1)} ${filter}`;
    const norm = norms?.norms[filter];
    const bias = norms?.biases?.[filter];
    const told = [
      norm === undefined ? "" : `norm ${formatNumber(norm, 3)}`,
      norm === undefined ? "" : `rank ${marks.rank(filter)} of ${layer.layout.filters}`,
      bias === undefined ? "" : `bias ${formatNumber(bias, 3)}`,
    ];
    facts.textContent = told
      .filter(Boolean)
      .map((text) => ` · ${text}`)
      .join("");
    mark.textContent = marks.words(filter);
    mark.hidden = mark.textContent === "";
    const { channels } = layer.layout;
    open.hidden = channels < 2 || layer.kind === "point";
    open.textContent = state.opened.value ? `‹ all ${names.many}` : `its ${channels} ${names.channels} ›`;
    open.title = state.opened.value ? "back to all filters (Esc)" : "show each of its kernels (Enter)";
  });
  store.effect(() => {
    const layer = state.layer.value;
    const pictures = state.pictures.value;
    if (!layer || !pictures) return;
    void pictures.arrivals.value;
    const filter = state.chosen.value;
    // What is looked at may lie outside the grid's window.
    drawn = drawingOf(state, layer);
    const picture = pictures.get(filter);
    canvas.hidden = picture === null;
    const away = store.model.kernel.value === "gone";
    waiting.hidden = picture !== null;
    waiting.textContent = away ? `${lack(store).doer} draws it` : "…";
    caption.textContent = captionOf(state, picture);
    if (!picture) return;
    const size = pictureSize(drawn, SIDE, WIDEST);
    canvas.style.width = `${size.width}px`;
    canvas.style.height = `${size.height}px`;
    drawPicture(canvas, drawn, picture.values, size);
  });
  canvas.addEventListener("pointermove", (event) => {
    const layer = state.layer.peek();
    const filter = state.chosen.peek();
    const picture = state.pictures.peek()?.get(filter);
    const box = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const weight = layer && drawn && picture && weightAt(layer, drawn, picture, state.channel.peek(), x, y);
    if (!layer || !drawn || !picture || !weight) {
      tip.hide();
      return;
    }
    const { value, where } = weightText(layer, drawn, picture, filter, weight);
    const channel =
      weight.channel === null || drawn.show === "rgb"
        ? []
        : [`${nameOf(layer).channel} ${channelNumber(layer.layout, filter, weight.channel)}`];
    tip.show(event, [value, where, ...channel]);
  });
  canvas.addEventListener("pointerleave", () => tip.hide());

  return h(
    "div",
    { class: "ww-cf-detail" },
    h("div", { class: "ww-cf-title" }, title, facts),
    mark,
    h("div", { class: "ww-cf-show" }, canvas, waiting),
    caption,
    legend(state),
    buttons,
    similar(state, look),
    frequency(state),
    normBars(state, tip, (place) => look(state.sequence.peek()[place] as number)),
  );
}

function captionOf(state: FiltersState, picture: Parameters<typeof channelOf>[3]): string {
  const layer = state.layer.value;
  if (!layer) return "";
  const { layout } = layer;
  const names = nameOf(layer);
  const filter = state.chosen.value;
  const total = layout.channels * layout.groups;
  const show = state.show.value;
  if (show === "rgb") return "red, green and blue are its three channels, grey is 0";
  if (show === "mean" || show === "norm")
    return `${show} over ${layout.channels} ${names.channels}${ofGroup(state, filter)}`;
  const channel = channelOf(layer, show, filter, picture, state.channel.value);
  if (channel === null) {
    const first = channelNumber(layout, filter, 0);
    const many = layout.channels > 1;
    return `${names[many ? "channels" : "channel"]} ${many ? `${first} to ${first + layout.channels - 1}` : first}`;
  }
  const strongest = show === "largest" ? `, the strongest of ${layout.channels}` : ` of ${total}`;
  return `${names.channel} ${channel}${strongest}${ofGroup(state, filter)}`;
}

function ofGroup(state: FiltersState, filter: number): string {
  const layer = state.layer.value;
  if (!layer || layer.layout.groups === 1 || layer.depthwise) return "";
  return `, group ${groupOf(layer.layout, filter)}`;
}

/** Similar filters, the most similar ones first. */
function similar(state: FiltersState, look: (filter: number) => void): HTMLElement {
  const list = h("div", { class: "ww-cf-similar" });
  const title = h("span", { class: "ww-heading" });
  const note = h("span", { class: "ww-soft" }, " |cos|");
  const element = h("div", {}, h("div", { class: "ww-cf-part-title" }, h("span", {}, title, note)), list);
  state.store.effect(() => {
    const layer = state.layer.value;
    const facts = state.facts.value;
    element.hidden = !layer || layer.layout.filters < 2;
    if (!layer) return;
    title.textContent = `Similar ${nameOf(layer).many}`;
    if (facts?.filter !== state.chosen.value) {
      // What is on its way replaces the list without emptying it first.
      if (state.store.model.kernel.value === "gone")
        list.replaceChildren(h("span", { class: "ww-soft" }, `${lack(state.store).doer} finds them`));
      return;
    }
    const found = mostAlike(facts.cosines, facts.filter);
    if (found.length === 0)
      list.replaceChildren(h("span", { class: "ww-soft" }, noneText(facts.cosines, facts.filter)));
    else
      list.replaceChildren(...found.map((other) => chip(state, other, facts.cosines[other] as number, look)));
  });
  return element;
}

/** Filters by |cos| with one, largest first. */
export function mostAlike(cosines: Float64Array, filter: number): number[] {
  const found: number[] = [];
  cosines.forEach((cosine, other) => {
    if (other !== filter && Math.abs(cosine) >= LEAST_ALIKE) found.push(other);
  });
  const size = (other: number): number => Math.abs(cosines[other] as number);
  return found.sort((a, b) => size(b) - size(a) || a - b).slice(0, ALIKE);
}

function noneText(cosines: Float64Array, filter: number): string {
  if (Number.isNaN(cosines[filter])) return "none: it has no direction";
  return `none above ${LEAST_ALIKE}`;
}

function chip(
  state: FiltersState,
  other: number,
  cosine: number,
  look: (filter: number) => void,
): HTMLElement {
  const layer = state.layer.peek();
  const elsewhere = layer && groupOf(layer.layout, other) !== groupOf(layer.layout, state.chosen.peek());
  const element = h(
    "button",
    {
      type: "button",
      class: "ww-plain ww-number",
      title: `look at ${other}${elsewhere ? ": it reads other channels" : ""}`,
    },
    h("span", { class: "ww-cf-link" }, String(other)),
    h("span", { class: "ww-soft" }, ` ${cosineText(cosine)}`),
  );
  element.addEventListener("click", () => look(other));
  return element;
}

/** Two places, but never 1.00 for what is less. */
export function cosineText(cosine: number): string {
  const size = Math.abs(cosine);
  const text = size > 0.995 && size < 0.99995 ? size.toFixed(4) : size.toFixed(2);
  return `${cosine < 0 ? "−" : ""}${text}`;
}

function frequency(state: FiltersState): HTMLElement {
  const words = h("div", {});
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "ww-cf-part-title" },
      h(
        "span",
        {
          class: "ww-heading",
          title:
            "Where the power spectrum of its kernels, summed over channels, is largest; their means are taken away.",
        },
        "Spatial frequency",
      ),
    ),
    words,
  );
  state.store.effect(() => {
    const layer = state.layer.value;
    const found = state.frequencies.value.value;
    element.hidden = !layer || layer.kind === "point";
    if (!layer) return;
    const gone = state.store.model.kernel.value === "gone";
    words.className = found ? "" : "ww-soft";
    words.textContent = found
      ? frequencyWords(found, state.chosen.value, layer.layout.kernel)
      : gone
        ? `${lack(state.store).doer} tells it`
        : state.frequencies.error.value || "…";
  });
  return element;
}
