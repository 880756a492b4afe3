/** Explorers as notebooks store them: what is in the metadata, and how to tell an explorer's output. */

import type { MimeModel } from "./jupyterlab";

export const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";
const WIDGET_STATE = "application/vnd.jupyter.widget-state+json";

/** What anywidget stores with a model: module and name of its Python class. */
const EXPLORER = "weightwidget.explorer.WeightExplorer";

/** In the static page of explorers that were stored before outputs had a mark. */
const UNMARKED = "explorer.save_html(path)";

export interface StoredExplorer {
  /** The front end that was in use. */
  esm: string;
  css: string;
  traits: Record<string, unknown>;
}

/** The number of an output's model; empty once that is closed. */
export function modelOf(output: MimeModel): string {
  const view = output.data[WIDGET_VIEW];
  return isRecord(view) && typeof view.model_id === "string" ? view.model_id : "";
}

/** Whether weightwidget/outputs/display.py wrote this output. */
export function isMarked(output: MimeModel): boolean {
  if (isRecord(output.metadata.weightwidget)) return true;
  return "image/png" in output.data && String(output.data["text/html"] ?? "").includes(UNMARKED);
}

/**
 * The explorer of that number; null if none is stored, or not all of it.
 *
 * @param widgets the notebook's metadata of that name
 */
export function storedExplorer(widgets: unknown, id: string): StoredExplorer | null {
  const entry = entryOf(widgets, id);
  const state = entry?.state;
  if (!isRecord(state) || state._anywidget_id !== EXPLORER) return null;
  const { _esm: esm, _css: css, ...traits } = state;
  // anywidget takes addresses, too: nothing is fetched for a stored copy.
  if (typeof esm !== "string" || /^\s*https?:/i.test(esm)) return null;
  for (const buffer of Array.isArray(entry?.buffers) ? entry.buffers : []) {
    const placed = isRecord(buffer) ? bytesOf(buffer) : null;
    if (placed !== null) traits[placed.name] = placed.bytes;
  }
  if (!(traits._overview instanceof DataView) || traits._overview.byteLength === 0) return null;
  return { esm, css: typeof css === "string" ? css : "", traits };
}

function entryOf(widgets: unknown, id: string): Record<string, unknown> | undefined {
  const stored = isRecord(widgets) ? widgets[WIDGET_STATE] : undefined;
  const all = isRecord(stored) ? stored.state : undefined;
  const entry = isRecord(all) && Object.hasOwn(all, id) ? all[id] : undefined;
  return isRecord(entry) ? entry : undefined;
}

/** A buffer and the trait that it belongs to. An explorer has none within others. */
function bytesOf({
  path,
  data,
  encoding,
}: Record<string, unknown>): { name: string; bytes: DataView } | null {
  const name = Array.isArray(path) && path.length === 1 ? path[0] : undefined;
  if (typeof name !== "string" || typeof data !== "string" || encoding !== "base64") return null;
  try {
    return { name, bytes: new DataView(Uint8Array.from(atob(data), (char) => char.charCodeAt(0)).buffer) };
  } catch {
    return null; // not base64
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
