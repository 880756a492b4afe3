"""A page's worth of an explorer without a front end: HTML that survives every sanitiser.

Nothing but headings, a picture and a table with attributes that sanitisers leave alone: no style sheet, no script,
no SVG. It reads well where all that is stripped too. Names are escaped twice over: what does not print becomes
visible, and what HTML would obey is text.
"""

from __future__ import annotations

import base64
import html
from heapq import nlargest

from weightwidget.outputs import numbers
from weightwidget.outputs.names import shorten, visible
from weightwidget.outputs.picture import WIDTH, picture
from weightwidget.outputs.plain import statistic
from weightwidget.outputs.view import StaticView
from weightwidget.sources.base import TensorRef
from weightwidget.summary.record import TensorSummary

ROWS = 40
"""Tensors in the table."""

NAME = 100
"""Characters of a name."""

HEADS = ("tensor", "shape", "dtype", "weights", "mean", "std", "min", "max", "zeros", "NaN", "±Inf")
WORDS = 3
"""The first columns are words."""

LIVE = (
    "This is a picture. To explore the weights, run this cell again; explorer.snapshot() or "
    "explorer.save_html(path) keep them explorable without a kernel."
)

LIVE_HERE = (
    "This is a picture. A live copy is stored with it: it appears where scripts may run, in JupyterLab once the "
    "notebook is trusted («Trust Notebook» in the command palette)."
)


def static_html(view: StaticView, png: bytes | None = None, *, folded: bool = False) -> str:
    """Tell in HTML what an explorer shows.

    Parameters
    ----------
    view
        The explorer at one moment.
    png
        Its picture, if that is drawn already.
    folded
        Whether it stands under a live copy: the table then waits to be unfolded, where a host lets it.

    Returns
    -------
    str
        A ``div`` with a heading line, the picture and a table of statistics.
    """
    data = base64.b64encode(picture(view) if png is None else png).decode("ascii")
    chosen = _choose(view)
    total = view.modules.get("")
    first = [] if total is None else [_row("whole model", "", total.dtype, total)]
    rows = first + [_tensor(ref, view.tensors.get(ref.name)) for ref in chosen]
    heads = "".join(f'<th align="{_align(column)}">{head}</th>' for column, head in enumerate(HEADS))
    parts = [
        f"<p><strong>{_words(view.name)}</strong> · {_text(' · '.join(view.totals))} · {_words(view.state)}</p>",
        *(f"<p><strong>{_words(warning)}</strong></p>" for warning in view.warnings),
        f'<p><img src="data:image/png;base64,{data}" width="{WIDTH}" alt="{_text(_alternative(view))}"></p>',
        f"<p>{_text(LIVE_HERE if folded else LIVE)}</p>",
    ]
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    if note := _left_out(view, chosen):
        table += f"<p>{_text(note)}</p>"
    parts.append(f"<details><summary>Statistics as a table</summary>{table}</details>" if folded else table)
    return f"<div>{''.join(parts)}</div>"


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _words(text: str) -> str:
    r"""A text with names in it, which notebooks would read as mathematics if it held ``$`` or ``\(``: not in code."""
    return f"<code>{_text(text)}</code>" if "$" in text or "\\" in text else _text(text)


def _align(column: int) -> str:
    return "left" if column < WORDS else "right"


def _alternative(view: StaticView) -> str:
    selected = shorten(visible(view.selected[-400:]), NAME) or "the whole model"
    return (
        f"Layer tree of {view.name}, with heatmap, histogram and statistics of {selected}; numbers in the table below"
    )


def _choose(view: StaticView) -> list[TensorRef]:
    """The tensors that the table lists, in the model's order: what needs attention, and the largest."""
    refs = list(view.source.tensors.values())
    if len(refs) <= ROWS:
        return refs
    names = {view.selected_tensor} & view.source.tensors.keys()
    names |= set([*view.unreadable, *view.not_finite][: ROWS // 2])
    for ref in nlargest(ROWS, refs, key=lambda ref: ref.numel):
        if len(names) >= ROWS:
            break
        names.add(ref.name)
    return [ref for ref in refs if ref.name in names]


def _left_out(view: StaticView, chosen: list[TensorRef]) -> str:
    missing = len(view.source.tensors) - len(chosen)
    return f"… and {missing:,} more tensors: these are the largest, and those that need attention." if missing else ""


def _tensor(ref: TensorRef, record: TensorSummary | None) -> str:
    name = shorten(visible(ref.name[-400:]), NAME, "both")
    return _row(name, numbers.shape(ref.shape[:12]) + " …" * (len(ref.shape) > 12), ref.dtype, record, ref.numel)


def _row(name: str, shape: str, dtype: str, record: TensorSummary | None, count: int | None = None) -> str:
    weights = numbers.count(record.count if count is None and record is not None else count or 0)
    cells = [name, shape, dtype, weights]
    if record is None:
        cells += ["…"] * (len(HEADS) - len(cells))
    elif record.error:
        cells += [f"could not be read: {shorten(visible(record.error[:400]), 120, 'start')}"]
    else:
        cells += [statistic(value, 4) for value in (record.mean, record.std, record.min, record.max)]
        infinite = record.posinf + record.neginf
        cells += [numbers.share(record.sparsity), numbers.count(record.nan), numbers.count(infinite)]
    missing = len(HEADS) - len(cells)
    last = f' colspan="{missing + 1}"' if missing else ""
    out = []
    for column, cell in enumerate(cells):
        span = last if column == len(cells) - 1 else ""
        align = "left" if span else _align(column)
        out.append(f'<td align="{align}"{span}>{_words(cell)}</td>')
    return f"<tr>{''.join(out)}</tr>"
