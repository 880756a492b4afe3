/** Widgets for a notebook whose kernel came late. */

import type { Disposable, NotebookContext, Packages, Renderer, Rendermime } from "./jupyterlab";

let serial = 0;

/**
 * Gives a notebook its manager of widgets.
 *
 * ipywidgets does so when the notebook is opened, fails if there is no kernel then, and does not try again: all that
 * any library displays later would stay at «Loading widget…».
 *
 * @param renderers outputs that wait for the manager
 */
export function registerManager(
  { registerWidgetManager }: Packages["@jupyter-widgets/jupyterlab-manager"],
  context: NotebookContext,
  rendermime: Rendermime,
  renderers: Renderer[],
): Disposable {
  // ipywidgets keeps managers by the number of their kernel, and would take this one again, with a context that is
  // gone, for the notebook when it is opened anew. So this one is kept by another number.
  const id = `weightwidget-${serial++}`;
  const kernel = memo((real: object) => veil(real, { id: () => id }));
  const session = memo((real: object) =>
    veil(real, { kernel: () => kernel((real as { kernel: object | null }).kernel) }),
  );
  const { sessionContext } = context;
  const veiled = veil(sessionContext, { session: () => session(sessionContext.session) });
  return registerWidgetManager(veil(context, { sessionContext: () => veiled }), rendermime, renderers);
}

/** The same object with some properties seen otherwise; what its methods do, they do to the object itself. */
function veil<T extends object>(real: T, seen: Record<string, () => unknown>): T {
  return new Proxy(real, {
    get(target, name) {
      const other = typeof name === "string" && Object.hasOwn(seen, name) ? seen[name] : undefined;
      if (other !== undefined) return other();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/** Gives the same for the same object. */
function memo(make: (real: object) => object): (real: object | null) => object | null {
  const made = new WeakMap<object, object>();
  return (real) => {
    if (real === null) return null;
    const known = made.get(real) ?? make(real);
    made.set(real, known);
    return known;
  };
}
