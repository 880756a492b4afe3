/** Pointer, wheel, touch and keys on the plot, turned into zooming, moving and pointing. */

import type { Direction, Viewport } from "./viewport";

export interface GestureTarget {
  readonly element: HTMLElement;
  viewport(): Viewport | null;
  /** A point of the window as a point of the room for the matrix. */
  toRoom(event: { clientX: number; clientY: number }): [number, number];
  /** @returns whether that changed anything */
  zoom(factor: number, px: number, py: number, along: Direction): boolean;
  /** Moves by pixels from an earlier viewport. */
  panFrom(start: Viewport, dx: number, dy: number): void;
  /** Two fingers: the middle went from one point to another, their distance grew by a factor. */
  pinchFrom(start: Viewport, factor: number, from: [number, number], to: [number, number]): void;
  point(at: [number, number] | null): void;
  click(at: [number, number]): void;
  /** Whether dragging marks a region, whatever keys are held. */
  marking(): boolean;
  /** A region is dragged over, from one point to another. */
  mark(from: [number, number], to: [number, number]): void;
  /** A gesture is over: time to tell others. */
  ended(): void;
  /** The wheel was turned while it does not zoom. */
  hint(): void;
}

/** Pointers that move less than this have clicked. */
const CLICK = 3;
/** How long the wheel goes on zooming after the pointer has left, in milliseconds. */
const LEAVE = 1500;

export function attachGestures(target: GestureTarget, lifetime: AbortSignal): void {
  pointers(target, lifetime);
  wheel(target, lifetime);
}

function pointers(target: GestureTarget, lifetime: AbortSignal): void {
  const { element } = target;
  const down = new Map<number, PointerEvent>();
  let start: { v: Viewport; at: [number, number]; distance: number } | null = null;
  let moved = false;
  let marks = false;

  const middle = (): [number, number] => {
    const points = [...down.values()].map((event) => target.toRoom(event));
    const sum = points.reduce(([x, y], [px, py]) => [x + px, y + py], [0, 0]);
    return [sum[0] / points.length, sum[1] / points.length];
  };
  const distance = (): number => {
    const [a, b] = [...down.values()];
    return a && b ? Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) : 0;
  };
  const begin = (): void => {
    const v = target.viewport();
    start = v && down.size > 0 ? { v, at: middle(), distance: distance() } : null;
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    // A second finger zooms, whatever the first began.
    marks = down.size === 0 && (event.shiftKey || target.marking());
    moved = down.size > 0;
    down.set(event.pointerId, event);
    begin();
  });
  element.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) {
      target.point(target.toRoom(event));
      return;
    }
    down.set(event.pointerId, event);
    if (!start) return;
    const at = middle();
    const [dx, dy] = [at[0] - start.at[0], at[1] - start.at[1]];
    if (!moved && Math.hypot(dx, dy) < CLICK) return;
    moved = true;
    if (marks) {
      target.mark(start.at, at);
      return;
    }
    element.dataset.dragging = "";
    if (down.size > 1 && start.distance > 0) {
      target.pinchFrom(start.v, distance() / start.distance, start.at, at);
    } else target.panFrom(start.v, dx, dy);
  });
  const up = (event: PointerEvent): void => {
    if (!down.delete(event.pointerId)) return;
    if (down.size > 0) {
      begin();
      return;
    }
    delete element.dataset.dragging;
    if (moved && !marks) target.ended();
    else if (moved) target.point(target.toRoom(event));
    else if (event.type === "pointerup") target.click(target.toRoom(event));
    if (event.pointerType === "touch") target.point(null);
  };
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", () => {
    if (down.size === 0) target.point(null);
  });
  element.addEventListener("dblclick", (event) => {
    const [px, py] = target.toRoom(event);
    if (target.zoom(2, px, py, "both")) target.ended();
  });
  lifetime.addEventListener("abort", () => down.clear());
}

/** The wheel zooms once the plot was clicked, or with Ctrl: it must not catch a page that is scrolled past it. */
function wheel(target: GestureTarget, lifetime: AbortSignal): void {
  const { element } = target;
  let active = false;
  let leaving: ReturnType<typeof setTimeout> | undefined;
  let zoomed = 0;
  const setActive = (now: boolean): void => {
    active = now;
    element.toggleAttribute("data-active", now);
  };
  element.addEventListener("pointerdown", () => setActive(true));
  element.addEventListener("pointerenter", () => clearTimeout(leaving));
  element.addEventListener("pointerleave", () => {
    leaving = setTimeout(() => setActive(false), LEAVE);
  });
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (!event.composedPath().includes(element)) setActive(false);
    },
    { signal: lifetime, capture: true },
  );
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") setActive(false);
  });
  lifetime.addEventListener("abort", () => clearTimeout(leaving));

  element.addEventListener(
    "wheel",
    (event) => {
      const held = event.ctrlKey || event.metaKey;
      if (!active && !held) {
        target.hint();
        return;
      }
      // Shift turns the wheel sideways in most browsers.
      const turned = event.deltaY || event.deltaX;
      const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
      // Pinching on a touchpad comes as small turns with Ctrl.
      const speed = held && Math.abs(turned) < 40 && event.deltaMode === 0 ? 0.01 : 0.0018;
      const factor = Math.exp(-Math.max(-400, Math.min(400, turned * unit)) * speed);
      const along = event.shiftKey ? "cols" : event.altKey ? "rows" : "both";
      const [px, py] = target.toRoom(event);
      const changed = target.zoom(factor, px, py, along);
      if (changed) zoomed = event.timeStamp;
      // Turned on after everything is in sight, the wheel scrolls the page again, but not in the same go.
      if (changed || held || event.timeStamp - zoomed < 600) event.preventDefault();
      if (changed) target.ended();
    },
    { passive: false },
  );
}
