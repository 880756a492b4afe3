/** What the host calls: `initialize` once a model, `render` once a view. Wiring only. */

import type { AnyModel, Initialize, Render } from "@anywidget/types";
import type { ReadonlySignal } from "@preact/signals-core";
import { type Blocks, createBlocks } from "./blocks/store";
import { withoutWeights } from "./lack";
import { explorerLayout } from "./layout";
import { withLocalAnswers } from "./local/model";
import { bindModel, type Model } from "./model";
import type { Overview } from "./overview";
import { createStore, overviewOf } from "./store";
import { hostTheme } from "./theme";

interface Bound {
  model: Model;
  overview: ReadonlySignal<Overview>;
  blocks: Blocks;
}

const bound = new WeakMap<AnyModel, Bound>();

function bind(model: AnyModel, lifetime: AbortSignal): Bound {
  let found = bound.get(model);
  if (!found) {
    const far = bindModel(model, lifetime);
    const overview = overviewOf(far);
    // Blocks are asked for through the model that they answer: it knows them once they are there.
    const wrapped = withLocalAnswers(withoutWeights(far, overview), () => blocks.overview.peek());
    const blocks = createBlocks(wrapped, overview, lifetime);
    found = { model: wrapped, overview, blocks };
    bound.set(model, found);
    lifetime.addEventListener("abort", () => bound.delete(model));
  }
  return found;
}

const initialize: Initialize = ({ model, signal }) => {
  bind(model, signal);
};

const render: Render = ({ model, el, signal }) => {
  const { model: wrapped, overview, blocks } = bind(model, signal);
  const root = document.createElement("div");
  // Pages that typeset mathematics leave names with $ in them alone.
  root.className = "weightwidget tex2jax_ignore mathjax_ignore";
  el.append(root);
  const theme = hostTheme(root, signal);
  const store = createStore(wrapped, overview, theme, signal, blocks);
  explorerLayout(root, store);
  signal.addEventListener("abort", () => root.remove());
};

export default { initialize, render };
