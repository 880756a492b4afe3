/** The panel in JupyterLab's left area: the list of the notebook in front, or the explorer opened from it. */

import { append, h, setText } from "../src/draw/dom";
import { formatCount } from "../src/draw/format";
import { PANEL_SVG, sign } from "./icons";
import type { Lab, LuminoPanel, LuminoWidget, NotebookPanel, Tracker } from "./jupyterlab";
import { List } from "./list";
import { type Item, typeOf } from "./listing";
import { Notebook, type Tabs } from "./notebook";
import type { Condition } from "./watch";

export const PANEL_ID = "weightwidget-panel";

const ABSENT: Partial<Record<Condition, string>> = {
  none: "This notebook has no kernel. Choose one to see what it holds.",
  starting: "The kernel is starting.",
  restarting: "The kernel is restarting. Run the cells again to fill this list.",
  dead: "The kernel has died. Restart it and run the cells again.",
};

const BESIDE: Partial<Record<Condition, string>> = {
  busy: "busy: as before the running cell",
  disconnected: "no connection: as it was",
};

export class WeightsPanel {
  readonly widget: LuminoPanel;
  readonly icon: unknown;

  #lab: Lab;
  #tabs: Tabs;
  #notebooks = new Map<NotebookPanel, Notebook>();
  #current: Notebook | null = null;
  #visible = false;

