/** What is selected: its path, each part a way up, its shape, type and class. */

import { h } from "../draw/dom";
import { formatCount, formatShape } from "../draw/format";
import type { Store } from "../store";

export function headingPanel(store: Store): HTMLElement {
  const path = h("div", { class: "ww-path" });
  const facts = h("div", { class: "ww-facts ww-soft ww-number" });

  store.effect(() => {
    const overview = store.overview.value;
    const selected = store.traits.selected.value;
    const row = store.selectedRow.value;
    const parts = selected === "" ? [] : selected.split(".");
    const crumbs: (Node | string)[] = [];
    const crumb = (label: string, target: string): void => {
      const button = h(
        "button",
        { class: "ww-plain ww-soft", type: "button", title: target || "the whole model" },
        label,
      );
      button.addEventListener("click", () => store.select(target));
      crumbs.push(button);
    };
    if (parts.length > 0) crumb(overview.name || "model", "");
    parts.slice(0, -1).forEach((part, depth) => {
      crumbs.push(h("span", { class: "ww-soft" }, "›"));
      crumb(part, parts.slice(0, depth + 1).join("."));
    });
    if (parts.length > 0) crumbs.push(h("span", { class: "ww-soft" }, "›"));
    const last = parts.at(-1) ?? (overview.name || "model");
    crumbs.push(h("strong", { class: "ww-path-last", title: selected }, last));
    path.replaceChildren(...crumbs);

    if (row < 0) {
      facts.textContent = overview.rows === 0 ? "" : "no such tensor or module in this model";
      return;
    }
    const kind = overview.kind(row);
    facts.textContent = overview.isTensor(row)
      ? [formatShape(overview.shape(row)), overview.dtype(row), kind || overview.role(row)].join(" · ")
      : [`${formatCount(overview.column("count")[row] as number)} weights`, kind || "module"].join(" · ");
  });
  return h("header", { class: "ww-header" }, path, facts);
}
