/** What stands in the place of the tree when there is nothing to list. */

import { h, setText } from "../../draw/dom";
import type { Store } from "../../store";

/** Classes that are named to somebody whose kind: finds nothing. */
const MOST_KINDS = 12;

export function emptyNote(store: Store): HTMLElement {
  const text = h("p", { class: "ww-note" });
  const hint = h("p", { class: "ww-note" });
  const clear = h("button", { type: "button" }, "Clear the filter");
  const root = h("div", { class: "ww-tree-empty", role: "status" }, text, hint, clear);
  clear.addEventListener("click", () => {
    store.traits.query.value = "";
    store.traits.facets.value = {};
  });
  store.effect(() => {
    const overview = store.overview.value;
    const nothing = overview.tensors === 0;
    root.hidden = !nothing && store.matches.value.count > 0;
    if (root.hidden) return;
    clear.hidden = nothing;
    text.textContent = nothing
      ? "There are no tensors."
      : `None of ${overview.tensors} tensors passes the filter.`;
    setText(hint, /\bkind\s*[:=]/i.test(store.traits.query.value) ? kindsOf(store) : "");
    hint.hidden = hint.textContent === "";
  });
  return root;
}

function kindsOf(store: Store): string {
  const overview = store.overview.value;
  const kinds = new Set<string>();
  for (let row = 0; row < overview.rows; row++) kinds.add(overview.kind(row));
  kinds.delete("");
  if (kinds.size === 0) return "The classes of the modules are not known here: kind: finds nothing.";
  const some = [...kinds].slice(0, MOST_KINDS);
  return `Classes here: ${some.join(", ")}${kinds.size > some.length ? ", …" : ""}. Patterns work: kind:*Norm`;
}
