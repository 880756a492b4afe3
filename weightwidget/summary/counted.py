"""The pass by torch's own operations over types of 16 bits and fewer."""

from __future__ import annotations

import math

import torch

from weightwidget.summary.blocks import Blocks
from weightwidget.summary.parts import Part, Plan
from weightwidget.summary.passes import BARE, Pass, count_codes, small_array, zeros

_LARGE = 1e16
"""Magnitude up to which a block's squares sum up within float32."""

_SMALL = 1e-30
"""Sum of squares from which on those that float32 cannot hold do not count beside the others."""

_LONG = 1 << 15
"""Terms of a sum up to which float32 is good enough for a norm."""


class CountedPass(Pass):
    """Counts of the bit patterns, from which all but the norms follow exactly."""

    def __init__(self, blocks: Blocks, plan: Plan) -> None:
        super().__init__(blocks, plan)
        dtype = self.dtype
        patterns = 65536 if dtype.itemsize == 2 else 256
        self.table = zeros(patterns, blocks)
        self._one = torch.ones(1, dtype=self.table.dtype, device=blocks.device)
        self._pattern = torch.uint16 if dtype.itemsize == 2 else torch.uint8

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        """See `Pass.add`."""
        codes, flat = self.scratch("codes", block.shape, torch.int32)
        codes.copy_(block.view(self._pattern))
        count_codes(self.table, flat, self._one)
        if self.dtype in BARE and not self.norms:
            plain = block
        else:
            plain = self.scratch("plain", block.shape, torch.float32)[0].copy_(block)
        smallest, largest = self.extremes(block, plain, top, left)
        if not (math.isfinite(smallest) and math.isfinite(largest)):
            finite = self.finite_only(plain)
            self.remember_finite(block, plain, finite, top, left)
            plain = torch.where(finite, plain, 0.0)
        elif max(-smallest, largest) < _LARGE and self._add_squares_in_float32(plain, top, left):
            return
        if self.norms:
            d = self.scratch("d", block.shape, torch.float64)[0].copy_(plain)
            self.add_squares(d.square_(), top, left)

    def _add_squares_in_float32(self, plain: torch.Tensor, top: int, left: int) -> bool:
        """Add the squares of a block in half the time, unless some may have vanished; tell whether it did.

        The squares themselves are exact, and sums of some thousand positive numbers good to 1e-7.
        """
        if not self.norms or max(plain.shape) > _LONG:
            return False
        squares = torch.mul(plain, plain, out=self.scratch("squares", plain.shape, torch.float32)[0])
        rows, columns = small_array(squares.sum(1)), small_array(squares.sum(0))
        if rows.min() < _SMALL or columns.min() < _SMALL:
            return False
        self.rows_at(top, len(rows))[:] += rows
        self.columns_at(left, len(columns))[:] += columns
        return True

    def part(self) -> Part:
        """See `Pass.part`."""
        return self._part(self.table)
