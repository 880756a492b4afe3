/** What of the tree is open, in which order and what passes the filter: the state of one view, outside the DOM. */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Layers } from "../../anatomy";
import type { LocalHistogram, Overview } from "../../overview";
import type { Store } from "../../store";
import { buildTree, type Tree, type TreeNode } from "../../tree";
import { type BlockNodes, blockNodes } from "./blocks";
import { isGroupOfBlocks, mergedHistogram, mergedStatistic, rowOf, rowsBelow } from "./merged";

/** "auto" folds long runs, "all" every run, "none" none. */
export type Folding = "auto" | "all" | "none";

export interface VisibleRow {
  readonly node: TreeNode;
  /** From 1, as in aria-level. */
  readonly level: number;
  readonly position: number;
  readonly siblings: number;
  /** null for what cannot be opened. */
  readonly open: boolean | null;
}

export interface TreeState {
  readonly tree: ReadonlySignal<Tree>;
  readonly rows: ReadonlySignal<readonly VisibleRow[]>;
  /** Whether the filter leaves tensors out. */
  readonly filtered: ReadonlySignal<boolean>;
  /** Whether any run is drawn as a group now. */
  readonly grouped: ReadonlySignal<boolean>;
  readonly hasRuns: ReadonlySignal<boolean>;
  /** Key of the node that has the keyboard focus. */
  readonly active: Signal<string>;
  isOpen(node: TreeNode): boolean;
  setOpen(nodes: Iterable<TreeNode>, open: boolean): void;
  setAllOpen(open: boolean): void;
  setFolding(folding: Folding): void;
  /** Opens everything around a node. */
  reveal(node: TreeNode): void;
  /** The node of a path; a tensor wins over a module. */
  nodeOf(path: string): TreeNode | null;
  /** Row of the parent in `rows`, or -1. */
  parentRow(row: number): number;
  /** All nodes below a node that can be opened, itself included. */
  branches(node: TreeNode): TreeNode[];
  statistic(node: TreeNode, key: string): number;
  histogram(node: TreeNode): LocalHistogram | null;
  /** Tensors below a node that pass the filter. */
  passing(node: TreeNode): number;
}

/** Rows that the tree opens with, about. */
const FIRST_ROWS = 40;
/** Longest run that "auto" leaves unfolded. */
const LONG_RUN = 8;

