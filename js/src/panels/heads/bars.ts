/** The norms of a layer's projections as bars, one for each head. Shared keys and values have wide ones. */

import { PROJECTIONS } from "../../anatomy";
import { h } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { s, set } from "../../draw/svg";
import { lack } from "../../lack";
import { onWidth } from "./chart";
import { kvHead, roughNorms } from "./layers";
import type { HeadsState } from "./state";

const ROW = 40;
const LEFT = 46;
const RIGHT = 46;
const AXIS = 16;

export function normBars(state: HeadsState): HTMLElement {
  const { store } = state;
  const svg = s("svg", {
    class: "ww-heads-chart",
    role: "img",
    "aria-label": "norms of the projections of each head",
  });
  const note = h("p", { class: "ww-note" });
  const element = h(
    "div",
    { class: "ww-heads-part" },
    h("div", { class: "ww-heads-title" }, "Norms of each head"),
    svg,
    note,
  );
  let width = 0;

  const draw = (): void => {
    const layer = state.layer.value;
    const measured = layer && state.measures.value.get(layer.path);
    const selected = state.head.value;
    if (!layer || width === 0) return;
    const parts: SVGElement[] = [];
    const room = width - LEFT - RIGHT;
    const step = room / layer.heads;
    const gap = step >= 6 ? 2 : step >= 3 ? 1 : 0;
    let rough = false;
    let bound = false;
    let row = 0;
    for (const name of PROJECTIONS) {
      const blocks = layer[name];
      if (!blocks) continue;
      const full = measured?.get(`${name}_norm`);
      const without = full ? null : roughNorms(store.base.value, blocks);
      rough ||= without !== null;
      bound ||= without !== null && !without.exact;
      const span = layer.heads / blocks.count;
      const value = (block: number): number =>
        (full ? full[Math.round(block * span)] : without?.values[block]) ?? Number.NaN;
      const values = Array.from({ length: blocks.count }, (_, block) => value(block));
      const top = values.filter(Number.isFinite).reduce((a, b) => Math.max(a, b), 0);
      const base = row * ROW + ROW - 3;
      parts.push(s("text", { x: LEFT - 6, y: base - 1, "text-anchor": "end" }, name));
      parts.push(
        s("line", { class: "ww-line", x1: LEFT, x2: width - RIGHT, y1: base + 0.5, y2: base + 0.5 }),
      );
      values.forEach((norm, block) => {
        const heads = [Math.round(block * span), Math.round((block + 1) * span)] as const;
        const own =
          selected >= 0 && (blocks.count === layer.heads ? selected : kvHead(layer, selected)) === block;
        const size = top > 0 && Number.isFinite(norm) ? Math.max(1, (norm / top) * (ROW - 8)) : 0;
        const x = LEFT + heads[0] * step;
        const across = { x, width: Math.max(0.6, (heads[1] - heads[0]) * step - gap) };
        const bar = s("rect", { class: "ww-bar", "data-own": own, ...across, y: base - size, height: size });
        // The whole height takes the click, low bars too.
        const hit = s("rect", { class: "ww-hit", ...across, y: base - ROW + 5, height: ROW - 5 });
        const who =
          blocks.count === layer.heads
            ? `head ${block}`
            : `key/value head ${block}, heads ${heads[0]} – ${heads[1] - 1}`;
        hit.append(
          s("title", {}, `${name}, ${who}: ${Number.isFinite(norm) ? formatNumber(norm, 4) : "not known"}`),
        );
        hit.addEventListener("click", () => state.select(layer, heads[0]));
        parts.push(bar, hit);
      });
      if (top > 0) parts.push(s("text", { x: width - RIGHT + 5, y: base - ROW + 17 }, formatNumber(top, 3)));
      row++;
    }
    const every = [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100].find((one) => one * step >= 17) ?? 200;
    for (let head = 0; head < layer.heads; head++) {
      if (head % every !== 0 && head !== selected) continue;
      if (head !== selected && selected >= 0 && every > 1 && Math.abs(head - selected) < every) continue;
      const x = LEFT + (head + 0.5) * step - gap / 2;
      const own = head === selected;
      parts.push(s("text", { x, y: row * ROW + 12, "text-anchor": "middle", "data-own": own }, String(head)));
    }
    const height = row * ROW + AXIS;
    set(svg, { width, height, viewBox: `0 0 ${width} ${height}` });
    svg.replaceChildren(...parts);
    note.textContent = bound
      ? `at most: from the largest norm of some rows each, which is what there is without ${lack(store).short}`
      : rough
        ? "from the norms of rows that the overview holds"
        : "Frobenius norms; each row by its own largest, at the right";
  };
  store.effect(() => {
    if (state.shown.value) draw();
  });
  onWidth(svg.parentElement ?? element, store.lifetime, (now) => {
    width = now;
    draw();
  });
  return element;
}
