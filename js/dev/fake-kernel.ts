/** A kernel at the far end of a FakeModel: scan, answers after a while, withdrawals, or silence. */

import workerSource from "inline:./worker.ts";
import type { FakeModel } from "./fake-model";
import type { ModelName } from "./models";
import type { Start, ToPage } from "./worker";

/** on; slow: answers after seconds; silent: takes messages and never answers; off: no comm, sending throws. */
export const KERNELS = ["on", "slow", "silent", "off"] as const;
export type KernelKind = (typeof KERNELS)[number];

/** done: the scan has ended when the page opens; half: it stands still half way until it is cancelled. */
export const SCANS = ["done", "half"] as const;
export type ScanKind = (typeof SCANS)[number];

/** Milliseconds: longer than the view waits before it says so. */
const SLOW = 2500;

export interface KernelOptions {
  model: ModelName;
  kernel: KernelKind;
  scan: ScanKind;
  /** Milliseconds that an answer takes at least. */
  latency: number;
}

export class FakeKernel {
  kind: KernelKind;
  latency: number;
  private readonly worker: Worker;
  private readonly underWay = new Set<string>();

  constructor(
    private readonly model: FakeModel,
    private readonly options: KernelOptions,
  ) {
    this.kind = options.kernel;
    this.latency = options.latency;
    // From a blob, because pages opened as files may not load workers from other files.
    const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
    this.worker = new Worker(url);
    this.worker.addEventListener("message", ({ data }: MessageEvent<ToPage>) => this.fromWorker(data));
    this.worker.addEventListener("error", (event) =>
      console.error(`the fake kernel failed: ${event.message}`),
    );
    model.onSend = (content) => this.receive(content);
  }

  /** Scans the model; resolved when the overview is there. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.worker.addEventListener("message", ({ data }: MessageEvent<ToPage>) => {
        if ("ready" in data) resolve();
      });
    });
    const start: Start = { model: this.options.model, share: this.options.scan === "half" ? 0.5 : 1 };
    this.worker.postMessage(start);
    await ready;
  }

  /** Whether every request was answered or withdrawn. */
  get idle(): boolean {
    return this.underWay.size === 0;
  }

  stop(): void {
    this.worker.terminate();
  }

  private receive(content: Record<string, unknown>): void {
    if (this.kind === "off") throw new Error("Cannot send: there is no comm");
    if (this.kind === "silent") return;
    if (content.cancel === "scan") {
      this.model.receive({ status: "cancelled", _pace: {} });
      return;
    }
    if (content.stop === "watch") {
      this.model.receive({ _watch: {} });
      return;
    }
    if (content.look) return;
    if (typeof content.cancel === "string") {
      this.underWay.delete(content.cancel);
      return;
    }
    this.underWay.add(content.id as string);
    const wait = this.kind === "slow" ? SLOW : this.latency;
    setTimeout(() => {
      if (this.underWay.has(content.id as string)) this.worker.postMessage({ request: content });
    }, wait);
  }

  private fromWorker(message: ToPage): void {
    if ("ready" in message) {
      const half = this.options.scan === "half";
      const { overview, selected } = message.ready;
      this.model.receive({
        _overview: new DataView(overview),
        selected: this.model.get("selected") || selected,
        progress: half ? 0.5 : 1,
        status: half ? "scanning" : "ready",
      });
      return;
    }
    const { id, content, buffers } = message.answer;
    if (this.underWay.delete(id)) this.model.deliver({ id, ...content }, buffers);
  }
}
