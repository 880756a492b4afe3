/** One head: its projections as pictures, the spectra of its circuits. */

import { PROJECTIONS, SEPARATOR } from "../../anatomy";
import { palette } from "../../draw/colour";
import { paint, scaleOfDrawn } from "../../draw/colourscale";
import { h } from "../../draw/dom";
import { formatNumber, formatShape } from "../../draw/format";
import { s } from "../../draw/svg";
import { lack } from "../../lack";
import { drawPlane, drawSpectrum, onWidth } from "./chart";
import { headPath } from "./layers";
import type { HeadDetail, HeadsState, Picture } from "./state";

const HEIGHT = 148;

export function headPanel(state: HeadsState): HTMLElement {
  const { store } = state;
  const strips = h("div", { class: "ww-heads-strips" });
  const plots = PLOTS.map((plot) => plotOf(state, plot));
  const charts = h("div", { class: "ww-heads-plots" }, ...plots);
  const note = h("p", { class: "ww-note ww-heads-hint" });
  const element = h("div", { class: "ww-heads-head" }, note, strips, charts);
  store.effect(() => {
    const now = state.detail.value;
    const layer = state.layer.value;
    const head = state.head.value;
    const fresh = now?.of === `${layer?.path} ${head}`;
    element.dataset.stale = String(!fresh && head >= 0 && now !== null);
    const value = now?.value ?? null;
    strips.hidden = !value || head < 0;
    charts.hidden = strips.hidden;
    note.dataset.tone = fresh && now?.error ? "error" : "";
    note.textContent =
      head < 0
        ? "Choose a head: click a cell of the grid, or use the arrow keys there."
        : fresh && now?.error
          ? now.error
          : value
            ? ""
            : state.gone.value
              ? `${lack(store).Agent} would show this head: its weights, the spectra of its QK and OV circuits, OV's eigenvalues.`
              : "reading the head …";
    note.hidden = note.textContent === "";
    if (!value) return;
    const theme = store.theme.value;
    const map = store.traits.color_map.value;
    strips.replaceChildren(
      ...PROJECTIONS.flatMap((name, i) => {
        const picture = value.pictures[i];
        return picture ? [strip(state, value, name, i, picture, palette(map, theme))] : [];
      }),
    );
  });
  return element;
}

function strip(
  state: HeadsState,
  detail: HeadDetail,
  name: (typeof PROJECTIONS)[number],
  at: number,
  picture: Picture,
  colours: ReturnType<typeof palette>,
): HTMLElement {
  const scale = scaleOfDrawn(picture.data);
  const canvas = h("canvas", { class: "ww-heads-strip" });
  canvas.width = picture.width;
  canvas.height = picture.height;
  // As high as it has rows: short heads two pixels a row.
  const rows = detail.shapes[at]?.[0] ?? 1;
  canvas.style.height = `${Math.min(64, Math.max(28, rows < 24 ? 2 * rows : rows))}px`;
  const context = canvas.getContext("2d");
  if (context) {
    const image = context.createImageData(picture.width, picture.height);
    paint(picture.data, picture.width, new Uint32Array(image.data.buffer), { palette: colours, scale });
    context.putImageData(image, 0, 0);
  }
  const path = `${headPath(detail.layer, detail.head)}${SEPARATOR}${name}`;
  const norm = detail.measures.get(`${name}_norm`) ?? Number.NaN;
  const overview = state.store.overview.value;
  const [own, now] = [overview.block(overview.rowOf(path)), overview.block(state.store.selectedRow.value)];
  // A block of the tensor may be the same part under another name.
  const selected = own !== null && own.tensor === now?.tensor && String(own.box) === String(now.box);
  const shape = formatShape(detail.shapes[at] ?? []);
  const button = h(
    "button",
    {
      type: "button",
      class: "ww-heads-projection",
      title: `select ${path}; here the head's own channels are the rows, those of the model the columns`,
      "aria-pressed": String(selected),
    },
    h(
      "span",
      { class: "ww-heads-caption" },
      h("b", {}, name === "output" ? "outputᵀ" : name),
      h("span", { class: "ww-soft" }, shape),
      h(
        "span",
        { class: "ww-number ww-soft" },
        `norm ${formatNumber(norm, 3)}  ±${formatNumber(scale.limit, 2)}`,
      ),
    ),
    canvas,
  );
  button.addEventListener("click", () => state.store.select(path));
  return button;
}

interface PlotKind {
  readonly title: string;
  readonly formula: string;
  draw(svg: SVGSVGElement, detail: HeadDetail, width: number): boolean;
  facts(detail: HeadDetail): string;
  missing(detail: HeadDetail): string;
}

function spectrumPlot(key: "qk" | "ov", title: string, formula: string, parts: string): PlotKind {
  return {
    title,
    formula,
    draw: (svg, detail, width) => {
      const values = detail[key];
      if (!values?.every(Number.isFinite)) return false;
      drawSpectrum(svg, values, width, HEIGHT);
      return true;
    },
    facts: ({ measures }) => {
      const of = (name: string): string => formatNumber(measures.get(`${key}_${name}`) ?? Number.NaN, 3);
      return `σ₁ ${of("spectral")} · norm ${of("frobenius")} · stable rank ${of("stable_rank")}`;
    },
    missing: (detail) =>
      detail[key] ? "NaN or infinite weights leave no circuit" : `there is no ${parts} projection of its own`,
  };
}

const PLOTS: readonly PlotKind[] = [
  spectrumPlot("qk", "QK singular values", "Wqᵀ Wk", "query or key"),
  spectrumPlot("ov", "OV singular values", "Wo Wv", "value or output"),
  {
    title: "OV eigenvalues",
    formula: "of Wo Wv",
    draw: (svg, { eigenvalues }, width) => {
      if (!eigenvalues?.re.every(Number.isFinite)) return false;
      drawPlane(svg, eigenvalues, width, HEIGHT);
      return true;
    },
    facts: ({ measures }) => {
      const score = measures.get("copying") ?? Number.NaN;
      const told = Number.isNaN(score) ? "–" : `${score > 0 ? "+" : ""}${formatNumber(score, 3)}`;
      return `copying score ${told}, Σλ / Σ|λ|`;
    },
    missing: (detail) =>
      !detail.ov
        ? "there is no value or output projection of its own"
        : detail.square
          ? "NaN or infinite weights leave no circuit"
          : "the head writes to another stream than it reads: its OV circuit has no eigenvalues",
  },
];

function plotOf(state: HeadsState, plot: PlotKind): HTMLElement {
  const svg = s("svg", { class: "ww-heads-chart", role: "img", "aria-label": plot.title });
  const facts = h("div", { class: "ww-heads-facts ww-soft" });
  const title = h(
    "div",
    { class: "ww-heads-title" },
    plot.title,
    " ",
    h("span", { class: "ww-soft" }, plot.formula),
  );
  const element = h("figure", { class: "ww-heads-plot" }, title, svg, facts);
  let width = 0;
  const draw = (): void => {
    const detail = state.detail.value?.value;
    if (!detail || width === 0) return;
    const drawn = plot.draw(svg, detail, width);
    svg.style.display = drawn ? "" : "none";
    facts.textContent = drawn ? plot.facts(detail) : plot.missing(detail);
  };
  state.store.effect(draw);
  onWidth(element, state.store.lifetime, (now) => {
    width = now;
    draw();
  });
  return element;
}
