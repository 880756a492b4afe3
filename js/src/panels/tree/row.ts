/** One recycled row of the tree. */

import { h, setText, setTitle } from "../../draw/dom";
import { formatCount, formatShape, formatShort } from "../../draw/format";
import { drawSparkline } from "../../draw/sparkline";
import { visible } from "../../draw/visible";
import { lack } from "../../lack";
import type { Store } from "../../store";
import { isGroupOfBlocks, rowOf } from "./merged";
import type { TreeState, VisibleRow } from "./state";
import { flagOf, markedRanges, statisticText, tooltipOf } from "./text";

export const ROW_HEIGHT = 24;
const SPARK_HEIGHT = 17;

/** What all rows of one drawing have in common. */
export interface RowContext {
  store: Store;
  state: TreeState;
  idPrefix: string;
  /** Key of the selected node. */
  selected: string;
  /** Key of the node that has the keyboard focus. */
  active: string;
  marks: readonly string[];
  /** Width of the sparkline, 0 for none. */
  spark: number;
  indent: number;
  colors: { mark: string; accent: string };
}

export interface RowElement {
  readonly root: HTMLElement;
  bind(at: number, row: VisibleRow, context: RowContext): void;
}

export function createRow(): RowElement {
  const twisty = h("span", { class: "ww-tree-twisty" });
  const label = h("span", { class: "ww-tree-label" });
  const note = h("span", { class: "ww-tree-note" });
  const name = h("span", { class: "ww-tree-name" }, twisty, label, note);
  const canvas = h("canvas", { class: "ww-tree-spark", "aria-hidden": "true" });
  const statistic = h("span", { class: "ww-tree-stat ww-number" });
  const size = h("span", { class: "ww-tree-size ww-number ww-soft" });
  const flag = h("span", { class: "ww-tree-flag" });
  const root = h("div", { class: "ww-tree-row", role: "treeitem" }, name, canvas, statistic, size, flag);

  const bind = (at: number, row: VisibleRow, context: RowContext): void => {
    const { store, state } = context;
    const { node } = row;
    const overview = store.overview.value;
    const line = rowOf(overview, node);
    const selected = node.key === context.selected;

    root.id = `${context.idPrefix}-${at}`;
    root.style.transform = `translateY(${at * ROW_HEIGHT}px)`;
    root.dataset.path = node.path;
    root.dataset.kind = node.kind;
    root.dataset.row = String(at);
    setTitle(root, tooltipOf(overview, node, line));
    root.toggleAttribute("data-active", node.key === context.active);
    root.setAttribute("aria-selected", String(selected));
    root.setAttribute("aria-level", String(row.level));
    root.setAttribute("aria-posinset", String(row.position));
    root.setAttribute("aria-setsize", String(row.siblings));
    if (row.open === null) root.removeAttribute("aria-expanded");
    else root.setAttribute("aria-expanded", String(row.open));

    // The children of the root stand below it without a step: width is dear.
    name.style.paddingLeft = `${Math.max(0, row.level - 1) * context.indent}px`;
    writeLabel(label, row, context);
    setText(note, noteOf(row, context, line));

    const value = state.statistic(node, store.statistic.value);
    statistic.textContent = statisticText(store.statistic.value, value);
    const count = state.statistic(node, "count");
    size.textContent = isGroupOfBlocks(node) ? "" : formatShort(count);
    size.title = isGroupOfBlocks(node) ? "" : `${formatCount(count)} weights`;
    const mark = flagOf(overview, line, (key) => state.statistic(node, key));
    flag.textContent = mark?.glyph ?? "";
    setTitle(flag, mark?.text ?? "");
    flag.dataset.tone = mark?.tone ?? "";
    // A span without a role cannot be named: the words are in the row's own description.
    if (mark) root.setAttribute("aria-description", visible(mark.text));
    else root.removeAttribute("aria-description");

    const known = line < 0 || overview.summarised(line);
    root.toggleAttribute("data-pending", !known);
    if (context.spark > 0) {
      drawSparkline(canvas, known ? state.histogram(node) : null, {
        width: context.spark,
        height: SPARK_HEIGHT,
        color: selected ? context.colors.accent : context.colors.mark,
      });
    }
  };
  return { root, bind };
}

function writeLabel(label: HTMLElement, row: VisibleRow, context: RowContext): void {
  const { node } = row;
  const text = node.path === "" && node.kind === "module" ? context.store.overview.value.name : node.label;
  if (text === "") {
    label.textContent = "(no name)";
    return;
  }
  const ranges = text === node.label ? markedRanges(node, context.marks) : [];
  if (ranges.length === 0) {
    label.textContent = visible(text);
    return;
  }
  const pieces: (Node | string)[] = [];
  let from = 0;
  for (const [start, stop] of ranges) {
    if (start > from) pieces.push(visible(text.slice(from, start)));
    pieces.push(h("mark", {}, visible(text.slice(start, stop))));
    from = stop;
  }
  if (from < text.length) pieces.push(visible(text.slice(from)));
  label.replaceChildren(...pieces);
}

function noteOf(row: VisibleRow, { store, state }: RowContext, line: number): string {
  const { node } = row;
  const overview = store.overview.value;
  if (node.kind === "group") {
    const all = node.children.length;
    const shown = state.filtered.value
      ? node.children.filter((child) => state.passing(child) > 0).length
      : all;
    if (isGroupOfBlocks(node)) return `×${all}`;
    return shown < all ? `${shown} of ×${all}` : `×${all}`;
  }
  if (node.kind === "block" && store.model.kernel.value === "gone" && !overview.summarised(line)) {
    const shape = overview.isTensor(line) ? `${formatShape(overview.shape(line))} · ` : "";
    return `${shape}needs ${lack(store).short}`;
  }
  const shared = node.kind === "tensor" ? overview.sharedWith(line) : -1;
  return shared >= 0 ? `= ${visible(overview.names[shared] as string)}` : "";
}
