"""The passes by torch's own operations, which work without compiled kernels: what both kinds have in common.

Calls are what costs, above all where threads wait for each other's to get Python's lock: so blocks are large, though
what is computed of them leaves the core's own cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import torch_dtype
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.parts import Part, Plan, take_codes
from weightwidget.summary.pooling import Pool
from weightwidget.summary.scratch import scratch

if TYPE_CHECKING:
    from typing_extensions import Self

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_Seen = tuple[float, torch.Tensor, int, int]
"""A value, and the block that has it, with its first row and column."""

TILE = 1 << 17
"""Elements of a part of a block where what is computed of it takes more memory."""

_FEW = 1024
"""Elements of a row of the thumbnail's cells from which on torch's calls for each are worth their start."""

_SMALL = 1e-30
"""Sum of squares from which on those that float32 cannot hold do not count beside the others."""


class Pass:
    """What both kinds of pass gather: extremes and their places, norms, thumbnail.

    Parameters
    ----------
    blocks
        Of the box that is to be measured, in reading order: whole rows, or parts of one.
    plan
        What all parts of the tensor agree on.
    """

    def __init__(self, blocks: Blocks, plan: Plan) -> None:
        self.blocks = blocks
        self.plan = plan
        self.dtype = torch_dtype(plan.dtype)
        self._box = blocks.box
        # The square sums of rows and columns, of weights times the grid's scale.
        self.row_squares = np.zeros(self._box.height if plan.norms else 0)
        self.column_squares = np.zeros(self._box.width if plan.norms else 0)
        self.pool = Pool(blocks.rows, blocks.columns, plan.thumbnail)
        self.low, self.high = math.inf, -math.inf
        self._argmin: int | _Seen = -1
        self._argmax: int | _Seen = -1

    def run(self, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Self:
        """Go through all blocks; see `weightwidget.summary.streaming.measure`."""
        # Sums beyond float64 are found and mended afterwards.
        with np.errstate(over="ignore", invalid="ignore"):
            for block, top, left in self.blocks:
                if cancelled():
                    raise Cancelled
                plain = block.detach()
                with torch.inference_mode():  # calls are shorter where nobody may ask for gradients
                    self.add(plain, top, left)
                advance(block.numel())
        return self

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        """Take in a block, given its first row and column."""
        raise NotImplementedError

    def draw(self, part: torch.Tensor, top: int, left: int) -> None:
        """Take a part into the thumbnail, in a type in which NumPy and torch find minimum and maximum."""
        if not self.pool.height:
            return
        cuts = self.pool.row_cuts(top, part.shape[0])
        if len(cuts) > 2 and part.numel() < _FEW * len(cuts):
            array = part.numpy()
            starts = [start for start, _ in cuts]
            low, high = np.minimum.reduceat(array, starts, 0), np.maximum.reduceat(array, starts, 0)
        else:
            bands = [part[start:end] for start, end in cuts]
            low = np.stack([_over_rows(band, torch.amin).numpy() for band in bands])
            high = np.stack([_over_rows(band, torch.amax).numpy() for band in bands])
        self.pool.add(low, high, top, left)

    def equal(self, value: float) -> Callable[[torch.Tensor], Array]:
        """Make the test of weights for a value."""
        raise NotImplementedError

    def take_ends(self, low: float | None, high: float | None, block: torch.Tensor, top: int, left: int) -> None:
        """Take note of a block's smallest and largest weight, if they are new ones: of equal ones the first counts."""
        if low is not None and low < self.low:
            self.low, self._argmin = low, self._seen(low, block, top, left)
        if high is not None and high > self.high:
            self.high, self._argmax = high, self._seen(high, block, top, left)

    def _seen(self, value: float, block: torch.Tensor, top: int, left: int) -> int | _Seen:
        """Where a value is; or where to look for it at the end, when it is known to be an extreme one."""
        return (value, block, top, left) if self.blocks.lasting else self._find(value, block, top, left)

    def _find(self, value: float, block: torch.Tensor, top: int, left: int) -> int:
        """Position, in the tensor, of the first element of a block that has a value."""
        equal = self.equal(value)
        for tile, row, column in tiles(block, TILE):
            places = equal(tile)
            at = int(places.argmax())
            if places.flat[at]:
                down, right = divmod(at, int(places.shape[1]))
                return (top + row + down) * self.blocks.columns + left + column + right
        raise AssertionError(f"{value} was found in the block")

    def squares_in_single(self, tile: torch.Tensor, squares: torch.Tensor) -> tuple[Floats, Floats]:
        """Square sums of the rows and of the columns of a tile, of the squares in float32, good to 1e-6.

        The sums are of positive numbers, by torch in several parts, of which each loses some 2**-24: it is as good if
        no squares have vanished. Rows and columns where they may have are looked at in float64.
        """
        rows, columns = squares.sum(1).numpy().astype(np.float64), squares.sum(0).numpy().astype(np.float64)
        _mend(rows, tile, 1)
        if rows.any():
            _mend(columns, tile, 0)
        return rows, columns

    def add_squares(self, rows: Floats, columns: Floats, top: int, left: int) -> None:
        """Add square sums of some rows and columns of the tensor."""
        self.row_squares[top - self._box.top :][: len(rows)] += rows
        self.column_squares[left - self._box.left :][: len(columns)] += columns

    def part(self) -> Part:
        """Give what all blocks together come to."""
        raise NotImplementedError

    def _part(
        self,
        table: Counts,
        zeros: int,
        nonfinite: tuple[int, int, int],
        sums: tuple[float, float, float, float] = (0.0,) * 4,
        l1: float = 0.0,
    ) -> Part:
        codes, counts = take_codes(table, self.plan.dtype)
        nan, posinf, neginf = nonfinite
        return Part(
            box=self._box,
            finite=int(counts.sum()),
            nan=nan,
            posinf=posinf,
            neginf=neginf,
            zeros=zeros,
            low=self.low,
            high=self.high,
            argmin=self._argmin if isinstance(self._argmin, int) else self._find(*self._argmin),
            argmax=self._argmax if isinstance(self._argmax, int) else self._find(*self._argmax),
            sums=sums,
            l1=l1,
            codes=codes,
            counts=counts,
            row_squares=self.row_squares,
            column_squares=self.column_squares,
            lows=self.pool.low,
            highs=self.pool.high,
        )


