/** An explorer on show: in the panel, or in a tab. */

import { h, setText } from "../src/draw/dom";
import { shown } from "../src/draw/visible";
import type { Evaluated, Future, Kernel, Lab, LuminoPanel, LuminoWidget, Rendermime } from "./jupyterlab";
import { call, evaluate } from "./kernel";

export type ViewState = "waiting" | "open" | "failed" | "dead";

/** What a view shows: the call that displays it, given the number of the view. */
export interface Target {
  name: string;
  show(view: string): string;
}

export interface Action {
  label: string;
  run(): void;
}

export class View {
  readonly widget: LuminoPanel;
  state: ViewState = "waiting";
  /** Told when the state changes. */
  changed: () => void = () => undefined;
  target: Target;

  #id = Math.random().toString(36).slice(2);
  #note = h("div", { class: "wwp-note", role: "status" });
  #area: LuminoWidget & { future: Future };
  #kernel: Kernel | null = null;
  #showing = false;

  constructor(lab: Lab, rendermime: Rendermime, target: Target) {
    const { Panel, Widget } = lab["@lumino/widgets"];
    const { OutputAreaModel, SimplifiedOutputArea } = lab["@jupyterlab/outputarea"];
    this.target = target;
    this.#area = new SimplifiedOutputArea({
      model: new OutputAreaModel({ trusted: true }),
      rendermime,
      contentFactory: SimplifiedOutputArea.defaultContentFactory,
    });
    this.widget = new Panel();
    this.widget.addClass("wwp-view");
    this.widget.addWidget(new Widget({ node: this.#note }));
    this.widget.addWidget(this.#area);
    this.say("");
  }

  get isDisposed(): boolean {
    return this.widget.isDisposed;
  }

  /** Shows the target, or shows it anew. */
  async open(kernel: Kernel): Promise<void> {
    this.#kernel = kernel;
    this.#set("waiting", `Opening ${this.target.name}…`);
    let answer: Evaluated;
    try {
      answer = await evaluate(kernel, this.target.show(this.#id), (future) => {
        // From now on: what is closed before it stands must be let go of after it does.
        this.#showing = true;
        if (!this.isDisposed) this.#area.future = future;
      });
    } catch (error) {
      if (this.isDisposed || kernel !== this.#kernel || this.state === "dead") return;
      this.#set("failed", `The kernel did not answer: ${messageOf(error)}`);
      return;
    }
    if (this.isDisposed || kernel !== this.#kernel) return;
    if (answer.status === "ok") this.#set("open", "");
    else this.#fail(answer);
  }

  /** Reads the weights again. */
  async refresh(): Promise<void> {
    if (this.#kernel === null || this.state !== "open") return;
    try {
      const answer = await evaluate(this.#kernel, call("refresh", this.#id));
      if (!this.isDisposed && answer.status === "error") this.say(answer.evalue || answer.ename);
    } catch (error) {
      if (!this.isDisposed && this.state === "open") this.say(messageOf(error));
    }
  }

  /** The kernel has lost what is shown. */
  die(text: string): void {
    this.#kernel = null;
    this.#showing = false;
    this.#set("dead", text);
  }

  /** A line above the explorer; none if it is empty. */
  say(text: string, ...actions: Action[]): void {
    const buttons = actions.map(({ label, run }) => {
      const button = h("button", { class: "wwp-action", type: "button" }, label);
      button.addEventListener("click", run);
      return button;
    });
    // Nothing is replaced by its like: a button would lose the focus.
    const labels = actions.map(({ label }) => label).join("\n");
    if (this.#note.dataset.said === `${text}\n${labels}`) return;
    this.#note.dataset.said = `${text}\n${labels}`;
    this.#note.replaceChildren(shown(text, true), ...buttons);
    this.#note.hidden = text === "";
  }

  dispose(): void {
    if (this.isDisposed) return;
    this.widget.dispose();
    this.close();
  }

  /** Lets the kernel know that the view is gone. */
  close(): void {
    if (this.#showing) this.#leave();
  }

  #leave(): void {
    const kernel = this.#kernel;
    this.#showing = false;
    if (kernel === null || kernel.isDisposed || kernel.status === "dead") return;
    evaluate(kernel, call("leave", this.#id)).then(
      (answer) => {
        if (answer.status === "error") console.warn("weightwidget: closing a view failed:", answer.evalue);
      },
      // The kernel restarted or was shut down: the explorer went with it.
      (error: unknown) => console.debug("weightwidget:", error),
    );
  }

  #fail({ ename, evalue, traceback }: Extract<Evaluated, { status: "error" }>): void {
    this.#set("failed", explain(ename, evalue));
    const lines = traceback.join("\n").replaceAll(ANSI, "");
    if (lines && !EXPECTED.has(ename)) {
      const trace = h("pre", { class: "wwp-traceback" });
      setText(trace, lines, true);
      this.#note.append(h("details", {}, h("summary", {}, "Traceback"), trace));
    }
  }

  #set(state: ViewState, text: string): void {
    this.state = state;
    this.widget.node.dataset.state = state;
    this.say(text);
    this.changed();
  }
}

/** Errors whose text says all that a reader needs. */
const EXPECTED = new Set(["ModuleNotFoundError", "NameError", "WeightFileError", "MissingWeightFileError"]);

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are coloured by control characters
const ANSI = /\x1b\[[\d;]*m/g;

/** An error of the kernel, worded for somebody who wants to see weights. */
export function explain(ename: string, evalue: string): string {
  if (ename === "ModuleNotFoundError" && /'weightwidget'/.test(evalue)) {
    return "weightwidget is not installed in this kernel's environment. Run  %pip install weightwidget  in a cell and click again.";
  }
  if (ename === "ModuleNotFoundError" && /'weightwidget\./.test(evalue)) {
    return "The weightwidget of this kernel is older than this panel. Run  %pip install -U weightwidget  in a cell and restart the kernel.";
  }
  if (EXPECTED.has(ename) || ename === "ValueError" || ename === "TypeError") return evalue || ename;
  return `${ename}: ${evalue}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
