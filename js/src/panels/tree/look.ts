/** Tells the kernel, while it scans, which tensors are in sight: they are summarised next. */

import type { Overview } from "../../overview";
import type { Store } from "../../store";
import type { TreeNode } from "../../tree";
import type { VisibleRow } from "./state";

/** Milliseconds from one message to the next at least. */
const PAUSE = 300;
/** Tensors in a message at most: those of a few screens. */
const MOST = 200;

/** @returns what is called after every drawing with a way to the rows that are in sight when it is called */
export function createLook(store: Store): (rows: () => readonly VisibleRow[]) => void {
  const { status } = store.traits;
  const { kernel, isCopy } = store.model;
  const going = (): boolean => status.peek() === "scanning" && !isCopy && kernel.peek() !== "gone";
  let inSight: () => readonly VisibleRow[] = () => [];
  let told = new Set<string>();
  let timer = 0;
  const tell = (): void => {
    timer = 0;
    if (!going()) return;
    const paths = tensorsInSight(inSight(), store.base.peek());
    if (paths.every((path) => told.has(path))) return;
    told = new Set(paths);
    store.model.look(paths);
  };
  const tellSoon = (): void => {
    if (timer === 0 && going()) timer = window.setTimeout(tell, PAUSE);
  };
  store.effect(() => {
    // Another scan knows nothing of what was told to the one before.
    if (status.value !== "scanning") told = new Set();
    else tellSoon();
  });
  store.lifetime.addEventListener("abort", () => clearTimeout(timer));
  return (rows) => {
    inSight = rows;
    tellSoon();
  };
}

/** Names of tensors that are not summarised yet: those in rows of their own first, then those below closed rows. */
export function tensorsInSight(rows: readonly VisibleRow[], overview: Overview): string[] {
  const found = new Set<string>();
  const add = (node: TreeNode): void => {
    if (found.size >= MOST) return;
    if (node.kind === "tensor") {
      if (!overview.summarised(node.tensor)) found.add(overview.names[node.tensor] as string);
      return;
    }
    if (node.kind !== "block") node.children.forEach(add);
  };
  for (const { node } of rows) if (node.kind === "tensor") add(node);
  for (const { node, open } of rows) if (node.kind !== "tensor" && open === false) add(node);
  return [...found];
}
