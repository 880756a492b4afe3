/** Follows the kernel of one notebook: what it holds, and what it is at. */

import type { Future, Kernel, Message, SessionContext } from "./jupyterlab";
import { evaluate } from "./kernel";
import { EXPRESSION, type Listing, read } from "./listing";

export type Condition =
  | "none"
  | "starting"
  | "restarting"
  | "disconnected"
  | "dead"
  | "foreign"
  | "busy"
  | "idle";

export class Watch {
  /** What was there when the kernel was last asked; null before and after a restart. */
  listing: Listing | null = null;
  /** Why there is no listing. */
  fault = "";
  /** The kernel's language, once it is known. */
  language = "";
  /** Told whenever something above or the condition changes. */
  changed: () => void = () => undefined;
  /** Told when all that the kernel held is gone. */
  lost: () => void = () => undefined;

  #context: SessionContext;
  #kernel: Kernel | null = null;
  #active = false;
  /** Whether something may have changed since the last listing. */
  #dirty = true;
  /** Executions that have begun and not ended. */
  #running = new Set<string>();
  #question: Future | null = null;
  /** Whether the kernel is at our question. */
  #answering = false;

  constructor(context: SessionContext) {
    this.#context = context;
    context.kernelChanged.connect(this.#onKernel);
    context.statusChanged.connect(this.#onStatus);
    context.connectionStatusChanged.connect(this.#onConnection);
    context.iopubMessage.connect(this.#onMessage);
    this.#take(this.kernel);
  }

  get kernel(): Kernel | null {
    return this.#context.isDisposed ? null : (this.#context.session?.kernel ?? null);
  }

  /** Whether somebody looks: nothing is asked otherwise. */
  set active(active: boolean) {
    this.#active = active;
    this.#list();
  }

  get condition(): Condition {
    const kernel = this.kernel;
    if (kernel === null) return "none";
    if (kernel.status === "dead") return "dead";
    if (kernel.status === "restarting" || kernel.status === "autorestarting") return "restarting";
    if (kernel.connectionStatus === "disconnected") return "disconnected";
    if (kernel.connectionStatus !== "connected" || kernel.status === "starting") return "starting";
    if (this.language !== "" && this.language !== "python") return "foreign";
    const waits = this.#question !== null && !this.#answering && kernel.status === "busy";
    return this.#running.size > 0 || waits ? "busy" : "idle";
  }

  /** Lists again, also where no cell was executed: threads and callbacks change variables too. */
  refresh(): void {
    this.#dirty = true;
    this.#list();
  }

  dispose(): void {
    this.#active = false;
    this.#context.kernelChanged.disconnect(this.#onKernel);
    this.#context.statusChanged.disconnect(this.#onStatus);
    this.#context.connectionStatusChanged.disconnect(this.#onConnection);
    this.#context.iopubMessage.disconnect(this.#onMessage);
  }

  #onKernel = (): void => {
    if (this.kernel !== this.#kernel) this.#take(this.kernel);
  };

  #onStatus = (_: unknown, status: string): void => {
    if (status === "restarting" || status === "autorestarting" || status === "dead") this.#forget();
    else this.#list();
    this.changed();
  };

  #onConnection = (_: unknown, status: string): void => {
    if (status === "connected") {
      // What was executed meanwhile was not seen, nor that it ended.
      this.#running.clear();
      this.#dirty = true;
      this.#list();
    }
    this.changed();
  };

  #onMessage = (_: unknown, message: Message): void => {
    const type = message.header.msg_type;
    const parent = message.parent_header.msg_id ?? "";
    const state = type === "status" ? message.content.execution_state : undefined;
    if (parent === this.#question?.msg.header.msg_id) {
      if (state === "busy") {
        // What was executed before is in the answer.
        this.#answering = true;
        this.#dirty = this.#running.size > 0;
        this.changed();
      }
    } else if (type === "execute_input") {
      this.#running.add(parent);
      this.#dirty = true;
      this.changed();
    } else if (state === "idle" && this.#running.delete(parent)) {
      // Not at every idle: the messages of widgets make the kernel busy and idle too.
      this.#list();
      this.changed();
    }
  };

  #take(kernel: Kernel | null): void {
    this.#forget();
    this.#kernel = kernel;
    this.language = "";
    kernel?.info.then(
      ({ language_info }) => {
        if (kernel !== this.#kernel) return;
        this.language = language_info.name.toLowerCase();
        this.#list();
        this.changed();
      },
      (error: unknown) => {
        if (kernel === this.#kernel) this.#fail(error);
      },
    );
    this.changed();
  }

  #forget(): void {
    const hadSome = this.#kernel !== null;
    this.listing = null;
    this.fault = "";
    this.#question = null;
    this.#running.clear();
    this.#dirty = true;
    if (hadSome) this.lost();
  }

  #list(): void {
    const kernel = this.kernel;
    const wanted = this.#active && this.#dirty && this.#question === null;
    if (!wanted || kernel === null || this.language !== "python" || this.condition !== "idle") return;
    void this.#ask(kernel);
  }

  async #ask(kernel: Kernel): Promise<void> {
    let question: Future | null = null;
    const isCurrent = (): boolean => question !== null && question === this.#question;
    this.#answering = false;
    try {
      const answer = await evaluate(kernel, EXPRESSION, (future) => {
        if (question !== null && !isCurrent()) return; // asked again, but meanwhile the kernel restarted
        question = this.#question = future;
      });
      if (!isCurrent()) return;
      this.#question = null;
      this.listing = read(answer);
      this.fault = "";
    } catch (error) {
      // A restart drops the question: then there is another state to show.
      if (question !== null && !isCurrent()) return;
      this.#question = null;
      this.#dirty = false;
      this.#fail(error);
    }
    this.#list();
    this.changed();
  }

  #fail(error: unknown): void {
    this.listing = null;
    this.fault = error instanceof Error ? error.message : String(error);
    this.changed();
  }
}
