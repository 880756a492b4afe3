/** The extension: a panel in the left area, tabs, an entry in the file browser's menu, and stored explorers. */

import { h } from "../src/draw/dom";
import { visible } from "../src/draw/visible";
import { FileView, isWeightFile, nameOf } from "./files";
import type {
  App,
  FileBrowserFactory,
  Lab,
  LuminoWidget,
  NotebookPanel,
  Packages,
  Palette,
  Rendermime,
  Restorer,
  Tracker,
} from "./jupyterlab";
import { PANEL_ID, WeightsPanel } from "./panel";
import styles from "./panel.css";
import { watchReopened } from "./reopened";
import type { View } from "./view";

const OPEN_PANEL = "weightwidget:open-panel";
const OPEN_FILE = "weightwidget:open-file";
const EXPLORE_FILES = "weightwidget:explore-files";

type Manager = () => Promise<Packages["@jupyter-widgets/jupyterlab-manager"]>;

/** All is optional: other applications built like JupyterLab have only some of it. */
export function plugin(lab: Lab, manager: Manager): Record<string, unknown> {
  return {
    id: "weightwidget:panel",
    description: "A panel that lists the models of the notebook's kernel and shows their weights.",
    autoStart: true,
    optional: [
      lab["@jupyterlab/notebook"].INotebookTracker,
      lab["@jupyterlab/filebrowser"].IFileBrowserFactory,
      lab["@jupyterlab/rendermime"].IRenderMimeRegistry,
      lab["@jupyterlab/apputils"].ICommandPalette,
      lab["@jupyterlab/application"].ILayoutRestorer,
    ],
    activate: (
      app: App,
      tracker: Tracker<NotebookPanel> | null,
      browsers: FileBrowserFactory | null,
      rendermime: Rendermime | null,
      palette: Palette | null,
      restorer: Restorer | null,
    ): void => {
      document.head.append(h("style", { "data-weightwidget": "panel" }, styles as string));
      const tabs = new Tabs(app, lab);
      if (tracker !== null) {
        watchReopened(tracker, manager);
        addPanel(app, lab, tracker, tabs, palette, restorer);
      }
      if (rendermime !== null) addFiles({ app, lab, rendermime, manager }, tabs, browsers, restorer);
    },
  };
}

/** Tabs of the main area. */
class Tabs {
  icon: unknown = null;
  #app: App;
  #lab: Lab;

  constructor(app: App, lab: Lab) {
    this.#app = app;
    this.#lab = lab;
  }

  add(view: View, label: string, caption: string, beside?: LuminoWidget): LuminoWidget {
    const tab = new this.#lab["@jupyterlab/apputils"].MainAreaWidget({ content: view.widget });
    tab.id = `weightwidget-${Math.random().toString(36).slice(2)}`;
    tab.addClass("wwp-main");
    Object.assign(tab.title, {
      label: visible(label),
      caption: visible(caption),
      icon: this.icon,
      closable: true,
    });
    this.#app.shell.add(tab, "main", beside ? { ref: beside.id, mode: "tab-after" } : {});
    return tab;
  }
}

function addPanel(
  app: App,
  lab: Lab,
  tracker: Tracker<NotebookPanel>,
  tabs: Tabs,
  palette: Palette | null,
  restorer: Restorer | null,
): void {
  const panel = new WeightsPanel(lab, tracker, {
    add: (view, item, notebook) =>
      tabs.add(view, item.name, `Weights of ${item.name} in ${notebook.context.path}`, notebook),
    activate: (tab) => app.shell.activateById(tab.id),
  });
  tabs.icon = panel.icon;
  app.shell.add(panel.widget, "left", { rank: 550 });
  restorer?.add(panel.widget, PANEL_ID);
  app.commands.addCommand(OPEN_PANEL, {
    label: "Show the Weights of the Notebook's Models",
    icon: panel.icon,
    execute: () => app.shell.activateById(PANEL_ID),
  });
  palette?.addItem({ command: OPEN_PANEL, category: "Weights" });
}

function addFiles(
  around: { app: App; lab: Lab; rendermime: Rendermime; manager: Manager },
  tabs: Tabs,
  browsers: FileBrowserFactory | null,
  restorer: Restorer | null,
): void {
  const { app, lab } = around;
  const open = new Map<string, LuminoWidget>();
  const paths = new Map<LuminoWidget, string>();
  const opened = new lab["@jupyterlab/apputils"].WidgetTracker({ namespace: "weightwidget-files" });

  app.commands.addCommand(OPEN_FILE, {
    label: "Explore Weights of a File",
    execute: ({ path }) => {
      if (typeof path !== "string") return;
      let tab = open.get(path);
      if (tab === undefined) {
        const file = new FileView(around, path);
        tab = tabs.add(file.view, nameOf(path), path);
        const made = tab;
        open.set(path, made);
        paths.set(made, path);
        made.disposed.connect(() => open.delete(path));
        void opened.add(made);
        void file.start(made);
      }
      app.shell.activateById(tab.id);
    },
  });
  // Tabs come back after a reload, and find their kernels again.
  void restorer?.restore(opened, {
    command: OPEN_FILE,
    args: (tab) => ({ path: paths.get(tab) ?? "" }),
    name: (tab) => paths.get(tab) ?? "",
  });

  if (browsers === null) return;
  const selected = (): { path: string; name: string; type: string }[] => [
    ...(browsers.tracker.currentWidget?.selectedItems() ?? []),
  ];
  app.commands.addCommand(EXPLORE_FILES, {
    label: "Explore Weights",
    caption: "Show the weights in this file",
    icon: tabs.icon,
    isVisible: () => {
      const files = selected();
      return files.length > 0 && files.every(({ name, type }) => type !== "directory" && isWeightFile(name));
    },
    execute: () => {
      for (const { path } of selected()) void app.commands.execute(OPEN_FILE, { path });
    },
  });
  app.contextMenu.addItem({
    command: EXPLORE_FILES,
    selector: ".jp-DirListing-item[data-isdir='false']",
    rank: 1.5,
  });
}
