/** The scatter of norm against the cosine to the nearest neighbour: brushing, pointing, choosing. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { h } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import { s, set } from "../../draw/svg";
import { lack } from "../../lack";
import { drawScatter, type Inks, inksOf, type ScatterGeometry, scatterGeometry, toX, toY } from "./draw";
import { label } from "./label";
import type { TokenState } from "./state";
import { type Brush, extent, padded, type Quantity } from "./table";

const TITLES: Record<Quantity, string> = {
  norm: "norm",
  cosine: "cosine to the nearest neighbour",
  entry: "number of the entry",
  "near unused": "cosine to the mean of the known unused",
  distance: "distance to the mean of the known unused",
};

/** Movement in pixels up to which a press is a click. */
const CLICK = 4;
/** How near the pointer must be to a point, in pixels. */
const REACH = 9;

export function scatterPanel(state: TokenState): HTMLElement {
  const { store } = state;
  const canvas = h("canvas", { class: "ww-tok-canvas", role: "img", "aria-label": "norms of all entries" });
  const held = s("rect", { class: "ww-tok-held" });
  const ring = s("circle", { class: "ww-tok-ring", r: 6 });
  const pick = s("circle", { class: "ww-tok-pick", r: 6 });
  const overlay = s("svg", { class: "ww-tok-overlay", "aria-hidden": "true" }, held, pick, ring);
  const tip = h("div", { class: "ww-tok-tip", hidden: true });
  const pad = h(
    "div",
    {
      class: "ww-tok-plot",
      tabindex: 0,
      role: "group",
      "aria-label": "drag a rectangle to list the tokens in it; Escape clears it",
    },
    canvas,
    overlay,
    tip,
  );

  const size = signal({ width: 0, height: 0 });
  const observer = new ResizeObserver((entries) => {
    const { width, height } = entries[0]?.contentRect ?? { width: 0, height: 0 };
    if (width > 0 && height > 0) size.value = { width: Math.floor(width), height: Math.floor(height) };
  });
  observer.observe(pad);
  store.lifetime.addEventListener("abort", () => observer.disconnect());

  const geo = computed(() => scatterGeometry(size.value.width, size.value.height));
  const xs = state.norms;
  const ys = computed(() => (state.normStep.value > 1 ? null : state.values(state.vertical.value)));
  const x = computed<readonly [number, number]>(() => padded(extent(xs.value ?? []) ?? [0, 1]));
  const y = computed<readonly [number, number] | null>(() => {
    const found = ys.value && extent(ys.value);
    return found ? padded(found) : null;
  });
  const scene = {
    brushed: asSet(state.brushed),
    flagged: asSet(state.flagged),
    known: computed(() => new Set(state.reference.value?.entries ?? [])),
  };

  let inks: Inks | null = null;
  let frame = 0;
  const draw = (): void => {
    frame = 0;
    const { width, height } = size.peek();
    const context = canvas.getContext("2d");
    if (!context || width === 0) return;
    const ratio = globalThis.devicePixelRatio || 1;
    const [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== t) [canvas.width, canvas.height] = [w, t];
    inks ??= inksOf(pad);
    drawScatter(context, {
      geo: geo.peek(),
      ratio,
      inks,
      xs: xs.peek() ?? [],
      ys: ys.peek(),
      x: x.peek(),
      y: y.peek(),
      xTitle: state.normStep.peek() > 1 ? "largest norm of neighbouring entries" : "norm",
      yTitle: y.peek() ? TITLES[state.vertical.peek()] : "",
      brushed: scene.brushed.peek(),
      flagged: scene.flagged.peek(),
      known: scene.known.peek(),
      threshold:
        state.vertical.peek() === "cosine" && state.neighbours.peek() ? state.threshold.peek() : null,
      message: message(state),
    });
  };
  store.effect(() => {
    void store.theme.value;
    inks = null;
  });
  store.effect(() => {
    const told = [xs, ys, x, y, geo, state.neighbours, state.searching, state.threshold, state.vertical];
    for (const one of [...told, scene.brushed, scene.flagged, scene.known, state.problems]) void one.value;
    void [store.theme.value, store.model.kernel.value];
    if (!frame) frame = requestAnimationFrame(draw);
  });
  store.lifetime.addEventListener("abort", () => cancelAnimationFrame(frame));

  const place = (entry: number | null): [number, number] | null => {
    const [across, up] = [xs.value, ys.value];
    if (entry === null || !across || !up || !y.value) return null;
    const at: [number, number] = [
      toX(geo.value, x.value, across[entry] as number),
      toY(geo.value, y.value, up[entry] as number),
    ];
    return at.every(Number.isFinite) ? at : null;
  };
  const mark = (circle: SVGCircleElement, entry: number | null): void => {
    const at = place(entry);
    set(circle, { visibility: at ? "visible" : "hidden", ...(at ? { cx: at[0], cy: at[1] } : {}) });
  };
  store.effect(() => mark(ring, state.hovered.value));
  store.effect(() => mark(pick, state.chosen.value));
  const drag = signal<Brush | null>(null);
  store.effect(() => {
    const brush = drag.value ?? state.brush.value;
    const all = geo.value;
    set(held, { visibility: brush && xs.value ? "visible" : "hidden" });
    if (!brush) return;
    const [left, right] = brush.x.map((value) => within(toX(all, x.value, value), all.left, all.right));
    const [low, high] = brush.y && y.value ? brush.y : [null, null];
    const bottom =
      low === null ? all.bottom : within(toY(all, y.value as [number, number], low), all.top, all.bottom);
    const top =
      high === null ? all.barsTop : within(toY(all, y.value as [number, number], high), all.top, all.bottom);
    set(held, {
      x: left,
      width: Math.max(1, (right as number) - (left as number)),
      y: top,
      height: Math.max(1, bottom - top),
    });
  });

  const pointed = signal<{ entry: number; x: number; y: number } | null>(null);
  store.effect(() => {
    const at = pointed.value;
    void state.arrivals.value;
    tip.hidden = at === null;
    if (!at) return;
    const nearest = state.neighbours.value?.nearest[at.entry] ?? -1;
    const cosine = state.neighbours.value?.cosine[at.entry] ?? Number.NaN;
    tip.replaceChildren(
      h("div", {}, label(state, at.entry, true)),
      h("div", { class: "ww-soft" }, `norm ${formatNumber(xs.value?.[at.entry] ?? Number.NaN, 4)}`),
      ...(nearest >= 0
        ? [
            h(
              "div",
              { class: "ww-soft" },
              `nearest `,
              label(state, nearest),
              ` · cos ${formatNumber(cosine, 4)}`,
            ),
          ]
        : []),
    );
    const left = at.x + 14;
    tip.style.left = `${left + tip.offsetWidth > size.value.width ? Math.max(0, at.x - 14 - tip.offsetWidth) : left}px`;
    tip.style.top = `${Math.min(at.y + 12, size.value.height - tip.offsetHeight - 2)}px`;
  });

  gestures();
  function gestures(): void {
    let from: { id: number; x: number; y: number; moved: boolean } | null = null;
    const at = (event: MouseEvent): [number, number] => {
      const box = pad.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const valueX = (px: number): number => {
      const { left, right } = geo.peek();
      const [low, high] = x.peek();
      return low + ((within(px, left, right) - left) / (right - left)) * (high - low);
    };
    const valueY = (py: number): number => {
      const { top, bottom } = geo.peek();
      const [low, high] = y.peek() as readonly [number, number];
      return low + ((bottom - within(py, top, bottom)) / (bottom - top)) * (high - low);
    };
    pad.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || state.normStep.peek() > 1) return;
      const [px, py] = at(event);
      from = { id: event.pointerId, x: px, y: py, moved: false };
      pad.setPointerCapture(event.pointerId);
    });
    pad.addEventListener("pointermove", (event) => {
      const [px, py] = at(event);
      if (!from) {
        const entry = nearestPoint(px, py, xs.peek(), ys.peek(), geo.peek(), x.peek(), y.peek());
        state.hovered.value = entry;
        pointed.value = entry === null ? null : { entry, x: px, y: py };
        return;
      }
      if (!from.moved && Math.hypot(px - from.x, py - from.y) < CLICK) return;
      from.moved = true;
      pointed.value = null;
      const [a, b] = [valueX(from.x), valueX(px)];
      // Begun in the histogram, an interval of norms is meant.
      const whole = !y.peek() || from.y < geo.peek().barsBottom + 8;
      const [c, d] = whole ? [0, 0] : [valueY(from.y), valueY(py)];
      drag.value = {
        x: [Math.min(a, b), Math.max(a, b)],
        y: whole ? null : [Math.min(c, d), Math.max(c, d)],
      };
    });
    pad.addEventListener("pointerup", (event) => {
      if (from?.id !== event.pointerId) return;
      const { moved } = from;
      from = null;
      const brush = drag.peek();
      drag.value = null;
      if (moved && brush) {
        state.brush.value = brush;
        state.list.value = "brushed";
        return;
      }
      const [px, py] = at(event);
      const entry = nearestPoint(px, py, xs.peek(), ys.peek(), geo.peek(), x.peek(), y.peek());
      if (entry !== null) state.chosen.value = entry;
      else clear();
    });
    pad.addEventListener("pointercancel", () => {
      from = null;
      drag.value = null;
    });
    pad.addEventListener("pointerleave", () => {
      pointed.value = null;
      state.hovered.value = null;
    });
    pad.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || (!drag.peek() && !state.brush.peek())) return;
      event.preventDefault();
      event.stopPropagation();
      if (drag.peek()) {
        drag.value = null;
        from = null;
      } else clear();
    });
    const clear = (): void => {
      state.brush.value = null;
      if (state.list.peek() === "brushed") state.list.value = "all";
    };
  }
  return pad;
}

