"""The pass by torch's own operations over types of 32 and 64 bits, and the choice of the grid for sums and bins."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.summary.blocks import Blocks
from weightwidget.summary.moments import Moments, scale_for
from weightwidget.summary.parts import Grid, Part, Plan, moments_of
from weightwidget.summary.passes import BARE, Pass, count_codes, small_array, zeros

Floats = npt.NDArray[np.float64]

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


class SummedPass(Pass):
    """For wider types: power sums in float64 around a shift, and counts of the upper 16 bits."""

    def __init__(self, blocks: Blocks, plan: Plan) -> None:
        super().__init__(blocks, plan)
        self.grid = plan.grid
        self.table = zeros(65536, blocks)
        self._one = torch.ones(1, dtype=self.table.dtype, device=blocks.device)
        self.sums = (0.0, 0.0, 0.0, 0.0)
        self.l1 = 0.0
        self.zeros = 0
        at_shift = self.table[::0x8000]  # the bins of both zeros
        self._at_shift = at_shift.numpy() if at_shift.is_cpu else at_shift
        self._seen_at_shift = 0
        self._direct = self.dtype == torch.float32 and self.grid == Grid()

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        """See `Pass.add`."""
        shape = block.shape
        d, _ = self.scratch("d", shape, torch.float64)
        d.copy_(block)
        plain = block if self.dtype in BARE else d
        smallest, largest = self.extremes(block, plain, top, left)
        if not (math.isfinite(smallest) and math.isfinite(largest)):
            self._add_partly(block, d, top, left)
            return
        self._add_magnitudes(block, d, smallest, largest)
        crosses = smallest <= 0.0 <= largest
        if crosses and plain is d:
            self.zeros += d.numel() - int(torch.count_nonzero(d))
        self._shift(d)
        at_shift = self._count(block if self._direct else d)
        # Without a shift there are zeros only where the innermost bins grew.
        if crosses and plain is not d and (at_shift or self.grid.shift != 0.0):
            self.zeros += plain.numel() - int(torch.count_nonzero(plain))
        self._add_sums(d, top, left)

    def _shift(self, d: torch.Tensor) -> None:
        if self.grid.shift != 0.0:
            d.sub_(self.grid.shift)
        if self.grid.scale != 1.0:
            d.mul_(self.grid.scale)

    def _add_magnitudes(self, block: torch.Tensor, d: torch.Tensor, smallest: float, largest: float) -> None:
        """Add the magnitudes of a block; `d` holds it in float64, not shifted yet."""
        if smallest >= 0.0 or largest <= 0.0:
            self.l1 += abs(float(d.sum()))
        elif self.dtype == torch.float32 and max(-smallest, largest) < 1e30:
            # A few magnitudes lose nothing that counts in float32, and cost half.
            magnitudes, flat = self.scratch("magnitude", block.shape, torch.float32)
            torch.abs(block, out=magnitudes)
            self.l1 += _sum_of_sums(magnitudes, flat)
        else:
            self.l1 += float(torch.abs(d, out=self.scratch("squares", d.shape, torch.float64)[0]).sum())

    def _count(self, values: torch.Tensor) -> bool:
        """Count a block's upper 16 bits; tell whether any weight fell on the shift."""
        if not self._direct:
            values = self.scratch("single", values.shape, torch.float32)[0].copy_(values)
        codes, flat = self.scratch("codes", values.shape, torch.int32)
        torch.bitwise_right_shift(values.view(torch.int32), 16, out=codes)
        codes.bitwise_and_(0xFFFF)
        count_codes(self.table, flat, self._one)
        at_shift = int(self._at_shift[0]) + int(self._at_shift[1])
        new = at_shift != self._seen_at_shift
        self._seen_at_shift = at_shift
        return new

    def _add_sums(self, d: torch.Tensor, top: int, left: int) -> None:
        squares, flat_squares = self.scratch("squares", d.shape, torch.float64)
        torch.mul(d, d, out=squares)
        shift = self.grid.shift * self.grid.scale
        if self.norms and shift != 0.0:
            # Of the weights themselves: sum (d + K)^2 = sum d^2 + 2 K sum d + n K^2.
            height, width = d.shape
            rows = small_array(d.sum(1))
            s1 = float(rows.sum())
            self.rows_at(top, height)[:] += 2 * shift * rows + width * shift * shift
            columns = 2 * shift * small_array(d.sum(0)) + height * shift * shift
            self.columns_at(left, width)[:] += columns
        else:
            s1 = float(d.sum())
        s2 = self.add_squares(squares, top, left)
        self._add_powers(s1, s2, _dot(flat_squares, d.view(-1)), _dot(flat_squares, flat_squares))

    def _add_powers(self, *sums: float) -> None:
        a, b, c, e = self.sums
        self.sums = (a + sums[0], b + sums[1], c + sums[2], e + sums[3])

    def _add_partly(self, block: torch.Tensor, x: torch.Tensor, top: int, left: int) -> None:
        """Take in a block, `x` in float64, that is not all finite: slower, and only what is enters."""
        finite = self.finite_only(x)
        self.remember_finite(block, x, finite, top, left)
        d = x[finite]
        self.l1 += float(d.abs().sum())
        self.zeros += int((d == 0.0).sum())
        self._shift(d)
        self._count(d.float() if self._direct else d)
        self._add_powers(*(float(d.pow(power).sum()) for power in (1, 2, 3, 4)))
        if self.norms:
            self.add_squares(x.masked_fill_(~finite, 0.0).mul_(self.grid.scale).square_(), top, left)

    def part(self) -> Part:
        """See `Pass.part`."""
        return self._part(self.table, self.zeros, self.sums, self.l1)


def _sum_of_sums(values: torch.Tensor, flat: torch.Tensor) -> float:
    """Sum of a float32 block, given in its shape and flat: some tens in float32, the rest in float64."""
    if 1 < values.shape[0] <= 64:
        return float(values.sum(0).sum(dtype=torch.float64))
    cut = len(flat) // 16 * 16
    return float(flat[:cut].view(16, -1).sum(0).sum(dtype=torch.float64)) + float(flat[cut:].sum())


def _dot(a: torch.Tensor, b: torch.Tensor) -> float:
    """Sum of the products of two flat float64 blocks."""
    if not a.is_cpu or torch.get_num_threads() == 1:
        return float(torch.dot(a, b))
    # Torch's starts threads from 4,096 elements on, NumPy's from 10,000.
    x, y = a.numpy(), b.numpy()
    return sum(float(x[k : k + 8192] @ y[k : k + 8192]) for k in range(0, len(x), 8192))
