import { s } from "./svg";

/** An icon of strokes in a box of 16, in the colour of the text. */
export function icon(path: string): SVGSVGElement {
  return s(
    "svg",
    { class: "ww-icon", viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    s("path", {
      d: path,
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 1.4,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}
