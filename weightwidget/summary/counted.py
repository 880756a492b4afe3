"""The pass by torch's own operations over types of 16 bits and fewer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from weightwidget.summary.blocks import Blocks
from weightwidget.summary.parts import Part, Plan, finite_codes, pattern_values
from weightwidget.summary.passes import Array, Counts, Floats, Pass, count_codes, tiles
from weightwidget.summary.scratch import single_buffers

_TILE = 1 << 19
"""Elements of a part of a block of which norms and thumbnail are computed: as float32 twice they take as much memory as
the block's codes."""


class CountedPass(Pass):
    """Counts of the bit patterns, from which all but norms, thumbnail and the places of the extremes follow exactly."""

    def __init__(self, blocks: Blocks, plan: Plan) -> None:
        super().__init__(blocks, plan)
        self._wide = self.dtype.itemsize == 2
        self.table = np.zeros(65536 if self._wide else 256, np.int64)
        self._order = Order(plan.dtype)

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        """See `Pass.add`."""
        if self._wide:
            codes = single_buffers(block.shape).codes.copy_(block.view(torch.uint16))
        else:
            codes = block.view(torch.uint8).contiguous()
        counts = count_codes(codes, len(self.table))
        # Not by torch, which takes twice as long, and may start threads.
        np.add(self.table, counts, out=self.table)
        # A zero of the other sign is beyond the first one in this order, but no new extreme.
        self.take_ends(*self._order.beyond(counts), block, top, left)
        if self.plan.norms or self.pool.height:
            for tile, row, column in tiles(block, _TILE):
                self._add_tile(tile, top + row, left + column)

    def equal(self, value: float) -> Callable[[torch.Tensor], Array]:
        """See `Pass.equal`. Weights are told by their patterns; zero has two, as a rule."""
        first, *others = np.flatnonzero(pattern_values(self.plan.dtype) == value)
        kind = torch.uint16 if self._wide else torch.uint8

        def equal(part: torch.Tensor) -> Array:
            patterns = part.view(kind).numpy()
            places: Array = patterns == patterns.dtype.type(first)
            for other in others:
                places |= patterns == patterns.dtype.type(other)
            return places

        return equal

    def _add_tile(self, tile: torch.Tensor, top: int, left: int) -> None:
        plain = single_buffers(tile.shape).terms.copy_(tile)
        self.draw(plain, top, left)
        if self.plan.norms:
            self.add_squares(*self._squares(plain), top, left)

    def _squares(self, plain: torch.Tensor) -> tuple[Floats, Floats]:
        """Square sums of the finite weights of each row and column of a tile."""
        # Of weights of 16 bits the squares themselves are exact.
        squares = torch.mul(plain, plain, out=single_buffers(plain.shape).squares)
        rows, columns = self.squares_in_single(plain, squares)
        if np.isfinite(rows).all() and np.isfinite(columns).all():
            return rows, columns
        finite = torch.where(torch.isfinite(plain), plain, 0.0)
        wide = finite.to(torch.float64).square_()
        return wide.sum(1).numpy(), wide.sum(0).numpy()

    def part(self) -> Part:
        """See `Pass.part`."""
        nonfinite = [int(self.table[codes].sum()) for codes in _nonfinite(self.plan.dtype)]
        return self._part(self.table, 0, (nonfinite[0], nonfinite[1], nonfinite[2]))


class Order:
    """Finds patterns beyond those that were found before, in the order of what they stand for.

    Parameters
    ----------
    dtype
        A type of 16 bits or fewer.
    """

    def __init__(self, dtype: str) -> None:
        self._codes, self._values, self._runs = finite_codes(dtype), pattern_values(dtype), _runs(dtype)
        self._low, self._high = len(self._codes), -1  # as places in the order

    def beyond(self, counts: Counts) -> tuple[float | None, float | None]:
        """Value of the smallest pattern of some counts that is below all before, and of the largest above them."""
        low, high = self._below(counts), self._above(counts)
        self._low = self._low if low is None else low
        self._high = self._high if high is None else high
        return self._value(low), self._value(high)

    def _value(self, place: int | None) -> float | None:
        return None if place is None else float(self._values[self._codes[place]])

    def _below(self, counts: Counts) -> int | None:
        for first, last in self._runs:
            if first >= self._low:
                break
            part = self._ordered(counts, first, min(last, self._low - 1))
            if part.any():
                return first + int((part != 0).argmax())
        return None

    def _above(self, counts: Counts) -> int | None:
        for first, last in reversed(self._runs):
            if last <= self._high:
                break
            part = self._ordered(counts, max(first, self._high + 1), last)
            if part.any():
                return last - int((part[::-1] != 0).argmax())
        return None

    def _ordered(self, counts: Counts, first: int, last: int) -> Counts:
        """Counts of the codes of one run, from a place in the order to another."""
        start, end = int(self._codes[first]), int(self._codes[last])
        return counts[start : end + 1] if start <= end else counts[end : start + 1][::-1]


@cache
def _runs(dtype: str) -> list[tuple[int, int]]:
    """First and last place of each stretch of the order in which codes go up or down by ones."""
    codes = finite_codes(dtype).astype(np.int64)
    found, first = [], 0
    while first < len(codes):
        steps = np.diff(codes[first:])
        same = (steps == steps[0]) & (np.abs(steps) == 1) if len(steps) else steps == 0
        last = first + (len(steps) if same.all() else int(same.argmin()))
        found.append((first, last))
        first = last + 1
    return found


@cache
def _nonfinite(dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patterns of NaN, of infinity, and of minus infinity."""
    values = pattern_values(dtype)
    tests = (np.isnan(values), values == np.inf, values == -np.inf)
    nan, positive, negative = (np.flatnonzero(test) for test in tests)
    return nan, positive, negative
