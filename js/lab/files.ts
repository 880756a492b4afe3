/** Files of weights, from the file browser into a tab with a kernel of its own. */

import type { App, Lab, LuminoWidget, Packages, Rendermime, SessionContext } from "./jupyterlab";
import { call } from "./kernel";
import { View } from "./view";

const WIDGETS = "application/vnd.jupyter.widget-view+json";

/** As weightwidget/sources/path.py reads them. */
export const SUFFIXES = [".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".index.json"];

export function isWeightFile(name: string): boolean {
  return SUFFIXES.some((suffix) => name.toLowerCase().endsWith(suffix));
}

export interface Surroundings {
  app: App;
  lab: Lab;
  rendermime: Rendermime;
  manager(): Promise<Packages["@jupyter-widgets/jupyterlab-manager"]>;
}

/** The name of a Python kernel of the server, the default one if it is; undefined if there is none. */
export function pythonKernel(
  specs: App["serviceManager"]["kernelspecs"]["specs"] | null,
): string | undefined {
  const isPython = (name: string): boolean => specs?.kernelspecs[name]?.language.toLowerCase() === "python";
  return [specs?.default ?? "", ...Object.keys(specs?.kernelspecs ?? {})].find(isPython);
}

/** A view of a file. What goes wrong is said in it. */
export class FileView {
  readonly view: View;
  readonly path: string;

  #around: Surroundings;
  #rendermime: Rendermime;
  #context: SessionContext | null = null;
  #widgets: { dispose(): void } | null = null;

  constructor(around: Surroundings, path: string) {
    this.#around = around;
    this.path = path;
    this.#rendermime = around.rendermime.clone();
    const name = nameOf(around.app.serviceManager.contents.localPath(path));
    this.view = new View(around.lab, this.#rendermime, { name, show: (id) => call("show_file", name, id) });
  }

  /** Starts the kernel and shows the file; the tab's going takes the kernel along. */
  async start(tab: LuminoWidget): Promise<void> {
    tab.disposed.connect(() => this.#dispose());
    try {
      await this.#start();
    } catch (error) {
      if (!this.view.isDisposed) this.view.die(error instanceof Error ? error.message : String(error));
    }
  }

  async #start(): Promise<void> {
    const { kernels, sessions, kernelspecs, contents } = this.#around.app.serviceManager;
    this.view.say(`Starting a Python kernel for ${this.view.target.name}…`);
    await kernelspecs.ready;
    const name = pythonKernel(kernelspecs.specs);
    if (name === undefined) {
      throw new Error(
        "This server has no Python kernel to read the file with. Install ipykernel and reload the page.",
      );
    }
    const manager = await this.#manager();
    if (this.view.isDisposed) return;
    const context = new this.#around.lab["@jupyterlab/apputils"].SessionContext({
      kernelManager: kernels,
      sessionManager: sessions,
      specsManager: kernelspecs,
      // The kernel runs in the folder of this path.
      path: contents.localPath(this.path),
      name: this.view.target.name,
      type: "weightwidget",
      kernelPreference: {
        name,
        shouldStart: true,
        canStart: true,
        autoStartDefault: true,
        shutdownOnDispose: true,
      },
    });
    this.#context = context;
    context.statusChanged.connect((_, status) => this.#onStatus(status));
    await context.initialize();
    await context.ready;
    const kernel = context.session?.kernel ?? null;
    if (this.view.isDisposed || this.#context === null) return;
    if (kernel === null) throw new Error("The Python kernel did not start.");
    await this.#connect(manager, context);
    await this.view.open(kernel);
  }

  async #manager(): Promise<Packages["@jupyter-widgets/jupyterlab-manager"]> {
    try {
      return await this.#around.manager();
    } catch (error) {
      console.warn("weightwidget:", error);
      throw new Error(
        "JupyterLab's support for widgets is missing. Run  pip install jupyterlab_widgets  where JupyterLab is installed and reload the page.",
      );
    }
  }

  /** Gives widgets of this kernel their place in this view, as ipywidgets does for notebooks. */
  async #connect(
    manager: Packages["@jupyter-widgets/jupyterlab-manager"],
    context: SessionContext,
  ): Promise<void> {
    // What is drawn before the renderer with this kernel's manager is there would wait for ever.
    this.#rendermime.removeMimeType(WIDGETS);
    const document = {
      sessionContext: context,
      model: { getMetadata: () => undefined, setMetadata: () => undefined, sharedModel: {} },
      saveState: { connect: () => true, disconnect: () => true },
      urlResolver: { resolveUrl: async (url: string) => url, getDownloadUrl: async (url: string) => url },
      disposed: { connect: () => true, disconnect: () => true },
    };
    this.#widgets = manager.registerWidgetManager(document, this.#rendermime, []);
    for (let turns = 0; turns < 1000 && !this.#rendermime.mimeTypes.includes(WIDGETS); turns++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  #onStatus(status: string): void {
    if (this.view.isDisposed || this.view.state === "dead") return;
    if (status === "dead" || status === "autorestarting" || status === "restarting") {
      this.view.die(
        status === "restarting"
          ? "The kernel was restarted: close this tab and open the file again."
          : "The kernel died, perhaps for want of memory. Close this tab and open the file again.",
      );
    }
  }

  #dispose(): void {
    this.view.dispose();
    this.#widgets?.dispose();
    // Shuts the kernel down too: nobody else has it.
    this.#context?.dispose();
    this.#context = null;
  }
}

export function nameOf(path: string): string {
  return path.split("/").at(-1) ?? path;
}
