/** The number of heads where neither file nor module tells, or only a guess does: it can be set here. */

import type { Signal } from "@preact/signals-core";
import { h, setText } from "../../draw/dom";
import { visible } from "../../draw/visible";
import { lack } from "../../lack";
import { RequestCancelled } from "../../model";
import type { Overview } from "../../overview";
import type { Store } from "../../store";
import { headless, inside } from "./layers";

const known = new WeakMap<object, readonly number[]>();

/** Rows of projections whose heads are not known. Asked often: looked for once for each anatomy. */
function headlessOf(overview: Overview): readonly number[] {
  let rows = known.get(overview.layers);
  if (!rows) {
    rows = headless(overview);
    known.set(overview.layers, rows);
  }
  return rows;
}

/** Whether a path is, or contains, a projection of attention of which the heads are not known. */
export function concernsHeadless(overview: Overview, row: number, path: string): boolean {
  const rows = headlessOf(overview);
  if (rows.length === 0) return false;
  return path === "" || rows.some((one) => one === row || inside(overview.names[one] as string, path));
}

/** Sizes that heads commonly have. */
const USUAL = [32, 64, 80, 96, 128];

/** A guess at what is asked for: how many heads of usual sizes there would be in so many outputs. */
export function usualHeads(outputs: number): { heads: number; size: number }[] {
  return USUAL.filter((size) => outputs % size === 0 && outputs / size > 1).map((size) => ({
    heads: outputs / size,
    size,
  }));
}

/** @param wanted whether the number is to be set though there is one */
export function headsForm(store: Store, wanted: Signal<boolean>): HTMLElement {
  const text = h("p", { class: "ww-note" });
  const heads = h("input", { type: "number", min: 1, step: 1, "aria-label": "number of heads" });
  const shared = h("input", {
    ...{ type: "number", min: 1, step: 1, placeholder: "same" },
    ...{ "aria-label": "number of key and value heads", title: "fewer in grouped-query attention" },
  });
  const usual = h("span", { class: "ww-heads-usual" });
  const button = h("button", { type: "submit" }, "set");
  const fault = h("p", { class: "ww-note", "data-tone": "error", role: "alert" });
  const code = h("code", {});
  const form = h(
    "form",
    { class: "ww-heads-set" },
    ...[h("label", {}, "heads ", heads), h("label", {}, "key/value heads ", shared), button, usual],
  );
  const element = h(
    "div",
    { class: "ww-heads-unknown" },
    text,
    form,
    h("p", { class: "ww-note" }, "in Python: ", code),
    fault,
  );

  const line = (): void => {
    const fewer = shared.value ? `, kv_heads=${shared.value}` : "";
    code.textContent = `explorer.anatomy.set_heads(${heads.value || "12"}${fewer})`;
  };
  heads.addEventListener("input", line);
  shared.addEventListener("input", line);
  line();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const count = Number(heads.value);
    if (!Number.isInteger(count) || count < 1) {
      fault.textContent = "type the number of heads: a whole number";
      return;
    }
    fault.textContent = "";
    const request = { path: "", heads: count, kv_heads: shared.value ? Number(shared.value) : null };
    store.model.request("set_heads", request, { signal: store.lifetime }).then(
      () => {
        wanted.value = false;
      },
      (reason: unknown) => {
        if (reason instanceof RequestCancelled) return;
        setText(fault, reason instanceof Error ? reason.message : String(reason), true);
      },
    );
  });
  store.effect(() => {
    const overview = store.base.value;
    const rows = headlessOf(overview);
    const guessed = overview.layers.attention.filter((layer) => !layer.certain);
    const byHand = guessed.every((layer) => /by hand/.test(layer.why));
    const open = rows.length > 0 || (guessed.length > 0 && !byHand);
    element.hidden = !(open || wanted.value);
    const first = rows[0] ?? guessed[0]?.query?.tensor ?? -1;
    const axes = overview.axes(first);
    const axis = axes?.names.findIndex((name) => /\bhead\b/.test(name)) ?? -1;
    const outputs = overview.shape(first)[axis] ?? 0;
    const name = visible(overview.names[first] ?? "");
    const what =
      rows.length === 1 ? `${name} has` : `these ${rows.length} projections have, such as ${name},`;
    setText(
      text,
      rows.length > 0
        ? `How many heads ${what} neither file nor module tells.`
        : `The number of heads is not certain here: ${guessed[0]?.why || "a guess"}. If it is wrong, set it.`,
    );
    usual.replaceChildren(
      ...usualHeads(outputs).map((one) => {
        const choice = h("button", { type: "button", class: "ww-plain" }, `${one.heads} of ${one.size}`);
        choice.addEventListener("click", () => {
          heads.value = String(one.heads);
          line();
        });
        return choice;
      }),
    );
    const gone = store.model.kernel.value === "gone";
    for (const control of [heads, shared, button]) control.disabled = gone;
    button.title = gone ? lack(store).setting : "for all attention layers of the model";
  });
  return element;
}
