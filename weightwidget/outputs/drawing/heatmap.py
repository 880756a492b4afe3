"""The heatmap: a tensor's thumbnail with the norms of rows and columns along its edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.detail.matrix import default_axes, matrix_size
from weightwidget.outputs import numbers
from weightwidget.outputs.drawing import colours
from weightwidget.outputs.drawing.canvas import Canvas
from weightwidget.summary.pooling import shrink
from weightwidget.summary.record import TensorSummary
from weightwidget.wire.overview import pool_largest

Array = npt.NDArray[Any]

LARGEST_CELL = 24
STRIP = 48
"""Height of a vector, which has one row."""
NORMS = 44
"""Room for the norms of the rows; those of the columns have a little less."""
GAP = 6
TOP = 44
"""Room for the heading and the labels of the columns."""
LABELS = 40
"""Room for the labels of the rows, at the left."""


def heatmap(canvas: Canvas, x: int, y: int, size: tuple[int, int], record: TensorSummary, picture: Array) -> int:
    """Draw a matrix small, from a heading to the norms of its columns; give where it ends.

    Parameters
    ----------
    x, y
        Of the upper left corner.
    size
        Room that it may take.
    record
        Of the tensor.
    picture
        Its thumbnail, not empty.
    """
    rows, columns = matrix_size(record.shape, default_axes(record.shape))
    canvas.text(x, y + 11, _heading(rows, columns, picture), colours.TEXT_SOFT, most=size[0])
    wide, tall = size[0] - LABELS - NORMS - GAP, size[1] - TOP - NORMS - GAP
    picture = shrink(picture, min(picture.shape[0], tall), min(picture.shape[1], wide))
    height, width = (int(n) for n in picture.shape)
    across, down = cell_size((height, width), (rows, columns), (wide, tall))
    limit, _ = colours.robust_limit(record, picture)
    painted = colours.paint(picture, limit).repeat(down, 0).repeat(across, 1)
    height, width = height * down, width * across
    left, top = x + LABELS, y + TOP
    canvas.frame(left, top, width, height, colours.BORDER)
    canvas.pixels(left, top, painted)
    _labels(canvas, left, top, (width, height), (rows, columns))
    _mark_largest(canvas, left, top, (width, height), (rows, columns), record)
    if record.row_norms is not None and rows > 1:
        _norms(canvas, (left + width + GAP, top), (NORMS, height), record.row_norms, "right")
    if record.column_norms is not None and rows > 1:
        _norms(canvas, (left, top + height + GAP), (width, NORMS - 12), record.column_norms, "down")
        return top + height + GAP + NORMS - 12
    return top + height


def cell_size(cells: tuple[int, ...], matrix: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """Whole pixels across and down that a cell takes; square where a cell is one weight."""
    across, down = (max(1, min(LARGEST_CELL, space // n)) for space, n in zip(room, reversed(cells), strict=True))
    if matrix[0] == 1:
        return across, min(STRIP, room[1])
    if cells == matrix:
        return min(across, down), min(across, down)
    return across, down


def _heading(rows: int, columns: int, picture: Array) -> str:
    words = [f"{numbers.count(rows)} row{'s' * (rows != 1)} × {numbers.count(columns)} column{'s' * (columns != 1)}"]
    high, across = math.ceil(rows / picture.shape[0]), math.ceil(columns / picture.shape[1])
    if high * across == 1:
        words.append("each cell is one weight")
    else:
        words.append(f"each cell is the largest |w| of up to {numbers.count(high)} × {numbers.count(across)}")
    return " · ".join(words)


def _labels(canvas: Canvas, left: int, top: int, size: tuple[int, int], matrix: tuple[int, int]) -> None:
    width, height = size
    rows, columns = matrix
    canvas.text(left, top - 5, "0", colours.TEXT_SOFT, size=11)
    if columns > 1:
        canvas.text(left + max(width, 60), top - 5, numbers.count(columns - 1), colours.TEXT_SOFT, "r", size=11)
    if rows > 1:
        canvas.text(left - 6, top + 9, "0", colours.TEXT_SOFT, "r", size=11)
        canvas.text(left - 6, max(top + height, top + 22), numbers.count(rows - 1), colours.TEXT_SOFT, "r", size=11)


def _mark_largest(
    canvas: Canvas, left: int, top: int, size: tuple[int, int], matrix: tuple[int, int], record: TensorSummary
) -> None:
    """Point at the weight of largest magnitude from the upper and the left edge."""
    place = record.argmin if -record.min > record.max else record.argmax
    if place is None or not record.shape or (record.min == 0 and record.max == 0):
        return
    flat = int(np.ravel_multi_index(place, record.shape))
    row, column = divmod(flat, matrix[1])
    canvas.triangle(left + (column + 0.5) / matrix[1] * size[0], top - 4, "down", colours.ACCENT, 2)
    if matrix[0] > 1:
        canvas.triangle(left - 4, top + (row + 0.5) / matrix[0] * size[1], "right", colours.ACCENT, 2)


def _norms(canvas: Canvas, at: tuple[int, int], size: tuple[int, int], norms: Array, way: str) -> None:
    (x, y), (width, height) = at, size
    length, room = (height, width) if way == "right" else (width, height)
    values = pool_largest(norms.astype(np.float64), min(length, 160)).tolist()
    most = max((value for value in values if math.isfinite(value)), default=0.0)
    if most <= 0:
        return
    for place, value in enumerate(values):
        start, end = place * length // len(values), (place + 1) * length // len(values)
        long = max(1, round(min(value / most, 1.0) * room)) if value > 0 else 0
        if way == "right":
            canvas.rect(x, y + start, long, end - start, colours.MARK)
        else:
            canvas.rect(x + start, y, end - start, long, colours.MARK)
    if way == "right":
        canvas.text(x, y - 17, "row norms", colours.TEXT_SOFT, size=10)
        canvas.text(x + width, y - 5, numbers.number(most, 2), colours.TEXT_SOFT, "r", size=10)
    else:
        canvas.text(x + width + GAP, y + 10, "column", colours.TEXT_SOFT, size=10)
        canvas.text(x + width + GAP, y + 21, "norms", colours.TEXT_SOFT, size=10)