def _mend(sums: Floats, tile: torch.Tensor, axis: int) -> None:
    """Sum up once more, in float64, the squares along an axis of a tile where some may have vanished in float32."""
    at = np.flatnonzero(sums < _SMALL)
    if not len(at):
        return
    few = tile if len(at) == len(sums) else tile.index_select(1 - axis, torch.from_numpy(at))
    if few.amin() != 0.0 or few.amax() != 0.0:  # pruned ones are nothing but zeros
        sums[at] = few.to(torch.float64).square_().sum(axis).numpy()


def tiles(block: torch.Tensor, size: int) -> Iterator[tuple[torch.Tensor, int, int]]:
    """Yield (part of a block with at most so many elements, its first row, its first column), in reading order."""
    rows, columns = block.shape
    width = min(columns, size)
    height = max(1, size // width)
    for row in range(0, rows, height):
        for column in range(0, columns, width):
            yield block[row : row + height, column : column + width], row, column


def with_rows(block: torch.Tensor) -> torch.Tensor:
    """The block, or a copy in which the elements of a row lie one beside the other."""
    if block.stride(1) == 1:
        return block
    return scratch(f"rows of {block.dtype}", block.shape, block.dtype).copy_(block)


def count_codes(codes: torch.Tensor, size: int) -> Counts:
    """How often each code below `size` occurs."""
    codes = codes.view(-1)
    if codes.numel() * 2 > size or codes.dtype == torch.uint8:
        # Fast for each code, but it makes two passes beforehand.
        counts: Counts = torch.bincount(codes, minlength=size).numpy()
        return counts
    counts = np.zeros(size, np.int64)
    one = torch.ones(1, dtype=torch.int64)
    torch.from_numpy(counts).index_add_(0, codes, one.expand(len(codes)))
    return counts


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
