"""Parts of a tensor: what a pass over a box of its default matrix finds, and how boxes make the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import torch_dtype
from weightwidget.summary.moments import Moments
from weightwidget.summary.pooling import cell_starts, thumbnail_size
from weightwidget.summary.sketch import ASCENDING, Sketch

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

PIECE = 1 << 25
"""Bytes of a box that a thread takes at a time: enough to be worth the start, and few enough to share a tensor."""


@dataclass(frozen=True)
class Box:
    """Some rows and columns of a tensor's default matrix: the first of each, and how many."""

    top: int
    left: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.height * self.width


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the default matrix: axis 0 against all others; a vector is one row, a scalar one cell."""
    if len(shape) < 2:
        return 1, math.prod(shape)
    return shape[0], math.prod(shape[1:])


def cut(shape: tuple[int, ...], elements: int) -> Iterator[Box]:
    """Cut a tensor into boxes of nearly the same size: whole rows if they are that short, else parts of one row.

    Parameters
    ----------
    shape
        Of the tensor.
    elements
        How many a box has at most (a whole row at least, where rows are not cut).
    """
    rows, columns = matrix_shape(shape)
    if rows * columns == 0:
        return
    high, wide = _share(rows, max(1, elements // columns)), _share(columns, elements)
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            yield Box(top, left, min(high, rows - top), min(wide, columns - left))


def _share(length: int, most: int) -> int:
    """Size of the parts of an axis, of which there are an even number: so two threads, or four, end together."""
    parts = -(-length // most)
    return -(-length // (parts + parts % 2)) if parts > 1 else length


@dataclass(frozen=True)
class Grid:
    """Shift and power-of-two scale for the sums and the sketch."""

    shift: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Plan:
    """What all who measure parts of a tensor must agree on, so that the parts fit together.

    Attributes
    ----------
    shape, dtype
        As in `weightwidget.sources.base.TensorRef`.
    thumbnail
        Largest side of its picture; 0 for none.
    grid
        For types of more than 16 bits.
    norms
        Whether those of rows and columns are wanted; never of vectors.
    """

    shape: tuple[int, ...]
    dtype: str
    thumbnail: int
    grid: Grid = Grid()
    norms: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "norms", self.norms and len(self.shape) > 1)

    @cached_property
    def counted(self) -> bool:
        """Whether all distinct values are counted: the type has 16 bits or fewer."""
        return torch_dtype(self.dtype).itemsize <= 2

    @property
    def bare(self) -> bool:
        """Whether statistics are all that is wanted: no norms, no thumbnail."""
        return not self.norms and not self.thumbnail

    @property
    def single(self) -> bool:
        """Whether float32 holds every value of the type."""
        return self.counted or self.dtype == "float32"


@dataclass
class Part:
    """What is found in a box.

    Attributes
    ----------
    box
        Where it is.
    finite, nan, posinf, neginf, zeros
        Counts. Zeros of both signs are zeros; types whose patterns are counted leave them out here.
    low, high
        Smallest and largest finite weight; infinite (+, -) if there is none.
    argmin, argmax
        Where they are, as positions in the whole tensor, row-major; the first of equal ones. -1 if there are none.
    sums
        Of ``d``, ``d ** 2``, ``d ** 3`` and ``d ** 4`` where ``d = (x - shift) * scale``; not for types whose
        patterns are counted.
    l1
        Sum of magnitudes, likewise.
    codes, counts
        Bins, or bit patterns, that occur, uint16, ascending in value; and how often, int64.
    row_squares, column_squares
        Sums of squares of the finite weights times the scale, of the box's rows and columns; empty for vectors.
    lows, highs
        Smallest and largest under each cell of the whole tensor's thumbnail; NaN where there is one, infinite (+, -)
        where the box has nothing.
    """

    box: Box
    finite: int
    nan: int
    posinf: int
    neginf: int
    zeros: int
    low: float
    high: float
    argmin: int
    argmax: int
    sums: tuple[float, float, float, float]
    l1: float
    codes: npt.NDArray[np.uint16]
    counts: Counts
    row_squares: Floats
    column_squares: Floats
    lows: Floats
    highs: Floats


@dataclass
class Measured:
    """What the pass over a tensor finds: see `weightwidget.summary.record.TensorSummary`."""

    nan: int
    posinf: int
    neginf: int
    zeros: int
    low: float
    high: float
    argmin: int | None
    argmax: int | None
    moments: Moments
    sketch: Sketch
    row_norms: Array | None
    column_norms: Array | None
    thumbnail: Array | None


class Total:
    """The sum of the parts of a tensor, in the order in which they are added.

    Counts and extremes are exact however a tensor is cut; sums of float64 depend on cut and order in their last digits.

    Parameters
    ----------
    plan
        The tensor.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._whole: Part | None = None
        self._table: Counts | None = None

    def add(self, part: Part) -> None:
        """Add a part."""
        box = part.box
        if self._whole is None and (box.height, box.width) == matrix_shape(self.plan.shape):
            self._whole = part  # nothing to add up, as a rule
            return
        whole = self._whole = self._whole or nothing(self.plan)
        if self._table is None:
            self._table = np.zeros(65536, np.int64)
            self._table[whole.codes] += whole.counts
        whole.finite += part.finite
        whole.nan += part.nan
        whole.posinf += part.posinf
        whole.neginf += part.neginf
        whole.zeros += part.zeros
        if part.low < whole.low or (part.low == whole.low and part.argmin < whole.argmin):
            whole.low, whole.argmin = part.low, part.argmin
        if part.high > whole.high or (part.high == whole.high and part.argmax < whole.argmax):
            whole.high, whole.argmax = part.high, part.argmax
        a, b = whole.sums, part.sums
        whole.sums = (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])
        whole.l1 += part.l1
        self._table[part.codes] += part.counts
        if self.plan.norms:
            whole.row_squares[box.top : box.top + box.height] += part.row_squares
            whole.column_squares[box.left : box.left + box.width] += part.column_squares
        np.minimum(whole.lows, part.lows, out=whole.lows)
        np.maximum(whole.highs, part.highs, out=whole.highs)

    @property
    def part(self) -> Part:
        """What all parts come to, with the box of the whole tensor."""
        if self._whole is None:
            return nothing(self.plan)
        if self._table is not None:
            self._whole.codes, self._whole.counts = take_codes(self._table, self.plan.dtype)
        return self._whole


