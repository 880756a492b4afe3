/** An explorer without a kernel, from what a trusted notebook stores of it. */

import type { Initialize, Render } from "@anywidget/types";
import { StoredModel } from "../page/stored-model";
import { h } from "../src/draw/dom";
import type { StoredExplorer } from "./stored";

interface FrontEnd {
  initialize: Initialize;
  render: Render;
}

/**
 * Shows a stored explorer until the signal.
 *
 * It is drawn by the front end that was stored with it, as anywidget does where there is a kernel: that reads its
 * state, whatever version wrote it, and this extension stays a tenth of the size.
 */
export async function showCopy(
  place: HTMLElement,
  stored: StoredExplorer,
  signal: AbortSignal,
): Promise<void> {
  const { initialize, render } = await load(stored.esm);
  if (signal.aborted) return;
  const model = new StoredModel(stored.traits).asAnyModel();
  const experimental = {} as Parameters<Render>[0]["experimental"];
  const host = {} as Parameters<Render>[0]["host"];
  const view = h("div");
  place.replaceChildren(h("style", {}, stored.css), view);
  await initialize({ model, signal, experimental });
  await render({ model, el: view, signal, experimental, host });
}

async function load(esm: string): Promise<FrontEnd> {
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  try {
    return ((await import(url)) as { default: FrontEnd }).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}
