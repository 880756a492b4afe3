/** Colours and fonts of the theme, for canvases. */

export interface Inks {
  bg: string;
  bgSoft: string;
  border: string;
  text: string;
  textSoft: string;
  mark: string;
  accent: string;
  brush: string;
  font: string;
  mono: string;
}

export function inksOf(element: Element): Inks {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--ww-${name}`).trim() || "#888";
  return {
    bg: of("bg"),
    bgSoft: of("bg-soft"),
    border: of("border"),
    text: of("text"),
    textSoft: of("text-soft"),
    mark: of("mark"),
    accent: of("accent"),
    brush: of("brush"),
    font: of("font"),
    mono: of("mono"),
  };
}
