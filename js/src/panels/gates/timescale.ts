/** How long each unit remembers as its bias alone implies: sorted dots on a logarithmic axis. */

import type { ReadonlySignal, Signal } from "@preact/signals-core";
import type { RecurrentLayer } from "../../anatomy";
import { magnitudeTicks } from "../../draw/axis";
import { h } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import { s, set } from "../../draw/svg";
import { type Lack, lack } from "../../lack";
import type { Store } from "../../store";
import type { LayerData } from "./data";
import { median, ranking, SATURATED, sigmoid } from "./numbers";

/** Size of the plot in its own units; it is stretched to the room there is. */
const WIDTH = 1000;
const HEIGHT = 100;

const CAVEAT =
  "Bias only, its inputs at zero: a short bias time scale does not prove a short memory (Tallec & Ollivier 2018).";

export interface UnitState {
  /** The chosen unit. */
  readonly unit: Signal<number | null>;
  /** The unit under the pointer, wherever it is shown. */
  readonly hovered: Signal<number | null>;
}

export function timeScaleSection(
  store: Store,
  data: ReadonlySignal<LayerData | null>,
  layer: ReadonlySignal<RecurrentLayer | null>,
  { unit, hovered }: UnitState,
): HTMLElement {
  const readout = h("div", { class: "ww-gates-readout ww-number", role: "status" });
  const room = h("div", { class: "ww-gates-scales" });
  const note = h("p", { class: "ww-note" });
  let mark: ((unit: number | null) => void) | null = null;

  store.effect(() => {
    const known = data.value;
    const found = layer.value;
    mark = null;
    const scales = known?.scales ?? null;
    const drawn = scales && known && found ? drawScales(scales, known, { unit, hovered }) : null;
    room.hidden = !drawn;
    room.replaceChildren(...(drawn ? drawn.elements : []));
    mark = drawn?.mark ?? null;
    note.textContent = noteText(known, found, lack(store));
    mark?.(hovered.peek() ?? unit.peek());
  });
  store.effect(() => {
    const at = hovered.value ?? unit.value;
    const known = data.value;
    mark?.(at);
    readout.textContent = known?.scales ? readoutText(known, at) : "";
    readout.classList.toggle("ww-soft", at === null);
  });

  return h(
    "section",
    { class: "ww-gates-section ww-gates-memory", "aria-label": "time scales" },
    h(
      "div",
      { class: "ww-gates-section-head" },
      h("span", { class: "ww-heading" }, "Memory that the biases imply"),
      readout,
    ),
    room,
    note,
  );
}

function noteText(known: LayerData | null, layer: RecurrentLayer | null, missing: Lack): string {
  if (!known || !layer) return "";
  if (known.keeper === null) return "A plain RNN has no gate that keeps its state.";
  if (!known.scales) return `The overview has not every bias: ${missing.agent} shows them.`;
  const none = layer.input_bias === null && layer.recurrent_bias === null;
  const open = `${known.keeper} = σ(bias), τ = −1 / ln ${known.keeper} steps`;
  const digits = known.origin === "overview" ? " From the overview's biases, to two or three digits." : "";
  return none ? `Without biases ${known.keeper} is 0.5. ${CAVEAT}` : `${open}. ${CAVEAT}${digits}`;
}

/** "median 4.31 · max 5.88 steps", or those of one unit. */
function readoutText(known: LayerData, at: number | null): string {
  const { scales, keeper } = known;
  if (!scales || keeper === null) return "";
  if (at !== null && at < scales.length) {
    const bias = known.gates.find((gate) => gate.label === keeper)?.bias?.[at];
    const value = bias === undefined ? "" : ` · bias ${formatNumber(bias, 3)} · ${keeper} ${openText(bias)}`;
    return `unit ${at}${value} · τ ${formatNumber(scales[at] as number, 3)} steps`;
  }
  let most = Number.NEGATIVE_INFINITY;
  for (const tau of scales) if (tau > most) most = tau;
  return `τ median ${formatNumber(median(scales), 3)}, max ${formatNumber(most, 3)} steps`;
}

