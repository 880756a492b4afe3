/** The visible part as the trait `window`: told to Python after a gesture, followed when set from there. */

import { untracked } from "@preact/signals-core";
import type { HeatmapState } from "./state";
import { fit, isFit, showWindow, visibleWindow } from "./viewport";

/** Milliseconds between the end of a gesture and the change of the trait. */
const SETTLE = 150;

/** @returns to be called when a gesture has ended */
export function syncWindow(state: HeatmapState): () => void {
  const { traits, lifetime } = state.store;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let known = JSON.stringify(traits.window.peek() ?? null);

  state.store.effect(() => {
    const window = traits.window.value ?? null;
    const text = JSON.stringify(window);
    if (text === known) return;
    known = text;
    clearTimeout(timer);
    untracked(() => {
      const v = state.viewport.value;
      if (!v) return; // the window is taken up as soon as there is a size
      const whole = fit(v.rows, v.cols, v.width, v.height);
      const fits = window !== null && window[0] < window[1] && window[2] < window[3];
      state.viewport.value =
        fits && window[1] <= v.rows && window[3] <= v.cols ? showWindow(whole, window) : whole;
    });
  });
  lifetime.addEventListener("abort", () => clearTimeout(timer));

  return () => {
    clearTimeout(timer);
    const drawn = state.matrix.peek();
    timer = setTimeout(() => {
      const v = state.viewport.peek();
      if (!v || drawn !== state.matrix.peek()) return;
      const window = isFit(v) ? null : visibleWindow(v);
      known = JSON.stringify(window);
      if (known !== JSON.stringify(traits.window.peek() ?? null)) traits.window.value = window;
    }, SETTLE);
  };
}
