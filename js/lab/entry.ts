/** Registers the extension where JupyterLab looks for prebuilt ones: a container of webpack's module federation. */

import type { Lab, Packages } from "./jupyterlab";
import { plugin } from "./plugin";
import { type ShareScope, shared } from "./share";

const NAMES = [
  "@jupyterlab/application",
  "@jupyterlab/apputils",
  "@jupyterlab/filebrowser",
  "@jupyterlab/notebook",
  "@jupyterlab/outputarea",
  "@jupyterlab/rendermime",
  "@jupyterlab/ui-components",
  "@lumino/messaging",
  "@lumino/widgets",
] as const satisfies (keyof Lab)[];

declare global {
  interface Window {
    _JUPYTERLAB?: Record<string, unknown>;
  }
}

/** For hosts that lack what the extension builds on. */
const IDLE = { id: "weightwidget:panel", autoStart: true, activate: (): void => {} };

let scope: ShareScope = {};

window._JUPYTERLAB ??= {};
window._JUPYTERLAB.weightwidget = {
  init: (given: ShareScope): void => {
    scope = given;
  },
  get: async (): Promise<() => unknown> => {
    // Voila loads the extensions of JupyterLab, too, but has neither a file browser nor a place for a panel.
    if (!NAMES.every((name) => scope[name])) return () => ({ __esModule: true, default: IDLE });
    const found = await Promise.all(NAMES.map(async (name) => [name, await shared(scope, name)] as const));
    const lab = Object.fromEntries(found) as unknown as Lab;
    const manager = (): Promise<Packages["@jupyter-widgets/jupyterlab-manager"]> =>
      shared(scope, "@jupyter-widgets/jupyterlab-manager");
    // Without __esModule JupyterLab takes the module itself for the plugin, and stays blank.
    return () => ({ __esModule: true, default: plugin(lab, manager) });
  },
};
