"""Statistics as aligned text: what a terminal shows, and hosts that show neither widgets nor pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from weightwidget.outputs import numbers
from weightwidget.outputs.names import shorten, visible
from weightwidget.outputs.rows import Row
from weightwidget.outputs.view import StaticView
from weightwidget.summary.record import TensorSummary

ROWS = 10
"""Rows of the tree."""

LABEL = 44
"""Characters of a label at most."""

HEADS = ("weights", "mean", "std", "min", "max", "zeros")


def plain_text(view: StaticView) -> str:
    """Tell what a model is in some lines: totals and state, the top of the tree, what needs attention.

    Parameters
    ----------
    view
        An explorer at one moment.

    Returns
    -------
    str
        At most 15 lines, without a line break at the end.
    """
    totals = ", ".join(map(numbers.plain, view.totals))
    rows = view.rows("", ROWS)
    cells = [_cells(row, view) for row in rows]
    labels = [_label(row) for row in rows]
    lines = [f"{shorten(view.name, 80, 'both')}: {totals}; {view.state}"]
    lines += aligned(labels, cells, ("", *HEADS))
    hidden = len(view.source.tensors) - sum(row.is_tensor for row in rows)
    if hidden and not any(row.left_out for row in rows):
        lines.append(f"… and {hidden:,} more tensors")
    return "\n".join(lines + view.warnings[:2])


def aligned(labels: Sequence[str], cells: Sequence[Sequence[str]], heads: Sequence[str]) -> list[str]:
    """Lines of a table: labels to the left, numbers to the right, columns apart by two spaces."""
    rows = [list(heads[1:]), *map(list, cells)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads) - 1)]
    first = max(map(len, [heads[0], *labels]))
    lines = []
    for label, row in zip([heads[0], *labels], rows, strict=True):
        numbers_ = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"{label.ljust(first)}  {numbers_}".rstrip())
    return lines


def statistic(value: float, digits: int = 3) -> str:
    """A statistic with few digits; a hyphen where there is none."""
    return "-" if math.isnan(value) else numbers.plain(numbers.number(value, digits))


def _label(row: Row) -> str:
    mark = "" if row.is_tensor or row.left_out else "+ " if row.children is None else "- "
    return shorten("  " * min(row.depth, 8) + mark + visible(row.label[:400]), LABEL, "both")


def _cells(row: Row, view: StaticView) -> list[str]:
    if row.left_out:
        return [""] * len(HEADS)
    weights = numbers.plain(numbers.short(view.weights_of(row)))
    record = (view.tensors if row.is_tensor else view.modules).get(row.path)
    if record is None or record.error:
        return [weights, *["unread" if record else "..."] * (len(HEADS) - 1)]
    return [weights, *of_record(record)]


def of_record(record: TensorSummary) -> list[str]:
    """Mean, standard deviation, extremes and the share of zeros."""
    four = [statistic(value) for value in (record.mean, record.std, record.min, record.max)]
    return [*four, "-" if math.isnan(record.sparsity) else numbers.plain(numbers.share(record.sparsity))]
