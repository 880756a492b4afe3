/** A model whose traits were stored with the page: it has no kernel, and what is changed stays in this view. */

import type { AnyModel } from "@anywidget/types";

type Handler = (...args: unknown[]) => void;

export class StoredModel {
  private readonly handlers = new Map<string, Set<Handler>>();

  constructor(private readonly values: Record<string, unknown>) {}

  get(name: string): unknown {
    return this.values[name];
  }

  set(name: string, value: unknown): void {
    if (this.values[name] === value) return;
    this.values[name] = value;
    for (const handler of [...(this.handlers.get(`change:${name}`) ?? [])]) handler();
  }

  save_changes(): void {
    // There is nobody to tell.
  }

  send(): void {
    throw new Error("this page has no kernel");
  }

  on(event: string, handler: Handler): void {
    const all = this.handlers.get(event) ?? new Set();
    this.handlers.set(event, all.add(handler));
  }

  off(event: string, handler?: Handler | null): void {
    if (handler) this.handlers.get(event)?.delete(handler);
    else this.handlers.delete(event);
  }

  /** As the type that widgets are written against; what only a notebook has is not called without one. */
  asAnyModel(): AnyModel {
    return this as unknown as AnyModel;
  }
}
