/** A bare host for the built widget: what tests put a Python explorer behind, without a Jupyter server. */

import { FakeModel } from "./fake-model";
import { mount, type Widget } from "./mount";

interface Answer {
  content: Record<string, unknown>;
  /** base64 */
  buffers: string[];
}

interface Far {
  /** A message of the front end to the kernel; the answer, null if there is none. */
  kernelMessage(content: Record<string, unknown>): Promise<Answer | null>;
  /** Traits that the front end saved; what the kernel made of its traits. */
  kernelSave(changes: Record<string, unknown>): Promise<Record<string, unknown>>;
}

declare global {
  interface Window extends Far {
    /** Shows the widget; resolved when it stands. */
    showWidget(module: string, traits: Record<string, unknown>): Promise<void>;
    receiveTraits(traits: Record<string, unknown>): void;
  }
}

function decode(base64: string): ArrayBuffer {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)).buffer;
}

/** Traits as Python sends them: bytes as base64. */
function unpack(traits: Record<string, unknown>): Record<string, unknown> {
  const { _overview: overview, ...rest } = traits;
  return typeof overview === "string" ? { ...rest, _overview: new DataView(decode(overview)) } : rest;
}

const model = new FakeModel();

window.showWidget = async (module, traits) => {
  model.receive(unpack(traits));
  model.onSend = (content) => {
    void window.kernelMessage(content).then((answer) => {
      if (answer) model.deliver(answer.content, answer.buffers.map(decode));
    });
  };
  model.onSave = async (changes) => model.receive(unpack(await window.kernelSave(changes)));
  const { default: widget } = (await import(module)) as { default: Widget };
  const mounted = await mount(widget, model);
  mounted.addView(document.body);
  Object.assign(window, { dev: { model, mounted } });
};
window.receiveTraits = (traits) => model.receive(unpack(traits));
