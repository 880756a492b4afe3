/** What a grid is given: its values, its statistics, its cells. Pure. */

import type { ReadonlySignal, Signal } from "@preact/signals-core";
import { formatExact } from "../../draw/format";
import type { StatisticFormat } from "../../statistics";
import type { Store } from "../../store";
import type { CellSizes } from "./geometry";

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
