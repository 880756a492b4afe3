/** What stands in the heatmap's place when there is no matrix: a number, a module's tensors, an error. */

import { SEPARATOR } from "../../anatomy";
import { palette } from "../../draw/colour";
import { colourScale, paint, scaleOfDrawn } from "../../draw/colourscale";
import { breakable, h } from "../../draw/dom";
import { formatCount, formatNumber, formatShape } from "../../draw/format";
import type { Overview } from "../../overview";
import type { Store } from "../../store";

/** Most thumbnails in the picture of a module. */
const MOST = 60;

export function message(text: string, tone: "" | "error" = ""): HTMLElement {
  return h(
    "div",
    { class: "ww-hm-message" },
    h("p", { class: "ww-note", "data-tone": tone || undefined }, text),
  );
}

/** A tensor of rank 0. The kernel gives all digits; until then those of the overview. */
export function scalarView(store: Store, row: number, lifetime: AbortSignal): HTMLElement {
  const overview = store.overview.value;
  const name = overview.names[row] as string;
  const known = overview.thumbnail(row)?.data[0] ?? overview.column("mean")[row] ?? Number.NaN;
  const number = h("div", { class: "ww-hm-scalar" }, overview.summarised(row) ? formatNumber(known, 7) : "…");
  store.model
    .request(
      "cell",
      { tensor: name, axes: { rows: [], cols: [] }, index: [], window: [0, 1, 0, 1] },
      { signal: lifetime },
    )
    .then(({ value }) => {
      number.textContent = value.replaceAll("-", "\u2212");
    })
    .catch(() => {
      // The overview's number stands.
    });
  return h(
    "div",
    { class: "ww-hm-message" },
    number,
    h("div", { class: "ww-soft" }, `scalar · ${overview.dtype(row)}`),
  );
}

/** Rows of the tensors of a module, at any depth; of a head, of its blocks. */
export function tensorsOf(overview: Overview, row: number): number[] {
  const head = overview.block(row);
  if (head) return head.parts.map((part) => overview.rowOf(part.path));
  const path = overview.names[row] as string;
  const prefix = path === "" ? "" : `${path}.`;
  const rows: number[] = [];
  for (let at = 0; at < overview.tensors; at++) {
    if ((overview.names[at] as string).startsWith(prefix)) rows.push(at);
  }
  return rows;
}

/** A module: its tensors in small, each with its own colour scale. A click selects. */
export function moduleView(store: Store, row: number): HTMLElement {
  const overview = store.overview.value;
  const rows = tensorsOf(overview, row);
  const path = overview.names[row] as string;
  const head = overview.block(row);
  const what = head ? "A head" : "A module";
  const prefix = head ? path.length + SEPARATOR.length : path === "" ? 0 : path.length + 1;
  const weights = overview.column("count")[row] ?? Number.NaN;
  const total = Number.isFinite(weights) ? `${formatCount(weights)} weights in ` : "";
  const one = head ? "projection" : "tensor";
  const many = rows.length === 1 ? `1 ${one}` : `${formatCount(rows.length)} ${one}s`;
  const grid = h("div", { class: "ww-hm-grid" });
  for (const at of rows.slice(0, MOST)) grid.append(card(store, at, prefix));
  return h(
    "div",
    { class: "ww-hm-module" },
    h(
      "p",
      { class: "ww-note" },
      `${what}: ${total}${many}, which the histogram shows together. Select a ${one} to see its weights.`,
    ),
    grid,
    rows.length > MOST && h("p", { class: "ww-note" }, `… and ${formatCount(rows.length - MOST)} more`),
  );
}

function card(store: Store, row: number, prefix: number): HTMLElement {
  const overview = store.overview.value;
  const name = overview.names[row] as string;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const button = h(
    "button",
    { type: "button", class: "ww-hm-card", title: `${name}, ${formatShape(overview.shape(row))}` },
    canvas,
    h("span", { class: "ww-hm-card-name" }, ...breakable(name.slice(prefix))),
    h("span", { class: "ww-soft ww-number" }, formatShape(overview.shape(row))),
  );
  button.addEventListener("click", () => store.select(name));
  const picture = overview.thumbnail(row);
  const context = canvas.getContext("2d");
  if (picture && context) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    const image = context.createImageData(picture.width, picture.height);
    const kind = store.traits.color_scale.value;
    const absmax = overview.column("absmax")[row] ?? 1;
    const of = {
      absmax,
      q01: Number.NaN,
      q99: Number.NaN,
      rms: overview.column("rms")[row] ?? 1,
      pixel: Number.NaN,
    };
    const scale = kind === "full" || kind === "symlog" ? colourScale(kind, of) : scaleOfDrawn(picture.data);
    const colours = palette(store.traits.color_map.value, store.theme.value);
    paint(picture.data, picture.width, new Uint32Array(image.data.buffer), { palette: colours, scale });
    context.putImageData(image, 0, 0);
  }
  return button;
}
