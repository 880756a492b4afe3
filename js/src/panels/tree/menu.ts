/** The small menu of a row. */

import { h } from "../../draw/dom";

export interface MenuItem {
  label: string;
  act(): void;
}

/** Opens below a point of `host`, which is positioned; focus goes to the first item and, afterwards, to `back`. */
export function openMenu(
  host: HTMLElement,
  x: number,
  y: number,
  items: MenuItem[],
  back: HTMLElement,
): void {
  const menu = h("div", { class: "ww-tree-menu", role: "menu" });
  let closed = false;
  const close = (refocus: boolean): void => {
    if (closed) return;
    closed = true;
    menu.remove();
    if (refocus) back.focus({ preventScroll: true });
  };
  const buttons = items.map(({ label, act }) => {
    const button = h("button", { type: "button", role: "menuitem", class: "ww-tree-menu-item" }, label);
    button.addEventListener("click", () => {
      close(true);
      act();
    });
    return button;
  });
  menu.append(...buttons);
  menu.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const root = menu.getRootNode() as Document | ShadowRoot;
    const here = at >= 0 ? at : buttons.indexOf(root.activeElement as HTMLButtonElement);
    if (event.key === "Escape" || event.key === "Tab") close(true);
    else if (event.key === "ArrowDown") buttons[(here + 1) % buttons.length]?.focus();
    else if (event.key === "ArrowUp") buttons[(here - 1 + buttons.length) % buttons.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(event.relatedTarget as Node | null)) close(false);
  });
  host.append(menu);
  const room = host.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(2, Math.min(x, room.width - size.width - 2))}px`;
  menu.style.top = `${Math.max(2, Math.min(y, room.height - size.height - 2))}px`;
  buttons[0]?.focus({ preventScroll: true });
}
