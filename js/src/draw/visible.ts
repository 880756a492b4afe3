/**
 * Names as they are shown: they are hostile input. weightwidget/outputs/names.py follows the same rules;
 * tests/protocol/visible.json holds the two together.
 */

/** What is not seen: controls, formats, marks that turn the direction of writing, spaces but the plain one, blanks. */
const UNSEEN = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** The space that texts of the explorer itself have, in numbers. */
const THIN = "\u2009";

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The text with everything that is not seen as an escape: \x1b, \u202e, \n. A mark that turns the direction of writing
 * would make one name look like another, and move what stands beside it. Letters of all scripts stay.
 */
export function visible(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** A text of the explorer with names in it: its own thin spaces stay, and if it is a tooltip its lines. */
export function shown(text: string, lines = false): string {
  return text.replace(UNSEEN, (sign) => (sign === THIN || (lines && sign === "\n") ? sign : escaped(sign)));
}

function escaped(sign: string): string {
  const code = sign.codePointAt(0) as number;
  const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return SHORT[sign] ?? `\\${letter}${code.toString(16).padStart(digits, "0")}`;
}
