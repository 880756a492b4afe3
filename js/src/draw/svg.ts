/** SVG elements in one call, as h() of dom.ts does for HTML. */

import { shown } from "./visible";

export type SvgAttributes = Record<string, string | number | boolean | null | undefined>;

/** s("path", {d: "…"}, child) */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: SvgAttributes = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, attributes);
  element.append(...children.map((child) => (child instanceof Node ? child : shown(child))));
  return element;
}

/** Sets attributes; undefined, null and false take them away. */
export function set(element: Element, attributes: SvgAttributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}
