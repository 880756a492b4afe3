/** The spectrum of a matrix: its singular values, what is read from them, and its leading singular vectors. */

import type { ReadonlySignal } from "@preact/signals-core";
import { copyText, h, setText, setTitle } from "../draw/dom";
import { formatCount, formatNumber } from "../draw/format";
import { lack } from "../lack";
import type { Store } from "../store";
import { COMPLEX } from "../tensor";
import type { View } from "../views";
import { axesControl } from "./heatmap/axescontrol";
import { flash, segmented } from "./histogram/controls";
import { valuesToText } from "./spectrum/curves";
import { densityPlot } from "./spectrum/densityplot";
import { CAVEAT, type Context, methodText, numbersOf, numbersToText } from "./spectrum/numbers";
import { rankPlot } from "./spectrum/rankplot";
import { type SpectrumState, spectrumState } from "./spectrum/state";
import { vectorsSection } from "./spectrum/vectors";

export const spectrumView: View = {
  name: "spectrum",
  label: "Spectrum",
  title: "singular values of the matrix, their density, and its leading singular vectors",
  whole: true,
  available: (overview, row) =>
    row >= 0 && overview.isTensor(row) && overview.shape(row).length > 1 && !COMPLEX.has(overview.dtype(row)),
  panel: spectrumPanel,
};

function spectrumPanel(store: Store, shown: ReadonlySignal<boolean>): HTMLElement {
  const state = spectrumState(store, shown);
  const problem = h("p", { class: "ww-note ww-sp-problem", role: "status" });
  const body = h(
    "div",
    { class: "ww-sp-body" },
    h("div", { class: "ww-sp-plots" }, valuesSection(state), densitySection(state)),
    numbersSection(state),
    vectorsSection(state),
  );
  const panel = h("div", { class: "ww-spectrum" }, head(state), axesControl(state), problem, body);
  store.effect(() => {
    const text = state.problem.value;
    const gone = store.model.kernel.value === "gone" && !state.known.value.top && !text;
    problem.hidden = text === "" && !gone;
    problem.dataset.tone = text ? "error" : "";
    setText(problem, text || (gone ? goneText(state) : ""), true);
    body.hidden = text !== "";
    body.dataset.gone = String(gone);
  });
  return panel;
}

/** What the overview alone tells: the Frobenius norm, and with the norms of rows and columns bounds of the largest. */
function goneText(state: SpectrumState): string {
  const drawn = state.matrix.value;
  const overview = state.store.overview.value;
  if (!drawn) return "";
  const l2 = overview.column("l2")[drawn.row] ?? Number.NaN;
  const profiles = drawn.isDefault ? overview.profiles(drawn.row) : null;
  const largest = Math.max(0, ...(profiles?.rows ?? []), ...(profiles?.cols ?? []));
  const bounds =
    largest > 0 && drawn.isDefault && Number.isFinite(l2)
      ? ` The largest singular value lies between ${formatNumber(largest, 3)}, the largest norm of a row or column, and ${formatNumber(l2, 3)}, the Frobenius norm.`
      : "";
  return `${lack(state.store).without}, all singular values, their density and the singular vectors are computed here.${bounds}`;
}

