"""The pass by torch's own operations over types of 32 and 64 bits, and the choice of the grid for sums and bins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from weightwidget.summary.blocks import Blocks
from weightwidget.summary.moments import Moments, scale_for
from weightwidget.summary.parts import Grid, Part, Plan, moments_of
from weightwidget.summary.passes import TILE, Array, Counts, Floats, Pass, count_codes, tiles, with_rows
from weightwidget.summary.scratch import scratch, single_buffers
from weightwidget.summary.single import single_sums

_FAR = 4.0
"""Standard deviations between shift and mean beyond which a second pass is worth its while: the sketch is
coarse there, and the moments lose digits."""

USUAL = 2.0**-80, 2.0**80
"""Magnitudes that need no scale (see `scale_for`)."""

_ROOM = 110
"""Powers of two that the largest distance from the shift may be off 1: then neither the fourth powers leave
float64 nor the bins float32. Upwards there is twice the room, as only outliers come there."""


def grid_from_pilot(values: Floats) -> Grid:
    """Choose a grid from some values, in any order. The shift is one of them, so that subtracting it is exact."""
    magnitudes = np.abs(values)
    usual = np.count_nonzero((magnitudes >= USUAL[0]) & (magnitudes <= USUAL[1]))
    if 2 * usual > np.count_nonzero(magnitudes) and np.isfinite(values).all() and abs(values.mean()) < values.std():
        return Grid()  # nearly always; what follows comes to the same
    values = np.sort(values[np.isfinite(values)])
    if len(values) == 0:
        return Grid()
    moments = Moments.from_values(values)
    shift = 0.0
    if abs(moments.mean) > 2 * moments.std:
        shift = float(values[np.abs(values - moments.mean).argmin()])
    away = np.abs(values - shift)
    away = away[away > 0]
    # What is typical decides, not the largest: float32 has room for outliers, but little below 1e-38.
    return Grid(shift, scale_for(float(np.median(away))) if len(away) else 1.0)


def better_grid(plan: Plan, part: Part) -> Grid | None:
    """Choose a grid for another pass, if that of the plan was no good for the weights that came.

    Parameters
    ----------
    plan
        The tensor; its type is not one whose patterns are counted.
    part
        All of it.
    """
    grid = plan.grid
    if not part.low < part.high:
        return None
    moments = moments_of(plan, part)
    if not _has_room(reach(plan, part), grid):
        return Grid(0.0, scale_for(max(abs(part.low), abs(part.high))))
    if _is_near(moments, grid):
        return None
    shift = moments.mean if abs(moments.mean) > 2 * moments.std else 0.0
    if plan.dtype == "float32":
        shift = float(np.float32(shift))
    better = Grid(shift, scale_for(moments.std))
    return None if better == grid else better


def grid_suits(moments: Moments, low: float, high: float) -> bool:
    """Whether no shift and no scale were good for weights of these moments and extremes, not all the same."""
    return _has_room(max(abs(high), abs(low)), Grid()) and _is_near(moments, Grid())


def _has_room(reach: float, grid: Grid) -> bool:
    return -_ROOM < math.log2(reach) + math.log2(grid.scale) < 2 * _ROOM


def _is_near(moments: Moments, grid: Grid) -> bool:
    return abs(moments.mean - grid.shift) <= _FAR * moments.std


def reach(plan: Plan, part: Part) -> float:
    """Largest distance of a weight from the shift."""
    return max(abs(part.high - plan.grid.shift), abs(part.low - plan.grid.shift))


_TRIES = 2
"""Blocks of a box for which float32 may turn out to be no good before the others are not tried."""


@dataclass
class _Found:
    """What is found in a block: counts of its codes, power sums and that of magnitudes, and square sums."""

    counts: Counts
    sums: Floats
    rows: Floats
    columns: Floats


class SummedPass(Pass):
    """For wider types: power sums around a shift, and counts of the upper 16 bits.

    The sums are of float64; those of float32 weights that are neither huge nor tiny of float32, as far as that is as
    good, in a third of the time.
    """

    def __init__(self, blocks: Blocks, plan: Plan) -> None:
        super().__init__(blocks, plan)
        self.grid = plan.grid
        self.table = np.zeros(65536, np.int64)
        self.sums = np.zeros(5)
        self.zeros = self.nan = self.posinf = self.neginf = 0
        self._tries = _TRIES if plan.dtype == "float32" and self.grid.scale == 1.0 else 0
        at_zero = self._code(0.0)
        self._at_zero = [at_zero] if self.grid.shift else [at_zero, at_zero ^ 0x8000]

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        """See `Pass.add`."""
        found = self._in_single(with_rows(block), top, left) if self._tries else None
        if found is not None:
            self._find_ends(found.counts, block, top, left)
        else:
            self._tries = max(0, self._tries - 1)
            found = self._in_double(block, top, left)
        np.add(self.table, found.counts, out=self.table)
        if found.counts[self._at_zero].any():
            self.zeros += _zeros(block)
        self.sums += found.sums
        if self.plan.norms:
            self.add_squares(found.rows, found.columns, top, left)

    def _code(self, value: float) -> int:
        """The bin of a weight."""
        with np.errstate(over="ignore"):
            d = np.float32((value - self.grid.shift) * self.grid.scale)
        return int(d.view(np.uint32)) >> 16

    def _find_ends(self, counts: Counts, block: torch.Tensor, top: int, left: int) -> None:
        """Take note of the smallest and the largest weight of a block that is all finite, if they may be new ones."""
        below = above = True
        if self.low <= self.high:
            below, above = _outward(counts, self._code(self.low), self._code(self.high))
        smallest, largest = float(block.amin()) if below else None, float(block.amax()) if above else None
        self.take_ends(smallest, largest, block, top, left)

    def equal(self, value: float) -> Callable[[torch.Tensor], Array]:
        """See `Pass.equal`. Where the type is no float, in float64."""
        return lambda part: (part if part.is_floating_point() else part.to(torch.float64)).numpy() == value

    def _in_single(self, block: torch.Tensor, top: int, left: int) -> _Found | None:
        """Look at a block of float32 in float32; None if that is not good enough, or some weights are not finite."""
        self.draw(block, top, left)
        buffers, shift = single_buffers(block.shape), self.grid.shift
        d = torch.sub(block, shift, out=scratch("moved", block.shape, torch.float32)) if shift else block
        # Not by torch, which knows no shift that lets zeros in at the sign.
        np.right_shift(d.numpy().view(np.uint32), 16, out=buffers.codes.numpy().view(np.uint32))
        counts = count_codes(buffers.codes, 65536)
        sums = single_sums(block, d, buffers)
        if sums is None:
            return None
        if not self.plan.norms:
            return _Found(counts, sums, np.zeros(0), np.zeros(0))
        squares = torch.mul(block, block, out=buffers.squares) if shift else buffers.squares
        rows, columns = self.squares_in_single(block, squares)
        return _Found(counts, sums, rows, columns) if np.isfinite(rows).all() else None

    def _in_double(self, block: torch.Tensor, top: int, left: int) -> _Found:
        """Look at a block of any type in float64, and take note of its extremes and of what is not finite."""
        rows, columns = block.shape if self.plan.norms else (0, 0)
        found = _Found(np.zeros(65536, np.int64), np.zeros(5), np.zeros(rows), np.zeros(columns))
        codes, done, smallest, largest = scratch("codes", (block.numel(),), torch.int32), 0, math.inf, -math.inf
        for tile, row, column in tiles(block, TILE):
            x = scratch("wide", tile.shape, torch.float64).copy_(tile)
            self.draw(tile if tile.dtype in (torch.float32, torch.float64) else x, top + row, left + column)
            low, high, finite = float(x.amin()), float(x.amax()), x.view(-1)
            if not (math.isfinite(low) and math.isfinite(high)):
                finite = self._finite_only(x)
                low, high = (float(finite.amin()), float(finite.amax())) if len(finite) else (math.inf, -math.inf)
            smallest, largest = min(low, smallest), max(high, largest)
            if self.plan.norms:
                squares = torch.mul(x, self.grid.scale, out=scratch("wide squares", x.shape, torch.float64)).square_()
                found.rows[row : row + len(tile)] += squares.sum(1).numpy()
                found.columns[column : column + tile.shape[1]] += squares.sum(0).numpy()
            found.sums += self._sum_up(finite, codes[done : done + len(finite)])
            done += len(finite)
        found.counts = count_codes(codes[:done], 65536)
        self.take_ends(smallest, largest, block, top, left)
        return found

    def _finite_only(self, x: torch.Tensor) -> torch.Tensor:
        """Count what is not finite, and set it to zero; give the others, one-dimensional."""
        finite = torch.isfinite(x)
        self.nan += int(torch.isnan(x).sum())
        self.posinf += int((x == math.inf).sum())
        self.neginf += int((x == -math.inf).sum())
        kept = x[finite]
        x.masked_fill_(~finite, 0.0)
        return kept

    def _sum_up(self, x: torch.Tensor, codes: torch.Tensor) -> tuple[float, float, float, float, float]:
        """Give the sums of finite weights, flat and in float64, which are overwritten, and fill in their codes."""
        squares = scratch("wide squares", x.shape, torch.float64)
        l1 = float(torch.abs(x, out=squares).sum())
        d = x
        if self.grid.shift != 0.0:
            d.sub_(self.grid.shift)
        if self.grid.scale != 1.0:
            d.mul_(self.grid.scale)
        single = scratch("single", d.shape, torch.float32).copy_(d).view(torch.int32)
        torch.bitwise_right_shift(single, 16, out=codes).bitwise_and_(0xFFFF)
        torch.mul(d, d, out=squares)
        return float(d.sum()), float(squares.sum()), _dot(squares, d), _dot(squares, squares), l1

    def part(self) -> Part:
        """See `Pass.part`."""
        s1, s2, s3, s4, l1 = self.sums.tolist()
        return self._part(self.table, self.zeros, (self.nan, self.posinf, self.neginf), (s1, s2, s3, s4), l1)


def _outward(counts: Counts, low: int, high: int) -> tuple[bool, bool]:
    """Whether there are codes in the bin of the smallest weight or below, and in that of the largest or above."""
    # In the order of the weights, the bins of negative ones go down to 0x8000, those of the others up from 0.
    positive, negative = counts[:0x8000], counts[0x8000:]
    below = negative[low - 0x8000 :] if low >= 0x8000 else positive[: low + 1]
    above = positive[high:] if high < 0x8000 else negative[: high - 0x7FFF]
    return (
        bool(below.any() or (low < 0x8000 and negative.any())),
        bool(above.any() or (high >= 0x8000 and positive.any())),
    )


def _zeros(block: torch.Tensor) -> int:
    """Number of zeros, of either sign."""
    # NumPy has all types, and is four times as fast.
    return sum(int(np.count_nonzero(tile.numpy() == 0)) for tile, _, _ in tiles(block, TILE))


def _dot(a: torch.Tensor, b: torch.Tensor) -> float:
    """Sum of the products of two flat float64 tiles."""
    if torch.get_num_threads() == 1:
        return float(torch.dot(a, b))
    # Torch's starts threads from 4,096 elements on, NumPy's from 10,000.
    x, y = a.numpy(), b.numpy()
    return sum(float(x[k : k + 8192] @ y[k : k + 8192]) for k in range(0, len(x), 8192))
