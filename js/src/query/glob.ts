/** Patterns over text: `*`, `?`, `[abc]`, `[a-c]`, `[!abc]`. Mirrors weightwidget/summary/glob.py. */

export type TextTest = (folded: string) => boolean;

/** Lower case, character by character: the final sigma, which depends on its neighbours, is as the other one. */
export function fold(text: string): string {
  return text.toLowerCase().replaceAll("ς", "σ");
}

export interface Glob {
  test: TextTest;
  /** The fixed pieces of the pattern, to be marked where they are found. */
  literals: string[];
}

/**
 * Compiles a folded pattern. `mask` is `text` with NUL for characters that stand for themselves; `whole` says whether
 * a pattern without wildcards must be the whole text or may be found inside it.
 */
export function compileGlob(text: string, mask: string, whole: boolean): Glob {
  // Parts between stars. Each part after the first is matched at its first place and never tried again at another:
  // enough for a star, and the time stays within length of pattern times length of text.
  const parts = [""];
  const literals = [""];
  let live = false;
  const add = (piece: string, literal: string | null): void => {
    parts[parts.length - 1] += piece;
    if (literal === null) literals.push("");
    else literals[literals.length - 1] += literal;
  };
  for (let at = 0; at < text.length; at++) {
    const char = mask[at];
    const stop = char === "[" ? classEnd(mask, at) : -1;
    if (char === "*") {
      parts.push("");
      literals.push("");
      live = true;
    } else if (char === "?") {
      add(".", null);
      live = true;
    } else if (stop > 0) {
      add(classOf([...text.slice(at + 1, stop)]), null);
      live = true;
      at = stop;
    } else {
      const point = text.codePointAt(at) as number;
      const full = String.fromCodePoint(point);
      add(full.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&"), full);
      at += full.length - 1;
    }
  }
  if (!live) return { test: whole ? (s) => s === text : (s) => s.includes(text), literals: [text] };
  const [first, ...rest] = parts as [string, ...string[]];
  const last = rest.pop();
  const inner = rest.filter(Boolean).map((part, n) => `(?=(?<p${n}>.*?${part}))\\k<p${n}>`);
  const regex = new RegExp(`^${first}${inner.join("")}${last === undefined ? "" : `.*${last}`}$`, "su");
  return { test: (s) => regex.test(s), literals: literals.filter((piece) => piece.length > 1) };
}

/** Place of the bracket that closes the class opened at `start`; -1 if none does, and it is an ordinary bracket. */
function classEnd(mask: string, start: number): number {
  const at = mask[start + 1] === "!" ? start + 2 : start + 1;
  const [first] = mask.slice(at, at + 2);
  return mask.indexOf("]", at + (first?.length ?? 1));
}

function classOf(body: string[]): string {
  const negated = body[0] === "!";
  let out = "";
  for (let at = negated ? 1 : 0; at < body.length; at++) {
    const low = body[at] as string;
    let high = low;
    if (at + 2 < body.length && body[at + 1] === "-") {
      high = body[at + 2] as string;
      at += 2;
    }
    if ((low.codePointAt(0) as number) <= (high.codePointAt(0) as number))
      out += `${code(low)}-${code(high)}`;
  }
  if (!out) return negated ? "." : "(?!)";
  return `[${negated ? "^" : ""}${out}]`;
}

function code(char: string): string {
  return `\\u{${(char.codePointAt(0) as number).toString(16)}}`;
}
