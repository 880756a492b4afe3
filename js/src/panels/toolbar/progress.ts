/** How far the scan is, how fast, and how long it will take. */

import { h, setText } from "../../draw/dom";
import { formatShare } from "../../draw/format";
import type { Store } from "../../store";

const THIN = "\u2009";

export function scanProgress(store: Store): HTMLElement {
  const bar = h("progress", { max: 1, "aria-label": "scan" });
  const text = h("span", { class: "ww-soft ww-number" });
  // One element each, so that a number that grows by a digit does not move the others.
  const pace = ["ww-pace-share", "ww-pace-rate", "ww-pace-left"].map((name) =>
    h("span", { class: `ww-soft ww-number ${name}` }),
  );
  const cancel = h("button", { type: "button", title: "stop reading the weights" });
  /** The click answers at once, whenever the kernel does. */
  const stopping = (now: boolean): void => {
    cancel.disabled = now;
    cancel.textContent = now ? "stopping…" : "cancel";
  };
  cancel.addEventListener("click", () => {
    stopping(true);
    store.model.cancelScan();
  });
  store.effect(() => {
    if (store.traits.status.value !== "scanning") stopping(false);
    // Without a kernel nothing stops, and a later one may scan again.
    if (store.model.kernel.value === "gone") stopping(false);
  });
  stopping(false);
  const box = h("div", { class: "ww-progress" }, bar, text, ...pace, cancel);
  store.effect(() => {
    const status = store.traits.status.value;
    const share = store.traits.progress.value;
    const { rate = 0, left = null } = store.traits._pace.value ?? {};
    const scanning = status === "scanning";
    box.hidden = status === "ready";
    bar.hidden = cancel.hidden = !scanning;
    text.hidden = scanning;
    bar.value = share;
    const parts = [
      formatShare(Math.floor(share * 100) / 100),
      rate > 0 ? formatRate(rate) : "",
      rate > 0 && left !== null ? `${formatSeconds(left)} left` : "",
    ];
    pace.forEach((part, at) => {
      part.textContent = parts[at] ?? "";
      part.hidden = !scanning || !parts[at];
    });
    if (status === "cancelled") text.textContent = `scan cancelled at ${formatShare(share)}`;
    else if (!scanning) setText(text, store.traits._message.value || "the scan failed", true);
  });
  return box;
}

/** Bytes a second with two digits, for a number that changes all the time: 2.1 GB/s, 340 MB/s. */
export function formatRate(rate: number): string {
  for (const [unit, suffix] of [
    [1e9, "GB"],
    [1e6, "MB"],
  ] as const) {
    if (rate >= unit * 0.95) {
      const scaled = rate / unit;
      return `${scaled < 9.95 ? scaled.toFixed(1) : Number(scaled.toPrecision(2))}${THIN}${suffix}/s`;
    }
  }
  return `${Math.max(1, Math.round(rate / 1e3))}${THIN}kB/s`;
}

/** Time that is left, rounded up: 4 s, 3 min, 2 h. */
export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.ceil(seconds))}${THIN}s`;
  if (seconds < 90 * 60) return `${Math.ceil(seconds / 60)}${THIN}min`;
  return `${Math.ceil(seconds / 3600)}${THIN}h`;
}
