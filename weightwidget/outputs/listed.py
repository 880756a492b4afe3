"""The statistics of all tensors as a table of text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from weightwidget.outputs import numbers
from weightwidget.outputs.names import shorten, visible
from weightwidget.outputs.plain import aligned, of_record
from weightwidget.outputs.view import StaticView
from weightwidget.sources.base import WeightSource
from weightwidget.summary.filtering import TensorFilter
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import QUANTILES, TensorSummary
from weightwidget.summary.table import statistic_columns

HEADS = ("tensor", "shape", "dtype", "weights", "mean", "std", "min", "max", "zeros", "NaN", "Inf")
DROPPED = ("dtype", "NaN", "Inf", "min", "max", "mean", "zeros", "shape")
"""Columns that a narrow terminal does without, the first first."""

LONGEST, SHORTEST = 100, 20
"""Characters of a name where there is room for it, and where there is little."""

STATISTICS = ("mean", "var", "std", "skewness", "kurtosis", "rms", "l1", "l2")
COUNTS = ("count", "nan", "posinf", "neginf", "zeros")


def choose(source: WeightSource, summary: ModelSummary, query: str = "", sort: str | None = None) -> list[str]:
    """Names of the tensors that pass a query, in the model's order or sorted.

    Parameters
    ----------
    source, summary
        The weights and their records.
    query
        In the filter language.
    sort
        A statistic: largest first, with a hyphen before it smallest first. Or ``name``, from A to Z.
        What has no such statistic comes last.
    """
    names = [name for name in TensorFilter(source).visible(query, {}, summary.tensors) if name in summary.tensors]
    if not sort:
        return names
    key, descending = sort.removeprefix("-"), not sort.startswith("-")
    if key == "name":
        return sorted(names, reverse=not descending)
    records = [summary.tensors[name] for name in names]
    found = dict(zip(names, statistic_columns(records)[key].tolist(), strict=True))
    known = [name for name in names if not math.isnan(found[name]) and not summary.tensors[name].error]
    listed = set(known)
    known.sort(key=lambda name: -found[name] if descending else found[name])
    return known + [name for name in names if name not in listed]


def as_table(view: StaticView, names: Sequence[str], width: int | None = None) -> list[str]:
    """Lines of a table: totals first, then a line a tensor.

    Parameters
    ----------
    view
        The explorer.
    names
        Tensors to list.
    width
        Columns of the terminal: less important columns are left out where there is no room. None leaves out nothing.
    """
    totals = ", ".join(map(numbers.plain, view.totals))
    lines = [shorten(f"{shorten(view.name, 80, 'both')}: {totals}", max(20, width or 400), "start")]
    if not names:
        return [*lines, "no tensor passes the filter"]
    labels = [visible(name[-400:]) for name in names]
    rows = [_cells(view, name) for name in names]
    heads = list(HEADS)
    longest = min(LONGEST, max(map(len, [heads[0], *labels])))
    for head in DROPPED:
        if width is None or _width(heads, rows) + min(longest, 2 * SHORTEST) <= width:
            break
        heads.remove(head)
    room = LONGEST if width is None else max(SHORTEST // 2, width - _width(heads, rows))
    labels = [shorten(label, room) for label in labels]
    cells = [[row[head] for head in heads[1:]] for row in rows]
    lines += [line if width is None else line[:width] for line in aligned(labels, cells, heads)]
    if len(names) < len(view.source.tensors):
        lines.append(f"{len(names):,} of {len(view.source.tensors):,} tensors")
    return lines


def _width(heads: Sequence[str], rows: Sequence[dict[str, str]]) -> int:
    """Columns that all but the names take."""
    return sum(2 + max(len(head), *(len(row[head]) for row in rows)) for head in heads[1:])


def _cells(view: StaticView, name: str) -> dict[str, str]:
    ref, record = view.source.tensors[name], view.tensors[name]
    what = [shorten(numbers.plain(numbers.shape(ref.shape)).replace(",", ""), 30, "start"), ref.dtype]
    if record.error:
        known = [numbers.plain(numbers.short(ref.numel)), "unread", *["-"] * 6]
    else:
        counts = [numbers.plain(numbers.count(n)) for n in (record.nan, record.posinf + record.neginf)]
        known = [numbers.plain(numbers.short(record.count)), *of_record(record), *counts]
    return dict(zip(HEADS[1:], [*what, *known], strict=True))


def as_json(summary: ModelSummary, names: Sequence[str]) -> str:
    """All statistics as JSON: ``{"name", "tensors": [{"name", "shape", "dtype", ...}]}``.

    JSON has no numbers that are not finite: they are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
    Statistics of no weights, and of what could not be read, are null; ``error`` then says why.
    """
    found = {"name": summary.name, "tensors": [_described(summary.tensors[name]) for name in names]}
    # ASCII alone: what a name holds cannot reach the terminal.
    return json.dumps(found, ensure_ascii=True, allow_nan=False, indent=1)


def _described(record: TensorSummary) -> dict[str, Any]:
    known = not record.error
    told: dict[str, Any] = {
        "name": record.name,
        "shape": list(record.shape),
        "dtype": record.dtype,
        "kind": record.kind,
        "role": record.role,
        "bytes": record.nbytes,
        "shared_with": record.shared_with,
        "error": record.error or None,
    }
    for key in COUNTS:
        told[key] = getattr(record, key) if known or key == "count" else None
    finite = known and record.finite > 0
    for key in ("min", "max", *STATISTICS):
        told[key] = _number(getattr(record, key)) if finite else None
    for key in ("argmin", "argmax"):
        place = getattr(record, key)
        told[key] = None if place is None else list(place)
    told["sparsity"] = _number(record.sparsity) if known and record.count else None
    told["quantiles"] = (
        {str(q): _number(value) for q, value in zip(QUANTILES, record.quantiles, strict=True)} if finite else None
    )
    return told


def _number(value: float) -> float | str | None:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
