/** Signs of the panel. */

import { s } from "../src/draw/svg";

const CELLS = [0.9, 0.35, 0.6, 0.25, 1, 0.45, 0.7, 0.3, 0.85];

/** The panel's own sign, a small heatmap, as JupyterLab takes icons: it colours what has the class jp-icon3. */
export const PANEL_SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">' +
  '<g class="jp-icon3" fill="#616161">' +
  CELLS.map((opacity, i) => {
    const [x, y] = [1 + 5 * (i % 3), 1 + 5 * Math.floor(i / 3)];
    return `<rect x="${x}" y="${y}" width="4" height="4" rx="0.8" opacity="${opacity}"/>`;
  }).join("") +
  "</g></svg>";

const PATHS = {
  back: "M10 3 5 8l5 5",
  again: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  tab: "M6.5 3H3v10h10V9.5M9 3h4v4M13 3 7.5 8.5",
  module: "M8 1.8 14 5v6l-6 3.2L2 11V5zM2 5l6 3.2L14 5M8 8.2v6",
  explorer: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.4 10.4 14 14",
  source: "M2.5 4h11M2.5 8h11M2.5 12h7",
  mapping: "M2.5 3.5h3v3h-3zM8 5h5.5M2.5 9.5h3v3h-3zM8 11h5.5",
  file: "M3.5 1.8h5.5l3.5 3.5v8.9h-9zM9 1.8v3.5h3.5",
  folder: "M1.8 3.5h4.4l1.5 1.8h6.5v7.7H1.8z",
  array: "M2.5 2.5h11v11h-11zM2.5 6.2h11M2.5 9.8h11M6.2 2.5v11M9.8 2.5v11",
} as const;

export type Sign = keyof typeof PATHS;

export function sign(name: Sign): SVGSVGElement {
  return s(
    "svg",
    { class: "wwp-sign", viewBox: "0 0 16 16", width: 15, height: 15, "aria-hidden": "true" },
    s("path", {
      d: PATHS[name],
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 1.3,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}
