/** What is followed: the space, the channel, how the links are known, and the channels that stand out. */

import { batch } from "@preact/signals-core";
import { h, setText, setTitle } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import type { ChannelState } from "./state";
import { choiceText, strangeText } from "./words";

/** Unusual channels that are shown before somebody asks for all. */
const FEW = 10;

export function channelHead(state: ChannelState): HTMLElement {
  return h(
    "div",
    { class: "ww-ch-head" },
    spaceLine(state),
    linksLine(state),
    unusualLine(state),
    partnersLine(state),
  );
}

function spaceLine(state: ChannelState): HTMLElement {
  const { store } = state;
  const select = h("select", { class: "ww-ch-space", "aria-label": "which channels of the tensor" });
  const field = h("input", {
    class: "ww-ch-number ww-number",
    inputmode: "numeric",
    placeholder: "none",
    "aria-label": "channel",
    size: 6,
  });
  const of = h("span", { class: "ww-soft" });
  const step = (by: number): void => {
    const size = state.space.peek()?.size ?? 0;
    const at = state.channel.peek();
    if (size > 0) state.pick(at === null ? (by > 0 ? 0 : size - 1) : (at + by + size) % size);
  };
  const button = (text: string, title: string, act: () => void): HTMLButtonElement => {
    const made = h("button", { type: "button", title, "aria-label": title }, text);
    made.addEventListener("click", act);
    return made;
  };
  const clear = button("×", "follow no channel", () => state.pick(null));
  select.addEventListener("change", () => state.choose(Number(select.value)));
  field.addEventListener("change", () => {
    const text = field.value.trim();
    const size = state.space.peek()?.size ?? 0;
    const at = Number(text);
    if (text === "") state.pick(null);
    else if (/^\d+$/.test(text) && at < size) state.pick(at);
    else {
      field.setCustomValidity(`a whole number from 0 to ${size - 1}`);
      field.reportValidity();
    }
  });
  field.addEventListener("input", () => field.setCustomValidity(""));
  field.addEventListener("keydown", (event) => {
    const by = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    step(by);
  });

  store.effect(() => {
    const choices = state.choices.value?.choices ?? [];
    const followed = state.space.value?.space;
    // A space of which the tensor has several parts (gates, queries and keys) is one choice.
    const distinct = choices.filter(
      (one, at) => choices.findIndex((other) => other.space === one.space) === at,
    );
    select.replaceChildren(...distinct.map((one) => h("option", { value: one.space }, choiceText(one))));
    select.hidden = distinct.length === 0;
    if (followed !== undefined) select.value = String(followed);
    select.title = select.selectedOptions[0]?.textContent ?? "";
  });
  store.effect(() => {
    const size = state.space.value?.size ?? 0;
    const at = state.channel.value;
    field.value = at === null ? "" : String(at);
    field.setCustomValidity("");
    of.textContent = size > 0 ? `of ${formatCount(size)}` : "";
    clear.disabled = at === null;
  });
  const picker = h(
    "span",
    { class: "ww-ch-picker" },
    h("label", {}, h("span", { class: "ww-heading" }, "channel "), field),
    of,
    button("‹", "the channel before", () => step(-1)),
    button("›", "the next channel", () => step(1)),
    clear,
  );
  store.effect(() => {
    picker.hidden = state.space.value === null;
  });
  return h("div", { class: "ww-ch-line" }, select, picker);
}

