/** The rows of the panel: what the kernel holds. */

import { h } from "../src/draw/dom";
import { formatCount } from "../src/draw/format";
import { sign } from "./icons";
import { describe, type Item, type Listing, matches, sizeOf, typeOf, weightsOf } from "./listing";

export interface Chooser {
  open(item: Item): void;
  openInTab(item: Item): void;
}

export class List {
  readonly node = h("div", { class: "wwp-list" });
  #chooser: Chooser;
  /** Arrays are many in most notebooks, and models are what people look for. */
  #unfolded = new Set<string>();
  /** The row that the Tab key leads to. */
  #at = "";

  constructor(chooser: Chooser) {
    this.#chooser = chooser;
    this.node.addEventListener("keydown", (event) => this.#onKey(event));
    this.node.addEventListener("focusin", (event) => {
      const row = (event.target as HTMLElement).closest<HTMLElement>(".wwp-row");
      if (row?.dataset.name !== undefined) this.#reach(row.dataset.name);
    });
  }

  show(listing: Listing, filter: string): void {
    const focused = this.node.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).closest<HTMLElement>(".wwp-row")?.dataset.name
      : undefined;
    const top = this.node.scrollTop;
    const shown = listing.items.filter((item) => matches(item, filter));
    const models = shown.filter((item) => item.kind !== "array");
    const arrays = shown.filter((item) => item.kind === "array");
    this.node.replaceChildren(
      ...(models.length > 0 ? [this.#rows(models, "models")] : [this.#nothing(listing, filter)]),
      ...(arrays.length > 0
        ? [
            this.#fold(
              "single arrays and tensors",
              arrays.length,
              this.#rows(arrays, "arrays"),
              filter !== "",
            ),
          ]
        : []),
      ...this.#leftOut(listing),
    );
    this.node.scrollTop = top;
    const names = shown.map((item) => item.name);
    this.#reach(names.includes(this.#at) ? this.#at : (names[0] ?? ""));
    if (focused !== undefined) this.#button(focused)?.focus();
  }

  /** Puts the keyboard on the first row. */
  focus(): void {
    this.#buttons()[0]?.focus();
  }

  #rows(items: Item[], label: string): HTMLElement {
    return h("ul", { class: "wwp-rows", "aria-label": label }, ...items.map((item) => this.#row(item)));
  }

  #row(item: Item): HTMLElement {
    const about = describe(item);
    const main = h(
      "button",
      { class: "wwp-open", type: "button", title: about, "aria-label": about.replaceAll("\n", ", ") },
      sign(item.kind),
      h(
        "span",
        { class: "wwp-name" },
        item.name,
        item.aliases.length > 0 && h("span", { class: "wwp-soft" }, ` = ${item.aliases.join(" = ")}`),
      ),
      h("span", { class: "wwp-number" }, weightsOf(item)),
      h("span", { class: "wwp-type" }, typeOf(item)),
      h("span", { class: "wwp-number wwp-soft" }, sizeOf(item)),
    );
    main.addEventListener("click", () => this.#chooser.open(item));
    const tab = h(
      "button",
      {
        class: "wwp-tab",
        type: "button",
        title: "Open in a tab",
        "aria-label": `open ${item.name} in a tab`,
      },
      sign("tab"),
    );
    tab.addEventListener("click", () => this.#chooser.openInTab(item));
    const row = h("li", { class: "wwp-row" }, main, tab);
    row.dataset.name = item.name;
    return row;
  }

  #nothing(listing: Listing, filter: string): HTMLElement {
    const none = listing.items.every((item) => item.kind === "array");
    if (!none) return h("p", { class: "wwp-note" }, `Nothing here matches “${filter}”.`);
    return h(
      "p",
      { class: "wwp-note" },
      "No models yet. Run a cell that makes a model, a state dict, or the path of a file of weights.",
    );
  }

  #leftOut({ skipped, left_out }: Listing): HTMLElement[] {
    const count = skipped.length + left_out;
    if (count === 0) return [];
    const lines = skipped.map(({ name, type, reason }) =>
      h("li", {}, h("b", {}, name), ` (${type}): ${reason}`),
    );
    if (left_out > 0) lines.push(h("li", {}, `${formatCount(left_out)} more variables`));
    return [this.#fold("not listed", count, h("ul", { class: "wwp-skipped" }, ...lines), false)];
  }

  /** A part that is folded until somebody opens it, or filters. */
  #fold(label: string, count: number, content: HTMLElement, forced: boolean): HTMLElement {
    const open = forced || this.#unfolded.has(label);
    const fold = h(
      "details",
      { class: "wwp-fold", open },
      h("summary", {}, label, h("span", { class: "wwp-count" }, formatCount(count))),
      content,
    );
    fold.addEventListener("toggle", () => {
      if (forced) return;
      if (fold.open) this.#unfolded.add(label);
      else this.#unfolded.delete(label);
    });
    return fold;
  }

  #buttons(): HTMLButtonElement[] {
    const all = [...this.node.querySelectorAll<HTMLButtonElement>(".wwp-open")];
    return all.filter((button) => button.checkVisibility());
  }

  #button(name: string): HTMLButtonElement | undefined {
    return this.#buttons().find((button) => button.parentElement?.dataset.name === name);
  }

  /** Makes one row the one that the Tab key leads to; the arrows lead to the others. */
  #reach(name: string): void {
    this.#at = name;
    for (const row of this.node.querySelectorAll<HTMLElement>(".wwp-row")) {
      const reached = row.dataset.name === name;
      for (const button of row.querySelectorAll("button")) button.tabIndex = reached ? 0 : -1;
    }
  }

  #onKey(event: KeyboardEvent): void {
    const row = (event.target as HTMLElement).closest<HTMLElement>(".wwp-row");
    if (row === null || event.altKey || event.metaKey || event.ctrlKey) return;
    const buttons = this.#buttons();
    const at = buttons.findIndex((button) => button.parentElement === row);
    const [main, tab] = row.querySelectorAll("button");
    const target = {
      ArrowDown: buttons[at + 1],
      ArrowUp: buttons[at - 1],
      Home: buttons[0],
      End: buttons.at(-1),
      ArrowRight: tab,
      ArrowLeft: main,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    target.focus();
  }
}