export function createTreeState(store: Store): TreeState {
  const { base, overview, matches } = store;
  const folding = signal<Folding>("auto");
  const active = signal("");
  /** Keys of open nodes; those closed by hand while a filter holds everything open are apart. */
  const open = new Set<string>();
  const closedInFilter = new Set<string>();
  const version = signal(0);
  const changed = (): void => {
    version.value++;
  };

  let last: { overview: Overview; tree: Tree } | null = null;
  const tree = computed(() => {
    const now = base.value;
    if (!last || !sameStructure(last.overview, now)) {
      const fresh = treeOf(now);
      if (!last || last.tree.tensors.length === 0) {
        for (const node of firstOpen(fresh.root, inForce)) open.add(node.key);
      }
      last = { overview: now, tree: fresh };
    }
    return last.tree;
  });

  const inForce = (group: TreeNode): boolean => {
    const mode = folding.value;
    return mode === "all" || (mode === "auto" && group.children.length > LONG_RUN);
  };
  /** Made anew when axes are set by hand. */
  let lastBlocks: { tree: Tree; layers: Layers; nodes: BlockNodes } | null = null;
  const blocks = computed(() => {
    const { layers } = base.value;
    if (lastBlocks?.tree !== tree.value || lastBlocks.layers !== layers) {
      lastBlocks = { tree: tree.value, layers, nodes: blockNodes(tree.value, () => overview.peek()) };
    }
    return lastBlocks.nodes;
  });
  /** Tensors and blocks unfold into blocks, whatever the filter: what passes is not looked for in them. */
  const unfolds = (node: TreeNode): boolean =>
    node.kind === "tensor" || node.kind === "block" || isGroupOfBlocks(node);
  const isBranch = (node: TreeNode): boolean =>
    node.kind === "module" || node.kind === "group" || blocks.value.has(node);

  const filtered = computed(() => matches.value.count < overview.value.tensors);

  const counts = computed(() => {
    const { nodes } = tree.value;
    const { passes } = matches.value;
    const below = new Int32Array(nodes.length);
    // Parents come before children: backwards, every count is complete when it is added to the parent's.
    for (let i = nodes.length - 1; i >= 0; i--) {
      const node = nodes[i] as TreeNode;
      if (node.kind === "tensor") below[i] = passes[node.tensor] ?? 0;
      if (node.parent) below[node.parent.index] = (below[node.parent.index] as number) + (below[i] as number);
    }
    return below;
  });
  const passing = (node: TreeNode): number =>
    // What is unfolded is shown whole.
    node.kind === "block"
      ? 1
      : node.kind === "group"
        ? node.children.reduce((sum, child) => sum + passing(child), 0)
        : (counts.value[node.index] as number);

  const merged = computed(() => {
    overview.value;
    return { numbers: new Map<string, number>(), histograms: new Map<string, LocalHistogram | null>() };
  });
  const statistic = (node: TreeNode, key: string): number => {
    const row = rowOf(overview.value, node);
    if (row >= 0) return overview.value.column(key)[row] ?? Number.NaN;
    if (isGroupOfBlocks(node)) return Number.NaN;
    return remember(merged.value.numbers, `${key} ${node.key}`, () =>
      mergedStatistic(overview.value, rowsBelow(overview.value, node), key),
    );
  };
  const histogram = (node: TreeNode): LocalHistogram | null => {
    const row = rowOf(overview.value, node);
    if (row >= 0) return overview.value.histogram(row);
    return remember(merged.value.histograms, node.key, () =>
      mergedHistogram(overview.value, rowsBelow(overview.value, node)),
    );
  };

  /** Children as they are drawn, by key of the parent; made when first asked for. */
  const ordered = computed(() => {
    const sort = store.sort.value;
    folding.value;
    tree.value;
    blocks.value;
    if (sort && sort.key !== "name") overview.value;
    return { sort, children: new Map<string, readonly TreeNode[]>() };
  });
  const childrenOf = (node: TreeNode): readonly TreeNode[] =>
    remember(ordered.value.children, node.key, () => {
      const children = withGroups(node, inForce);
      const { sort } = ordered.value;
      const inside = blocks.value.of(node);
      if (!sort) return [...children, ...inside];
      const ownValue = (child: TreeNode): number => statistic(child, sort.key);
      // Heads stand after what is in their layer, whatever the order.
      return [...sorted(children, sort, ownValue), ...sorted(inside, sort, ownValue)];
    });

  const isOpen = (node: TreeNode): boolean =>
    filtered.value && !unfolds(node) ? !closedInFilter.has(node.key) : open.has(node.key);

  const rows = computed(() => {
    version.value;
    const out: VisibleRow[] = [];
    const all = !filtered.value;
    if (!all && matches.value.count === 0) return out;
    const visit = (node: TreeNode, level: number, position: number, siblings: number): void => {
      const branch = isBranch(node);
      const isNodeOpen = branch && isOpen(node);
      out.push({ node, level, position, siblings, open: branch ? isNodeOpen : null });
      if (!isNodeOpen) return;
      const children = childrenOf(node);
      const shown = all ? children : children.filter((child) => passing(child) > 0);
      for (let i = 0; i < shown.length; i++) visit(shown[i] as TreeNode, level + 1, i + 1, shown.length);
    };
    if (overview.value.tensors > 0) visit(tree.value.root, 1, 1, 1);
    return out;
  });

  const setOpen = (nodes: Iterable<TreeNode>, toOpen: boolean): void => {
    for (const node of nodes) {
      if (!isBranch(node)) continue;
      if (filtered.value && !unfolds(node)) {
        if (toOpen) closedInFilter.delete(node.key);
        else closedInFilter.add(node.key);
      } else if (toOpen) open.add(node.key);
      else open.delete(node.key);
    }
    changed();
  };
  const branches = (node: TreeNode): TreeNode[] => {
    if (node.kind === "tensor" || node.kind === "block" || isGroupOfBlocks(node)) return [];
    return [node, ...node.groups, ...node.children.flatMap(branches)];
  };

  store.effect(() => {
    if (!filtered.value) closedInFilter.clear();
  });

  return {
    tree,
    rows,
    filtered,
    active,
    hasRuns: computed(() => tree.value.nodes.some((node) => node.groups.length > 0)),
    grouped: computed(() => tree.value.nodes.some((node) => node.groups.some(inForce))),
    isOpen,
    setOpen,
    setAllOpen: (toOpen) => {
      const { root } = tree.value;
      // The root stays open: a tree of one row helps nobody.
      setOpen(toOpen ? branches(root) : branches(root).filter((node) => node !== root), toOpen);
    },
    setFolding: (mode) => {
      for (const node of tree.value.nodes) {
        for (const group of node.groups) open.delete(group.key);
      }
      folding.value = mode;
      changed();
    },
    reveal: (node) => {
      const around: TreeNode[] = [];
      for (let child = node; child.parent; child = child.parent) {
        const group = child.parent.groups.find((one) => one.children.includes(child));
        around.push(child.parent, ...(group ? [group] : []));
      }
      if (around.some((one) => !isOpen(one))) setOpen(around, true);
    },
    nodeOf: (path) => {
      const row = overview.value.rowOf(path);
      if (overview.value.block(row)) return blocks.value.nodeOf(path);
      if (overview.value.isTensor(row)) return tree.value.tensors[row] ?? null;
      return tree.value.modules.get(path) ?? null;
    },
    parentRow: (row) => {
      const level = rows.value[row]?.level ?? 0;
      let at = row - 1;
      while (at >= 0 && (rows.value[at] as VisibleRow).level >= level) at--;
      return at;
    },
    branches,
    statistic,
    histogram,
    passing,
  };
}

