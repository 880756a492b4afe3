/** Light or dark, as the host is now. */

import { type ReadonlySignal, signal } from "@preact/signals-core";

/**
 * Follows the colour behind the element, whoever painted it: that works in every host, where sniffing for one host's
 * attributes does not.
 */
export function hostTheme(element: HTMLElement, lifetime: AbortSignal): ReadonlySignal<"light" | "dark"> {
  const theme = signal<"light" | "dark">("light");
  const look = (): void => {
    theme.value = isDark(backgroundBehind(element)) ? "dark" : "light";
    element.dataset.theme = theme.value;
  };
  look();
  // The element may not be in the document yet, and a theme's style sheet may arrive after its attribute.
  const soon = (): void => {
    requestAnimationFrame(look);
    setTimeout(look, 300);
  };
  soon();
  const observer = new MutationObserver(soon);
  for (const target of [document.documentElement, document.body]) {
    observer.observe(target, {
      attributes: true,
      attributeFilter: ["class", "style", "data-theme", "data-jp-theme-light", "data-jp-theme-name"],
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon, { signal: lifetime });
  lifetime.addEventListener("abort", () => observer.disconnect());
  return theme;
}

function backgroundBehind(element: HTMLElement): string | null {
  for (let at = element.parentElement; at; at = at.parentElement ?? hostOf(at)) {
    const colour = getComputedStyle(at).backgroundColor;
    if (alpha(colour) > 0.5) return colour;
  }
  return null;
}

/** The element that holds the shadow root of another, if there is one. */
function hostOf(element: Element): HTMLElement | null {
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? (root.host as HTMLElement) : null;
}

function channels(colour: string): number[] {
  return (colour.match(/[\d.]+/g) ?? []).map(Number);
}

function alpha(colour: string): number {
  const [, , , a = 1] = channels(colour);
  return colour === "transparent" ? 0 : a;
}

function isDark(colour: string | null): boolean {
  if (colour === null) return matchMedia("(prefers-color-scheme: dark)").matches;
  const [r = 255, g = 255, b = 255] = channels(colour);
  // "color(srgb 0.1 0.1 0.1)" gives channels up to 1, "rgb(…)" up to 255.
  const top = colour.startsWith("color(") ? 1 : 255;
  return (0.299 * r + 0.587 * g + 0.114 * b) / top < 0.5;
}
