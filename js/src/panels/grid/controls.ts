/** The controls of a grid: which statistic, on which scale, what the colours mean, a copy of it all. */

import type { ReadonlySignal, Signal } from "@preact/signals-core";
import { css, type Palette } from "../../draw/colour";
import { copyText, h } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { type GridOptions, type GridStatistic, gridToText } from "./data";
import { colourAt, type GridScale, type Spread, valueOn } from "./scale";

/** What a grid draws now. */
export interface GridNow {
  readonly chosen: ReadonlySignal<GridStatistic | null>;
  /** Row-major: the values, NaN where unknown, and whether there is such a cell. */
  readonly values: ReadonlySignal<{ found: Float64Array; there: Uint8Array } | null>;
  readonly scale: ReadonlySignal<GridScale>;
  readonly colours: ReadonlySignal<Palette>;
  readonly spread: Signal<Spread>;
}

const SPREADS: Record<Spread, [label: string, title: string]> = {
  range: ["min – max", "colours from the smallest to the largest value"],
  zero: ["from 0", "colours from zero to the largest value"],
  log: ["log", "colours by the logarithm of the value"],
};

export function gridControls(options: GridOptions, now: GridNow): HTMLElement {
  return h(
    "div",
    { class: "ww-grid-bar" },
    chooser(options, now.chosen),
    ...(options.controls ?? []),
    legend(options, now),
    spreads(options, now),
    copyButton(options),
  );
}

function chooser(options: GridOptions, chosen: ReadonlySignal<GridStatistic | null>): HTMLElement {
  const select = h("select", { "aria-label": "statistic of the grid" });
  options.store.effect(() => {
    const groups = new Map<string, GridStatistic[]>();
    for (const one of options.statistics.value) {
      groups.set(one.group ?? "", [...(groups.get(one.group ?? "") ?? []), one]);
    }
    select.replaceChildren(
      ...[...groups].flatMap(([group, all]) => {
        const entries = all.map(({ key, label, help }) => h("option", { value: key, title: help }, label));
        return group ? [h("optgroup", { label: group }, ...entries)] : entries;
      }),
    );
    select.value = chosen.value?.key ?? "";
    select.title = chosen.value?.help ?? "";
  });
  select.addEventListener("change", () => {
    options.statistic.value = select.value;
  });
  return select;
}

function legend({ store }: GridOptions, { scale, values, colours }: GridNow): HTMLElement {
  const bar = h("canvas", { class: "ww-grid-scale", role: "img" });
  const low = h("span", { class: "ww-number" });
  const high = h("span", { class: "ww-number" });
  const unknown = h("span", { class: "ww-grid-unknown ww-soft", hidden: true }, h("i", {}), "not known");
  store.effect(() => {
    const now = scale.value;
    const cells = values.value;
    const some = cells?.found.some(Number.isFinite) ?? false;
    drawScale(bar, now, colours.value);
    const end = (value: number): string => (some ? formatNumber(value, 3) : "");
    low.textContent = end(now.low);
    high.textContent = (now.signed && some ? "+" : "") + end(now.high);
    bar.setAttribute("aria-label", `colours from ${low.textContent} to ${high.textContent}`);
    const middle = some ? `in the middle ${formatNumber(valueOn(now, now.signed ? 0 : 0.5), 3)}` : "";
    const rest = `${now.unplaced} values that are not above zero have the lowest colour`;
    bar.title = now.unplaced > 0 ? `${middle}; ${rest}` : middle;
    unknown.hidden = !cells?.found.some((value, at) => Number.isNaN(value) && cells.there[at]);
  });
  return h("span", { class: "ww-grid-legend" }, low, bar, high, unknown);
}

function spreads({ store }: GridOptions, { scale, spread }: GridNow): HTMLElement {
  const select = h("select", { "aria-label": "colour scale of the grid" });
  for (const [key, [label, title]] of Object.entries(SPREADS))
    select.append(h("option", { value: key, title }, label));
  select.addEventListener("change", () => {
    spread.value = select.value as Spread;
  });
  store.effect(() => {
    const signed = scale.value.signed;
    const options = [...select.options];
    (options[0] as HTMLOptionElement).textContent = signed ? "± largest" : SPREADS.range[0];
    (options[1] as HTMLOptionElement).hidden = signed;
    select.value = signed && spread.value === "zero" ? "range" : spread.value;
  });
  return select;
}

function copyButton({ data }: GridOptions): HTMLElement {
  const button = h("button", { type: "button", title: "copy the grid as a table" }, "copy");
  button.addEventListener("click", () => {
    const now = data.peek();
    if (now) void copyText(gridToText(now));
  });
  return button;
}

function drawScale(bar: HTMLCanvasElement, scale: GridScale, colours: Palette): void {
  const [width, height] = [220, 20];
  bar.width = width;
  bar.height = height;
  const context = bar.getContext("2d");
  if (!context) return;
  for (let x = 0; x < width; x++) {
    const t = x / (width - 1);
    context.fillStyle = css(colourAt(colours, scale, scale.signed ? 2 * t - 1 : t));
    context.fillRect(x, 0, 1, height);
  }
}
