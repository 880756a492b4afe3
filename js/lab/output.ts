/** One explorer's output in a notebook: what is stored of it stands in where ipywidgets has nothing to show. */

import { h } from "../src/draw/dom";
import { showCopy } from "./copy";
import type { MimeModel, Renderer } from "./jupyterlab";
import { modelOf, type StoredExplorer } from "./stored";

/** The notebook that an output is in. */
export interface Surroundings {
  /** Whether there is no kernel, and none is to be expected. */
  readonly hasNoKernel: boolean;
  stored(id: string): StoredExplorer | null;
  /** A place for static data, as JupyterLab shows what it does not trust. */
  createRenderer(type: string): Renderer;
}

/** Static data, the best first. */
const STATIC = ["text/html", "image/png", "text/plain"];

const NOT_STORED =
  "No live view is stored here: run the cell to get one. To keep one in the file, save with " +
  "«Save Widget State Automatically» (Settings menu), or display explorer.snapshot().";
const NOT_SHOWN = "The stored view could not be shown: run the cell to get a new one.";

/** A class that ipywidgets' renderer gives itself when it shows an error in place of a view. */
const FAULTY = "jupyter-widgets";

export class ExplorerOutput {
  #renderer: Renderer;
  #around: Surroundings;
  #output: MimeModel | null = null;
  /** Whether ipywidgets has done what it could for this output so far. */
  #tried = false;
  #standIn: AbortController | null = null;

  constructor(renderer: Renderer, around: Surroundings) {
    this.#renderer = renderer;
    this.#around = around;
    renderer.disposed.connect(() => this.#remove());
  }

  get isDisposed(): boolean {
    return this.#renderer.isDisposed;
  }

  get renderer(): Renderer {
    return this.#renderer;
  }

  /** Lets ipywidgets try. Called again by itself, when it has restored its models. */
  async render(output: MimeModel, ordinary: (output: MimeModel) => Promise<void>): Promise<void> {
    this.#remove();
    this.#output = output;
    this.#tried = false;
    const trying = ordinary(output);
    this.update(); // without a kernel it tries for ever
    await trying;
    if (output !== this.#output) return;
    this.#tried = true;
    this.update();
  }

  /** To be called whenever the kernel comes or goes. */
  update(): void {
    const output = this.#output;
    const renderer = this.#renderer;
    if (output === null || renderer.isDisposed) return;
    // A closed explorer leaves its renderer hidden, and without a model.
    if (renderer.widgets.length > 0 || renderer.isHidden || modelOf(output) === "") this.#remove();
    else if (this.#around.hasNoKernel || (this.#tried && renderer.hasClass(FAULTY))) this.#show(output);
  }

  #show(output: MimeModel): void {
    if (this.#standIn !== null) return;
    const shown = new AbortController();
    this.#standIn = shown;
    const place = h("div", { class: "wwp-stored" });
    this.#renderer.node.replaceChildren(place);
    shown.signal.addEventListener("abort", () => place.remove());
    this.#fill(place, output, shown.signal).catch((error: unknown) => console.warn("weightwidget:", error));
  }

  async #fill(place: HTMLElement, output: MimeModel, signal: AbortSignal): Promise<void> {
    const stored = this.#around.stored(modelOf(output));
    if (stored !== null) {
      try {
        await showCopy(place, stored, signal);
        return;
      } catch (error) {
        console.warn("weightwidget: the stored explorer could not be shown:", error);
      }
    }
    if (signal.aborted) return;
    place.replaceChildren(
      h("p", { class: "wwp-stored-note", role: "note" }, stored === null ? NOT_STORED : NOT_SHOWN),
    );
    const type = STATIC.find((type) => type in output.data);
    if (type === undefined) return;
    const page = this.#around.createRenderer(type);
    signal.addEventListener("abort", () => page.dispose());
    place.append(page.node);
    // As if it were not trusted: it is a picture and a table, and needs no rights.
    await page.renderModel({ data: output.data, metadata: output.metadata, trusted: false });
  }

  #remove(): void {
    this.#standIn?.abort();
    this.#standIn = null;
  }
}
