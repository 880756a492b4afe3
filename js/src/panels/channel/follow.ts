/** From a cell of the heatmap to the channels of its row and its column. */

import { batch, type ReadonlySignal } from "@preact/signals-core";
import { h } from "../../draw/dom";
import type { Hover, Store } from "../../store";
import { position } from "../../tensor";
import { hasChannels } from "../channel";
import type { MatrixInfo } from "../heatmap/matrix";

/**
 * Links "follow row 99" and "follow column 856" for the pinned cell.
 * @param pinned the cell that was clicked
 * @param matrix what is drawn
 */
export function followLinks(
  store: Store,
  pinned: ReadonlySignal<Hover | null>,
  matrix: ReadonlySignal<MatrixInfo | null>,
): HTMLElement {
  const element = h("div", { class: "ww-ch-follow" });
  store.effect(() => {
    const cell = pinned.value;
    const drawn = matrix.value;
    const can =
      cell && drawn && cell.rows * cell.cols === 1 && hasChannels(store.overview.value, drawn.tensor);
    element.hidden = !can;
    if (!can) return;
    const at = position(drawn.shape, drawn.axes, drawn.index, cell.row, cell.col);
    const links = [...drawn.axes.rows.slice(0, 1), ...drawn.axes.cols.slice(0, 1)].map((axis) => {
      const what = drawn.shape.length === 1 ? "channel" : drawn.axes.rows.includes(axis) ? "row" : "column";
      const name = drawn.shape.length > 2 && what === "column" ? `input ${at[axis]}` : `${what} ${at[axis]}`;
      const link = h(
        "button",
        { type: "button", class: "ww-plain ww-hm-link", title: `follow ${name} through the network` },
        `follow ${name}`,
      );
      link.addEventListener("click", () => {
        batch(() => {
          store.traits.channel.value = [axis, at[axis] as number];
          store.traits.view.value = "channel";
        });
      });
      return link;
    });
    element.replaceChildren(...links);
  });
  return element;
}
