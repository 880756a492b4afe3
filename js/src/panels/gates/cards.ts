/** One card for each gate: its input weights, its recurrent weights, its biases. */

import type { RecurrentLayer } from "../../anatomy";
import { h } from "../../draw/dom";
import { formatCount, formatNumber, formatShape, formatShare, formatTrimmed } from "../../draw/format";
import { lack } from "../../lack";
import type { Store } from "../../store";
import type { Gate, GateBlock, LayerData } from "./data";
import { blockPath, gateMeaning } from "./layers";
import { binned, median, SATURATED, sigmoid } from "./numbers";
import { biasBars, countBars, drawPicture } from "./picture";

/** Bins of the histogram of biases. */
const BINS = 32;

/** Height of a picture for each CSS pixel of its width: weights are drawn to fill the card. */
const ASPECT = { least: 0.36, most: 0.62 };

export interface CardOptions {
  readonly layer: RecurrentLayer;
  readonly data: LayerData;
  /** Whether each picture has a colour scale of its own. */
  readonly own: boolean;
  /** Takes what draws the mark of a unit into what was made. */
  readonly marks: ((unit: number | null) => void)[];
}

/** Range of all biases of a layer, the same for all gates. It contains 0. */
export function biasRange(gates: readonly Gate[]): [number, number] {
  let [low, high] = [0, 0];
  for (const gate of gates) {
    for (const values of gate.separate ?? [gate.bias]) {
      for (const value of values ?? []) {
        if (!Number.isFinite(value)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  if (low === high) return [-1, 1];
  const pad = 0.04 * (high - low);
  return [low - pad, high + pad];
}

/** Magnitude at the end of a block's own colour scale. */
function ownLimit(block: GateBlock, shared: number): number {
  const inner = 1.5 * Math.max(Math.abs(block.q01), Math.abs(block.q99));
  const most = Math.max(Math.abs(block.min), Math.abs(block.max));
  return Math.min(inner || most, most) || shared;
}

export function gateCard(store: Store, gate: Gate, options: CardOptions): HTMLElement {
  const { layer } = options;
  const meaning = gateMeaning(layer.kind, gate.label);
  const card = h("div", { class: "ww-gates-card", "data-gate": gate.label });
  card.append(
    h(
      "div",
      { class: "ww-gates-title", title: meaning.help },
      h("strong", {}, gate.label),
      h("span", { class: "ww-soft" }, meaning.name),
    ),
    block(store, gate.label, "input", layer.input, gate.input, options),
    block(store, gate.label, "recurrent", layer.recurrent, gate.recurrent, options),
    biases(store, gate, meaning.sigmoid, options),
  );
  return card;
}

/** A picture that selects its block, the block's distribution below it, and two numbers. */
function block(
  store: Store,
  gate: string,
  what: string,
  row: number,
  measured: GateBlock,
  options: CardOptions,
): HTMLElement {
  const { layer, data, own } = options;
  const overview = store.overview.peek();
  const path = blockPath(overview, layer, row, gate);
  const shape = overview.shape(row);
  const axis = layer.layout === "torch" ? 0 : 1;
  const size = shape.map((length, at) => (at === axis ? length / layer.gates.length : length));
  const limit = own ? ownLimit(measured, data.limit) : data.limit;
  const button = h(
    "button",
    {
      type: "button",
      class: "ww-gates-picture",
      "data-block": path,
      title: `${path}: ${formatShape(size)}, colours to ±${formatNumber(limit, 3)}. Click to select it.`,
    },
    measured.picture ? canvas(store, measured, limit, size) : h("span", { class: "ww-soft" }, "not cut"),
  );
  button.addEventListener("click", () => store.select(path));
  const numbers = h("div", { class: "ww-gates-numbers ww-number" });
  if (Number.isFinite(measured.std)) {
    numbers.append(
      h("span", { title: `standard deviation ${formatNumber(measured.std, 6)}` }, pair("std", measured.std)),
      h("span", { title: `Frobenius norm ${formatNumber(measured.norm, 6)}` }, pair("‖w‖", measured.norm)),
    );
  }
  if (measured.nonfinite > 0) {
    numbers.append(h("span", { class: "ww-gates-bad" }, `${formatCount(measured.nonfinite)} NaN/Inf`));
  }
  const counts = measured.counts;
  const reach = formatTrimmed(data.limit, 3);
  return h(
    "div",
    { class: "ww-gates-block" },
    h(
      "div",
      { class: "ww-gates-caption ww-soft" },
      h("span", {}, what),
      // Where each has its own scale, pictures cannot be compared without it.
      h("span", { class: "ww-number" }, own ? `±${formatNumber(limit, 3)}` : formatShape(size)),
    ),
    button,
    counts && countBars(counts, `distribution of the ${what} weights of ${gate}, ±${reach}`),
    numbers,
  );
}

function pair(name: string, value: number): HTMLElement {
  return h("span", {}, h("span", { class: "ww-soft" }, `${name} `), formatNumber(value, 3));
}

function canvas(
  store: Store,
  measured: GateBlock,
  limit: number,
  size: readonly number[],
): HTMLCanvasElement | null {
  const picture = measured.picture;
  if (!picture) return null;
  const drawn = h("canvas", { class: "ww-gates-canvas" });
  const [rows = 1, cols = 1] = size;
  const aspect = Math.min(ASPECT.most, Math.max(ASPECT.least, rows / cols));
  drawn.style.aspectRatio = String(1 / aspect);
  drawPicture(drawn, picture, limit, store.traits.color_map.peek(), store.theme.peek());
  return drawn;
}

function biases(store: Store, gate: Gate, isSigmoid: boolean, options: CardOptions): HTMLElement {
  const { layer, data } = options;
  const range = biasRange(data.gates);
  const room = h("div", { class: "ww-gates-biases" });
  const one = (values: Float64Array, name: string, title: string): void => {
    const bars = h("div", {});
    const counts = binned(values, ...range, BINS);
    const label = `distribution of the ${name} of ${gate.label}`;
    options.marks.push((unit) => {
      const marked = unit === null ? null : (values[unit] ?? null);
      bars.replaceChildren(biasBars(counts, range, isSigmoid, marked, label));
    });
    const middle = median(values);
    const open = h("span", {}, `open ${formatShare(Number(sigmoid(middle).toPrecision(2)))}`);
    open.title = "sigmoid of the median bias: how far the gate stands open where what it reads is 0";
    const ends = h(
      "div",
      { class: "ww-gates-caption ww-soft ww-number" },
      h("span", {}, formatTrimmed(range[0], 2)),
      isSigmoid && open,
      h("span", {}, formatTrimmed(range[1], 2)),
    );
    const numbers = h(
      "div",
      { class: "ww-gates-numbers ww-number" },
      h("span", { title: "median over the units" }, pair("median", middle)),
    );
    room.append(
      h(
        "div",
        { class: "ww-gates-caption ww-soft", title },
        h("span", {}, name),
        isSigmoid && saturation(values),
      ),
      bars,
      ends,
      numbers,
    );
  };
  if (gate.separate) {
    one(gate.separate[0], "bias, inputs", "added to what is read of the inputs");
    one(
      gate.separate[1],
      "bias, state",
      "added to what is read of the state before the reset gate scales it: the two biases may not be added",
    );
  } else if (gate.bias) {
    const two = layer.input_bias !== null && layer.recurrent_bias !== null;
    const title = two ? "the two biases added: only their sum matters" : "the bias";
    one(gate.bias, two ? "bias (sum)" : "bias", title);
  } else {
    const none = layer.input_bias === null && layer.recurrent_bias === null;
    room.append(
      h(
        "p",
        { class: "ww-note" },
        none ? "no bias" : `biases: not all in the overview, ${lack(store).agent} shows them`,
      ),
    );
  }
  return room;
}

/** How many gates their bias holds open or shut. */
function saturation(values: Float64Array): HTMLElement | null {
  const shut = values.filter((value) => value < -SATURATED).length;
  const open = values.filter((value) => value > SATURATED).length;
  if (shut + open === 0) return null;
  const all = (count: number): string =>
    count === values.length ? "all" : `${formatCount(count)} of ${formatCount(values.length)}`;
  const parts = [open > 0 && `${all(open)} open`, shut > 0 && `${all(shut)} shut`].filter(Boolean);
  return h(
    "span",
    {
      class: "ww-gates-saturated-text",
      title: `held by a bias beyond ±${SATURATED}: the sigmoid is above 0.98 or below 0.02 unless what it reads outweighs that`,
    },
    parts.join(", "),
  );
}
