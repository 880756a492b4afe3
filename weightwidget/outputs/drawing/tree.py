"""The layer tree: a row for each module and tensor that fits."""

from __future__ import annotations

import math

from weightwidget.outputs import numbers
from weightwidget.outputs.drawing import colours
from weightwidget.outputs.drawing.canvas import Canvas
from weightwidget.outputs.drawing.histogram import sparkline
from weightwidget.outputs.rows import Row
from weightwidget.outputs.view import StaticView

ROW = 21
"""Height of a row."""

HEAD = 24
"""Height of the heads of the columns."""

SPARKLINE = (58, 15)
INDENT = 12
DEEPEST = 8
"""Levels that are indented: deeper ones would leave no room for their names."""


def tree(canvas: Canvas, x: int, y: int, size: tuple[int, int], view: StaticView) -> None:
    """Draw the tree from the heads of its columns to what did not fit."""
    wide, tall = size
    right = x + wide - 14
    canvas.text(x + 12, y + 16, "Layer", colours.TEXT_SOFT)
    canvas.text(right - 52, y + 16, "std", colours.TEXT_SOFT, "r")
    canvas.text(right, y + 16, "weights", colours.TEXT_SOFT, "r")
    canvas.rect(x, y + HEAD, wide, 1, colours.BORDER_SOFT)
    limit = max(3, (tall - HEAD) // ROW - 1)
    rows = view.rows(view.selected_tensor, limit)
    top = y + HEAD + 1
    for row in rows:
        _row(canvas, x, top, wide, row, view)
        top += ROW
    hidden = len(view.source.tensors) - sum(row.is_tensor for row in rows)
    if hidden:
        text = f"… and {numbers.count(hidden)} more tensor{'s' * (hidden != 1)} in closed modules"
        if any(row.left_out for row in rows):
            text = f"… {numbers.count(hidden)} tensors have no row here"
        canvas.text(x + 12, top + 15, text, colours.TEXT_SOFT)


def _row(canvas: Canvas, x: int, y: int, wide: int, row: Row, view: StaticView) -> None:
    chosen = row.stands_for(view.selected_tensor)
    if chosen:
        canvas.rect(x, y, wide, ROW, colours.SELECTED)
        canvas.rect(x, y, 2, ROW, colours.ACCENT)
    base = y + 15
    left = x + 12 + INDENT * min(row.depth, DEEPEST)
    right = x + wide - 14
    if row.left_out:
        canvas.text(left + 12, base, row.label, colours.TEXT_SOFT)
        return
    if not row.is_tensor:
        canvas.triangle(left + 4, y + 10, "right" if row.children is None else "down", colours.TEXT_SOFT)
    place = right - 104 - SPARKLINE[0]
    canvas.text(left + 12, base, row.label, bold=chosen, most=place - left - 18)
    record = (view.tensors if row.is_tensor else view.modules).get(row.path)
    if record is not None and record.error:
        canvas.text(right - 52, base, "unreadable", colours.ERROR, "r")
    else:
        sparkline(canvas, place, y + 3, SPARKLINE, record, colours.ACCENT if chosen else colours.MARK)
        spread = "…" if record is None else "–" if math.isnan(record.std) else numbers.number(record.std, 3)
        canvas.text(right - 52, base, spread, anchor="r")
    if record is not None and record.nan + record.posinf + record.neginf:
        canvas.rect(right - 48, y + 8, 5, 5, colours.NAN)
    canvas.text(right, base, numbers.short(view.weights_of(row)), colours.TEXT_SOFT, "r")
