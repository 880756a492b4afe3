/** The whole widget on a fake model, with no kernel and no notebook. `npm run dev` serves it. */

import "../src/widget.css";
import { append, h } from "../src/draw/dom";
import widget from "../src/widget";
import { FakeKernel, KERNELS, type KernelKind, SCANS, type ScanKind } from "./fake-kernel";
import { FakeModel } from "./fake-model";
import { MODELS, type ModelName } from "./models";
import { type Mounted, mount } from "./mount";

const THEMES = ["light", "dark"] as const;

/** What can be chosen by URL parameters and in the bar; the first of each is the default. */
const CHOICES: Record<string, readonly string[]> = {
  model: MODELS,
  theme: THEMES,
  kernel: KERNELS,
  scan: SCANS,
  width: ["", "1200", "760", "400", "320", "230"],
  views: ["1", "2"],
};

const parameters = new URLSearchParams(location.search);

function chosen<T extends string>(name: string): T {
  return (parameters.get(name) ?? CHOICES[name]?.[0] ?? "") as T;
}

function bar(setTheme: (theme: string) => void): HTMLElement {
  const bar = h("nav", { class: "dev-bar" });
  for (const [name, values] of Object.entries(CHOICES)) {
    const select = h("select", { "aria-label": name });
    for (const value of values) select.append(h("option", { value }, value || "full"));
    select.value = chosen(name);
    select.addEventListener("change", () => {
      parameters.set(name, select.value);
      if (name !== "theme") location.search = parameters.toString();
      setTheme(select.value);
    });
    append(bar, [h("label", {}, `${name} `, select)]);
  }
  return bar;
}

function setTheme(theme: string): void {
  document.body.dataset.theme = theme;
}

/** For tests and for the console. */
interface Dev {
  model: FakeModel;
  kernel: FakeKernel;
  mounted: Mounted;
  setTheme(theme: string): void;
  /** Takes everything away, as closing the notebook does. */
  destroy(): void;
}

async function start(): Promise<void> {
  setTheme(chosen("theme"));
  const place = h("main", { class: "dev-views" });
  const width = Number(chosen("width"));
  if (width > 0) place.style.width = `${width}px`;
  append(document.body, [bar(setTheme), place]);

  const model = new FakeModel({ selected: parameters.get("selected") ?? "" });
  const kernel = new FakeKernel(model, {
    model: chosen<ModelName>("model"),
    kernel: chosen<KernelKind>("kernel"),
    scan: chosen<ScanKind>("scan"),
    latency: Number(parameters.get("latency") ?? 20),
  });
  const mounted = await mount(widget, model);
  for (let view = 0; view < Number(chosen("views")); view++) mounted.addView(place);
  const destroy = (): void => {
    mounted.destroy();
    kernel.stop();
  };
  Object.assign(window, { dev: { model, kernel, mounted, setTheme, destroy } satisfies Dev });
  await kernel.start();
  document.body.dataset.ready = "true";
}

start().catch((error: unknown) => {
  document.body.dataset.ready = "failed";
  throw error;
});
