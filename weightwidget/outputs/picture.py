"""The picture that stands in for an explorer where no front end runs: untrusted notebooks, mails, code forges."""

from __future__ import annotations

from weightwidget.outputs.drawing import colours
from weightwidget.outputs.drawing.canvas import Canvas
from weightwidget.outputs.drawing.heatmap import heatmap
from weightwidget.outputs.drawing.histogram import histogram
from weightwidget.outputs.drawing.statistics import LINE, legend, statistics
from weightwidget.outputs.drawing.tree import tree
from weightwidget.outputs.names import visible
from weightwidget.outputs.view import StaticView
from weightwidget.summary.record import TensorSummary

WIDTH, HEIGHT = 1200, 700

HEAD = 40
TITLE = 34
LEFT = 372
"""Where the tree ends."""
RIGHT = 928
"""Where the statistics begin."""
PAD = 16

LOW, HIGH = 190, 300
"""Height of the histogram: what a tall heatmap leaves, and the most that one needs."""


def picture(view: StaticView) -> bytes:
    """Draw an explorer as it is now, composed like the live view.

    Parameters
    ----------
    view
        The explorer at one moment.

    Returns
    -------
    bytes
        A PNG file.
    """
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.rect(0, 0, WIDTH, HEAD, colours.SOFT)
    canvas.rect(0, HEAD, WIDTH, 1, colours.BORDER)
    canvas.rect(LEFT, HEAD, 1, HEIGHT - HEAD, colours.BORDER)
    canvas.rect(RIGHT, HEAD + TITLE, 1, HEIGHT - HEAD - TITLE, colours.BORDER_SOFT)
    canvas.rect(LEFT + 1, HEAD + TITLE, WIDTH - LEFT - 1, 1, colours.BORDER_SOFT)
    canvas.frame(1, 1, WIDTH - 2, HEIGHT - 2, colours.BORDER)
    _header(canvas, view)
    tree(canvas, 1, HEAD + 1, (LEFT - 1, HEIGHT - HEAD - 6), view)
    _title(canvas, view)
    _selected(canvas, view)
    return canvas.png()


def _header(canvas: Canvas, view: StaticView) -> None:
    state = canvas.text(WIDTH - PAD, 25, view.state, _state_colour(view), "r", most=300)
    name = canvas.text(12, 26, view.name, size=15, bold=True, most=420)
    canvas.text(12 + name + 14, 25, " · ".join(view.totals), colours.TEXT_SOFT, most=WIDTH - name - state - 60)


def _state_colour(view: StaticView) -> colours.Rgb:
    if view.status == "failed":
        return colours.ERROR
    return colours.TEXT_SOFT if view.status == "ready" else colours.WARNING


def _title(canvas: Canvas, view: StaticView) -> None:
    """The path of what is selected, its last part bold, and what it is."""
    base = HEAD + 22
    ref = view.source.tensors.get(view.selected)
    record = view.shown
    what = [ref.dtype, ref.role] if ref is not None else [record.kind] if record is not None else []
    right = canvas.text(WIDTH - PAD, base, " · ".join(filter(None, what)), colours.TEXT_SOFT, "r", most=240)
    room = WIDTH - PAD - right - 24 - LEFT - PAD
    path = view.selected or view.source.name
    shown = visible(path[-400:]).replace(".", " › ") if path in view.source.tensors or path in view.modules else path
    before, separator, last = shown.rpartition(" › ")
    # The last part first: it tells most, and the rest gets the room that it leaves.
    measured = Canvas(1, 1).text(0, 0, last, size=15, bold=True, most=room, keep="end")
    used = 0.0
    if separator and room - measured > 60:
        used = canvas.text(
            LEFT + PAD, base, before + separator, colours.TEXT_SOFT, most=room - measured - 8, keep="end"
        )
        used += 2
    canvas.text(LEFT + PAD + used, base, last, size=15, bold=True, most=room - used, keep="end")


def _selected(canvas: Canvas, view: StaticView) -> None:
    record = view.shown
    top = HEAD + TITLE + 10
    left, wide = LEFT + PAD, RIGHT - LEFT - 2 * PAD
    ref = view.source.tensors.get(view.selected) if view.block is None else None
    end = statistics(canvas, RIGHT + PAD, top, WIDTH - RIGHT - 2 * PAD, record, ref)
    reason = _why_nothing(view, record)
    if record is None or record.error:
        canvas.text(left, top + 11, reason, colours.ERROR if record else colours.TEXT_SOFT, most=wide)
        return
    room = HEIGHT - top - 12
    if record.thumbnail is None or record.thumbnail.size == 0:
        canvas.text(left, top + 11, reason, colours.TEXT_SOFT, most=wide)
        histogram(canvas, left, top + 30, (wide, 330), record)
        return
    bottom = heatmap(canvas, left, top, (wide, room - LOW - 10), record, record.thumbnail)
    tall = max(LOW, min(HIGH, HEIGHT - 12 - bottom - 20))
    histogram(canvas, left, HEIGHT - 12 - tall, (wide, tall), record)
    # Where statistics need all the height, their numbers come before the colours.
    if end + 4 * LINE < HEIGHT:
        legend(canvas, RIGHT + PAD, end + 12, WIDTH - RIGHT - 2 * PAD, record, record.thumbnail)


def _why_nothing(view: StaticView, record: TensorSummary | None) -> str:
    """Why there is no heatmap."""
    if record is None:
        wait = "not read yet: the scan goes on" if view.status == "scanning" else "not read: the scan ended before"
        return f"{wait}; shape and type are known without reading" if view.selected in view.source.tensors else wait
    if record.error:
        return f"could not be read: {visible(record.error[:400])}"
    if record.count == 0:
        return "no weights: the tensor is empty"
    return "all weights of the module together; tensors have a heatmap"
