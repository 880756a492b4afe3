/** An entry as a person reads it: its string, if it has one, and its number. */

import { h } from "../../draw/dom";
import type { TokenState } from "./state";

/** @param withNumber whether the number stands beside the string; without a string it always stands */
export function label(state: TokenState, entry: number, withNumber = false): HTMLElement {
  const text = state.text(entry);
  const string = text ? h("bdi", { class: "ww-tok-text" }, text) : null;
  const number = h("span", { class: "ww-tok-id" }, `${entry}`);
  return h("span", { class: "ww-tok-label" }, string, !string || withNumber ? number : null);
}