function head(state: SpectrumState): HTMLElement {
  const { store } = state;
  const what = h("span", { class: "ww-sp-what" });
  const note = h("span", { class: "ww-soft" });
  const bar = h("progress", { max: 1, "aria-label": "share of the spectrum that is computed" });
  const told = h("span", { class: "ww-number ww-sp-told" });
  const cancel = h("button", { type: "button" }, "cancel");
  cancel.addEventListener("click", () => state.cancel());
  const compute = h("button", { type: "button" }, "compute");
  compute.addEventListener("click", () => state.compute());
  const copy = h(
    "button",
    { type: "button", class: "ww-plain ww-soft", title: "copy the singular values, tab-separated" },
    "copy σ",
  );
  copy.addEventListener("click", async () => {
    const { top, full } = state.known.peek();
    const values = (full ?? top)?.values;
    if (!values) return;
    await copyText(valuesToText(values));
    flash(copy, "copied");
  });
  const work = h("span", { class: "ww-sp-work", role: "status" }, bar, told, cancel, compute, copy);

  store.effect(() => {
    const drawn = state.matrix.value;
    if (!drawn) return;
    const { full } = state.known.value;
    what.textContent = `${formatCount(drawn.rows)} × ${formatCount(drawn.cols)} matrix`;
    note.textContent = noteOf(state);
    what.title = full ? methodText(full) : "";
  });
  store.effect(() => {
    const { top, full } = state.known.value;
    const now = full ? state.progress.full.value : top ? state.progress.full.value : state.progress.top.value;
    const gone = store.model.kernel.value === "gone";
    const running = now.state === "running" && !gone;
    const number = Math.min(state.matrix.value?.rows ?? 0, state.matrix.value?.cols ?? 0);
    const count = formatCount(number);
    const all = number === 1 ? "the only singular value" : `all ${count} singular values`;
    bar.hidden = !running || now.share === 0;
    if (running) bar.value = now.share;
    cancel.hidden = !(running && top);
    copy.hidden = top === null;
    const offered = top !== null && full === null && top.seconds !== null && !running && !gone;
    compute.hidden = !offered;
    if (offered) compute.textContent = `compute all (${durationText(top.seconds ?? 0)})`;
    told.dataset.tone = now.state === "failed" && top ? "error" : "";
    if (full) told.textContent = all;
    else if (gone && top) told.textContent = "no kernel answers: the largest only";
    else if (now.state === "failed" && top) setText(told, now.message, true);
    else if (running) {
      const share = now.share > 0 ? ` ${Math.floor(100 * now.share)} %` : "";
      told.textContent = top ? `${all} …${share}` : `the largest …${share}`;
    } else if (top) setText(told, top.whyNot || `the largest ${top.values.length} of ${count}`, true);
    else told.textContent = "";
  });
  return h("div", { class: "ww-sp-head" }, what, note, work);
}

function noteOf(state: SpectrumState): string {
  const axes = state.axes.value;
  if (state.known.value.full?.numbers.spectral_norm === 0) return "all weights are zero";
  if (isConv(state)) return "the reshaped kernel: its norm is not that of the convolution";
  if ((state.matrix.value?.shape.length ?? 0) < 3) return "";
  if (!axes || axes.what === "") return "what the axes mean is not known: choose those of the matrix";
  return axes.certain ? "" : `axes: ${axes.why}`;
}

/** About how long: "about 30 s". */
export function durationText(seconds: number): string {
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `about ${Number(seconds.toPrecision(seconds < 10 ? 1 : 2))} s`;
  return `about ${Math.round(seconds / 60)} min`;
}

function isConv(state: SpectrumState): boolean {
  return (state.matrix.value?.shape.length ?? 0) > 2 && state.axes.value?.what === "conv";
}

function valuesSection(state: SpectrumState): HTMLElement {
  const { store } = state;
  const scale = segmented(store, "axes of the singular values", state.rankScale, [
    { value: "linear", text: "linear", title: "singular values against their rank" },
    { value: "log", text: "log–log", title: "both on logarithmic axes: a power law is a straight line" },
    { value: "energy", text: "energy", title: "share of the sum of σ² that the largest hold together" },
  ]);
  return h(
    "div",
    { class: "ww-sp-section" },
    h("div", { class: "ww-sp-bar" }, h("span", { class: "ww-heading" }, "Singular values"), scale),
    rankPlot(state),
    legend(state),
  );
}

/** The curves to compare with, each a button that shows or hides it. */
function legend(state: SpectrumState): HTMLElement {
  const { store } = state;
  const entry = (
    kind: string,
    chosen: SpectrumState["showNoise"],
  ): { button: HTMLElement; text: HTMLElement } => {
    const text = h("span", {});
    const button = h(
      "button",
      { type: "button", class: "ww-sp-toggle" },
      h("i", { class: `ww-sp-key ww-sp-${kind}`, "aria-hidden": "true" }),
      text,
    );
    button.addEventListener("click", () => {
      chosen.value = !chosen.peek();
    });
    store.effect(() => button.setAttribute("aria-pressed", String(chosen.value)));
    return { button, text };
  };
  const noise = entry("noise", state.showNoise);
  const init = entry("init", state.showInit);
  const shuffled = entry("shuffled", state.showShuffled);
  noise.text.textContent = "noise (MP law)";
  noise.button.title =
    "the singular values of pure noise as strong as the bulk of these: the law of Marchenko and Pastur";
  shuffled.text.textContent = "shuffled";
  store.effect(() => {
    const { top, full } = state.known.value;
    noise.button.hidden = !full?.law || !(full.numbers.noise > 0);
    init.button.hidden = !top?.init;
    shuffled.button.hidden = !full || !top?.shuffles;
    const failed = state.progress.shuffled.value;
    setTitle(
      shuffled.button,
      failed.state === "failed"
        ? failed.message
        : "the same weights in random order: what their values alone make, without their arrangement",
    );
    if (!top?.init) return;
    setText(init.text, top.init.text);
    const unsure = top.init.certain ? "" : ": the file does not tell what the weights were drawn from";
    setTitle(init.button, `the singular values to be expected of ${top.init.text}${unsure}`);
  });
  return h("div", { class: "ww-sp-legend" }, noise.button, init.button, shuffled.button);
}

