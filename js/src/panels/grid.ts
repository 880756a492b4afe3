/**
 * A grid of one statistic: layer × head, layer × expert. A cell is selected by a click or the arrow keys.
 * What the values are is the caller's: the grid draws, tells and selects.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { css, palette } from "../draw/colour";
import { copyText, h } from "../draw/dom";
import { formatCount, formatExact, formatNumber, formatShare } from "../draw/format";
import type { StatisticFormat } from "../statistics";
import type { Store } from "../store";
import { drawGrid, type GridInks, type GridScene, inksOf } from "./grid/draw";
import { CELL_SIZES, type CellSizes, cellAt, type GridGeometry, gridGeometry } from "./grid/geometry";
import { colourAt, type GridScale, gridScale, type Spread, valueOn } from "./grid/scale";

export { shortLabels } from "./grid/geometry";

/** What a grid shows. */
export interface GridData {
  readonly rows: number;
  readonly cols: number;
  /** Short, as they stand beside the rows; see shortLabels. */
  readonly rowLabels: readonly string[];
  readonly colLabels: readonly string[];
  /** What rows and columns are: "layer", "head". */
  readonly rowTitle: string;
  readonly colTitle: string;
  /** NaN where it is not known (yet): hatched. */
  value(row: number, col: number): number;
  /** What is selected by a click on the cell; null where there is no such cell, as in a layer with fewer heads. */
  path(row: number, col: number): string | null;
  /** Full name of a row, for the tooltip; without it the label. */
  rowName?(row: number): string;
  /** Further lines of the tooltip. */
  details?(row: number, col: number): readonly string[];
}

/** A statistic that can be chosen. */
export interface GridStatistic {
  readonly key: string;
  readonly label: string;
  readonly help: string;
  readonly format?: StatisticFormat;
  /** Whether zero has the middle of the colours; without it that is so where values are negative. */
  readonly signed?: boolean;
  /** Heading in the list of statistics. */
  readonly group?: string;
}

export interface GridOptions {
  readonly store: Store;
  /** Null: nothing to draw. A new object whenever a value has changed. */
  readonly data: ReadonlySignal<GridData | null>;
  readonly statistics: ReadonlySignal<readonly GridStatistic[]>;
  /** Key of the chosen statistic; the grid sets it when another one is chosen. */
  readonly statistic: Signal<string>;
  /** The selected cell; a row with col −1 where only the row is selected. */
  readonly selected: ReadonlySignal<readonly [row: number, col: number] | null>;
  /** Without it, `store.select(path)`. */
  onSelect?(path: string, row: number, col: number): void;
  /** What the grid is, for assistive tools: "statistic of each head". */
  readonly label: string;
  readonly sizes?: CellSizes;
  /** Further controls, beside the choice of the statistic. */
  readonly controls?: readonly HTMLElement[];
}

const SPREADS: Record<Spread, [label: string, title: string]> = {
  range: ["min – max", "colours from the smallest to the largest value"],
  zero: ["from 0", "colours from zero to the largest value"],
  log: ["log", "colours by the logarithm of the value"],
};

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
    h(
      "div",
      { class: "ww-grid-bar" },
      chooser(options, chosen),
      ...(options.controls ?? []),
      legend(),
      spreads(),
      copyButton(),
    ),
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
    spoken.textContent = lines(at).join(", ");
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

  function legend(): HTMLElement {
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

  function spreads(): HTMLElement {
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

  function copyButton(): HTMLElement {
    const button = h("button", { type: "button", title: "copy the grid as a table" }, "copy");
    button.addEventListener("click", () => {
      const now = data.peek();
      if (now) void copyText(gridToText(now));
    });
    return button;
  }
  return element;
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

/** The cell that a key leads to; null if it leads nowhere. Cells that are not there are stepped over. */
export function stepped(
  data: Pick<GridData, "rows" | "cols" | "path">,
  from: readonly [number, number] | null,
  key: string,
): readonly [number, number] | null {
  const there = (row: number, col: number): boolean => data.path(row, col) !== null;
  const walk = (row: number, col: number, down: number, right: number): readonly [number, number] | null => {
    for (; row >= 0 && row < data.rows && col >= 0 && col < data.cols; row += down, col += right) {
      if (there(row, col)) return [row, col];
    }
    return null;
  };
  const steps: Record<string, [number, number]> = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };
  const step = steps[key];
  if (step) {
    if (!from) return walk(0, 0, 0, 1);
    // From a row as a whole every way leads to a cell of it, or of its neighbour.
    if (from[1] < 0) return walk(from[0] + step[0], 0, step[0] || 1, 0);
    return walk(from[0] + step[0], from[1] + step[1], step[0], step[1]);
  }
  const row = from?.[0] ?? 0;
  if (key === "Home") return walk(row, 0, 0, 1);
  if (key === "End") return walk(row, data.cols - 1, 0, -1);
  return null;
}

/** A table with all digits, one row a line. */
export function gridToText(data: GridData): string {
  const clean = (text: string): string => text.replace(/[\t\r\n]/g, " ");
  const head = [`${data.rowTitle} \\ ${data.colTitle}`, ...data.colLabels];
  const body = Array.from({ length: data.rows }, (_, row) => [
    data.rowName?.(row) ?? data.rowLabels[row] ?? "",
    ...Array.from({ length: data.cols }, (_, col) =>
      data.path(row, col) === null ? "" : formatExact(data.value(row, col)),
    ),
  ]);
  return `${[head, ...body].map((cells) => cells.map(clean).join("\t")).join("\n")}\n`;
}

/** Labels take what they need, up to a third of the room. */
function labelWidth(context: CanvasRenderingContext2D, data: GridData, inks: GridInks, room: number): number {
  context.font = `600 11px ${inks.font}`;
  const widths = [...data.rowLabels, data.rowTitle].map((label) => context.measureText(label).width);
  return Math.ceil(Math.min(Math.max(...widths, 20) + 16, Math.max(60, room / 3)));
}

function drawScale(bar: HTMLCanvasElement, scale: GridScale, colours: ReturnType<typeof palette>): void {
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