/** How the links are known; and the way to know them for sure. */
function linksLine(state: ChannelState): HTMLElement {
  const { store } = state;
  const text = h("span", { class: "ww-soft" });
  const trace = h(
    "button",
    {
      type: "button",
      title:
        "Runs the model's own forward once, on a copy without weights (PyTorch's meta device): " +
        "no data, nothing computed, the model stays as it is. Its Python code does run.",
    },
    "trace forward",
  );
  const status = h("span", { class: "ww-ch-trace", role: "status" });
  trace.addEventListener("click", () => state.trace());
  store.effect(() => {
    const data = state.space.value;
    const choices = state.choices.value;
    const guesses = data ? data.members.filter((member) => !member.certain).length : 0;
    const many = data?.members.length ?? 0;
    const tensors = many === 1 ? "1 tensor" : `${many} tensors`;
    const how =
      guesses > 0
        ? `${guesses} of the links guessed, marked `
        : choices?.traced
          ? "links seen in a run of forward"
          : "all links certain";
    text.replaceChildren(
      data === null ? "" : many === 1 ? `${tensors}: nothing is linked to it` : `${tensors}, ${how}`,
      many > 1 && guesses > 0 ? h("span", { class: "ww-ch-guess" }, "?") : "",
    );
    setTitle(text, choices ? `Links ${choices.how}` : "");
    trace.hidden = !choices?.traceable || choices.traced || data === null;
  });
  store.effect(() => {
    const at = state.tracing.value;
    trace.disabled = at === "running";
    setText(status, at === "running" ? "tracing …" : at, true);
    status.dataset.tone = at === "running" ? "" : "error";
  });
  return h("div", { class: "ww-ch-line ww-ch-links" }, text, trace, status);
}

/** The strongest connections of the channel in the selected tensor: a way on to the next layer, or back. */
function partnersLine(state: ChannelState): HTMLElement {
  const { store } = state;
  const line = h("div", { class: "ww-ch-unusual", role: "group", "aria-label": "strongest connections" });
  store.effect(() => {
    const data = state.space.value;
    const found = state.partners.value;
    const member = found ? data?.members[found.member] : undefined;
    line.hidden = !found || !member || found.list.length === 0;
    if (!found || !member) return;
    const writes = member.role === "writes";
    const where = member.tensor;
    const chips = found.list.map((one) => {
      const title =
        `‖w‖ ${formatNumber(one.value, 6)} in ${where}: ` +
        (writes
          ? "a channel that it is computed from; follow that"
          : "a unit that is computed from it; follow that");
      const chip = h(
        "button",
        { type: "button", class: "ww-ch-chip", title },
        h("b", {}, String(one.channel)),
        ` ${formatNumber(one.value, 3)}`,
      );
      chip.addEventListener("click", () => state.choose(one.space, one.channel));
      return chip;
    });
    line.replaceChildren(
      h(
        "span",
        { class: "ww-heading", title: `largest weights of the channel in ${where}` },
        writes ? "Strongest inputs" : "Strongest outputs",
      ),
      ...chips,
    );
  });
  return line;
}

function unusualLine(state: ChannelState): HTMLElement {
  const { store } = state;
  const list = h("div", { class: "ww-ch-unusual", role: "group", "aria-label": "unusual channels" });
  let all = false;
  let of: unknown = null;
  const draw = (): void => {
    const data = state.space.value;
    const picked = state.channel.value;
    if (data !== of) all = false;
    of = data;
    list.hidden = data === null;
    if (!data) return;
    if (data.unusual.length === 0) {
      list.replaceChildren(
        h("span", { class: "ww-soft" }, "No channel stands out: none switched off, dead or beyond 6 σ."),
      );
      return;
    }
    const shown = all ? data.unusual : data.unusual.slice(0, FEW);
    const chips = shown.map((one) => {
      const { short, title } = strangeText(one, data.members[one.member]);
      const chip = h(
        "button",
        {
          type: "button",
          class: "ww-ch-chip",
          title,
          "data-reason": one.reason,
          "aria-pressed": String(picked === one.channel),
        },
        h("b", {}, String(one.channel)),
        ` ${short}`,
      );
      chip.addEventListener("click", () => {
        state.pick(one.channel);
        state.reveal.value = one.member;
      });
      return chip;
    });
    const rest = data.unusualCount - shown.length;
    const hidden = data.unusual.length - shown.length;
    list.replaceChildren(h("span", { class: "ww-heading" }, "Unusual"), ...chips);
    if (hidden > 0) {
      const more = h(
        "button",
        { type: "button", class: "ww-plain ww-ch-more" },
        `+ ${formatCount(rest)} more`,
      );
      more.addEventListener("click", () => {
        all = true;
        batch(draw);
      });
      list.append(more);
    } else if (rest > 0) {
      list.append(h("span", { class: "ww-soft" }, `and ${formatCount(rest)} less unusual`));
    }
  };
  store.effect(draw);
  return list;
}
