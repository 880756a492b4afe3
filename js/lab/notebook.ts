/** What the panel keeps of one notebook: its kernel's list, the explorer in the panel, and those in tabs. */

import type { Lab, LuminoWidget, NotebookPanel } from "./jupyterlab";
import { call } from "./kernel";
import { find, type Item } from "./listing";
import { View } from "./view";
import { Watch } from "./watch";

/** A view, and which object it shows. */
export interface Shown {
  view: View;
  item: Item;
}

/** Tabs of the main area. */
export interface Tabs {
  add(view: View, item: Item, notebook: NotebookPanel): LuminoWidget;
  activate(tab: LuminoWidget): void;
}

export class Notebook {
  readonly watch: Watch;
  /** What is open in the panel; null where the list is. */
  shown: Shown | null = null;
  /** Told whenever the panel has something else to show. */
  changed: () => void = () => undefined;
  readonly panel: NotebookPanel;

  #lab: Lab;
  #host: Tabs;
  #tabs = new Map<string, Shown & { tab: LuminoWidget }>();

  constructor(lab: Lab, panel: NotebookPanel, host: Tabs) {
    this.#lab = lab;
    this.panel = panel;
    this.#host = host;
    this.watch = new Watch(panel.sessionContext);
    this.watch.changed = () => {
      for (const shown of this.#all()) this.#compare(shown);
      this.changed();
    };
    this.watch.lost = () => {
      for (const { view, item } of this.#all()) {
        view.die(`The kernel was restarted: ${item.name} is gone. Run the cell that makes it again.`);
      }
    };
  }

  /** Opens an item in the panel. */
  open(item: Item): void {
    this.close();
    const view = this.#view(item);
    this.shown = { view, item };
    this.changed();
    this.#show(this.shown);
  }

  /** Opens an item in a tab, or comes back to the tab that it has. */
  openInTab(item: Item): void {
    const known = this.#tabs.get(item.name);
    const view = known?.view ?? this.#view(item);
    const tab = known?.tab ?? this.#host.add(view, item, this.panel);
    const shown = { view, item, tab };
    this.#tabs.set(item.name, shown);
    if (known !== undefined) this.#host.activate(tab);
    else {
      tab.disposed.connect(() => {
        this.#tabs.delete(item.name);
        view.close();
      });
    }
    this.#show(shown);
  }

  /** Goes back to the list. */
  close(): void {
    this.shown?.view.dispose();
    this.shown = null;
    this.changed();
  }

  dispose(): void {
    this.watch.dispose();
    for (const { tab } of [...this.#tabs.values()]) tab.dispose();
    this.shown?.view.dispose();
    this.shown = null;
  }

  #view(item: Item): View {
    const { rendermime } = this.panel.content;
    const show = (id: string): string => call("show", item.name, id);
    const view = new View(this.#lab, rendermime, { name: item.name, show });
    view.changed = () => this.changed();
    return view;
  }

  #show(shown: Shown): void {
    const { kernel } = this.watch;
    if (kernel === null)
      shown.view.die("There is no kernel: start one and run the cell that makes it again.");
    else void shown.view.open(kernel).then(() => this.#compare(shown));
    this.#compare(shown);
  }

  #all(): Shown[] {
    return [...(this.shown ? [this.shown] : []), ...this.#tabs.values()];
  }

  /** Says where a view no longer shows what its name stands for. */
  #compare(shown: Shown): void {
    const { view, item } = shown;
    const { listing, condition } = this.watch;
    if (view.isDisposed) return;
    if (view.state === "waiting") {
      view.say(
        condition === "busy"
          ? `The kernel is busy: ${item.name} opens when the running cell has ended.`
          : `Opening ${item.name}…`,
      );
      return;
    }
    if (view.state === "failed" || listing === null) return;
    const now = find(listing, item.name);
    const again = (label: string): { label: string; run(): void } => ({
      label,
      run: () => {
        if (now === undefined) return;
        shown.item = now;
        this.#show(shown);
      },
    });
    if (view.state === "dead") {
      if (now !== undefined) view.say(`${item.name} is there again.`, again("Show it"));
    } else if (now === undefined) {
      // Beyond what is listed it may still be there.
      if (listing.left_out === 0) view.say(`${item.name} is gone from the kernel. This is what it was.`);
    } else if (now.token !== item.token) {
      view.say(`${item.name} is another object now. This is the one before.`, again("Show the new one"));
    } else {
      view.say("");
    }
  }
}
