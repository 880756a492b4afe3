/** A stand-in for the model that a notebook host hands to the widget, with what a kernel does at its far end. */

import type { AnyModel } from "@anywidget/types";
import type { Traits } from "../src/model";

type Handler = (...args: unknown[]) => void;
type Values = Record<string, unknown>;

/** What happens to messages of the front end. May throw, as hosts without a kernel do. */
export type Receiver = (content: Values) => void;

export const INITIAL: Traits = {
  _overview: null,
  _message: "",
  _strings_version: 0,
  _pace: {},
  _watch: {},
  selected: "",
  query: "",
  facets: {},
  value_range: null,
  window: null,
  index: [],
  drawn_axes: null,
  view: "heatmap",
  channel: null,
  color_scale: "robust",
  color_map: "blue-red",
  aggregate: "absmax",
  progress: 0,
  status: "scanning",
};

/** Behaves as ipywidgets' WidgetModel does: `set` tells listeners at once, `save_changes` tells the kernel. */
export class FakeModel {
  /** All that the front end sent as messages, oldest first. */
  readonly sent: Values[] = [];
  /** Traits that the front end saved and the kernel has taken. */
  readonly known: Values = {};
  /** Gives saved changes to the kernel. */
  onSave: (changes: Values) => void | Promise<void> = () => {};
  onSend: Receiver = () => {};

  private readonly values: Values;
  private readonly handlers = new Map<string, Set<Handler>>();
  private unsaved: Values = {};

  constructor(traits: Partial<Traits> = {}) {
    this.values = { ...INITIAL, ...traits };
  }

  get(name: string): unknown {
    return this.values[name];
  }

  set(name: string, value: unknown): void {
    this.unsaved[name] = value;
    this.change(name, value);
  }

  save_changes(): void {
    const changes = overTheWire(this.unsaved);
    this.unsaved = {};
    void Promise.resolve(this.onSave(changes)).then(() => Object.assign(this.known, changes));
  }

  on(event: string, handler: Handler): void {
    const all = this.handlers.get(event) ?? new Set();
    this.handlers.set(event, all.add(handler));
  }

  off(event: string, handler?: Handler | null): void {
    if (handler) this.handlers.get(event)?.delete(handler);
    else this.handlers.delete(event);
  }

  send(content: Values): void {
    const message = overTheWire(content);
    this.sent.push(message);
    this.onSend(message);
  }

  /** The kernel's traits have changed. */
  receive(changes: Values): void {
    for (const [name, value] of Object.entries(changes)) this.change(name, value);
  }

  /** A message of the kernel. */
  deliver(content: Values, buffers: ArrayBuffer[] = []): void {
    this.emit(
      "msg:custom",
      overTheWire(content),
      buffers.map((buffer) => new DataView(buffer)),
    );
  }

  /** As ipywidgets tells that the kernel restarts. */
  disconnect(): void {
    this.emit("comm_live_update");
  }

  /** Number of listeners: none may be left when all views and the model are gone. */
  get listeners(): number {
    return [...this.handlers.values()].reduce((total, all) => total + all.size, 0);
  }

  /** As the type that widgets are written against; `widget_manager` is for nesting widgets, which this one does not. */
  asAnyModel(): AnyModel {
    return this as unknown as AnyModel;
  }

  private change(name: string, value: unknown): void {
    if (JSON.stringify(this.values[name]) === JSON.stringify(value) && !(value instanceof DataView)) return;
    this.values[name] = value;
    this.emit(`change:${name}`);
  }

  private emit(event: string, ...args: unknown[]): void {
    for (const handler of [...(this.handlers.get(event) ?? [])]) handler(...args);
  }
}

/** Messages and traits travel as JSON, which has no NaN and no infinities: those are a fault of the sender. */
function overTheWire(content: Values): Values {
  const text = JSON.stringify(content, (key, value) => {
    if (typeof value === "number" && !Number.isFinite(value)) {
      console.error(`${key || "a value"} is ${value}, which JSON cannot hold: ${Object.keys(content)}`);
    }
    return value;
  });
  return JSON.parse(text) as Values;
}
