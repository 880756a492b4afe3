/**
 * The explorer on a page of its own: a saved HTML file, or the frame of a snapshot in a notebook.
 * weightwidget/outputs/page.py writes what is read here. No network, no kernel, no rights over the page around it.
 */

import type { Render } from "@anywidget/types";
import widget from "../src/widget";
import { StoredModel } from "./stored-model";
import { unpackBytes } from "./unpack";

async function start(): Promise<void> {
  const stored = (id: string): string => document.getElementById(id)?.textContent ?? "";
  const traits = JSON.parse(stored("weightwidget-traits")) as Record<string, unknown>;
  const overview = new DataView(await unpackBytes(stored("weightwidget-overview")));
  const model = new StoredModel({ ...traits, _overview: overview, _is_copy: true }).asAnyModel();
  // The page lasts as long as its view.
  const signal = new AbortController().signal;
  const experimental = {} as Parameters<Render>[0]["experimental"];
  const host = {} as Parameters<Render>[0]["host"];
  const place = document.getElementById("weightwidget-view");
  if (!place) throw new Error("the page has no place for the view");
  await widget.initialize({ model, signal, experimental });
  await widget.render({ model, el: place, signal, host, experimental });
}

start().catch((reason: unknown) => {
  const told = document.getElementById("weightwidget-problem");
  if (told) {
    told.hidden = false;
    told.textContent = `The explorer could not be shown: ${reason instanceof Error ? reason.message : reason}`;
  }
  throw reason;
});
