"""Levels of detail that are kept: the cells from which all coarser tiles of a matrix are made.

A cell holds smallest, largest, sum and sum of squares of the elements under it. Coarse tiles are always made from
cells, kept or not: so the tiles are the same, and what is kept only saves reading the weights again.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.matrix import Matrix
from weightwidget.detail.pixels import Aggregate, Extremes, Moments, halved
from weightwidget.detail.reduction import IsCancelled, Window, kernels, reduce
from weightwidget.detail.room import Room
from weightwidget.detail.sharing import shared
from weightwidget.sources.base import TensorRef

PAGE = 256
"""Rows and columns of a page of cells: those of a tile."""

CELLS = 1 << 19
"""Most cells of a matrix: enough for a tile of each pixel of a usual screen."""

LARGE = 1 << 20
"""Elements from which on a matrix has cells. Of smaller ones a tile takes a millisecond anyway."""

BUDGET = 64_000_000
"""Bytes that are kept at most."""

CELL = 16
"""Bytes of a cell without squares: two float32 and a float64."""

PARALLEL_FROM = 1 << 22
"""Elements from which on several threads pay."""

_SHIFT_FROM = 4096

Array = npt.NDArray[Any]
Levels = tuple[int, int]


@dataclass
class Page:
    """Cells of a part of a matrix. What no aggregate has asked for yet may be None."""

    extremes: Extremes | None = None
    moments: Moments | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the cells."""
        arrays: list[Array | None] = []
        if self.extremes is not None:
            arrays += [self.extremes.low, self.extremes.high]
        if self.moments is not None:
            arrays += [self.moments.total, self.moments.square, self.moments.odd]
        return sum(array.nbytes for array in arrays if array is not None)

    def has(self, aggregate: Aggregate) -> bool:
        """Whether pixels that show this can be made."""
        if aggregate in ("mean", "std"):
            return self.moments is not None and (aggregate == "mean" or self.moments.square is not None)
        return self.extremes is not None


