"""The table of statistics, and the legend of the colours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.outputs import numbers
from weightwidget.outputs.drawing import colours
from weightwidget.outputs.drawing.canvas import Canvas
from weightwidget.sources.base import TensorRef
from weightwidget.summary.record import TensorSummary

LINE = 20


def statistics(canvas: Canvas, x: int, y: int, wide: int, record: TensorSummary | None, ref: TensorRef | None) -> int:
    """Draw the table and give where it ends."""
    canvas.text(x, y + 11, "Statistics", colours.TEXT_SOFT, bold=True)
    y += LINE + 4
    for label, value, note in entries(record, ref):
        used = canvas.text(x + wide, y + 11, value, anchor="r", most=wide - 76)
        canvas.text(x, y + 11, label, colours.TEXT_SOFT)
        if note:
            canvas.text(x + wide - used - 10, y + 11, note, colours.ACCENT, "r", size=11, most=wide - used - 60)
        y += LINE
    return y


def entries(record: TensorSummary | None, ref: TensorRef | None) -> list[tuple[str, str, str]]:
    """Lines of the table: label, value, and where it is."""
    lines: list[tuple[str, str, str]] = []
    if ref is not None:
        lines += [("shape", numbers.shape(ref.shape), ""), ("dtype", ref.dtype, ""), ("role", ref.role, "")]
    if record is not None and ref is None:
        lines += [("shape", numbers.shape(record.shape), "")] if record.shape else []
        lines += [("dtype", record.dtype or "–", "")]
    if record is not None and record.kind:
        lines.append(("kind", record.kind, ""))
    if ref is not None and ref.shared_with is not None:
        lines.append(("tied to", ref.shared_with, ""))
    if ref is not None or record is not None:
        count = ref.numel if ref is not None else record.count if record is not None else 0
        nbytes = ref.nbytes if ref is not None else record.nbytes if record is not None else 0
        lines += [("weights", numbers.count(count), ""), ("bytes", numbers.size(nbytes), "")]
    if record is None or record.error:
        return lines

    def value(number: float, digits: int = 4) -> str:
        return "–" if math.isnan(number) else numbers.number(number, digits)

    q01, q25, q50, q75, q99 = record.quantiles
    lines += [
        ("mean", value(record.mean), ""),
        ("std", value(record.std), ""),
        ("min", value(record.min), _place(record.argmin)),
        ("max", value(record.max), _place(record.argmax)),
        ("median", value(q50), ""),
        ("25 … 75 %", f"{value(q25, 3)} … {value(q75, 3)}", ""),
        ("1 … 99 %", f"{value(q01, 3)} … {value(q99, 3)}", ""),
        ("skewness", value(record.skewness), ""),
        ("excess kurtosis", value(record.kurtosis), ""),
        ("rms", value(record.rms), ""),
        ("L1 norm", value(record.l1), ""),
        ("L2 norm", value(record.l2), ""),
        ("exact zeros", f"{numbers.count(record.zeros)} ({numbers.share(record.sparsity)})", ""),
        ("NaN / ±Inf", f"{numbers.count(record.nan)} / {numbers.count(record.posinf + record.neginf)}", ""),
    ]
    return lines


def _place(position: tuple[int, ...] | None) -> str:
    return f"[{', '.join(map(str, position))}]" if position else ""


def legend(canvas: Canvas, x: int, y: int, wide: int, record: TensorSummary, picture: npt.NDArray[Any]) -> None:
    """Draw the scale of the heatmap's colours, with its ends as numbers, and the colours of what is not finite."""
    limit, note = colours.robust_limit(record, picture)
    canvas.text(x, y + 11, "Colour", colours.TEXT_SOFT, bold=True)
    y += LINE
    end, tall = 12, 14
    bar = colours.lut()[np.linspace(0, 255, wide - 2 * end - 4).round().astype(int)]
    canvas.pixels(x + end + 2, y, np.broadcast_to(bar, (tall, *bar.shape)))
    for left, colour, way in ((x, colours.BELOW, "down"), (x + wide - end, colours.ABOVE, "up")):
        canvas.rect(left, y, end, tall, colour)
        canvas.triangle(left + end / 2 - 0.5, y + tall / 2 - 0.5, "down" if way == "down" else "up", colours.BACKGROUND)
    y += tall + 13
    canvas.text(x, y, numbers.number(-limit, 3), size=11)
    canvas.text(x + wide / 2, y, "0", anchor="m", size=11)
    canvas.text(x + wide, y, f"+{numbers.number(limit, 3)}", anchor="r", size=11)
    canvas.text(x, y + 16, note, colours.TEXT_SOFT, size=11, most=wide)
    y += 34
    for label, many, colour in (
        ("NaN", record.nan, colours.NAN),
        ("+Inf", record.posinf, colours.POSINF),
        ("−Inf", record.neginf, colours.NEGINF),
    ):
        if many:
            canvas.rect(x, y - 10, 12, 12, colour)
            used = canvas.text(x + 17, y, f"{label} {numbers.count(many)}", size=11)
            x += round(used) + 30
