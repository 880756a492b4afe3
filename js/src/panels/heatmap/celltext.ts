/** Numbers in the little room of a cell. */

import { formatNumber } from "../../draw/format";

/** The value with as many digits as fit into `room` characters: .047, −1.2e−7; "" if not even one does. */
export function cellText(value: number, room: number): string {
  for (let digits = 4; digits >= 1; digits--) {
    const text = formatNumber(value, digits).replace(/^(\u2212?)0\./, "$1.");
    if (text.length <= room) return text;
  }
  if (!Number.isFinite(value) && room >= 2) return Number.isNaN(value) ? "?" : value > 0 ? "+∞" : "\u2212∞";
  // Too small to tell from zero in this room, but not zero.
  if (Math.abs(value) < 1 && room >= 2) return value < 0 ? "\u22120" : "+0";
  return "";
}