function message(state: TokenState): string {
  const gone = state.store.model.kernel.peek() === "gone";
  if (state.vertical.peek() === "cosine" && !state.neighbours.peek()) {
    const share = state.searching.peek();
    if (gone) return `with ${lack(state.store).short}: each token against its nearest neighbour`;
    if (share !== null) return `looking for nearest neighbours … ${Math.round(share * 100)} %`;
    if (state.problems.peek().map) return state.problems.peek().map as string;
    return state.norms.peek() ? "nearest neighbours were not looked for" : "";
  }
  return gone && state.normStep.peek() > 1 ? `with ${lack(state.store).short}: every token` : "";
}

/** The entry whose point is nearest to the pointer and near enough; null if none is. */
export function nearestPoint(
  px: number,
  py: number,
  xs: ArrayLike<number> | null,
  ys: ArrayLike<number> | null,
  geo: ScatterGeometry,
  x: readonly [number, number],
  y: readonly [number, number] | null,
): number | null {
  if (!xs || !ys || !y || py < geo.top - REACH) return null;
  let [best, found] = [REACH * REACH, -1];
  for (let entry = 0; entry < xs.length; entry++) {
    const dx = toX(geo, x, xs[entry] as number) - px;
    if (!(Math.abs(dx) <= REACH)) continue;
    const dy = toY(geo, y, ys[entry] as number) - py;
    const distance = dx * dx + dy * dy;
    if (distance < best) [best, found] = [distance, entry];
  }
  return found < 0 ? null : found;
}

function asSet(list: ReadonlySignal<readonly number[]>): ReadonlySignal<ReadonlySet<number>> {
  return computed(() => new Set(list.value));
}

function within(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

export function entriesWord(count: number, entries: string): string {
  const words = { token: ["token", "tokens"], position: ["position", "positions"], type: ["type", "types"] };
  const [one, more] = words[entries as keyof typeof words] ?? ["entry", "entries"];
  return `${formatCount(count)} ${count === 1 ? one : more}`;
}