function densitySection(state: SpectrumState): HTMLElement {
  const { store } = state;
  const counts = segmented(store, "counts", state.logCounts, [
    { value: false, text: "count", title: "counts on a linear axis" },
    { value: true, text: "log count", title: "counts on a logarithmic axis: a power law is a straight line" },
  ]);
  const pooled = segmented(store, "which matrix", state.showPooled, [
    { value: false, text: "kernel", title: "the kernel reshaped to one matrix" },
    {
      value: true,
      text: "slices",
      title: "the matrices at all places of the kernel, pooled and halved: what the power law is fitted to",
    },
  ]);
  const title = h(
    "span",
    { class: "ww-heading", title: "histogram of log10 σ², also called the ESD" },
    "Density of σ²",
  );
  const below = h("span", { class: "ww-soft" });
  const fitted = h("span", { class: "ww-soft ww-sp-fit" });
  const section = h(
    "div",
    { class: "ww-sp-section" },
    h("div", { class: "ww-sp-bar" }, title, counts, pooled),
    densityPlot(state),
    h("div", { class: "ww-sp-legend" }, fitted, below),
  );
  store.effect(() => {
    const { full } = state.known.value;
    pooled.hidden = !full?.pooled;
    section.hidden = full?.numbers.spectral_norm === 0;
    const pooling = state.showPooled.value;
    const entry = (key: string, text: string): HTMLElement =>
      h("span", {}, h("i", { class: `ww-sp-key ww-sp-${key}`, "aria-hidden": "true" }), text);
    const parts: HTMLElement[] = [];
    if (full && full.spikes > 0 && !pooling)
      parts.push(entry("square", `${formatCount(full.spikes)} ${full.spikes === 1 ? "spike" : "spikes"}`));
    if (full && full.tail > 0) {
      const { alpha, alpha_distance: distance } = full.numbers;
      const which = full.pooled && !pooling ? " (of the slices)" : "";
      parts.push(
        entry("power", `power law α ${formatNumber(alpha, 3)}, D ${formatNumber(distance, 2)}${which}`),
      );
    }
    fitted.replaceChildren(...parts);
    fitted.title = CAVEAT;
    const zeros = full
      ? full.values.filter((value) => !(value > (full.values[0] as number) * 10 ** -4.5)).length
      : 0;
    below.textContent = zeros > 0 && !pooling ? `${formatCount(zeros)} lower` : "";
    below.title = "values so small beside the largest that they are not drawn, zeros among them";
  });
  return section;
}

function numbersSection(state: SpectrumState): HTMLElement {
  const { store } = state;
  const list = h("dl", { class: "ww-sp-list" });
  const copy = h(
    "button",
    { type: "button", class: "ww-plain ww-soft", title: "copy the numbers with all digits, tab-separated" },
    "copy",
  );
  const caveat = h("p", { class: "ww-note" }, CAVEAT);
  const context = (): Context => {
    const drawn = state.matrix.value;
    const { top, full } = state.known.value;
    const whole = drawn !== null && drawn.axes.rows.length + drawn.axes.cols.length === drawn.shape.length;
    const l2 = drawn && whole ? store.overview.value.column("l2")[drawn.row] : undefined;
    return { top, full, l2: l2 ?? Number.NaN, conv: isConv(state) };
  };
  copy.addEventListener("click", async () => {
    await copyText(numbersToText(store.traits.selected.peek(), context()));
    flash(copy, "copied");
  });
  store.effect(() => {
    const all = context();
    // Without a kernel nothing more will come.
    const waits = all.top !== null || store.model.kernel.value !== "gone";
    const shown = numbersOf(all).filter(({ copied }) => waits || copied !== null);
    list.replaceChildren(
      ...shown.map(({ key, label, help, text, note }) =>
        h(
          "div",
          { class: "ww-sp-number", "data-number": key },
          h("dt", { title: help }, label),
          h("dd", { class: "ww-number" }, text),
          note && h("p", { class: "ww-sp-note" }, note),
        ),
      ),
    );
    caveat.hidden = !state.known.value.full || state.known.value.full.tail === 0;
  });
  return h(
    "div",
    { class: "ww-sp-numbers" },
    h("div", { class: "ww-sp-bar" }, h("span", { class: "ww-heading" }, "Numbers"), copy),
    list,
    caveat,
  );
}
