"""What every pass over a tensor's blocks gathers, whatever its type."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.summary.blocks import Blocks
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.moments import Moments
from weightwidget.summary.pooling import Pool, compact
from weightwidget.summary.sketch import Sketch

if TYPE_CHECKING:
    from typing_extensions import Self

Array = npt.NDArray[Any]

Place: TypeAlias = tuple[torch.Tensor, int, int]
"""A block with its first row and column."""

BARE = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types in which torch finds minimum and maximum on every device."""


@dataclass
class Measured:
    """What a pass over a tensor finds.

    Attributes
    ----------
    nan, posinf, neginf, zeros
        Counts.
    low, high
        Smallest and largest finite weight; NaN if there is none.
    argmin, argmax
        Where they first are, in row-major order; None if there are none.
    moments, sketch
        Of the finite weights.
    row_norms, column_norms, thumbnail
        See `weightwidget.summary.record.TensorSummary`.
    """

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


class Pass:
    """What both kinds of pass gather: extremes and their places, norms, non-finite weights, thumbnail."""

    def __init__(self, blocks: Blocks, size: int, dtype: torch.dtype) -> None:
        self.blocks = blocks
        self.dtype = dtype
        self.norms = len(blocks.shape) > 1
        # The square sums of rows and columns, of weights times `norm_scale`.
        self.row_squares = np.zeros(blocks.rows if self.norms else 0)
        self.column_squares = np.zeros(blocks.columns if self.norms else 0)
        self.norm_scale = 1.0
        self.pool = Pool(blocks.rows, blocks.columns, size)
        self.nan = self.posinf = self.neginf = 0
        self.low, self.high = math.inf, -math.inf
        self._low_blocks: list[Place] = []
        self._high_blocks: list[Place] = []
        self.n = 0
        self._buffers: dict[str, torch.Tensor] = {}
        self._scratch: dict[tuple[str, torch.Size], tuple[torch.Tensor, torch.Tensor]] = {}

    def run(self, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Self:
        """Go through all blocks; see `weightwidget.summary.streaming.stream`."""
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
            The block as it is stored, to be looked at again at the end.
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

    def _remember(self, low: float, high: float, source: torch.Tensor, top: int, left: int) -> None:
        at = (source, top, left)
        # Where an extreme lies is looked up once, at the end.
        if low < self.low:
            self.low, self._low_blocks = low, [at]
        elif low == self.low and self._beside(self._low_blocks, at):
            self._low_blocks.append(at)
        if high > self.high:
            self.high, self._high_blocks = high, [at]
        elif high == self.high and self._beside(self._high_blocks, at):
            self._high_blocks.append(at)

    @staticmethod
    def _beside(known: list[Place], at: Place) -> bool:
        """Whether a block shares rows with known ones: then it may hold the first of equal elements."""
        return bool(known) and known[0][1] == at[1] and at[0].shape[0] > 1

    def _first(self, places: list[Place], value: float) -> int | None:
        return min((self.position(at, value) for at in places), default=None)

    def position(self, at: Place, value: float) -> int:
        """Flat position of the first element of a block that has a value."""
        block, top, left = at
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
        self.row_squares[top : top + height] += rows
        self.column_squares[left : left + width] += small_array(squares.sum(0))
        return float(rows.sum())

    def measured(self) -> Measured:
        """Give what all blocks together come to."""
        raise NotImplementedError

    def _measured(self, zeros: int, moments: Moments, sketch: Sketch) -> Measured:
        found = self.low <= self.high
        if found and self.low == self.high:
            moments = Moments.of_value(self.low, moments.n)
        rows = columns = None
        if self.norms:
            rows, columns = (
                compact(np.sqrt(squares) / self.norm_scale) for squares in (self.row_squares, self.column_squares)
            )
        return Measured(
            self.nan,
            self.posinf,
            self.neginf,
            zeros,
            self.low if found else math.nan,
            self.high if found else math.nan,
            self._first(self._low_blocks, self.low),
            self._first(self._high_blocks, self.high),
            moments,
            sketch,
            rows,
            columns,
            self.pool.picture(),
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