class Pyramid:
    """Pages of cells of the tensors looked at last; safe to use from several threads.

    Parameters
    ----------
    budget
        Bytes that are kept at most. The page that was used longest ago goes first.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._pages: OrderedDict[Any, tuple[weakref.ref[TensorRef], Page]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def forget(self) -> None:
        """Let go of everything: the weights have changed."""
        with self._lock:
            self._pages.clear()
            self._bytes = 0

    def find(self, ref: TensorRef, key: Any) -> Page | None:
        """Give a page of this very tensor, None if it is not kept."""
        with self._lock:
            held, page = self._pages.get((id(ref), key), (None, None))
            if page is None or held is None or held() is not ref:
                return None
            self._pages.move_to_end((id(ref), key))
            return page

    def keep(self, ref: TensorRef, key: Any, page: Page) -> None:
        """Keep a page, as far as the budget allows."""
        with self._lock:
            self._drop((id(ref), key))
            self._pages[id(ref), key] = weakref.ref(ref), page
            self._bytes += page.nbytes
            while self._bytes > self.budget:
                self._drop(next(iter(self._pages)))

    def _drop(self, key: Any) -> None:
        _, page = self._pages.pop(key, (None, None))
        if page is not None:
            self._bytes -= page.nbytes


def cell_levels(matrix: Matrix) -> Levels | None:
    """The levels of the cells of a matrix; None if it is too small to have any.

    A cell covers at least 64 elements. Rows and columns of cells are about as many where the matrix has so many: a plot
    fits them into a room that is about square.
    """
    if matrix.height * matrix.width < LARGE:
        return None
    rows, cols = 0, 0
    while True:
        tall, wide = _count(matrix.height, rows), _count(matrix.width, cols)
        if rows + cols >= 6 and tall * wide <= CELLS:
            break
        if tall > wide or (tall == wide and rows <= cols):
            rows += 1
        else:
            cols += 1
    return rows, cols


def coarse_pixels(
    matrix: Matrix,
    window: Window,
    levels: Levels,
    base: Levels,
    aggregate: Aggregate,
    pyramid: Pyramid | None,
    cancelled: IsCancelled,
) -> Extremes | Moments:
    """Make pixels from cells, which are kept.

    Parameters
    ----------
    matrix
        The matrix, rows along memory.
    window
        Elements under the pixels: row0, row1, col0, col1 of a tile.
    levels
        Of the pixels, at least those of the cells.
    base
        Of the cells.
    aggregate
        What the pixels are to show.
    pyramid
        Where cells are looked up and kept; None to keep none.
    cancelled
        Asked between bands of the tensor.
    """
    down, right = levels[0] - base[0], levels[1] - base[1]
    shift = _shift(matrix)
    pages = _pages(matrix, window, base, shift, aggregate, pyramid, cancelled)

    def pixels(plane: Callable[[Page], Array], fold: np.ufunc) -> Array:
        # A pixel lies within a page or covers it whole.
        parts = [[halved(halved(plane(page), 0, down, fold), 1, right, fold) for page in row] for row in pages]
        joined = parts[0][0] if len(parts) == len(parts[0]) == 1 else np.block(parts)
        down_more, right_more = (max(0, times - PAGE.bit_length() + 1) for times in (down, right))
        return halved(halved(joined, 0, down_more, fold), 1, right_more, fold)

    if aggregate not in ("mean", "std"):
        finite = all(_of(page.extremes).finite for row in pages for page in row)
        low = high = np.empty(0)
        if not finite or aggregate != "max":  # what is not finite is looked for in both
            low = pixels(lambda page: _of(page.extremes).low, np.minimum)
        if not finite or aggregate != "min":
            high = pixels(lambda page: _of(page.extremes).high, np.maximum)
        found = Extremes(window, levels, matrix.dtype, (low, high))
        found.finite = finite
        return found
    sums = Moments(window, levels, matrix.dtype, shift, squares=False)
    with np.errstate(over="ignore", invalid="ignore"):
        sums.total = pixels(lambda page: _of(page.moments).total, np.add)
        if aggregate == "std":
            sums.square = pixels(lambda page: _of(page.moments).square, np.add)
    if any(_of(page.moments).odd is not None for row in pages for page in row):
        least, largest = pixels(_odd, np.minimum), pixels(_odd, np.maximum)
        sums.odd = np.where(-least > largest, least, largest)
    return sums


def _pages(
    matrix: Matrix,
    window: Window,
    base: Levels,
    shift: float,
    aggregate: Aggregate,
    pyramid: Pyramid | None,
    cancelled: IsCancelled,
) -> list[list[Page]]:
    """Look the pages of cells of a window up, and make those that are not kept."""
    high, wide = PAGE << base[0], PAGE << base[1]
    tops, lefts = range(window[0], window[1], high), range(window[2], window[3], wide)
    windows = [(top, min(top + high, window[1]), left, min(left + wide, window[3])) for top in tops for left in lefts]
    version = _version(matrix)
    keys = [(matrix.rows, matrix.cols, matrix.index, part[0], part[2], version) for part in windows]
    known = [None if pyramid is None else pyramid.find(matrix.ref, key) for key in keys]
    lacking = [part for part, page in zip(windows, known, strict=True) if page is None or not page.has(aggregate)]
    room = Room(sum(_cells(part, base) for part in lacking) * (CELL + 8 if aggregate == "std" else CELL))

    def page(number: int) -> Page:
        found = known[number]
        if found is not None and found.has(aggregate):
            return found
        made = _page(matrix, windows[number], base, shift, aggregate, found, room, cancelled)
        if pyramid is not None:
            pyramid.keep(matrix.ref, keys[number], made)
        return made

    # Kernels leave Python's lock to others. A page is made by one thread: the same, however many there are.
    pays = kernels() is not None and matrix.in_place and sum(_area(part) for part in lacking) >= PARALLEL_FROM
    pages = shared(page, range(len(windows)), None if pays else 1)
    return [pages[start : start + len(lefts)] for start in range(0, len(windows), len(lefts))]


def _page(
    matrix: Matrix,
    window: Window,
    base: Levels,
    shift: float,
    aggregate: Aggregate,
    known: Page | None,
    room: Room,
    cancelled: IsCancelled,
) -> Page:
    """Make a page of cells, or what a known one has not got yet."""
    made = Page(known.extremes, known.moments) if known else Page()
    # The compiled kernel measures all at once, torch one thing after the other. Squares take either some time, and
    # nearly nobody asks for them.
    everything = kernels() is not None and matrix.dtype == torch.float32
    parts: list[Any] = []
    if aggregate == "std" or (made.moments is None and (everything or aggregate == "mean")):
        made.moments = Moments(window, base, matrix.dtype, shift, squares=aggregate == "std", empty=room.empty)
        parts.append(made.moments)
    if made.extremes is None and (everything or aggregate not in ("mean", "std")):
        made.extremes = Extremes(window, base, matrix.dtype, empty=room.empty)
        parts.append(made.extremes)
    reduce(matrix, window, base, parts, cancelled)
    return made


def _area(window: Window) -> int:
    return (window[1] - window[0]) * (window[3] - window[2])


def _cells(window: Window, levels: Levels) -> int:
    return _count(window[1] - window[0], levels[0]) * _count(window[3] - window[2], levels[1])


def first_mean(matrix: Matrix, row: int, col: int) -> float:
    """Mean of the first finite elements from there on: a number that sums of squares are taken about."""
    first = matrix.block(row, row + 1, col, min(matrix.width, col + _SHIFT_FROM)).numpy().astype(np.float64)
    finite = first[np.isfinite(first)]
    if not len(finite):
        return 0.0
    # Rounded to a few digits, with which compiled kernels and NumPy subtract alike.
    with np.errstate(over="ignore"):
        mean = float(np.float32(finite.mean()))
    return mean if math.isfinite(mean) else 0.0


def _shift(matrix: Matrix) -> float:
    return first_mean(matrix, 0, 0)


def _version(matrix: Matrix) -> int:
    """Counts the changes of a tensor in memory, as torch counts them."""
    if matrix.ref.device != "cpu":
        return 0
    element = matrix.ref.read(matrix.position(0, 0))
    return 0 if element.is_inference() else element._version


def _count(size: int, level: int) -> int:
    return -(-size >> level)


def _odd(page: Page) -> Array:
    moments = _of(page.moments)
    return np.zeros_like(moments.total) if moments.odd is None else moments.odd


def _of(part: Any) -> Any:
    assert part is not None  # `_page` makes what is asked for
    return part
