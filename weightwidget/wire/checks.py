"""Checks of what is written to the explorer's traits, from Python or from the front end: value -> value as it is kept.

Each raises ValueError or TypeError with a message for a practitioner.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weightwidget.detail.matrix import check_axes
from weightwidget.sources.base import TensorRef
from weightwidget.summary.table import STATISTICS

Range = tuple[float, float]


def finite(value: float) -> float:
    """The value, or the largest float for an infinite one: messages to the front end hold no infinities."""
    return min(max(value, -sys.float_info.max), sys.float_info.max)


def drawn_axes(given: Mapping[str, Any] | None, ref: TensorRef | None) -> dict[str, list[int]] | None:
    """Axes that the tensor has, each drawn once; None without a tensor."""
    if given is None or ref is None:
        return None
    checked = check_axes(ref.shape, given)
    return {"rows": list(checked["rows"]), "cols": list(checked["cols"])}


def index(given: Sequence[Any], ref: TensorRef | None) -> tuple[int, ...]:
    """A position on every axis of the tensor; empty without one."""
    if not given or ref is None:
        return ()
    try:
        found = tuple(operator.index(at) for at in given)
    except TypeError:
        raise TypeError(f"positions on the axes are whole numbers: {given!r}") from None
    sizes = [max(size, 1) for size in ref.shape]
    if len(found) != len(sizes) or any(not 0 <= at < size for at, size in zip(found, sizes, strict=True)):
        raise ValueError(f"there is no position {found} in {ref.name!r} of shape {ref.shape}")
    return found


def window(given: tuple[int, int, int, int] | None, _ref: TensorRef | None) -> tuple[int, int, int, int] | None:
    """A part of a matrix with at least one element."""
    if given is not None and not (0 <= given[0] < given[1] and 0 <= given[2] < given[3]):
        raise ValueError(f"first row, end row, first column, end column, not {given}")
    return given


def value_range(given: Range | None, _ref: TensorRef | None) -> Range | None:
    """An interval of values, its ends finite."""
    if given is None:
        return None
    low, high = given
    if not low <= high:
        raise ValueError(f"goes from the lower to the higher value, not from {low} to {high}")
    return finite(low), finite(high)


def facets(given: Mapping[str, Any], _ref: TensorRef | None) -> dict[str, Range]:
    """An interval for each of some statistics."""
    checked = {}
    for key, ends in given.items():
        if key not in STATISTICS:
            raise ValueError(f"no statistic {key!r}; there are {', '.join(STATISTICS)}")
        try:
            low, high = (float(end) for end in ends)
        except (TypeError, ValueError):
            raise TypeError(f"{key!r} takes a pair of numbers (low, high), not {ends!r}") from None
        if not low <= high:
            raise ValueError(f"{key!r} goes from the lower to the higher value, not from {low} to {high}")
        checked[key] = (finite(low), finite(high))
    return checked


def channel(given: tuple[int, int] | None, _ref: TensorRef | None) -> tuple[int, int] | None:
    """An axis, and a position on it. Whether the tensor has them is seen when it is looked at, as with the window."""
    if given is not None and min(given) < 0:
        raise ValueError(f"an axis and a position on it, both counted from 0, not {given}")
    return given


CHECKS: dict[str, Callable[[Any, TensorRef | None], Any]] = {
    "drawn_axes": drawn_axes,
    "index": index,
    "window": window,
    "value_range": value_range,
    "facets": facets,
    "channel": channel,
}
"""By trait; called with the value and the selected tensor, None if a module is selected."""
