"""bqplot charts beside an explorer, linked with it through traitlets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import bqplot as bq
import numpy as np
import traitlets as t

from weightwidget.outputs.names import visible
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.table import STATISTICS, statistic_columns

ACCENT = "#2f6fe0"
MARK = "#98a5bd"
FAINT = 0.18

LOG_SPREAD = 50.0
"""Ratio of largest to smallest from which a statistic that is always positive is drawn on a log scale."""


class Linked(Protocol):
    """What a chart needs of an explorer."""

    selected: str
    visible: list[str]

    @property
    def summary(self) -> ModelSummary:
        """The records of all tensors."""

    def observe(self, handler: object, names: object = ...) -> None:
        """Call a function when a trait changes."""

    def unobserve(self, handler: object, names: object = ...) -> None:
        """Stop calling it."""


class Charts:
    """Charts of one explorer.

    Parameters
    ----------
    explorer
        The explorer that the charts are linked with.
    """

    def __init__(self, explorer: Linked) -> None:
        self._explorer = explorer

    def trend(self, stat: str = "std", *, roles: Sequence[str] | None = ("weight",)) -> bq.Figure:
        """Any statistic across depth: one mark a tensor, in the model's order.

        A click on a mark selects the tensor in the explorer; the explorer's selection is the large mark, and tensors
        that its filter hides are faint.

        Parameters
        ----------
        stat
            A statistic: ``std``, ``absmax``, ``kurtosis``, ``sparsity``, ... (`weightwidget.summary.table.STATISTICS`).
        roles
            Roles of the tensors that are drawn; None draws all.

        Returns
        -------
        bqplot.Figure
            An ipywidget: display it, or put it into a ``VBox`` with the explorer. ``close()`` unlinks it.

        Raises
        ------
        ValueError
            If there is no such statistic, or no tensor has one of the roles.
        """
        if stat not in STATISTICS:
            raise ValueError(f"no statistic {stat!r}; there are {', '.join(STATISTICS)}")
        records = [
            record
            for record in self._explorer.summary.tensors.values()
            if not record.error and (roles is None or record.role in roles)
        ]
        if not records:
            raise ValueError(f"no tensor has a role in {roles}: pass roles=None to draw all")
        return TrendChart(self._explorer, stat, records)


class TrendChart(bq.Figure):  # type: ignore[misc]
    """The figure that `Charts.trend` makes.

    Parameters
    ----------
    explorer
        The explorer that the chart is linked with.
    stat
        A key of `STATISTICS`.
    records
        The tensors that are drawn, in the model's order.
    """

    def __init__(self, explorer: Linked, stat: str, records: Sequence[TensorSummary]) -> None:
        self._explorer = explorer
        self._stat = stat
        self._names = [record.name for record in records]
        depth = np.arange(len(records))
        values = statistic_columns(records)[stat]
        x_scale, y_scale = bq.LinearScale(), _scale_for(values)
        self._line = bq.Lines(x=depth, y=values, scales={"x": x_scale, "y": y_scale}, colors=[MARK], stroke_width=1)
        self._marks = bq.Scatter(
            x=depth,
            y=values,
            names=np.array([visible(name) for name in self._names]),
            display_names=False,
            scales={"x": x_scale, "y": y_scale},
            colors=[ACCENT],
            default_size=36,
            interactions={"click": "select", "hover": "tooltip"},
            selected_style={"opacity": 1.0},
            unselected_style={},
            tooltip=bq.Tooltip(fields=["name", "y"], labels=["", stat], formats=["", ".4g"]),
        )
        self._chosen = bq.Scatter(
            x=[], y=[], scales={"x": x_scale, "y": y_scale}, colors=["#c26a06"], default_size=130, marker="circle"
        )
        super().__init__(
            marks=[self._line, self._marks, self._chosen],
            axes=[
                bq.Axis(scale=x_scale, label="tensor, in the model's order", tick_format="d", grid_lines="none"),
                bq.Axis(scale=y_scale, side="left", label=stat, label_offset="52px"),
            ],
            title=f"{stat} across depth",
            fig_margin={"top": 44, "bottom": 52, "left": 76, "right": 20},
            legend_location="top-right",
        )
        self.layout.height = "300px"
        self.layout.width = "100%"
        self._show_selection()
        self._show_filter()
        self._marks.observe(self._on_click, "selected")
        explorer.observe(self._show_selection, "selected")
        explorer.observe(self._show_filter, "visible")
        explorer.observe(self._show_refreshed, "status")

    def close(self) -> None:
        """Unlink the chart from the explorer and remove it."""
        # Widgets are closed again when they are collected.
        for handler, trait in (
            (self._show_selection, "selected"),
            (self._show_filter, "visible"),
            (self._show_refreshed, "status"),
        ):
            with suppress(ValueError):  # not observed any more
                self._explorer.unobserve(handler, trait)
        with suppress(ValueError):
            self._marks.unobserve(self._on_click, "selected")
        super().close()

    def _on_click(self, change: t.Bunch) -> None:
        clicked = change["new"]
        if clicked is not None and len(clicked) > 0:
            self._explorer.selected = self._names[int(clicked[-1])]

    def _show_refreshed(self, change: t.Bunch) -> None:
        if change["new"] != "ready":
            return
        found = self._explorer.summary.tensors
        values = np.full(len(self._names), np.nan)  # what a refresh no longer found is not drawn
        rows = [row for row, name in enumerate(self._names) if name in found]
        values[rows] = statistic_columns([found[self._names[row]] for row in rows])[self._stat]
        self._line.y = self._marks.y = values
        self._show_selection()

    def _show_selection(self, _change: object = None) -> None:
        rows = [row for row, name in enumerate(self._names) if name == self._explorer.selected]
        with self._chosen.hold_sync():
            self._chosen.x = self._marks.x[rows]
            self._chosen.y = self._marks.y[rows]
            self._chosen.names = self._marks.names[rows]

    def _show_filter(self, _change: object = None) -> None:
        shown = set(self._explorer.visible)
        self._marks.opacities = [1.0 if name in shown else FAINT for name in self._names]


def _scale_for(values: np.ndarray) -> bq.Scale:
    """A log scale for statistics that are positive throughout and differ widely, else a linear one."""
    finite = values[np.isfinite(values)]
    if len(finite) > 1 and finite.min() > 0 and finite.max() / finite.min() > LOG_SPREAD:
        return bq.LogScale()
    return bq.LinearScale()