class Gathering:
    """The sum of the parts of a tensor, which may come in any order: those that come early wait.

    Parameters
    ----------
    plan
        The tensor.
    boxes
        All that will come, in the order of their places.
    """

    def __init__(self, plan: Plan, boxes: list[Box]) -> None:
        self._total = Total(plan)
        self._boxes = boxes
        self._next = 0
        self._waiting: dict[Box, Part] = {}

    def add(self, part: Part) -> bool:
        """Take a part; tell whether all are in."""
        self._waiting[part.box] = part
        while self._next < len(self._boxes) and (following := self._waiting.pop(self._boxes[self._next], None)):
            self._next += 1
            self._total.add(following)
        return self._next == len(self._boxes)

    @property
    def whole(self) -> Part:
        """What all parts come to."""
        return self._total.part


def nothing(plan: Plan) -> Part:
    """A part without any weights, as large as the tensor."""
    rows, columns = matrix_shape(plan.shape)
    cells = thumbnail_size(rows, columns, plan.thumbnail)
    return Part(
        box=Box(0, 0, rows, columns),
        finite=0,
        nan=0,
        posinf=0,
        neginf=0,
        zeros=0,
        low=math.inf,
        high=-math.inf,
        argmin=-1,
        argmax=-1,
        sums=(0.0, 0.0, 0.0, 0.0),
        l1=0.0,
        codes=np.zeros(0, np.uint16),
        counts=np.zeros(0, np.int64),
        row_squares=np.zeros(rows if plan.norms else 0),
        column_squares=np.zeros(columns if plan.norms else 0),
        lows=np.full(cells, np.inf),
        highs=np.full(cells, -np.inf),
    )


def take_codes(table: Counts, dtype: str) -> tuple[npt.NDArray[np.uint16], Counts]:
    """The codes of finite weights that occur, ascending in value, and how often, out of a table by code."""
    present = np.flatnonzero(table != 0)  # a few thousand, as a rule
    finite, places = _places(dtype)
    if not finite[present].all():
        present = present[finite[present]]
    codes = present[np.argsort(places[present], kind="stable")]
    return codes.astype(np.uint16), table[codes].astype(np.int64, copy=False)


@cache
def _places(dtype: str) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint16]]:
    """Whether a code is of finite weights, and which of these it is, ascending in value."""
    order = finite_codes(dtype)
    finite, places = np.zeros(65536, np.bool_), np.zeros(65536, np.uint16)
    finite[order], places[order] = True, np.arange(len(order))
    return finite, places


@cache
def pattern_values(dtype: str) -> Floats:
    """What each bit pattern of a type of 16 bits or fewer stands for, by pattern."""
    kind = torch_dtype(dtype)
    wide = kind.itemsize == 2
    patterns = torch.from_numpy(np.arange(65536 if wide else 256, dtype=np.uint16 if wide else np.uint8))
    values = patterns != 0 if kind == torch.bool else patterns.view(kind)
    return np.asarray(values.to(torch.float64).numpy(), np.float64)


@cache
def finite_codes(dtype: str) -> npt.NDArray[np.uint16]:
    """Codes of finite weights, ascending in value: bit patterns, or bins for types of more than 16 bits."""
    if torch_dtype(dtype).itemsize > 2:
        return ASCENDING
    values = pattern_values(dtype)
    finite = np.flatnonzero(np.isfinite(values))
    return finite[np.argsort(values[finite], kind="stable")].astype(np.uint16)


def moments_of(plan: Plan, part: Part) -> Moments:
    """Moments of the weights of a part whose patterns were not counted."""
    return Moments.from_sums(part.finite, part.sums, part.l1, plan.grid.shift, plan.grid.scale)


def sketch_of(plan: Plan, part: Part) -> Sketch:
    """Sketch of the weights of a part whose patterns were not counted."""
    return Sketch.of_codes(part.codes, part.counts, plan.grid.shift, plan.grid.scale, part.low, part.high)


@lru_cache(256)
def cells_of(plan: Plan) -> tuple[Counts, Counts]:
    """Where the rows and the columns of the thumbnail's cells start, and the end of the last."""
    rows, columns = matrix_shape(plan.shape)
    height, width = thumbnail_size(rows, columns, plan.thumbnail)
    return cell_starts(height, rows), cell_starts(width, columns)
