/** What a notebook host does with a widget: initialises the model once, renders its views, and takes them away. */

import type { Initialize, Render } from "@anywidget/types";
import type { FakeModel } from "./fake-model";

export interface Widget {
  initialize: Initialize;
  render: Render;
}

export interface Mounted {
  /** Shows one more view of the model. */
  addView(parent: HTMLElement): View;
  readonly views: readonly View[];
  /** Takes away all views, then the model. */
  destroy(): void;
}

export interface View {
  readonly element: HTMLElement;
  destroy(): void;
}

export async function mount(widget: Widget, model: FakeModel): Promise<Mounted> {
  const lifetime = new AbortController();
  // The widget uses neither nested widgets nor anywidget's experimental calls: there are none here.
  const host = {} as Parameters<Render>[0]["host"];
  const experimental = {} as Parameters<Render>[0]["experimental"];
  await widget.initialize({ model: model.asAnyModel(), signal: lifetime.signal, experimental });
  const views: View[] = [];
  const addView = (parent: HTMLElement): View => {
    const element = document.createElement("div");
    parent.append(element);
    const own = new AbortController();
    void widget.render({ model: model.asAnyModel(), el: element, signal: own.signal, host, experimental });
    const view = {
      element,
      destroy: () => {
        own.abort();
        element.remove();
      },
    };
    views.push(view);
    return view;
  };
  return {
    addView,
    views,
    destroy: () => {
      for (const view of views.splice(0)) view.destroy();
      lifetime.abort();
    },
  };
}
