/** Singular values, or the energy that they hold, against their rank. */

import { computed } from "@preact/signals-core";
import { magnitudeTicks, valueTicks } from "../../draw/axis";
import { formatCount, formatNumber, formatShare } from "../../draw/format";
import { s } from "../../draw/svg";
import { atRanks, cumulativeEnergy, noiseCurve, normOf } from "./curves";
import { dotsOf, type Frame, frame, pathOf, type Scale, wholeTicks } from "./plot";
import type { RankScale, SpectrumState } from "./state";

interface Picture {
  /** Singular values that are known, and how many there are. */
  values: Float64Array;
  count: number;
  frobenius: number;
  spikes: number;
  curves: { kind: "noise" | "init" | "shuffled"; values: Float64Array }[];
  edge: number;
  scale: RankScale;
}

export function rankPlot(state: SpectrumState): HTMLElement {
  const { store } = state;
  const plot = frame(
    store,
    "rank",
    "singular values by rank: the arrow keys step through them, Enter shows the vectors of one",
  );
  const picture = computed<Picture | null>(() => {
    const { top, full, shuffled } = state.known.value;
    const known = full ?? top;
    if (!known) return null;
    const count = Math.min(known.rows, known.cols);
    const curves: Picture["curves"] = [];
    if (full?.law && full.numbers.noise > 0 && state.showNoise.value) {
      const law = noiseCurve(full.law, full.numbers.noise, full.rows, full.cols);
      curves.push({ kind: "noise", values: atRanks(law, count) });
    }
    if (top?.init && state.showInit.value) curves.push({ kind: "init", values: atRanks(top.init, count) });
    if (shuffled && state.showShuffled.value) curves.push({ kind: "shuffled", values: shuffled });
    return {
      values: known.values,
      count,
      frobenius: full ? full.numbers.frobenius_norm : (top?.frobenius ?? Number.NaN),
      spikes: full?.spikes ?? 0,
      curves,
      edge: full && state.showNoise.value ? full.numbers.mp_edge : Number.NaN,
      scale: state.rankScale.value,
    };
  });
  const place = computed(() => {
    const drawn = picture.value;
    const { width, height } = plot.size.value;
    return drawn && width > 0 ? scalesOf(drawn, width, height) : null;
  });

  store.effect(() => {
    const drawn = picture.value;
    const scales = place.value;
    plot.element.style.visibility = drawn ? "visible" : "hidden";
    if (drawn && scales) draw(plot, drawn, scales);
  });

  const mark = s("path", { class: "ww-sp-hovered" });
  store.effect(() => {
    const drawn = picture.value;
    const scales = place.value;
    const rank = state.hovered.value;
    mark.remove();
    if (!drawn || !scales || rank === null || rank >= drawn.values.length) {
      plot.tip(null);
      return;
    }
    const x = scales.x.at(rank + 1);
    const y = scales.y.at(shownValues(drawn)[rank] as number);
    mark.setAttribute("d", `M${x},${y}h0`);
    plot.inside.append(mark);
    plot.tip(tipText(drawn, rank), drawn.scale === "energy" ? "below" : "above");
  });

  store.effect(() => {
    const at = plot.pointer.value;
    const scales = place.value;
    const drawn = picture.value;
    if (!at || !scales || !drawn) {
      state.hovered.value = null;
      return;
    }
    const rank = Math.round(scales.rankAt(at.x)) - 1;
    state.hovered.value = Math.min(drawn.values.length - 1, Math.max(0, rank));
  });
  const pad = plot.element.querySelector(".ww-sp-pad") as HTMLElement;
  const choose = (): void => {
    const rank = state.hovered.peek();
    const vectors = state.known.peek().top?.left.length ?? 0;
    if (rank !== null && rank < vectors) state.vector.value = rank;
  };
  pad.addEventListener("click", choose);
  pad.addEventListener("keydown", (event) => {
    const drawn = picture.peek();
    if (!drawn) return;
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (event.key === "Enter") choose();
    else if (event.key === "Home") state.hovered.value = 0;
    else if (event.key === "End") state.hovered.value = drawn.values.length - 1;
    else if (step !== 0) {
      const now = state.hovered.peek();
      const next = now === null ? 0 : now + step * (event.shiftKey ? 10 : 1);
      state.hovered.value = Math.min(drawn.values.length - 1, Math.max(0, next));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  pad.addEventListener("blur", () => {
    if (!plot.pointer.peek()) state.hovered.value = null;
  });
  return plot.element;
}

interface Scales {
  x: Scale;
  y: Scale;
  rankAt(x: number): number;
}

/** Decades below the largest value that the logarithmic axis shows at most: what lies lower is rounding. */
const DECADES = 9;

function shownValues({ values, frobenius, scale }: Picture): Float64Array {
  return scale === "energy" ? cumulativeEnergy(values, frobenius) : values;
}

function scalesOf(drawn: Picture, width: number, height: number): Scales {
  const { count, values, scale, curves } = drawn;
  const wide = Math.max(2, Math.floor(width / 70));
  const high = Math.max(2, Math.floor(height / 34));
  if (scale === "log") {
    const toX = (rank: number): number =>
      6 + (Math.log10(rank) / Math.log10(Math.max(2, count))) * (width - 12);
    const largest = Math.max(values[0] as number, ...curves.map((curve) => curve.values[0] as number));
    const top = Math.log10(largest || 1) + 0.06;
    let least = top;
    for (const list of [values, ...curves.map((curve) => curve.values)]) {
      for (const value of list) if (value > 0) least = Math.min(least, Math.log10(value));
    }
    const low = Math.max(Math.min(least - 0.06, top - 0.5), top - DECADES);
    const rankTicks = magnitudeTicks([0, Math.log10(Math.max(2, count))], wide)
      .filter(({ value }) => Number.isInteger(Number((10 ** value).toFixed(6))))
      .map(({ value }) => ({ value: 10 ** value, label: formatCount(10 ** value) }));
    return {
      x: { ticks: rankTicks, at: toX },
      y: {
        ticks: magnitudeTicks([low, top], high).map((tick) => ({ ...tick, value: 10 ** tick.value })),
        at: (value) => (value > 0 ? height * (1 - (Math.log10(value) - low) / (top - low)) : height + 10),
      },
      rankAt: (x) => 10 ** (((x - 6) / (width - 12)) * Math.log10(Math.max(2, count))),
    };
  }
  const pad = count > 1 ? 0.02 * (count - 1) : 0.5;
  const [first, last] = [1 - pad, count + pad];
  const toX = (rank: number): number => ((rank - first) / (last - first)) * width;
  const top =
    scale === "energy"
      ? 1
      : Math.max(values[0] as number, drawn.edge || 0, ...curves.map((curve) => curve.values[0] as number)) ||
        1;
  const yTicks = valueTicks([0, top], high).map((tick) =>
    scale === "energy" ? { ...tick, label: formatShare(tick.value) } : tick,
  );
  const rankTicks = wholeTicks([Math.max(1, first), last], wide);
  return {
    x: { ticks: rankTicks, at: toX },
    y: { ticks: yTicks, at: (value) => height * (1 - value / (top * 1.05)) },
    rankAt: (x) => first + (x / width) * (last - first),
  };
}

function draw(plot: Frame, drawn: Picture, { x, y }: Scales): void {
  const { values, spikes, curves, edge, scale, count } = drawn;
  const { width } = plot.size.peek();
  const shown = shownValues(drawn);
  const points = (list: Float64Array, from: number, to: number): [number, number][] =>
    Array.from(list.subarray(from, to), (value, i) => [x.at(from + i + 1), y.at(value)]);
  const nodes: SVGElement[] = [];
  for (const { kind, values: own } of curves) {
    const list = scale === "energy" ? cumulativeEnergy(own, normOf(own)) : own;
    nodes.push(s("path", { class: `ww-sp-curve ww-sp-${kind}`, d: pathOf(points(list, 0, count)) }));
  }
  const over: SVGElement[] = [];
  if (scale !== "energy" && edge > 0) {
    const at = y.at(edge);
    nodes.push(s("line", { class: "ww-sp-edge", x1: 0, x2: width, y1: at, y2: at }));
    const text = `MP edge ${formatNumber(edge, 3)}`;
    over.push(
      s(
        "text",
        { class: "ww-sp-label", x: width - 2, y: at < 13 ? at + 12 : at - 4, "text-anchor": "end" },
        text,
      ),
    );
  }
  const size = count > 400 ? 2.6 : count > 120 ? 3.4 : 4.4;
  const dots = (from: number, to: number, kind: string): SVGElement =>
    s("path", {
      class: `ww-sp-dots ww-sp-${kind}`,
      "stroke-width": size,
      d: dotsOf(points(shown, from, to)),
    });
  nodes.push(dots(spikes, values.length, "bulk"), dots(0, spikes, "spikes"));
  plot.inside.replaceChildren(...nodes);
  plot.over.replaceChildren(...over);
  plot.axes(x, y);
}

function tipText({ values, frobenius }: Picture, rank: number): string {
  const value = values[rank] as number;
  const energy = (value / frobenius) ** 2;
  const held = cumulativeEnergy(values.subarray(0, rank + 1), frobenius)[rank] as number;
  return [
    `rank ${formatCount(rank + 1)} · σ ${formatNumber(value)} · σ² ${formatNumber(value * value)}`,
    `${formatShare(energy)} of the energy, ${formatShare(held)} up to here`,
  ].join("\n");
}
