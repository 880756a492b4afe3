/** What the pointer is over, beside it. */

import { h } from "../../draw/dom";

export interface Tip {
  readonly element: HTMLElement;
  show(event: PointerEvent, lines: readonly string[]): void;
  hide(): void;
}

/** @param frame the positioned element that the tip is put into, and must stay inside of */
export function makeTip(frame: HTMLElement): Tip {
  const element = h("div", { class: "ww-cf-tip ww-number", hidden: true, "aria-hidden": "true" });
  frame.append(element);
  return {
    element,
    show: (event, lines) => {
      element.replaceChildren(...lines.map((line) => h("div", {}, line)));
      element.hidden = false;
      const box = frame.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const own = element.getBoundingClientRect();
      const left = Math.max(4, Math.min(x + 14, box.width - own.width - 4));
      const below = y + 18 + own.height < box.height;
      element.style.transform = `translate(${left}px, ${below ? y + 18 : Math.max(4, y - own.height - 12)}px)`;
    },
    hide: () => {
      element.hidden = true;
    },
  };
}
