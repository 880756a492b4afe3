/** The layer tree: only the rows in sight are in the DOM, and they are used again while scrolling. */

import { computed } from "@preact/signals-core";
import { copyText, h } from "../draw/dom";
import { marksOf } from "../query";
import type { Store } from "../store";
import type { TreeNode } from "../tree";
import { emptyNote } from "./tree/empty";
import { treeHeader } from "./tree/header";
import { treeKeyHandler } from "./tree/keyboard";
import { createLook } from "./tree/look";
import { type MenuItem, openMenu } from "./tree/menu";
import { isGroupOfBlocks } from "./tree/merged";
import { createRow, ROW_HEIGHT, type RowContext, type RowElement } from "./tree/row";
import { createTreeState, type VisibleRow } from "./tree/state";

/** Rows drawn beyond either edge, so that scrolling shows no gaps before the next frame. */
const SPARE_ROWS = 8;
/** How long the keyboard must rest before the selection follows, in milliseconds. */
const FOLLOW_PAUSE = 120;

let views = 0;

/** Number of the row at a height in pixels. */
const inSight = (top: number): number => Math.max(0, Math.floor(top / ROW_HEIGHT));

export function treePanel(store: Store): HTMLElement {
  const { selected } = store.traits;
  const state = createTreeState(store);
  const idPrefix = `ww-tree-${views++}`;

  const surface = h("div", { class: "ww-tree-surface", role: "presentation" });
  const scroller = h(
    "div",
    { class: "ww-tree-rows", role: "tree", tabindex: 0, "aria-label": "Layers" },
    surface,
  );
  const empty = emptyNote(store);
  const root = h("div", { class: "ww-tree" }, treeHeader(store, state), scroller, empty);

  const pool: RowElement[] = [];
  /** Which row each element of the pool holds, and from which drawing. */
  let held: { at: number; drawing: number }[] = [];
  let drawing = 0;
  let found: { rows: readonly VisibleRow[]; key: string; at: number } | null = null;
  let spark = 0;
  let indent = 12;
  let colors = { mark: "", accent: "" };
  /** The node that the keyboard has moved to while the selection has not followed yet. */
  let pending: TreeNode | null = null;
  let followTimer: ReturnType<typeof setTimeout> | undefined;
  let ownSelection: string | null = null;
  /** The node that was brought into view, until somebody scrolls: it stays in view while panels find their size. */
  let kept: TreeNode | null = null;

  const rows = (): readonly VisibleRow[] => state.rows.peek();
  const rowOfKey = (key: string): number => {
    if (found?.rows !== rows() || found.key !== key) {
      found = { rows: rows(), key, at: rows().findIndex((row) => row.node.key === key) };
    }
    return found.at;
  };
  const activeRow = (): number => rowOfKey(state.active.peek());
  const selectedKey = (): string => (pending ?? state.nodeOf(selected.peek()))?.key ?? "";

  // -- drawing -------------------------------------------------------------------------------------------------------

  const look = createLook(store);
  const draw = (): void => {
    const all = rows();
    const height = scroller.clientHeight;
    const first = Math.max(0, inSight(scroller.scrollTop) - SPARE_ROWS);
    const stop = Math.min(all.length, Math.ceil((scroller.scrollTop + height) / ROW_HEIGHT) + SPARE_ROWS);
    const needed = Math.ceil(height / ROW_HEIGHT) + 2 * SPARE_ROWS + 1;
    while (pool.length < needed) {
      const row = createRow();
      pool.push(row);
      surface.append(row.root);
      // Another size of the pool gives every row another element.
      held = [];
    }
    const context: RowContext = {
      store,
      state,
      idPrefix,
      selected: selectedKey(),
      active: state.active.peek(),
      marks: marksOf(store.traits.query.peek()),
      spark,
      indent,
      colors,
    };
    const blocks = all.slice(first, stop).filter(({ node }) => node.kind === "block");
    if (blocks.length > 0) {
      store.blocks.want(
        blocks.map(({ node }) => node.path),
        { detail: "histograms" },
      );
    }
    look(() => all.slice(inSight(scroller.scrollTop), inSight(scroller.scrollTop + height - 1) + 1));
    const used = new Set<number>();
    for (let at = first; at < stop; at++) {
      const slot = at % pool.length;
      used.add(slot);
      if (held[slot]?.at === at && held[slot]?.drawing === drawing) continue;
      const element = pool[slot] as RowElement;
      element.bind(at, all[at] as VisibleRow, context);
      if (!held[slot] || held[slot].at < 0) element.root.hidden = false;
      held[slot] = { at, drawing };
    }
    pool.forEach((element, slot) => {
      if (used.has(slot) || (held[slot] && held[slot].at < 0)) return;
      element.root.hidden = true;
      element.root.removeAttribute("id");
      element.root.removeAttribute("data-path");
      held[slot] = { at: -1, drawing };
    });
    const focused = activeRow();
    if (focused >= first && focused < stop)
      scroller.setAttribute("aria-activedescendant", `${idPrefix}-${focused}`);
    else scroller.removeAttribute("aria-activedescendant");
  };

  let frame = 0;
  const redraw = (): void => {
    drawing++;
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  scroller.addEventListener("scroll", draw, { passive: true });

  const scrollTo = (at: number, centre = false): void => {
    const top = at * ROW_HEIGHT;
    const height = scroller.clientHeight;
    const from = scroller.scrollTop;
    if (top >= from && top + ROW_HEIGHT <= from + height) return;
    const far = top < from - height || top > from + 2 * height;
    if (centre || far) scroller.scrollTop = top - (height - ROW_HEIGHT) / 2;
    else scroller.scrollTop = top < from ? top : top + ROW_HEIGHT - height;
  };

  const showKept = (): void => {
    const at = kept ? rowOfKey(kept.key) : -1;
    if (at >= 0 && scroller.clientHeight > 0) scrollTo(at, true);
  };
  for (const gesture of ["wheel", "pointerdown", "keydown"] as const) {
    scroller.addEventListener(
      gesture,
      () => {
        kept = null;
      },
      { passive: true },
    );
  }

  // -- focus and selection -------------------------------------------------------------------------------------------

  const select = (node: TreeNode): void => {
    clearTimeout(followTimer);
    pending = null;
    if (node.kind !== "group") {
      ownSelection = node.path;
      store.select(node.path);
    }
    redraw();
  };
  const moveTo = (at: number): void => {
    const row = rows()[at];
    if (!row) return;
    state.active.value = row.node.key;
    pending = row.node.kind === "group" ? null : row.node;
    clearTimeout(followTimer);
    followTimer = setTimeout(() => pending && select(pending), FOLLOW_PAUSE);
    scrollTo(at);
    redraw();
  };
  const activeNode = (): TreeNode | null => rows()[activeRow()]?.node ?? null;
  const toggle = (row: VisibleRow): void => {
    if (row.open === null) return;
    // A focus inside what closes goes to the row that stays.
    if (row.open && isInside(activeNode(), row.node)) state.active.value = row.node.key;
    state.setOpen([row.node], !row.open);
  };

  const showMenu = (at: number, x: number, y: number): void => {
    const node = rows()[at]?.node;
    if (!node) return;
    const items: MenuItem[] = [{ label: "Copy name", act: () => void copyText(node.path) }];
    if (node.kind === "module" || node.kind === "group") {
      items.push({ label: "Open all below", act: () => state.setOpen(state.branches(node), true) });
      items.push({ label: "Close all below", act: () => state.setOpen(state.branches(node), false) });
    }
    openMenu(root, x, y, items, scroller);
  };

  scroller.addEventListener(
    "keydown",
    treeKeyHandler({
      state,
      activeRow,
      moveTo,
      selectNow: () => {
        const node = activeNode();
        if (node) select(node);
      },
      pageSize: () => Math.max(1, Math.floor(scroller.clientHeight / ROW_HEIGHT) - 1),
      copyName: () => {
        const node = activeNode();
        if (node) void copyText(node.path);
      },
      openMenu: () => {
        const at = activeRow();
        if (at < 0) return;
        scrollTo(at);
        const top = scroller.offsetTop + (at + 1) * ROW_HEIGHT - scroller.scrollTop;
        showMenu(at, 24, top);
      },
    }),
  );

  const rowAt = (event: Event): number => {
    const element =
      event.target instanceof Element ? event.target.closest<HTMLElement>(".ww-tree-row") : null;
    return element ? Number(element.dataset.row) : -1;
  };
  scroller.addEventListener("click", (event) => {
    const row = rows()[rowAt(event)];
    if (!row) return;
    const onTwisty = event.target instanceof Element && event.target.closest(".ww-tree-twisty") !== null;
    if (onTwisty && row.open !== null) {
      toggle(row);
      return;
    }
    state.active.value = row.node.key;
    select(row.node);
    if (row.node.kind === "group") toggle(row);
  });
  scroller.addEventListener("dblclick", (event) => {
    const row = rows()[rowAt(event)];
    const onTwisty = event.target instanceof Element && event.target.closest(".ww-tree-twisty") !== null;
    // The two clicks of a double click have opened and closed a group already.
    if (row && !onTwisty && row.node.kind !== "group") toggle(row);
  });
  scroller.addEventListener("contextmenu", (event) => {
    const at = rowAt(event);
    if (at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    state.active.value = (rows()[at] as VisibleRow).node.key;
    redraw();
    const box = root.getBoundingClientRect();
    showMenu(at, event.clientX - box.left, event.clientY - box.top);
  });

  // -- what changes --------------------------------------------------------------------------------------------------

  store.effect(() => {
    const all = state.rows.value;
    surface.style.height = `${all.length * ROW_HEIGHT}px`;
    scroller.hidden = all.length === 0;
    redraw();
  });
  store.effect(() => {
    store.overview.value;
    store.statistic.value;
    store.traits.query.value;
    store.model.kernel.value;
    redraw();
  });
  store.effect(() => {
    const sort = store.sort.value;
    if (!sort || sort.key === "name" || sort.key === "count") return;
    // Their places depend on the statistics of all of them, in sight or not.
    const blocks = state.rows.value.filter(({ node }) => node.kind === "block");
    store.blocks.want(blocks.map(({ node }) => node.path));
  });
  // Looked at apart: new statistics come often, and are no reason to go back to what is selected.
  const selectedNode = computed(() => state.nodeOf(selected.value));
  store.effect(() => {
    const path = selected.value;
    const node = selectedNode.value;
    const own = path === ownSelection;
    ownSelection = null;
    if (!node) return;
    if (!own) {
      clearTimeout(followTimer);
      pending = null;
      state.reveal(node);
      state.active.value = node.key;
      kept = node;
      // The rows may get their height in the same turn: scroll when they have it.
      requestAnimationFrame(showKept);
    }
    redraw();
  });
  store.effect(() => {
    store.theme.value;
    // The attribute of the theme is set in the same turn: read the colours when it is in force.
    requestAnimationFrame(() => {
      const style = getComputedStyle(root);
      colors = { mark: style.getPropertyValue("--ww-mark"), accent: style.getPropertyValue("--ww-accent") };
      redraw();
    });
  });

  const observer = new ResizeObserver(() => {
    const width = root.clientWidth;
    const form = width < 260 ? "least" : width < 340 ? "narrow" : width < 380 ? "medium" : "wide";
    if (root.dataset.form !== form) {
      root.dataset.form = form;
      spark = { least: 0, narrow: 50, medium: 58, wide: 74 }[form];
      indent = form === "wide" ? 12 : 9;
      drawing++;
    }
    showKept();
    draw();
  });
  observer.observe(scroller);
  observer.observe(root);
  store.lifetime.addEventListener("abort", () => {
    observer.disconnect();
    clearTimeout(followTimer);
    cancelAnimationFrame(frame);
  });
  return root;
}

function isInside(node: TreeNode | null, ancestor: TreeNode): boolean {
  if (ancestor.kind === "group" && !isGroupOfBlocks(ancestor))
    return ancestor.children.some((child) => child === node || isInside(node, child));
  for (let at = node?.parent; at; at = at.parent) if (at === ancestor) return true;
  return false;
}