function treeOf(overview: Overview): Tree {
  return buildTree(overview.names.slice(0, overview.tensors), {
    shape: (tensor) => overview.shape(tensor),
    kind: (path) => overview.kind(overview.moduleRowOf(path)),
  });
}

/** Whether two overviews have the same tree: a scan sends many that differ in numbers only. */
function sameStructure(a: Overview, b: Overview): boolean {
  if (a === b) return true;
  if (a.tensors !== b.tensors || a.rows !== b.rows) return false;
  for (let row = 0; row < a.rows; row++) {
    if (a.names[row] !== b.names[row] || a.kind(row) !== b.kind(row)) return false;
    const [left, right] = [a.shape(row), b.shape(row)];
    if (left.length !== right.length || left.some((size, axis) => size !== right[axis])) return false;
  }
  return true;
}

function withGroups(node: TreeNode, inForce: (group: TreeNode) => boolean): readonly TreeNode[] {
  const groups = node.groups.filter(inForce);
  if (groups.length === 0) return node.children;
  const groupOf = new Map(groups.flatMap((group) => group.children.map((child) => [child, group] as const)));
  return [...new Set(node.children.map((child) => groupOf.get(child) ?? child))];
}

/** Breadth first, until the rows would be more than fit on a screen. */
function firstOpen(root: TreeNode, inForce: (group: TreeNode) => boolean): TreeNode[] {
  const opened: TreeNode[] = [];
  let shown = 1;
  const queue = [root];
  for (let node = queue.shift(); node; node = queue.shift()) {
    const children = withGroups(node, inForce);
    if (node !== root && shown + children.length > FIRST_ROWS) break;
    shown += children.length;
    opened.push(node);
    queue.push(...children.filter((child) => child.kind === "module"));
  }
  return opened;
}

const collator = new Intl.Collator(undefined, { numeric: true });

function sorted(
  children: readonly TreeNode[],
  sort: { key: string; descending: boolean },
  value: (node: TreeNode) => number,
): TreeNode[] {
  const sign = sort.descending ? -1 : 1;
  if (sort.key === "name") return [...children].sort((a, b) => sign * collator.compare(a.label, b.label));
  const keyed = children.map((node) => ({ node, value: value(node) }));
  // What is not known comes last in both directions.
  keyed.sort((a, b) => {
    const unknown = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
    return unknown || (Number.isNaN(a.value) ? 0 : sign * (a.value - b.value));
  });
  return keyed.map(({ node }) => node);
}

function remember<V>(known: Map<string, V>, key: string, make: () => V): V {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
