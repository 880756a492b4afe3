/** The members in network order, each with its profile over all channels, on one axis. Only rows in sight are made. */

import { untracked } from "@preact/signals-core";
import { h, setText, setTitle } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { visible } from "../../draw/visible";
import type { SpaceData } from "./data";
import { openMember } from "./open";
import type { ChannelState } from "./state";
import { drawStrip, stepAt } from "./strip";
import { deviationText, roleOf, shortName, standingTitle } from "./words";

/** Heights of a row in CSS pixels: on one line, and in little room with the name above. */
const HEIGHT = { wide: 30, narrow: 52 };
const STRIP = 24;
/** Width from which a row is one line. */
const ONE_LINE = 620;
/** Robust standard deviations beyond which a number is marked. */
const FAR = 6;

interface Row {
  element: HTMLElement;
  canvas: HTMLCanvasElement;
  value: HTMLElement;
  rank: HTMLElement;
  deviation: HTMLElement;
}

export function memberRows(state: ChannelState): HTMLElement {
  const { store } = state;
  const space = h("div", { class: "ww-ch-rows-space" });
  const list = h(
    "div",
    { class: "ww-ch-rows", tabindex: 0, "aria-label": "tensors that carry the channel" },
    space,
  );
  const axis = h("div", { class: "ww-ch-axis ww-soft", "aria-hidden": "true" });
  const panel = h("div", { class: "ww-ch-list" }, axis, list);
  let made = new Map<number, Row>();
  let data: SpaceData | null = null;
  let narrow = false;
  let seen = "";

  const stripWidth = (): number => made.values().next().value?.canvas.clientWidth ?? 0;
  const rowHeight = (): number => (narrow ? HEIGHT.narrow : HEIGHT.wide);

  const layOut = (): void => {
    if (!data) return;
    const height = rowHeight();
    space.style.height = `${data.members.length * height}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / height) - 2);
    const last = Math.min(data.members.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + 2);
    for (const [at, row] of made) {
      if (at >= first && at < last) continue;
      row.element.remove();
      made.delete(at);
    }
    for (let at = first; at < last; at++) {
      if (made.has(at)) continue;
      const row = makeRow(state, data, at);
      row.element.style.top = `${at * height}px`;
      made.set(at, row);
      space.append(row.element);
    }
    drawAll();
  };
  const style = (): ReturnType<typeof inks> => inks(list);
  const drawAll = (): void => {
    if (!data) return;
    const colours = style();
    for (const [at, row] of made) draw(state, data, at, row, colours);
    drawAxis(axis, data.size, list, made.values().next().value?.canvas);
  };
  const renew = (): void => {
    for (const row of made.values()) row.element.remove();
    made = new Map();
    layOut();
  };

  store.effect(() => {
    const now = state.space.value;
    panel.hidden = now === null;
    if (now === data) return;
    const same = data !== null && now !== null && data.space === now.space;
    data = now;
    if (!same) list.scrollTop = 0;
    untracked(renew);
  });
  store.effect(() => {
    void [state.channel.value, state.standings.value];
    untracked(drawAll);
  });
  store.effect(() => {
    void store.theme.value;
    // The colours of the theme are there only once the element has it.
    queueMicrotask(drawAll);
  });
  store.effect(() => {
    const at = state.reveal.value;
    if (at === null) return;
    untracked(() => {
      const top = at * rowHeight();
      const seen = top >= list.scrollTop && top + rowHeight() <= list.scrollTop + list.clientHeight;
      if (!seen) list.scrollTop = top - (list.clientHeight - rowHeight()) / 2;
      state.reveal.value = null;
    });
  });
  store.effect(() => {
    // The selected tensor is marked, and brought into sight when it is another.
    const selected = store.traits.selected.value;
    const of = state.space.value;
    const key = `${of?.space} ${state.choices.value?.how} ${selected}`;
    const at = of ? of.members.findIndex((member) => member.tensor === selected) : -1;
    if (key !== seen && at >= 0) {
      seen = key;
      state.reveal.value = at;
    }
    for (const [at, row] of made) {
      row.element.toggleAttribute("data-selected", data?.members[at]?.tensor === selected);
    }
  });
  list.addEventListener("scroll", layOut, { passive: true });
  const observer = new ResizeObserver(() => {
    if (panel.clientWidth === 0) return;
    const now = panel.clientWidth < ONE_LINE;
    if (now !== narrow) {
      // What is in the middle stays there.
      const middle = (list.scrollTop + list.clientHeight / 2) / rowHeight();
      narrow = now;
      panel.dataset.form = narrow ? "narrow" : "wide";
      renew();
      list.scrollTop = middle * rowHeight() - list.clientHeight / 2;
    } else layOut();
  });
  panel.dataset.form = "wide";
  observer.observe(list);
  store.lifetime.addEventListener("abort", () => observer.disconnect());
  pointing(state, list, stripWidth);
  return panel;
}

/** Pointer over a strip: which member and which step; a click picks. */
function pointing(state: ChannelState, list: HTMLElement, width: () => number): void {
  const at = (event: PointerEvent | MouseEvent): { member: number; step: number } | null => {
    const data = state.space.peek();
    const canvas = (event.target as Element).closest?.<HTMLElement>("canvas.ww-ch-strip");
    const row = canvas?.closest<HTMLElement>("[data-member]");
    if (!data || !canvas || !row) return null;
    const x = event.clientX - canvas.getBoundingClientRect().left;
    return { member: Number(row.dataset.member), step: stepAt(x, width(), data.steps) };
  };
  list.addEventListener("pointermove", (event) => {
    const now = at(event);
    const before = state.hover.peek();
    if (now?.member !== before?.member || now?.step !== before?.step) state.hover.value = now;
  });
  list.addEventListener("pointerleave", () => {
    state.hover.value = null;
  });
  list.addEventListener("click", (event) => {
    const data = state.space.peek();
    const found = at(event);
    if (!data || !found) return;
    // Several steps may lie under one pixel: the one that stands out most is meant.
    const profile = data.profiles[found.member];
    const pixels = Math.max(1, width());
    const reach = Math.ceil(data.steps / pixels);
    let best = found.step;
    if (reach > 1 && profile) {
      const away = (step: number): number => {
        const far = [profile.low[step] as number, profile.high[step] as number];
        return Math.max(...far.map((value) => Math.abs(value - profile.spread.median) || 0));
      };
      for (let step = found.step; step < Math.min(data.steps, found.step + reach); step++) {
        if (away(step) > away(best)) best = step;
      }
    }
    state.pickStep(found.member, best);
  });
}

function makeRow(state: ChannelState, data: SpaceData, at: number): Row {
  const member = data.members[at] as SpaceData["members"][number];
  const owner = member.tensor.slice(0, Math.max(0, member.tensor.lastIndexOf(".")));
  const hasGain = data.members.some(
    (other) => other.role === "scales" && other.tensor.startsWith(`${owner}.`) && owner !== "",
  );
  const role = roleOf(member, hasGain);
  const name = h(
    "button",
    {
      type: "button",
      class: "ww-plain ww-ch-name",
      title: `${visible(member.tensor)}${member.part ? ` (${member.part})` : ""}: show in the heatmap`,
    },
    // Cut off from the left: the last parts tell the tensors of a network apart.
    h("span", { class: "ww-ch-where" }, h("bdi", {}, shortName(member))),
    member.part ? h("span", { class: "ww-soft ww-ch-part" }, member.part) : null,
  );
  name.addEventListener("click", () => {
    const standing = state.standings.peek()?.[at];
    openMember(state.store, member, standing?.position ?? -1);
  });
  const canvas = h("canvas", { class: "ww-ch-strip" });
  const value = h("span", { class: "ww-number ww-ch-value" });
  const rank = h("span", { class: "ww-number ww-ch-rank ww-soft" });
  const deviation = h("span", { class: "ww-number ww-ch-deviation" });
  const guess = h("span", { class: "ww-ch-guess", title: member.why }, member.certain ? "" : "?");
  const element = h(
    "div",
    {
      class: "ww-ch-row",
      "data-member": at,
      "data-tensor": member.tensor,
      "data-selected": state.store.traits.selected.peek() === member.tensor,
    },
    guess,
    h("span", { class: "ww-ch-role", title: role.title, "data-role": member.role }, role.label),
    name,
    canvas,
    value,
    rank,
    deviation,
  );
  if (member.error) {
    canvas.hidden = true;
    value.classList.add("ww-ch-error");
    setText(value, member.error);
    setTitle(value, member.error);
  }
  return { element, canvas, value, rank, deviation };
}

interface Inks {
  bar: string;
  faint: string;
  far: string;
  nothing: string;
  line: string;
  picked: string;
}

function inks(element: Element): Inks {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  return {
    bar: colour("--ww-mark"),
    faint: colour("--ww-ch-faint"),
    far: colour("--ww-brush"),
    nothing: colour("--ww-error"),
    line: colour("--ww-border"),
    picked: colour("--ww-accent"),
  };
}

function draw(state: ChannelState, data: SpaceData, at: number, row: Row, colours: Inks): void {
  const member = data.members[at] as SpaceData["members"][number];
  const profile = data.profiles[at] as SpaceData["profiles"][number];
  if (member.error) return;
  const channel = state.channel.peek();
  const standing = state.standings.peek()?.[at];
  const width = row.canvas.clientWidth;
  if (width > 0) {
    const step = channel === null ? -1 : Math.floor(channel / data.step);
    drawStrip(
      row.canvas,
      profile,
      { width, height: STRIP, ...colours },
      {
        role: member.role,
        norm: member.norm,
        picked: channel === null ? null : { step, value: standing?.value ?? Number.NaN },
      },
    );
  }
  if (channel === null || !standing) {
    row.value.textContent = Number.isFinite(profile.spread.median)
      ? formatNumber(profile.spread.median, 4)
      : "–";
    row.value.title = "median over all channels";
    row.value.dataset.is = "median";
    row.rank.textContent = "";
    row.deviation.textContent = "median";
    row.deviation.removeAttribute("data-far");
    return;
  }
  delete row.value.dataset.is;
  const carries = standing.rank > 0;
  row.value.textContent = carries ? formatNumber(standing.value, 4) : "–";
  row.value.title = standingTitle(standing);
  row.rank.textContent = carries ? `#${standing.rank}` : "";
  row.rank.title = standingTitle(standing);
  row.deviation.textContent = carries ? deviationText(standing.deviation) : "";
  row.deviation.title = standingTitle(standing);
  row.deviation.toggleAttribute("data-far", Math.abs(standing.deviation) > FAR);
}

/** Numbers of channels above the strips. */
function drawAxis(axis: HTMLElement, size: number, list: HTMLElement, canvas: HTMLElement | undefined): void {
  if (!canvas || canvas.clientWidth === 0) return;
  const left = canvas.getBoundingClientRect().left - list.getBoundingClientRect().left;
  const width = canvas.clientWidth;
  const key = `${size} ${left} ${width}`;
  if (axis.dataset.key === key) return;
  axis.dataset.key = key;
  const rough = size / Math.max(2, Math.floor(width / 55));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? 1);
  const labels: HTMLElement[] = [];
  for (let at = 0; at < size; at += step) {
    const label = h("span", { class: "ww-ch-tick" }, String(at));
    label.style.left = `${left + ((at + 0.5) / size) * width}px`;
    labels.push(label);
  }
  axis.replaceChildren(...labels);
}
