/** The keys of the ARIA tree pattern: https://www.w3.org/WAI/ARIA/apg/patterns/treeview/ */

import type { TreeState, VisibleRow } from "./state";

export interface TreeKeys {
  state: TreeState;
  /** Row of the focused node, -1 if it is not to be seen. */
  activeRow(): number;
  /** Moves the focus; the selection follows. */
  moveTo(row: number): void;
  selectNow(): void;
  /** Rows that fit in the window. */
  pageSize(): number;
  copyName(): void;
  openMenu(): void;
}

/** How long a word of type-ahead may rest, in milliseconds. */
const TYPING_PAUSE = 600;

export function treeKeyHandler(keys: TreeKeys): (event: KeyboardEvent) => void {
  const { state } = keys;
  let typed = "";
  let typedAt = 0;

  const typeAhead = (char: string): void => {
    const now = Date.now();
    typed = now - typedAt > TYPING_PAUSE ? char : typed + char;
    typedAt = now;
    const rows = state.rows.value;
    const start = keys.activeRow();
    // The same letter again and again steps through its rows; a longer word may stay where it is.
    const word = [...typed].every((one) => one === typed[0]) ? (typed[0] as string) : typed;
    const first = word.length === 1 ? 1 : 0;
    for (let step = first; step < rows.length + first; step++) {
      const at = (Math.max(start, 0) + step) % rows.length;
      if ((rows[at] as VisibleRow).node.label.toLowerCase().startsWith(word)) {
        keys.moveTo(at);
        return;
      }
    }
  };

  const act = (event: KeyboardEvent): boolean => {
    const rows = state.rows.value;
    const at = keys.activeRow();
    const row = rows[at];
    const last = rows.length - 1;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "c") {
      // A text that somebody has selected is what they want to copy.
      if (String(document.getSelection() ?? "")) return false;
      keys.copyName();
      return true;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || rows.length === 0) return false;
    switch (event.key) {
      case "ArrowDown":
        keys.moveTo(Math.min(at + 1, last));
        return true;
      case "ArrowUp":
        keys.moveTo(Math.max(at - 1, 0));
        return true;
      case "Home":
        keys.moveTo(0);
        return true;
      case "End":
        keys.moveTo(last);
        return true;
      case "PageDown":
        keys.moveTo(Math.min(Math.max(at, 0) + keys.pageSize(), last));
        return true;
      case "PageUp":
        keys.moveTo(Math.max(at - keys.pageSize(), 0));
        return true;
      case "ArrowRight":
        if (row?.open === false) state.setOpen([row.node], true);
        else if (row?.open && at < last) keys.moveTo(at + 1);
        return true;
      case "ArrowLeft":
        if (row?.open) state.setOpen([row.node], false);
        else if (state.parentRow(at) >= 0) keys.moveTo(state.parentRow(at));
        return true;
      case "Enter":
        keys.selectNow();
        if (row && row.open !== null) state.setOpen([row.node], !row.open);
        return true;
      case " ":
        keys.selectNow();
        return true;
      case "*":
        state.setOpen(siblingsOf(rows, at), true);
        return true;
      case "ContextMenu":
        keys.openMenu();
        return true;
      case "F10":
        if (event.shiftKey) keys.openMenu();
        return event.shiftKey;
      default:
        // The slash goes to the search.
        if ([...event.key].length !== 1 || event.key === "/") return false;
        typeAhead(event.key.toLowerCase());
        return true;
    }
  };

  return (event) => {
    if (!act(event)) return;
    event.preventDefault();
    // Notebooks have keys of their own for the same letters.
    event.stopPropagation();
  };
}

function siblingsOf(rows: readonly VisibleRow[], at: number): VisibleRow["node"][] {
  const row = rows[at];
  if (!row) return [];
  const found = [];
  const first = (step: number): number => {
    let edge = at;
    while (rows[edge + step] && (rows[edge + step] as VisibleRow).level >= row.level) edge += step;
    return edge;
  };
  for (let i = first(-1); i <= first(1); i++) {
    const one = rows[i] as VisibleRow;
    if (one.level === row.level && one.open !== null) found.push(one.node);
  }
  return found;
}
