import assert from "node:assert/strict";
import { test } from "node:test";
import type { MimeModel, NotebookContext, Packages, Rendermime } from "../lab/jupyterlab";
import { registerManager } from "../lab/late";
import { isMarked, modelOf, storedExplorer, WIDGET_VIEW } from "../lab/stored";

const STATE = {
  _anywidget_id: "weightwidget.explorer.WeightExplorer",
  _esm: "export default {}",
  _css: ".weightwidget {}",
  selected: "fc.weight",
  _overview: null,
};
const BUFFER = { path: ["_overview"], data: btoa("\x01\x02\xff"), encoding: "base64" };

/** The notebook's metadata with one model. */
function widgets(state: Record<string, unknown> = {}, buffers: unknown = [BUFFER]): unknown {
  const entry = { model_name: "AnyModel", state: { ...STATE, ...state }, buffers };
  return { "application/vnd.jupyter.widget-state+json": { state: { abc: entry } } };
}

function output(data: Record<string, unknown>, metadata: Record<string, unknown> = {}): MimeModel {
  return { data, metadata, trusted: true };
}

test("a stored explorer is found by its number, with its bytes", () => {
  const stored = storedExplorer(widgets(), "abc");
  assert.ok(stored);
  assert.equal(stored.esm, "export default {}");
  assert.equal(stored.css, ".weightwidget {}");
  assert.equal(stored.traits.selected, "fc.weight");
  const bytes = stored.traits._overview as DataView;
  assert.deepEqual([...new Uint8Array(bytes.buffer)], [1, 2, 255]);
});

test("what is not a whole explorer is none", () => {
  for (const id of ["", "abd", "__proto__", "constructor"])
    assert.equal(storedExplorer(widgets(), id), null, id);
  for (const odd of [undefined, null, 1, [], {}, { "application/vnd.jupyter.widget-state+json": [] }])
    assert.equal(storedExplorer(odd, "abc"), null);
  const states = [
    { _anywidget_id: "drawdata.ScatterWidget" },
    { _esm: "https://x.org/a.js" },
    { _esm: null },
  ];
  for (const state of states) assert.equal(storedExplorer(widgets(state), "abc"), null);
  for (const buffers of [[], null, [{ ...BUFFER, encoding: "hex" }], [{ ...BUFFER, data: "%" }], [7]])
    assert.equal(storedExplorer(widgets({}, buffers), "abc"), null);
});

test("outputs are told by their mark, older ones by their page", () => {
  assert.ok(isMarked(output({}, { weightwidget: { version: 1 } })));
  assert.ok(isMarked(output({ "text/html": "… or explorer.save_html(path) keep …", "image/png": "" })));
  assert.ok(!isMarked(output({ "text/html": "<p>explorer</p>", "image/png": "" })));
  assert.ok(!isMarked(output({})));
  assert.equal(modelOf(output({ [WIDGET_VIEW]: { model_id: "abc" } })), "abc");
  assert.equal(modelOf(output({ [WIDGET_VIEW]: "abc" })), "");
});

test("a late manager is kept apart from the one that ipywidgets makes for the same kernel", () => {
  class Kernel {
    readonly id = "of the server";
    told = "";
    #real = true;
    tell(what: string): boolean {
      this.told = what;
      return this.#real;
    }
  }
  const kernel = new Kernel();
  const sessionContext = {
    session: { kernel: kernel as Kernel | null },
    ready: Promise.resolve(),
    name: "a",
  };
  const given: { sessionContext: typeof sessionContext; path: string }[] = [];
  const manager = {
    registerWidgetManager: (context: (typeof given)[0]) => {
      given.push(context);
    },
  } as unknown as Packages["@jupyter-widgets/jupyterlab-manager"];
  const context = { path: "a.ipynb", sessionContext } as unknown as NotebookContext;
  for (let i = 0; i < 2; i++) registerManager(manager, context, {} as Rendermime, []);
  const [first, second] = given.map((context) => context.sessionContext.session.kernel);
  assert.ok(first && second);
  assert.notEqual(first.id, kernel.id);
  assert.notEqual(first.id, second.id);
  assert.equal(given[0]?.path, "a.ipynb");
  assert.equal(given[0]?.sessionContext.ready, sessionContext.ready);
  assert.equal(given[0]?.sessionContext.session.kernel, first);
  // What is done to it is done to the kernel.
  assert.ok(first.tell("something"));
  assert.equal(kernel.told, "something");
  first.told = "else";
  assert.equal(kernel.told, "else");
  sessionContext.session.kernel = null;
  assert.equal(given[0]?.sessionContext.session.kernel, null);
});
