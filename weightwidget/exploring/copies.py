"""The ways out of an explorer: charts, sidebar, snapshot, saved page, text and picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.exploring.scanning import Scanned
from weightwidget.outputs.html import SavedPage, save_page
from weightwidget.outputs.names import shorten, visible
from weightwidget.outputs.notebook_progress import NotebookProgress
from weightwidget.outputs.view import StaticView
from weightwidget.sources.base import WeightSource, in_totals
from weightwidget.sources.saved import has_weights

if TYPE_CHECKING:
    from sidecar import Sidecar

    from weightwidget.outputs.charts import Charts
    from weightwidget.outputs.snapshot import Snapshot

QUICK_BLOCK = 1 << 22
"""Weights of the tensors around a selected block, up to which it is summarised for the static picture of a cell."""


class Shown(Scanned):
    """Shows the explorer elsewhere, and as it is at one moment."""

    @property
    def charts(self) -> Charts:
        """Linked bqplot charts beside the explorer."""
        from weightwidget.outputs.charts import Charts  # bqplot brings pandas along: not before it is needed

        return Charts(self)

    def sidebar(self, title: str | None = None) -> Sidecar:
        """Open the explorer in JupyterLab's right sidebar.

        Parameters
        ----------
        title
            Of the sidebar's tab; by default the model's name.

        Returns
        -------
        Sidecar
            Its ``close()`` closes the panel and leaves the explorer as it is. Closing the explorer closes it, too.
        """
        from weightwidget.outputs.sidebar import open_sidebar

        panel = open_sidebar(self, title or visible(self.source.name))
        self._panels = (*self._panels, panel)
        return panel

    def snapshot(self, detail: int = 0) -> Snapshot:
        """Make a live copy of what is shown now, to be displayed in the notebook. Waits for the scan.

        It needs no kernel, no extension and no network: what is saved with the notebook, or exported to HTML, stays
        alive. Hosts that take scripts out show a picture and a table of statistics instead.

        Parameters
        ----------
        detail
            How many levels of the heatmap it holds: see `save_html`.

        Returns
        -------
        Snapshot
            Displayed where it is the last value of a cell. Its ``size`` says how many bytes it adds to the notebook.
        """
        from weightwidget.outputs.snapshot import snapshot_of  # brings Pillow along: not before it is needed

        return snapshot_of(self._copied(), self._static_view(), detail)

    def save_html(
        self,
        path: str | os.PathLike[str],
        detail: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> SavedPage:
        """Save what is shown now as one file of HTML, which opens anywhere without a network. Waits for the scan.

        Parameters
        ----------
        path
            Where to. What lies there is replaced once the new file is complete.
        detail
            How many levels of the heatmap the file holds beyond the overview's picture of each tensor: with 0 a side
            of at most 64 cells, with 1 of 128, with 2 of 256, and so on until every weight is there. By default as
            many as fit 4 MB. A cell is the weight of largest magnitude under it. Small tensors are there with every
            weight, whatever the detail.
        progress
            Takes the share that is done, 0 to 1. By default a line under the cell tells it, if it takes long. What it
            raises ends the work.

        Returns
        -------
        SavedPage
            Path and size; can be used as a path.

        Raises
        ------
        ValueError
            If the detail is not one.
        OSError
            If the file cannot be written. What was there before is then still there.
        """
        from weightwidget.outputs.static import static_html  # brings Pillow along: not before it is needed

        line = NotebookProgress(f"saving {os.fspath(path)}")
        saved = save_page(self._copied(), path, detail, progress or line, lambda: static_html(self._static_view()))
        line.done(f"saved {saved}")
        return saved

    def __repr__(self) -> str:
        """Name, size and state: what hosts without widgets show."""
        return describe(self.source, self.status, self.progress)

    def _static_view(self) -> StaticView:
        """What is shown now, for everything that is made without a front end."""
        summary, tensors, selected = self._summary, self._records(), self.selected
        modules = summary.modules if summary is not None else {}
        block = None
        if SEPARATOR in selected and selected not in self.source.tensors:
            parts = [ref for name in self._blocks.tensors(selected) if (ref := self.ref(name)) is not None]
            readable = all(map(has_weights, parts)) and not self._closed
            if readable and sum(ref.numel for ref in parts) <= QUICK_BLOCK:
                block = self._blocks.record(selected)
            else:  # the tensor around it is known already
                selected = selected.partition(SEPARATOR)[0]
        return StaticView(
            self.source, self.status, self.progress, tensors, modules, selected, block, failure=self._message
        )


def describe(source: WeightSource, status: str, progress: float) -> str:
    """One line of text for a source and the state of its scan."""
    count = sum(ref.numel for ref in source.tensors.values() if in_totals(ref))
    state = f"{status}, {progress:.0%}" if status in ("scanning", "cancelled") else status
    name = shorten(visible(source.name), 200, "both")
    return f"WeightExplorer({name}: {len(source.tensors):,} tensors, {count:,} weights, {state})"
