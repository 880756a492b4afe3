"""Histograms: one in a line's height, and the large one with axes, tails and a normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.outputs import numbers
from weightwidget.outputs.drawing import colours
from weightwidget.outputs.drawing.canvas import Canvas, drawable, width
from weightwidget.outputs.drawing.colours import Rgb
from weightwidget.summary.record import TensorSummary
from weightwidget.wire.histograms import local_histogram

Array = npt.NDArray[Any]

LABELS = 40
"""Room for the labels of counts, at the left."""

TAIL = 3
"""Room for a tail's bar and the gap beside it."""


def heights(values: Array, below: float, above: float, height: int) -> tuple[list[int], int, int]:
    """Heights in pixels of bars and of the two tails; whatever is not empty shows.

    Tails do not set the scale: they may hold more than any bin, and are then cut off at the top.
    """
    top = float(values.max(initial=0)) or max(below, above, 1.0)

    def size(value: float) -> int:
        return max(1, min(height, round(value / top * height))) if value > 0 else 0

    return [size(value) for value in values.tolist()], size(below), size(above)


def sparkline(
    canvas: Canvas, x: int, y: int, size: tuple[int, int], record: TensorSummary | None, colour: Rgb = colours.MARK
) -> None:
    """Draw a distribution in a line's height; without a record a base line says that it is not there yet."""
    wide, height = size
    if record is None or record.finite == 0:
        canvas.rect(x, y + height - 1, wide, 1, colours.BORDER)
        return
    found = local_histogram(record, wide - 2 * TAIL)
    bars, below, above = heights(found[:-4], found[-2], found[-1], height)
    for place, bar in enumerate(bars):
        canvas.rect(x + TAIL + place, y + height - bar, 1, bar, colour)
    canvas.rect(x, y + height - below, TAIL - 1, below, colour)
    canvas.rect(x + wide - TAIL + 1, y + height - above, TAIL - 1, above, colour)


def histogram(canvas: Canvas, x: int, y: int, size: tuple[int, int], record: TensorSummary) -> None:
    """Draw the finite weights over the robust range, with the tails counted, from a heading to the axis."""
    wide, tall = size
    canvas.text(x, y + 11, "Histogram", colours.TEXT_SOFT, bold=True)
    error = numbers.share(float(f"{record.sketch.relative_error:.2g}"))
    exact = "exact" if record.sketch.exact else f"each weight to within {error}"
    canvas.text(x + 66, y + 11, exact, colours.TEXT_SOFT, size=11)
    if record.finite == 0:
        canvas.text(x + wide / 2, y + tall / 2, "no finite weights", colours.TEXT_SOFT, "m")
        return
    step = 4
    bins = (wide - LABELS - 2 * 8) // step
    left, inner = x + LABELS + 8, bins * step
    found = local_histogram(record, bins)
    low, high, below, above = found[-4:].tolist()
    if below:
        text = f"{numbers.count(below)} below {numbers.number(low, 3)}"
        canvas.triangle(left - 5, y + 28, "left", colours.TEXT_SOFT)
        canvas.text(left + 2, y + 32, text, colours.TEXT_SOFT, size=11)
    if above:
        text = f"{numbers.count(above)} above {numbers.number(high, 3)}"
        canvas.triangle(x + wide - 4, y + 28, "right", colours.TEXT_SOFT)
        canvas.text(x + wide - 10, y + 32, text, colours.TEXT_SOFT, "r", size=11)
    top, base = y + 40, y + tall - 18
    bars, left_tail, right_tail = heights(found[:-4], below, above, base - top)
    _grid(canvas, left, inner, base, top, float(found[:-4].max()))
    for place, bar in enumerate(bars):
        canvas.rect(left + place * step, base - bar, step - (step > 4), bar, colours.MARK)
    canvas.rect(left - 8, base - left_tail, 5, left_tail, colours.MARK)
    canvas.rect(left + inner + 3, base - right_tail, 5, right_tail, colours.MARK)
    canvas.rect(left - 8, base, inner + 16, 1, colours.BORDER)
    _normal(canvas, record, (low, high), found[:-4], (left, inner), (base, base - top))
    marks = ticks(low, high, 6)
    apart = marks[1] - marks[0] if len(marks) > 1 else abs(marks[0])
    for value in marks:
        at = left + _share(value, low, high) * inner
        canvas.rect(at, base, 1, 4, colours.BORDER)
        text = numbers.to_step(value, apart)
        half = width(drawable(text), 11) / 2
        canvas.text(min(max(at, x + half), x + wide - half), base + 15, text, colours.TEXT_SOFT, "m", size=11)


def _share(value: float, low: float, high: float) -> float:
    return (value / 2 - low / 2) / (high / 2 - low / 2)  # the width itself may be beyond float64


def _grid(canvas: Canvas, left: int, inner: int, base: int, top: int, most: float) -> None:
    for value in ticks(0, most, 2):
        if value <= 0 or value > most or value != int(value):
            continue
        at = base - value / most * (base - top)
        canvas.rect(left, at, inner, 1, colours.BORDER_SOFT)
        canvas.text(left - 14, at + 4, numbers.short(value), colours.TEXT_SOFT, "r", size=11)


def _normal(
    canvas: Canvas,
    record: TensorSummary,
    ends: tuple[float, float],
    counts: Array,
    across: tuple[int, int],
    up: tuple[int, int],
) -> None:
    """Draw the normal distribution of the same mean and standard deviation, dashed."""
    (low, high), (left, inner), (base, tall) = ends, across, up
    spread = high - low
    if not (record.std > 0 and math.isfinite(spread) and spread / record.std < 1e6):
        return
    at = low + (np.arange(inner + 1) / inner) * spread
    with np.errstate(over="ignore", under="ignore"):
        density = np.exp(-0.5 * ((at - record.mean) / record.std) ** 2) / (record.std * math.sqrt(2 * math.pi))
    level = density * record.finite * spread / len(counts) / counts.max() * tall
    if level.max() > 1.05 * tall:
        return  # it would leave the picture: a distribution of another kind altogether
    y = (base - np.minimum(level, tall)).tolist()
    for start in range(0, inner - 4, 8):
        canvas.line([(left + start + step, y[start + step]) for step in range(5)], colours.ACCENT)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from low to high, about so many."""
    spread = high - low
    if not 1e-290 < spread < math.inf:  # steps would be beyond float64
        return [low, high] if high > low else [low]
    raw = spread / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= raw * 0.8), 10 * power)
    if step == 0 or abs(low) / step > 1e12 or abs(high) / step > 1e12:
        return [low, high]
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
