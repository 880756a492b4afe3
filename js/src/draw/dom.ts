/** Elements in one call. Text goes in as text nodes only, and nothing in it is unseen: names of tensors are hostile input. */

import { shown } from "./visible";

type Child = Node | string | number | null | undefined | false;

export interface Attributes {
  class?: string;
  title?: string;
  [name: string]: string | number | boolean | undefined | null;
}

/** Attributes that a person sees or hears. */
const READ = /^(title|alt|placeholder|aria-.*)$/;

/** h("span", {class: "x", "aria-label": "…"}, "text", node) */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    const text = value === true ? "" : String(value);
    element.setAttribute(name, READ.test(name) ? shown(text, true) : text);
  }
  append(element, children);
  return element;
}

export function append(parent: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    // Rules of a style sheet are not shown.
    const raw = child instanceof Node || parent instanceof HTMLStyleElement;
    parent.append(raw ? (child as Node | string) : shown(String(child)));
  }
}

/** Writes a text that may hold names. @param lines whether it may have several lines, as messages of errors */
export function setText(element: Element, text: string, lines = false): void {
  element.textContent = shown(text, lines);
}

/** A tooltip that may hold names, each in its form for display (`visible`) where it has several lines. */
export function setTitle(element: HTMLElement, text: string): void {
  element.title = shown(text, true);
}

/** Copies text; falls back to a selection where the clipboard is not to be had (http, iframes). */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** A name that may break after its dots; numbers stay whole. */
export function breakable(text: string): (string | Node)[] {
  return text.split(/(?<=\.)(?=[^\d\s])/).flatMap((part, i) => (i === 0 ? [part] : [h("wbr"), part]));
}
