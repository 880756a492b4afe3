/** That a training is watched: which step it is at, how often it is looked at, and the button that stops that. */

import { h, setText } from "../../draw/dom";
import { formatCount, formatShare } from "../../draw/format";
import type { Watch } from "../../model";
import type { Store } from "../../store";

export function watchNote(store: Store): HTMLElement {
  const text = h("span", { class: "ww-number" });
  const stop = h("button", { type: "button" });
  const box = h("div", { class: "ww-watch", role: "group", "aria-label": "training" }, text, stop);
  const stopping = (now: boolean): void => {
    stop.disabled = now;
    stop.textContent = now ? "stopping…" : "stop";
    stop.title = now
      ? "a busy kernel takes it when it can: at the latest when the cell has ended"
      : "stop following the training; the training itself goes on";
  };
  stop.addEventListener("click", () => {
    stopping(true);
    store.model.stopWatch();
  });
  stopping(false);
  const first = store.traits._watch.peek();
  let followed = false;
  store.effect(() => {
    const watch = store.traits._watch.value ?? {};
    followed ||= watch !== first;
    // What was stored with a notebook is no training that goes on.
    const stored = store.model.isCopy || (!followed && store.model.kernel.value === "gone");
    const active = watch.step !== undefined && !watch.error;
    box.hidden = stored || !(active || watch.error);
    stop.hidden = !active;
    if (!active) stopping(false);
    box.dataset.tone = watch.error ? "error" : "";
    setText(text, watch.error ? watch.error : watchWords(watch));
    text.title = watch.error ? "" : watchTitle(watch);
  });
  return box;
}

/** "watching · step 1 200", with how often it is read where that is not as often as was asked for. */
export function watchWords({ step = 0, every = 1, asked = 1 }: Watch): string {
  const often = every === asked ? "" : ` · every ${formatCount(every)} steps`;
  return `watching · step ${formatCount(step)}${often}`;
}

function watchTitle({ every = 1, asked = 1, share = 0 }: Watch): string {
  const cost = share > 0 ? `; that takes ${formatShare(share)} of the training's time` : "";
  const why =
    every === asked
      ? ""
      : `\nasked for: every ${formatCount(asked)}. So often it would take more than a tenth of the time.`;
  return `the weights are read every ${formatCount(every)} steps${cost}${why}`;
}
