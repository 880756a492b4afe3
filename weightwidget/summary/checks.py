"""Whether the record of a tensor holds together: what a file holds may be damaged, or made to mislead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.summary.moments import Moments
from weightwidget.summary.parts import matrix_shape
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import Component, Sketch, ascending

Array = npt.NDArray[Any]

COUNTS = ("count", "nbytes", "nan", "posinf", "neginf", "zeros")


def problem_of(record: TensorSummary) -> str:
    """What contradicts what in the record of a tensor; empty if nothing does.

    Parameters
    ----------
    record
        Its arrays are arrays; beyond that, nothing is taken for granted.
    """
    if min(getattr(record, key) for key in COUNTS) < 0 or record.moments.n < 0:
        return "a count is negative"
    if len(record.shape) > 64 or math.prod(size for size in record.shape if size) >= 2**62:
        return "its shape is too large for any memory"
    if math.prod(record.shape) != record.count:
        return f"it counts {record.count:,} weights, its shape {list(record.shape)} has {math.prod(record.shape):,}"
    if record.error:
        return ""
    finite = record.moments.n
    if record.nan + record.posinf + record.neginf + finite != record.count or record.zeros > finite:
        return "its counts do not add up"
    return (
        _problem_of_moments(record.moments)
        or _problem_of_sketch(record.sketch, finite)
        or _problem_of_extremes(record)
        or _problem_of_pictures(record)
    )


def _problem_of_moments(moments: Moments) -> str:
    if moments.n == 0:
        return ""
    sums = (moments.m2, moments.m4, moments.l1)
    # Sums may be beyond float64; a NaN fails every comparison.
    if not (math.isfinite(moments.mean) and all(value >= 0 for value in sums) and not math.isnan(moments.m3)):
        return "its moments are no numbers"
    return "" if 0 < moments.scale < math.inf else "the scale of its moments is no positive number"


def _problem_of_sketch(sketch: Sketch, finite: int) -> str:
    for part in sketch.components:
        problem = _problem_of_component(part)
        if problem:
            return problem
    if sketch.n != finite:
        return f"its sketch counts {sketch.n:,} finite weights, its moments {finite:,}"
    if len(sketch.components) > 1 and sketch.exact:
        return "its sketch has several sets of values"
    return ""


def _problem_of_component(part: Component) -> str:
    if len(part.keys) != len(part.counts) or len(part.keys) == 0:
        return "its sketch has not one count for every value"
    if int(part.counts.min()) < 1:
        return "its sketch has a count that is not positive"
    # Summed up in float64: hostile counts might come round to the right total in 64 bits.
    if float(part.counts.sum(dtype=np.float64)) >= 2.0**62:
        return "its sketch counts more weights than there can be"
    if not (math.isfinite(part.shift) and 0 < part.scale < math.inf):
        return "the grid of its sketch is no grid"
    if part.exact and not np.isfinite(part.keys).all():
        return "its sketch has values that are not finite"
    return "" if ascending(part) else "the values of its sketch are not in order"


def _problem_of_extremes(record: TensorSummary) -> str:
    sketch, known = record.sketch, record.moments.n > 0
    ends = (record.min, record.max, sketch.low, sketch.high)
    if known and not (all(map(math.isfinite, ends)) and record.min <= record.max and sketch.low <= sketch.high):
        return "its smallest and largest weight are no range"
    if not known and not all(map(math.isnan, ends)):
        return "it has a smallest weight and no finite ones"
    for place in (record.argmin, record.argmax):
        if place is not None and not _lies_in(place, record.shape):
            return f"there is no place {list(place)} in its shape {list(record.shape)}"
    return ""


def _lies_in(place: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(place) == len(shape) and all(0 <= at < size for at, size in zip(place, shape, strict=True))


def _problem_of_pictures(record: TensorSummary) -> str:
    rows, columns = matrix_shape(record.shape)
    for norms, length in ((record.row_norms, rows), (record.column_norms, columns)):
        if norms is not None and (norms.shape != (length,) or len(record.shape) < 2):
            return f"it has {norms.size:,} norms for {length:,} rows or columns"
        if norms is not None and not (norms >= 0).all():
            return "it has norms that are no norms"
    picture = record.thumbnail
    if picture is not None and not (picture.ndim == 2 and picture.shape[0] <= rows and picture.shape[1] <= columns):
        return f"its picture of {list(picture.shape)} cells is no picture of {rows:,} × {columns:,} weights"
    return ""