  #list = new List({
    open: (item) => this.#current?.open(item),
    openInTab: (item) => this.#current?.openInTab(item),
  });
  #filter = h("input", {
    type: "search",
    class: "wwp-filter",
    placeholder: "Filter: name, type, dtype",
    "aria-label": "filter models",
    spellcheck: "false",
  });
  #where = h("div", { class: "wwp-where", role: "status" });
  #state = h("p", { class: "wwp-note", role: "status" });
  #front = h("div", { class: "wwp-front" });
  #head = h("div", { class: "wwp-head" });
  #headFor: Item | null = null;
  #listWidget: LuminoWidget;
  #headWidget: LuminoWidget;

  constructor(lab: Lab, tracker: Tracker<NotebookPanel> | null, tabs: Tabs) {
    const { Panel, Widget } = lab["@lumino/widgets"];
    this.#lab = lab;
    this.#tabs = tabs;
    this.icon = new lab["@jupyterlab/ui-components"].LabIcon({
      name: "weightwidget:panel",
      svgstr: PANEL_SVG,
    });
    this.#build();
    this.#listWidget = new Widget({ node: this.#front });
    this.#headWidget = new Widget({ node: this.#head });
    this.widget = new Panel();
    this.widget.id = PANEL_ID;
    this.widget.addClass("wwp-panel");
    this.widget.title.icon = this.icon;
    this.widget.title.caption = "Weights";
    this.widget.node.setAttribute("role", "region");
    this.widget.node.setAttribute("aria-label", "Weights of the notebook's models");
    this.widget.addWidget(this.#listWidget);
    this.widget.addWidget(this.#headWidget);
    lab["@lumino/messaging"].MessageLoop.installMessageHook(this.widget, (_, { type }) => {
      if (type === "after-show" || type === "before-hide" || type === "after-attach") {
        this.#visible = type === "after-show" || (type === "after-attach" && this.widget.isVisible);
        this.#wake();
      }
      return true;
    });
    tracker?.currentChanged.connect((_, notebook) => this.#follow(notebook));
    this.#follow(tracker?.currentWidget ?? null);
  }

  #build(): void {
    const again = h(
      "button",
      { class: "wwp-button", type: "button", title: "List again", "aria-label": "list again" },
      sign("again"),
    );
    again.addEventListener("click", () => this.#current?.watch.refresh());
    this.#filter.addEventListener("input", () => this.#update());
    this.#filter.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") {
        event.preventDefault();
        this.#list.focus();
      }
    });
    append(this.#front, [
      h("div", { class: "wwp-bar" }, this.#filter, again),
      this.#where,
      this.#state,
      this.#list.node,
    ]);
  }

  /** Turns to the notebook in front; each keeps what it has open. */
  #follow(panel: NotebookPanel | null): void {
    let notebook = panel === null ? null : (this.#notebooks.get(panel) ?? null);
    if (panel !== null && notebook === null && !panel.isDisposed) {
      notebook = new Notebook(this.#lab, panel, this.#tabs);
      const made = notebook;
      made.changed = () => {
        if (made === this.#current) this.#update();
      };
      this.#notebooks.set(panel, made);
      panel.disposed.connect(() => {
        this.#notebooks.delete(panel);
        if (made === this.#current) this.#follow(null);
        made.dispose();
      });
    }
    if (this.#current !== notebook && this.#current !== null) {
      this.#current.watch.active = false;
      this.#current.shown?.view.widget.hide();
    }
    this.#current = notebook;
    this.#wake();
    this.#update();
  }

  #wake(): void {
    if (this.#current !== null) this.#current.watch.active = this.#visible;
  }

  #update(): void {
    const shown = this.#current?.shown ?? null;
    if (shown === null) {
      this.#headWidget.hide();
      this.#headFor = null;
      this.#listWidget.show();
      this.#updateList();
      return;
    }
    this.#listWidget.hide();
    this.#headWidget.show();
    if (this.#headFor !== shown.item) this.#updateHead(shown.item);
    if (!shown.view.widget.isAttached) this.widget.addWidget(shown.view.widget);
    shown.view.widget.show();
  }

  #updateList(): void {
    const watch = this.#current?.watch;
    const listing = watch?.listing ?? null;
    const condition = watch?.condition ?? "none";
    const text = this.#absent(condition);
    setText(this.#state, text, true);
    this.#state.hidden = text === "";
    this.#list.node.hidden = listing === null || text !== "";
    this.#filter.disabled = listing === null;
    this.#where.hidden = this.#current === null;
    const name = this.#current?.panel.context.path.split("/").at(-1) ?? "";
    const models = listing?.items.filter((item) => item.kind !== "array").length ?? 0;
    const beside =
      listing === null
        ? ""
        : (BESIDE[condition] ?? `${formatCount(models)} ${models === 1 ? "model" : "models"}`);
    this.#where.replaceChildren(
      h("span", { class: "wwp-notebook", title: this.#current?.panel.context.path }, name),
      h("span", { class: "wwp-beside" }, beside),
    );
    if (listing !== null && text === "") this.#list.show(listing, this.#filter.value);
  }

  /** Why there is no list; empty if there is one. */
  #absent(condition: Condition): string {
    const watch = this.#current?.watch;
    if (watch === undefined) return "Open a notebook to see the models that its kernel holds.";
    if (condition === "foreign")
      return `This kernel speaks ${watch.language}: only Python's models can be listed.`;
    const text = ABSENT[condition];
    if (text !== undefined) return text;
    if (watch.listing !== null) return "";
    if (watch.fault) return `The list could not be had: ${watch.fault}. Try again with the button above.`;
    if (condition === "disconnected") return "There is no connection to the kernel.";
    if (condition === "busy") return "The kernel is busy: the list comes when the running cell has ended.";
    return "Asking the kernel…";
  }

  #updateHead(item: Item): void {
    this.#headFor = item;
    const button = (name: "back" | "again" | "tab", title: string, run: () => void): HTMLButtonElement => {
      const made = h(
        "button",
        { class: "wwp-button", type: "button", title, "aria-label": title.toLowerCase() },
        sign(name),
      );
      made.addEventListener("click", run);
      return made;
    };
    const back = button("back", "Back to the list", () => {
      this.#current?.close();
      this.#list.focus();
    });
    this.#head.replaceChildren(
      back,
      h("span", { class: "wwp-title", title: item.name }, item.name),
      h("span", { class: "wwp-soft wwp-title-type", title: typeOf(item) }, item.label ?? item.type),
      button("again", "Read the weights again", () => void this.#current?.shown?.view.refresh()),
      button("tab", "Open in a tab", () => {
        const shown = this.#current?.shown;
        if (shown) this.#current?.openInTab(shown.item);
      }),
    );
    back.focus();
  }
}
