/**
 * A grid of one statistic: layer × head, layer × expert. A cell is selected by a click or the arrow keys.
 * What the values are is the caller's: the grid draws, tells and selects.
 */

import { computed, signal } from "@preact/signals-core";
import { palette } from "../draw/colour";
import { h, setText } from "../draw/dom";
import { formatCount, formatNumber, formatShare } from "../draw/format";
import { gridControls } from "./grid/controls";
import { type GridData, type GridOptions, stepped } from "./grid/data";
import { drawGrid, type GridInks, type GridScene, inksOf } from "./grid/draw";
import { CELL_SIZES, cellAt, type GridGeometry, gridGeometry } from "./grid/geometry";
import { gridScale, type Spread } from "./grid/scale";

export { type GridData, type GridOptions, type GridStatistic, gridToText, stepped } from "./grid/data";
export { shortLabels } from "./grid/geometry";

/** Everything that a grid needs: its controls, canvas, legend and tooltip. */
export function gridPanel(options: GridOptions): HTMLElement {
  const { store, data, statistic } = options;
  const spread = signal<Spread>("range");
  const hover = signal<readonly [number, number] | null>(null);
  const chosen = computed(() => {
    const all = options.statistics.value;
    return all.find(({ key }) => key === statistic.value) ?? all[0] ?? null;
  });
  const values = computed(() => {
    const now = data.value;
    if (!now) return null;
    const found = new Float64Array(now.rows * now.cols).fill(Number.NaN);
    const there = new Uint8Array(now.rows * now.cols);
    for (let at = 0; at < found.length; at++) {
      const [row, col] = [Math.floor(at / now.cols), at % now.cols];
      if (now.path(row, col) === null) continue;
      there[at] = 1;
      found[at] = now.value(row, col);
    }
    return { found, there };
  });
  const scale = computed(() => gridScale(values.value?.found ?? [], spread.value, chosen.value?.signed));
  const colours = computed(() => palette(store.traits.color_map.value, store.theme.value));

  const canvas = h("canvas", { class: "ww-grid-canvas", role: "img" });
  const tip = h("div", { class: "ww-grid-tip", hidden: true });
  /** Lies over the cell that keys have gone to, to be scrolled to. */
  const anchor = h("div", { class: "ww-grid-anchor", "aria-hidden": "true" });
  const spoken = h("div", { class: "ww-grid-spoken", "aria-live": "polite" });
  const plot = h(
    "div",
    {
      class: "ww-grid-plot",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "grid",
      "aria-label": `${options.label}. Arrow keys move, Home and End go to the ends of a row.`,
    },
    canvas,
    anchor,
  );
  const element = h(
    "div",
    { class: "ww-grid" },
    gridControls(options, { chosen, values, scale, colours, spread }),
    h("div", { class: "ww-grid-room" }, plot, tip, spoken),
  );

  let geo: GridGeometry | null = null;
  let inks: GridInks | null = null;
  let frame = 0;
  const request = (): void => {
    if (!frame) frame = requestAnimationFrame(draw);
  };
  const draw = (): void => {
    frame = 0;
    const now = data.peek();
    const cells = values.peek();
    const room = plot.clientWidth;
    plot.hidden = now === null;
    if (!now || !cells || room === 0) return;
    const ratio = globalThis.devicePixelRatio || 1;
    inks ??= inksOf(plot);
    const context = canvas.getContext("2d");
    if (!context) return;
    geo = gridGeometry(
      now.rows,
      now.cols,
      room,
      labelWidth(context, now, inks, room),
      options.sizes ?? CELL_SIZES,
    );
    const size = [Math.round(geo.width * ratio), Math.round(geo.height * ratio)] as const;
    if (canvas.width !== size[0] || canvas.height !== size[1]) {
      [canvas.width, canvas.height] = size;
      canvas.style.width = `${geo.width}px`;
      canvas.style.height = `${geo.height}px`;
    }
    const at = options.selected.peek();
    const scene: GridScene = {
      geo,
      ratio,
      ...{
        rowLabels: now.rowLabels,
        colLabels: now.colLabels,
        rowTitle: now.rowTitle,
        colTitle: now.colTitle,
      },
      values: cells.found,
      there: cells.there,
      scale: scale.peek(),
      palette: colours.peek(),
      inks,
      selected: at && at[1] >= 0 ? at : null,
      selectedRow: at && at[1] < 0 ? at[0] : null,
      hover: hover.peek(),
    };
    drawGrid(context, scene);
  };

  const observer = new ResizeObserver(request);
  observer.observe(plot);
  store.lifetime.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });
  store.effect(() => {
    void store.theme.value;
    inks = null;
  });
  store.effect(() => {
    void [
      values.value,
      scale.value,
      colours.value,
      options.selected.value,
      hover.value,
      chosen.value,
      store.theme.value,
    ];
    request();
  });
  store.effect(() => {
    const now = data.value;
    const what =
      now && chosen.value
        ? `${chosen.value.label}, ${now.rows} ${now.rowTitle} × ${now.cols} ${now.colTitle}`
        : "";
    canvas.setAttribute("aria-label", what);
  });

  const toCell = (event: MouseEvent): readonly [number, number] | null => {
    const box = canvas.getBoundingClientRect();
    const at = geo && cellAt(geo, event.clientX - box.left, event.clientY - box.top);
    return at && data.peek()?.path(at[0], at[1]) !== null ? at : null;
  };
  const point = (at: readonly [number, number] | null): void => {
    if (String(at) !== String(hover.peek())) hover.value = at;
  };
  plot.addEventListener("pointermove", (event) => {
    point(toCell(event));
    placeTip(event.clientX, event.clientY);
  });
  plot.addEventListener("pointerleave", () => point(null));
  plot.addEventListener("scroll", () => point(null));
  plot.addEventListener("click", (event) => {
    const at = toCell(event);
    if (at) select(at);
  });
  const select = (at: readonly [number, number]): void => {
    const path = data.peek()?.path(at[0], at[1]);
    if (path === null || path === undefined) return;
    if (options.onSelect) options.onSelect(path, at[0], at[1]);
    else store.select(path);
    setText(spoken, lines(at).join(", "));
  };
  plot.addEventListener("keydown", (event) => {
    const now = data.peek();
    if (!now || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = stepped(now, options.selected.peek() ?? null, event.key);
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    select(to);
    scrollTo(to);
  });
  const scrollTo = ([row, col]: readonly [number, number]): void => {
    if (!geo) return;
    anchor.style.left = `${geo.left + col * geo.cellWidth}px`;
    anchor.style.top = `${geo.top + row * geo.cellHeight}px`;
    anchor.style.width = `${geo.cellWidth}px`;
    anchor.style.height = `${geo.cellHeight}px`;
    anchor.scrollIntoView({ block: "nearest", inline: "nearest" });
  };

  const told = (value: number): string => {
    if (Number.isNaN(value)) return "not known";
    const format = chosen.peek()?.format ?? "number";
    return format === "count"
      ? formatCount(value)
      : format === "share"
        ? formatShare(value)
        : formatNumber(value, 5);
  };
  const lines = ([row, col]: readonly [number, number]): string[] => {
    const now = data.peek();
    if (!now) return [];
    const name = now.rowName?.(row) ?? `${now.rowTitle} ${now.rowLabels[row]}`;
    return [
      `${name} · ${now.colTitle} ${now.colLabels[col]}`,
      `${chosen.peek()?.label ?? ""} ${told(now.value(row, col))}`,
      ...(now.details?.(row, col) ?? []),
    ];
  };
  store.effect(() => {
    const at = hover.value;
    void values.value;
    tip.hidden = at === null;
    if (at)
      tip.replaceChildren(
        ...lines(at).map((line, i) => h("div", { class: i === 1 ? "ww-grid-value" : "" }, line)),
      );
  });
  const placeTip = (x: number, y: number): void => {
    const box = (tip.offsetParent ?? element).getBoundingClientRect();
    const [left, top] = [x - box.left + 12, y - box.top + 14];
    // To the left of the pointer where there is no room at its right.
    tip.style.left = `${Math.max(0, left + tip.offsetWidth > box.width ? left - tip.offsetWidth - 22 : left)}px`;
    tip.style.top = `${top}px`;
  };

  return element;
}

/** Labels take what they need, up to a third of the room. */
function labelWidth(context: CanvasRenderingContext2D, data: GridData, inks: GridInks, room: number): number {
  context.font = `600 11px ${inks.font}`;
  const widths = [...data.rowLabels, data.rowTitle].map((label) => context.measureText(label).width);
  return Math.ceil(Math.min(Math.max(...widths, 20) + 16, Math.max(60, room / 3)));
}