function openText(bias: number): string {
  return formatNumber(sigmoid(bias), 3);
}

interface Drawn {
  elements: Element[];
  mark(unit: number | null): void;
}

function drawScales(scales: Float64Array, known: LayerData, { unit, hovered }: UnitState): Drawn | null {
  const order = ranking(scales);
  const finite = Float64Array.from(scales)
    .filter((tau) => Number.isFinite(tau) && tau > 0)
    .map(Math.log10);
  if (finite.length === 0) return null;
  const [low, high] = domainOf(finite);
  const x = (rank: number): number => ((rank + 0.5) / order.length) * WIDTH;
  const y = (tau: number): number => {
    // What is beyond float64 is at the top.
    const log = Math.min(high, Math.max(low, Math.log10(tau)));
    return HEIGHT - ((log - low) / (high - low)) * HEIGHT;
  };
  const biases = known.gates.find((gate) => gate.label === known.keeper)?.bias ?? null;
  const paths = { "": "", saturated: "" };
  const rankOf = new Uint32Array(order.length);
  order.forEach((one, rank) => {
    rankOf[one] = rank;
    const tau = scales[one] as number;
    if (Number.isNaN(tau)) return;
    const beyond = Math.abs(biases?.[one] ?? 0) > SATURATED;
    paths[beyond ? "saturated" : ""] += `M${x(rank).toFixed(1)} ${y(tau).toFixed(2)}h0`;
  });
  const ticks = magnitudeTicks([low, high], 4);
  const marker = s("line", { class: "ww-gates-unit-mark", y1: 0, y2: HEIGHT });
  const svg = s(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `time scales of ${order.length} units, longest first`,
    },
    ...ticks.map((tick) =>
      s("line", {
        class: "ww-gates-gridline",
        x1: 0,
        x2: WIDTH,
        y1: y(10 ** tick.value),
        y2: y(10 ** tick.value),
      }),
    ),
    marker,
    s("path", { class: "ww-gates-dots", d: paths[""] }),
    s("path", { class: "ww-gates-dots ww-gates-dots-saturated", d: paths.saturated }),
  );
  const pad = h(
    "div",
    { class: "ww-gates-scales-pad", title: "click to choose a unit; sorted, longest first" },
    svg,
  );
  const unitAt = (event: PointerEvent | MouseEvent): number | null => {
    const box = pad.getBoundingClientRect();
    const rank = Math.floor(((event.clientX - box.left) / box.width) * order.length);
    return order[Math.min(order.length - 1, Math.max(0, rank))] ?? null;
  };
  pad.addEventListener("pointermove", (event) => {
    hovered.value = unitAt(event);
  });
  pad.addEventListener("pointerleave", () => {
    hovered.value = null;
  });
  pad.addEventListener("click", (event) => {
    unit.value = unitAt(event);
  });
  const labels = ticks.map((tick) =>
    h(
      "span",
      { class: "ww-gates-tick ww-soft ww-number", style: `top: ${y(10 ** tick.value)}%` },
      tick.label,
    ),
  );
  const saturated = paths.saturated === "" ? "" : ` · amber: bias beyond ±${SATURATED}`;
  return {
    elements: [
      h("div", { class: "ww-gates-scales-axis", "aria-hidden": "true" }, ...labels),
      pad,
      h(
        "div",
        { class: "ww-gates-caption ww-soft ww-gates-scales-foot" },
        `τ in steps of ${formatCount(order.length)} units, longest first${saturated}`,
      ),
    ],
    mark: (at) => {
      marker.style.display = at === null || at >= order.length ? "none" : "";
      if (at === null || at >= order.length) return;
      const place = x(rankOf[at] as number);
      set(marker, { x1: place, x2: place });
    },
  };
}

/** Of log10 τ, at least half a decade, with some room. */
export function domainOf(logs: ArrayLike<number>): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logs.length; i++) {
    low = Math.min(low, logs[i] as number);
    high = Math.max(high, logs[i] as number);
  }
  const short = Math.max(0, 0.5 - (high - low));
  const pad = 0.08 * (high - low) + short / 2;
  return [low - pad, high + pad];
}
