/** Explorers in a reopened notebook: finds their outputs, and tells them how it stands with the kernel. */

import type { MimeModel, NotebookPanel, Packages, Renderer, Tracker } from "./jupyterlab";
import { registerManager } from "./late";
import { ExplorerOutput, type Surroundings } from "./output";
import { isMarked, modelOf, type StoredExplorer, storedExplorer, WIDGET_VIEW } from "./stored";

type Manager = () => Promise<Packages["@jupyter-widgets/jupyterlab-manager"]>;

/**
 * How long a notebook may be without a kernel before it is taken to stay so, in milliseconds. JupyterLab does not tell
 * when somebody chose none in its dialog. A kernel that comes later is still used.
 */
const PATIENCE = 2000;

/** Follows all notebooks, those that are open already too. */
export function watchReopened(tracker: Tracker<NotebookPanel>, manager: Manager): void {
  const take = (panel: NotebookPanel): void => void new Reopened(panel, manager);
  tracker.forEach(take);
  tracker.widgetAdded.connect((_, panel) => take(panel));
}

class Reopened implements Surroundings {
  hasNoKernel = false;

  #panel: NotebookPanel;
  #manager: Manager;
  #outputs = new Set<ExplorerOutput>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What ipywidgets left behind when it found no kernel; undefined if it did find one. */
  #unmanaged: unknown;
  #create: (type: string) => Renderer;

  constructor(panel: NotebookPanel, manager: Manager) {
    this.#panel = panel;
    this.#manager = manager;
    const { sessionContext } = panel.context;
    const { rendermime } = panel.content;
    // Not a factory before ipywidgets' own: it removes all others when it adds its own, whenever that is. And the
    // renderer stays ipywidgets', which looks for its own in the outputs to give them their manager.
    this.#create = rendermime.createRenderer.bind(rendermime);
    rendermime.createRenderer = (type) => {
      const renderer = this.#create(type);
      if (type === WIDGET_VIEW) this.#attend(renderer);
      return renderer;
    };
    sessionContext.kernelChanged.connect(this.#onChange);
    sessionContext.statusChanged.connect(this.#onChange);
    void sessionContext.ready.then(() => {
      if (panel.isDisposed) return;
      // ipywidgets asks at this moment, and only at this.
      if (this.#kernel === null) this.#unmanaged = rendermime.getFactory(WIDGET_VIEW);
      this.#onChange();
    });
    panel.disposed.connect(() => {
      clearTimeout(this.#timer);
      this.#outputs.clear();
      sessionContext.kernelChanged.disconnect(this.#onChange);
      sessionContext.statusChanged.disconnect(this.#onChange);
    });
    this.#onChange();
  }

  stored(id: string): StoredExplorer | null {
    return storedExplorer(this.#panel.context.model.getMetadata("widgets"), id);
  }

  createRenderer(type: string): Renderer {
    return this.#create(type);
  }

  get #kernel(): unknown {
    return this.#panel.context.sessionContext.session?.kernel ?? null;
  }

  /** What others display is theirs. */
  #attend(renderer: Renderer): void {
    const ordinary = renderer.renderModel.bind(renderer);
    let mine: ExplorerOutput | null = null;
    renderer.renderModel = (output) => {
      if (mine === null) {
        if (!this.#isExplorer(output)) return ordinary(output);
        mine = new ExplorerOutput(renderer, this);
        this.#outputs.add(mine);
        renderer.disposed.connect(() => mine && this.#outputs.delete(mine));
      }
      const rendered = mine.render(output, ordinary);
      this.#giveManager();
      return rendered;
    };
  }

  #isExplorer(output: MimeModel): boolean {
    if (!output.trusted) return false;
    // JupyterLab copies its metadata when asked: not for each of others' widgets, which have no page beside them.
    return isMarked(output) || ("text/html" in output.data && this.stored(modelOf(output)) !== null);
  }

  #onChange = (): void => {
    clearTimeout(this.#timer);
    const { isReady, hasNoKernel } = this.#panel.context.sessionContext;
    if (this.#kernel !== null || !hasNoKernel) this.#set(false);
    else if (isReady) this.#set(true);
    else this.#timer = setTimeout(() => this.#set(true), PATIENCE);
  };

  #set(hasNoKernel: boolean): void {
    this.hasNoKernel = hasNoKernel;
    for (const output of this.#outputs) output.update();
    this.#giveManager();
  }

  /** Once there is a kernel and something to show: ipywidgets has given up on this notebook. */
  #giveManager(): void {
    const { context, content } = this.#panel;
    if (this.#unmanaged === undefined || this.#kernel === null || this.#outputs.size === 0) return;
    const before = this.#unmanaged;
    this.#unmanaged = undefined;
    this.#manager().then(
      (manager) => {
        // A later ipywidgets may have seen to it.
        if (this.#panel.isDisposed || content.rendermime.getFactory(WIDGET_VIEW) !== before) return;
        const waiting = [...this.#outputs].filter((output) => !output.isDisposed);
        registerManager(
          manager,
          context,
          content.rendermime,
          waiting.map((output) => output.renderer),
        );
      },
      (error: unknown) => console.warn("weightwidget:", error),
    );
  }
}
