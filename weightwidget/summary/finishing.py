"""The last step: what was found in a whole tensor, turned into its statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.summary import fused
from weightwidget.summary.compiling import Kernel
from weightwidget.summary.moments import Moments
from weightwidget.summary.parts import Measured, Part, Plan, moments_of, pattern_values, sketch_of
from weightwidget.summary.pooling import compact
from weightwidget.summary.sketch import Sketch

Array = npt.NDArray[Any]
Ends = tuple[Kernel, Kernel] | None


def finish(plan: Plan, part: Part, sketch: Sketch | None = None) -> Measured:
    """Turn what was found in a whole tensor into its statistics.

    Parameters
    ----------
    plan
        The tensor.
    part
        All of it.
    sketch
        Instead of that of the part.
    """
    found = part.low <= part.high
    zeros = part.zeros
    if plan.counted:
        values, counts = pattern_values(plan.dtype)[part.codes], part.counts
        zeros = int(counts[values == 0].sum())
        double = np.flatnonzero(values[1:] == values[:-1])  # zeros of both signs
        if len(double):
            counts = counts.copy()
            counts[double] += counts[double + 1]
            values, counts = np.delete(values, double + 1), np.delete(counts, double + 1)
        moments = Moments.from_values(values, counts)
        sketch = Sketch.of_values(values.astype(np.float32), counts, narrow=True)
    else:
        moments = moments_of(plan, part)
        sketch = sketch or sketch_of(plan, part)
    if found and part.low == part.high:
        moments = Moments.of_value(part.low, moments.n)
    rows = columns = picture = None
    ends = fused.ends()
    if plan.norms:
        rows, columns = (_norms(squares, plan.grid.scale, ends) for squares in (part.row_squares, part.column_squares))
    if part.lows.size:
        picture = _picture(plan, part, ends)
    return Measured(
        part.nan,
        part.posinf,
        part.neginf,
        zeros,
        part.low if found else math.nan,
        part.high if found else math.nan,
        part.argmin if found else None,
        part.argmax if found else None,
        moments,
        sketch,
        rows,
        columns,
        picture,
    )


def _norms(squares: npt.NDArray[np.float64], scale: float, ends: Ends) -> Array:
    if ends is not None:
        norms = np.empty(len(squares), np.float32)
        if ends[0](squares, scale, norms):
            return norms
    return compact(np.sqrt(squares) / scale)


def _picture(plan: Plan, part: Part, ends: Ends) -> Array:
    if ends is not None and plan.single:
        picture = np.empty(part.lows.shape, np.float32)
        ends[1](part.lows, part.highs, picture)
        return picture
    wide = np.where(-part.lows > part.highs, part.lows, part.highs)
    return wide.astype(np.float32) if plan.single else compact(wide)
