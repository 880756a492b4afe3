/** What is shown, on which scale, in which order; and the lines that say what is seen. */

import { h, setText } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { lack } from "../../lack";
import { MOST_COMPARED } from "./facts";
import { countsLine } from "./marks";
import type { Order } from "./order";
import type { FiltersState, Scale, Show } from "./state";
import { layerWords, nameOf } from "./words";

const SHOWS: Record<Show, string> = {
  rgb: "RGB",
  all: "all channels",
  largest: "strongest channel",
  channel: "channel",
  mean: "mean",
  norm: "norm",
};

const ORDERS: Record<Order, string> = {
  norm: "norm",
  stored: "stored",
  similarity: "similarity",
  frequency: "frequency",
};

interface Select<T extends string> {
  readonly element: HTMLElement;
  set(options: readonly { value: T; text: string; disabled?: boolean }[], value: T): void;
}

function select<T extends string>(label: string, title: string, choose: (value: T) => void): Select<T> {
  const field = h("select", { title, "aria-label": title });
  let known = "";
  field.addEventListener("change", () => choose(field.value as T));
  return {
    element: h("label", { class: "ww-cf-field" }, h("span", { class: "ww-soft" }, label), field),
    set: (options, value) => {
      const now = JSON.stringify(options);
      if (now !== known) {
        known = now;
        field.replaceChildren(
          ...options.map((one) => h("option", { value: one.value, disabled: one.disabled }, one.text)),
        );
      }
      field.value = value;
    },
  };
}

export function controls(state: FiltersState): HTMLElement {
  const show = select<Show>("show", "what a picture shows", state.setShow);
  const scale = select<Scale>("scale", "which weight gets the strongest colour", (value) => {
    state.scale.value = value;
  });
  const order = select<Order>("order", "order of the filters", (value) => {
    state.order.value = value;
  });
  const by = select<"output" | "input">(
    "by",
    "a filter for each output: the kernels of the inputs it reads; or for each input: the kernels of the outputs it goes to",
    (value) => {
      state.by.value = value;
    },
  );
  const stepper = channelStepper(state);
  state.store.effect(() => {
    show.element.hidden = state.shows.value.length < 2;
    const drawable = state.drawable.value;
    show.set(
      state.shows.value.map((value) => {
        const missing = drawable !== null && !drawable.includes(value);
        return {
          value,
          text: missing ? `${SHOWS[value]} · needs ${lack(state.store).short}` : SHOWS[value],
          disabled: missing,
        };
      }),
      state.show.value,
    );
  });
  state.store.effect(() => {
    const now = state.show.value;
    const { limit } = state.colours.value;
    const both = now === "norm" ? "0…" : "±";
    const isShared = state.scale.value === "shared" || now === "rgb";
    const values = now === "mean" || now === "norm" || now === "rgb";
    const shared =
      state.scale.value !== "each" && (isShared || values) ? ` ${both}${formatNumber(limit, 2)}` : "";
    const robust = state.scale.value === "robust" && !values ? ` ±${formatNumber(limit, 2)}` : "";
    const options: { value: Scale; text: string }[] = [{ value: "shared", text: `shared${shared}` }];
    if (!values) options.push({ value: "robust", text: `shared, robust${robust}` });
    options.push({ value: "each", text: "each by itself" });
    scale.set(options, values && state.scale.value === "robust" ? "shared" : state.scale.value);
  });
  state.store.effect(() => {
    const layer = state.layer.value;
    const many = (layer?.layout.filters ?? 0) > MOST_COMPARED;
    const flat = layer?.kind === "point";
    order.set(
      (Object.keys(ORDERS) as Order[]).map((value) => ({
        value,
        text: value === "similarity" && many ? `similarity (up to ${MOST_COMPARED} filters)` : ORDERS[value],
        disabled: (value === "similarity" && many) || (value === "frequency" && flat),
      })),
      state.order.value,
    );
  });
  state.store.effect(() => {
    const layer = state.layer.value;
    by.element.hidden = !layer || layer.layout.channels === 1 || layer.kind === "point";
    if (layer)
      by.set(
        [
          { value: "output", text: "output" },
          { value: "input", text: "input" },
        ],
        layer.by,
      );
  });
  return h(
    "div",
    { class: "ww-cf-controls" },
    show.element,
    stepper,
    scale.element,
    order.element,
    by.element,
  );
}

/** ‹ input channel 3 of 16 › */
function channelStepper(state: FiltersState): HTMLElement {
  const button = (text: string, title: string, step: number): HTMLButtonElement => {
    const element = h("button", { type: "button", title, "aria-label": title }, text);
    element.addEventListener("click", () => state.setChannel(state.channel.peek() + step));
    return element;
  };
  const back = button("‹", "previous channel", -1);
  const next = button("›", "next channel", 1);
  const field = h("input", {
    class: "ww-cf-channel ww-number",
    inputmode: "numeric",
    "aria-label": "channel",
  });
  const of = h("span", { class: "ww-soft" });
  const slider = h("input", { type: "range", min: 0, "aria-label": "channel", class: "ww-cf-slider" });
  const element = h("div", { class: "ww-cf-stepper" }, back, field, of, next, slider);
  field.addEventListener("change", () => {
    const typed = Number(field.value);
    if (Number.isInteger(typed)) state.setChannel(typed);
    field.value = String(state.channel.peek());
  });
  slider.addEventListener("input", () => state.setChannel(Number(slider.value)));
  state.store.effect(() => {
    const layer = state.layer.value;
    const channels = layer?.layout.channels ?? 1;
    const at = state.channel.value;
    element.hidden = state.show.value !== "channel" || channels < 2;
    field.value = String(at);
    const group = layer && layer.layout.groups > 1 ? " of its group's" : " of";
    of.textContent = `${group} ${channels}`;
    back.disabled = at <= 0;
    next.disabled = at >= channels - 1;
    slider.max = String(channels - 1);
    slider.value = String(at);
    slider.hidden = channels < 9;
  });
  return element;
}

