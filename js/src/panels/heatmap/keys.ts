/** Keys on the plot. */

import type { Direction } from "./viewport";

export interface KeyTarget {
  /** Moves the view by a share of what is seen. */
  pan(cols: number, rows: number): void;
  /** Zooms about the middle. */
  zoom(factor: number, along: Direction): void;
  fit(): void;
  /** Moves the cell cursor. */
  step(cols: number, rows: number): void;
  pin(): void;
  /** Begins and ends marking a region from the cell cursor. */
  mark(): void;
  /** @returns whether there was something to let go of */
  release(): boolean;
}

export const KEY_HELP =
  "Arrow keys move the view, Shift and arrow keys go from cell to cell, plus and minus zoom, 0 shows all, " +
  "Enter pins a cell, R begins a region there that goes along with the cell, Escape lets go.";

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** @returns whether the key meant something */
export function handleKey(event: KeyboardEvent, target: KeyTarget): boolean {
  if (event.ctrlKey || event.metaKey) return false;
  const arrow = ARROWS[event.key];
  if (arrow) {
    if (event.shiftKey) target.step(...arrow);
    else target.pan(arrow[0] / 8, arrow[1] / 8);
    return true;
  }
  const along: Direction = event.altKey ? "rows" : "both";
  switch (event.key) {
    case "+":
    case "=":
      target.zoom(1.5, along);
      return true;
    case "-":
    case "_":
      target.zoom(1 / 1.5, along);
      return true;
    case "0":
    case "Home":
      target.fit();
      return true;
    case "PageDown":
    case "PageUp":
      target.pan(0, event.key === "PageDown" ? 0.9 : -0.9);
      return true;
    case "Enter":
    case " ":
      target.pin();
      return true;
    case "r":
    case "R":
      target.mark();
      return true;
    case "Escape":
      return target.release();
    default:
      return false;
  }
}
