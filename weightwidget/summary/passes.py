"""The passes by torch's own operations, which work without compiled kernels: what they gather whatever the type."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import torch_dtype
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.parts import Part, Plan, take_codes
from weightwidget.summary.pooling import Pool

if TYPE_CHECKING:
    from typing_extensions import Self

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

BARE = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types in which torch finds minimum and maximum on every device."""


class Pass:
    """What both kinds of pass gather: extremes and their places, norms, non-finite weights, thumbnail.

    Parameters
    ----------
    blocks
        Of the box that is to be measured.
    plan
        What all parts of the tensor agree on.
    """

    def __init__(self, blocks: Blocks, plan: Plan) -> None:
        self.blocks = blocks
        self.plan = plan
        self.dtype = torch_dtype(plan.dtype)
        self.norms = plan.norms
        self._box = blocks.box
        # The square sums of rows and columns, of weights times the grid's scale.
        self.row_squares = np.zeros(self._box.height if self.norms else 0)
        self.column_squares = np.zeros(self._box.width if self.norms else 0)
        self.pool = Pool(blocks.rows, blocks.columns, plan.thumbnail)
        self.nan = self.posinf = self.neginf = 0
        self.low, self.high = math.inf, -math.inf
        self.argmin = self.argmax = -1
        self._buffers: dict[str, torch.Tensor] = {}
        self._scratch: dict[tuple[str, torch.Size], tuple[torch.Tensor, torch.Tensor]] = {}

    def run(self, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Self:
        """Go through all blocks; see `weightwidget.summary.streaming.measure`."""
        # Sums beyond float64 are found and mended afterwards.
        with np.errstate(over="ignore", invalid="ignore"):
            for block, top, left in self.blocks:
                if cancelled():
                    raise Cancelled
                self.add(block, top, left)
                advance(block.numel())
        return self

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        """Take in a block, given its first row and column."""
        raise NotImplementedError

    def scratch(self, name: str, shape: torch.Size, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Give a buffer that lives from block to block, in a shape and flat."""
        buffer = self._scratch.get((name, shape))
        if buffer is None:
            count = math.prod(shape)
            whole = self._buffers.get(name)
            if whole is None or whole.numel() < count:
                whole = self._buffers[name] = torch.empty(count, dtype=dtype, device=self.blocks.device)
            buffer = self._scratch[name, shape] = (whole[:count].view(shape), whole[:count])
        return buffer

    def extremes(self, source: torch.Tensor, plain: torch.Tensor, top: int, left: int) -> tuple[float, float]:
        """Pool a block, and give its smallest and largest element (NaN if it has one).

        Parameters
        ----------
        source
            The block as it is stored.
        plain
            The same in a type that has a minimum everywhere.
        top, left
            First row and column.
        """
        cuts = self.pool.row_cuts(top, plain.shape[0])
        if len(cuts) > 2 and plain.is_cpu:
            array = small_array(plain)
            starts = [start for start, _ in cuts]
            low, high = np.minimum.reduceat(array, starts, 0), np.maximum.reduceat(array, starts, 0)
        else:
            parts = [plain[start:end] for start, end in cuts] if len(cuts) > 1 else [plain]
            low = _stack([small_array(_over_rows(part, torch.amin)) for part in parts])
            high = _stack([small_array(_over_rows(part, torch.amax)) for part in parts])
        smallest, largest = self.pool.add(low, high, top, left)
        if math.isfinite(smallest) and math.isfinite(largest):
            self._remember(smallest, largest, source, top, left)
        return smallest, largest

    def _remember(self, low: float, high: float, block: torch.Tensor, top: int, left: int) -> None:
        # Of equal elements the first counts, which a block to the right may have in a row further up.
        if low < self.low or (low == self.low and top * self.blocks.columns < self.argmin):
            at = self._position(block, low, top, left)
            self.argmin = at if low < self.low else min(at, self.argmin)
            self.low = low
        if high > self.high or (high == self.high and top * self.blocks.columns < self.argmax):
            at = self._position(block, high, top, left)
            self.argmax = at if high > self.high else min(at, self.argmax)
            self.high = high

    def _position(self, block: torch.Tensor, value: float, top: int, left: int) -> int:
        """Flat position of the first element of a block that has a value."""
        row, column = divmod(int((block.to(torch.float64) == value).reshape(-1).nonzero()[0]), block.shape[1])
        return (top + row) * self.blocks.columns + left + column

    def finite_only(self, plain: torch.Tensor) -> torch.Tensor:
        """Count what is not finite in a block, and give the mask of what is."""
        finite = torch.isfinite(plain)
        nan = int(torch.isnan(plain).sum())
        infinite = finite.numel() - int(finite.sum()) - nan
        positive = int((plain == math.inf).sum()) if infinite else 0
        self.nan += nan
        self.posinf += positive
        self.neginf += infinite - positive
        return finite

    def remember_finite(
        self, source: torch.Tensor, plain: torch.Tensor, finite: torch.Tensor, top: int, left: int
    ) -> None:
        """Take note of the extremes of a block that is not all finite."""
        low = float(torch.where(finite, plain, math.inf).amin())
        high = float(torch.where(finite, plain, -math.inf).amax())
        if low <= high:
            self._remember(low, high, source, top, left)

    def add_squares(self, squares: torch.Tensor, top: int, left: int) -> float:
        """Add the squares of a block to those of its rows and columns, and give their sum."""
        if not self.norms:
            return float(squares.sum())
        rows = small_array(squares.sum(1))
        height, width = squares.shape
        self.rows_at(top, height)[:] += rows
        self.columns_at(left, width)[:] += small_array(squares.sum(0))
        return float(rows.sum())

    def rows_at(self, top: int, height: int) -> Floats:
        """Square sums of some rows, to be added to."""
        return self.row_squares[top - self._box.top :][:height]

    def columns_at(self, left: int, width: int) -> Floats:
        """Square sums of some columns, to be added to."""
        return self.column_squares[left - self._box.left :][:width]

    def part(self) -> Part:
        """Give what all blocks together come to."""
        raise NotImplementedError

    def _part(
        self, table: torch.Tensor, zeros: int = 0, sums: tuple[float, float, float, float] = (0.0,) * 4, l1: float = 0.0
    ) -> Part:
        codes, counts = take_codes(table.cpu().numpy(), self.plan.dtype)
        return Part(
            box=self._box,
            finite=int(counts.sum()),
            nan=self.nan,
            posinf=self.posinf,
            neginf=self.neginf,
            zeros=zeros,
            low=self.low,
            high=self.high,
            argmin=self.argmin,
            argmax=self.argmax,
            sums=sums,
            l1=l1,
            codes=codes,
            counts=counts,
            row_squares=self.row_squares,
            column_squares=self.column_squares,
            lows=self.pool.low,
            highs=self.pool.high,
        )


def zeros(size: int, blocks: Blocks) -> torch.Tensor:
    """Make a table of counts, all zero."""
    # Torch fills what is as long as this in threads of its own.
    return torch.from_numpy(np.zeros(size, np.int64)).to(blocks.device)


def small_array(values: torch.Tensor) -> Array:
    """Give a small result as NumPy has it."""
    if values.dtype in (torch.bfloat16, torch.float16):
        values = values.float()
    array: Array = (values if values.is_cpu else values.cpu()).numpy()
    return array


def _stack(rows: list[Array]) -> Array:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)


def count_codes(table: torch.Tensor, codes: torch.Tensor, one: torch.Tensor) -> None:
    """Add the codes of a block, flat, to a table of counts."""
    if codes.numel() > 4 * len(table):
        # Faster per code, but it makes a table each time.
        table += torch.bincount(codes, minlength=len(table))
    else:
        table.index_add_(0, codes, one.expand(len(codes)))


def _over_rows(block: torch.Tensor, reduce: Callable[..., torch.Tensor]) -> torch.Tensor:
    """Reduce over rows. Torch is slow where rows are short: several side by side make a long one."""
    rows, columns = block.shape
    if rows == 1:
        return block[0]
    if columns < 128 and rows * columns > 1024 and block.is_contiguous():
        fold = 512 // columns
        whole = rows // fold * fold
        if whole > fold:
            folded = reduce(block[:whole].view(-1, fold * columns), 0).view(fold, columns)
            return reduce(torch.cat([folded, block[whole:]]), 0)
    return reduce(block, 0)