/** What the layer is, how many filters stand out, what is under way, what is wrong. */
export function lines(state: FiltersState): HTMLElement {
  const { store } = state;
  const count = h("span", { class: "ww-cf-counts" });
  const kind = h("span", { class: "ww-soft" });
  const guess = h("span", { class: "ww-cf-guess" });
  const neighbours = h("span", { class: "ww-soft" });
  const work = h("span", { class: "ww-soft", role: "status" });
  const caution = h("div", { class: "ww-cf-caution" });
  const matrix = h("div", { class: "ww-note" });
  const first = h("div", { class: "ww-cf-line" }, count, kind, guess, neighbours, work);

  store.effect(() => {
    const layer = state.layer.value;
    if (!layer) return;
    const marks = state.marks.value;
    const { one, many } = nameOf(layer);
    count.textContent = countsLine(marks, layer.layout.filters, layer.layout.filters === 1 ? one : many);
    count.dataset.found = String(marks.counts.size > 0);
    kind.textContent = layerWords(layer);
    setText(guess, layer.axes.certain ? "" : layer.axes.why || "a guess");
    guess.title = "explorer.anatomy[name] = ... sets what the axes are";
    setText(caution, layer.caution);
    caution.hidden = layer.caution === "";
    matrix.hidden = layer.kind !== "point";
  });
  const toHeatmap = h("button", { type: "button", class: "ww-plain ww-cf-link" }, "the heatmap");
  toHeatmap.addEventListener("click", () => {
    store.traits.view.value = "heatmap";
  });
  matrix.append("Kernels of one weight make a matrix: ", toHeatmap, " shows it whole; here are its rows.");

  store.effect(() => {
    const found = state.frequencies.value.value;
    const value = found?.neighbours ?? Number.NaN;
    neighbours.textContent = Number.isFinite(value)
      ? `neighbouring weights correlate ${formatNumber(value, 2)}`
      : "";
    neighbours.title =
      "Correlation of weights side by side in a kernel, each kernel's mean taken away. Fresh layers have −0.12 to 0, " +
      "smooth learned ones up to 0.7. Well-trained filters may look like noise, too: that is no fault.";
  });
  store.effect(() => {
    work.textContent = workText(state);
    work.dataset.tone = faultOf(state) ? "error" : "";
  });
  return h("div", { class: "ww-cf-lines" }, first, caution, matrix);
}

function faultOf(state: FiltersState): string {
  const fault =
    state.pictures.value?.error.value ||
    (state.order.value === "similarity" && state.similarity.error.value) ||
    (state.order.value === "frequency" && state.frequencies.error.value);
  return fault || "";
}

/** What a kernel would add to what the overview has. */
function awayText(state: FiltersState): string {
  const layer = state.layer.value;
  const local = state.local.value;
  const { doer } = lack(state.store);
  const more = "spatial frequencies, copies and biases";
  if (local?.exact) return `${doer} adds ${more}`;
  if (local) return `three digits, from the overview: ${doer} adds all of them, ${more}`;
  if (state.opened.value && state.kernels.value?.arrivals.value === 0)
    return `${doer} draws the ${layer ? nameOf(layer).channels : "channels"}`;
  if (state.pictures.value?.arrivals.value !== 0) return `${doer} draws what is missing, and adds ${more}`;
  if (state.drawable.value?.includes(state.show.value))
    return `three digits, from the overview: ${doer} adds all of them, the other channels, ${more}`;
  return state.norms.value
    ? `norms only: ${doer} draws the filters`
    : `${doer} draws the filters, and tells weak and dead ones`;
}

function workText(state: FiltersState): string {
  const { store } = state;
  const fault = faultOf(state);
  if (fault) return `the kernel could not do this: ${fault}`;
  const order = state.order.value;
  if (store.model.kernel.value === "gone") {
    if (order === "similarity" && !state.similarity.value.value)
      return `this order needs ${lack(state.store).need}`;
    if (order === "frequency" && !state.frequencies.value.value)
      return `this order needs ${lack(state.store).need}`;
    return awayText(state);
  }
  const waited = order === "similarity" ? state.similarity : order === "frequency" ? state.frequencies : null;
  const share = waited?.progress.value ?? null;
  if (waited && share !== null) {
    const doing = order === "similarity" ? "comparing the filters" : "looking for frequencies";
    return `${doing} … ${Math.round(100 * share)} %`;
  }
  return "";
}
