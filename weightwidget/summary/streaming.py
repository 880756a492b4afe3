"""The kernel proper: one pass over a tensor's blocks, everything taken from each block while it is in cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.summary.blocks import Blocks
from weightwidget.summary.moments import Moments, scale_for
from weightwidget.summary.pooling import Pool, compact
from weightwidget.summary.sketch import Sketch

if TYPE_CHECKING:
    from typing_extensions import Self

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

Place: TypeAlias = tuple[torch.Tensor, int, int]
"""A block with its first row and column."""

_FAR = 4.0
"""Standard deviations between shift and mean beyond which a second pass is worth its while: the sketch is coarse
there, and the moments lose digits."""

_ROOM = 110
"""Powers of two that the largest distance from the shift may be off 1: then neither the fourth powers leave float64
nor the bins float32. Upwards there is twice the room, as only outliers come there."""

_BARE = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types in which torch finds minimum and maximum on every device."""


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """Raised by a pass whose `cancelled` callback said yes."""


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


@dataclass(frozen=True)
class Grid:
    """Shift and power-of-two scale for the sums and the sketch."""

    shift: float = 0.0
    scale: float = 1.0

    @classmethod
    def from_pilot(cls, values: Floats) -> Grid:
        """Choose from some values. The shift is one of them, so that subtracting it is exact."""
        values = values[np.isfinite(values)]
        if len(values) == 0:
            return cls()
        moments = Moments.from_values(values)
        shift = 0.0
        if abs(moments.mean) > 2 * moments.std:
            shift = float(values[np.abs(values - moments.mean).argmin()])
        away = np.abs(values - shift)
        away = away[away > 0]
        # What is typical decides, not the largest: float32 has room for outliers, but little below 1e-38.
        return cls(shift, scale_for(float(np.median(away))) if len(away) else 1.0)


def stream(
    blocks: Blocks, size: int, cancelled: Callable[[], bool], advance: Callable[[int], None]
) -> Measured:
    """Measure a tensor in one pass.

    Parameters
    ----------
    blocks
        The tensor.
    size
        Side of the thumbnail.
    cancelled
        Asked before every block.
    advance
        Told the number of elements after every block.

    Raises
    ------
    Cancelled
        If `cancelled` said yes.
    """
    pilot = blocks.pilot()
    if pilot.dtype.itemsize <= 2:
        return _CountedPass(blocks, size, pilot.dtype).run(cancelled, advance).measured()
    values = pilot.to(torch.float64).numpy()
    grid = Grid.from_pilot(values)
    done = _SummedPass(blocks, size, pilot.dtype, grid).run(cancelled, advance)
    better = done.better_grid()
    if better is None:
        return done.measured()
    # The sample misled: a freak of a tensor, which is worth a second pass.
    again = _SummedPass(blocks, size, pilot.dtype, better).run(cancelled, lambda _: None)
    found = again.measured()
    # With an outlier beyond float32, the first grid still suits all others.
    return replace(found, sketch=done.sketch()) if done.reach * done.grid.scale > 1e38 else found


class _Pass:
    """What both kinds of pass gather: extremes and where they are, norms, non-finite weights, the thumbnail."""

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
        self._scratch: dict[tuple[str, torch.Size], torch.Tensor] = {}

    def run(self, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Self:
        # Sums beyond float64 are found and mended afterwards.
        with np.errstate(over="ignore", invalid="ignore"):
            for block, top, left in self.blocks:
                if cancelled():
                    raise Cancelled
                self.add(block, top, left)
                advance(block.numel())
        return self

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        raise NotImplementedError

    def scratch(self, name: str, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        """A buffer that lives from block to block."""
        buffer = self._scratch.get((name, shape))
        if buffer is None:
            count = math.prod(shape)
            whole = self._buffers.get(name)
            if whole is None or whole.numel() < count:
                whole = self._buffers[name] = torch.empty(count, dtype=dtype, device=self.blocks.device)
            buffer = self._scratch[name, shape] = whole[:count].view(shape)
        return buffer

    def extremes(
        self, source: torch.Tensor, plain: torch.Tensor, top: int, left: int
    ) -> tuple[float, float]:
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
        if len(cuts) > 2 and plain.device.type == "cpu":
            array = _array(plain)
            starts = [start for start, _ in cuts]
            low, high = np.minimum.reduceat(array, starts, 0), np.maximum.reduceat(array, starts, 0)
        else:
            parts = [plain[start:end] for start, end in cuts] if len(cuts) > 1 else [plain]
            low = _stack([_array(_over_rows(part, torch.amin)) for part in parts])
            high = _stack([_array(_over_rows(part, torch.amax)) for part in parts])
        self.pool.add(low, high, top, left)
        smallest, largest = float(low.min()), float(high.max())
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
        """Whether a block shares rows with known ones: of equal elements the later block may hold the first."""
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
        rows = _array(squares.sum(1))
        height, width = squares.shape
        self.row_squares[top : top + height] += rows
        self.column_squares[left : left + width] += _array(squares.sum(0))
        return float(rows.sum())

    def measured(self) -> Measured:
        raise NotImplementedError

    def _measured(self, zeros: int, moments: Moments, sketch: Sketch) -> Measured:
        found = self.low <= self.high
        if found and self.low == self.high:
            moments = Moments.of_value(self.low, moments.n)
        rows = columns = None
        if self.norms:
            rows, columns = (
                compact(np.sqrt(squares) / self.norm_scale)
                for squares in (self.row_squares, self.column_squares)
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


class _CountedPass(_Pass):
    """For types of 16 bits and fewer: counts of the bit patterns, from which all but the norms follow exactly."""

    def __init__(self, blocks: Blocks, size: int, dtype: torch.dtype) -> None:
        super().__init__(blocks, size, dtype)
        patterns = 65536 if dtype.itemsize == 2 else 256
        self.table = _zeros(patterns, blocks)
        self._one = torch.ones(1, dtype=self.table.dtype, device=blocks.device)
        self._pattern = torch.uint16 if dtype.itemsize == 2 else torch.uint8

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        codes = self.scratch("codes", block.shape, torch.int32).copy_(block.view(self._pattern))
        _count_codes(self.table, codes, self._one)
        d = None
        if self.dtype in _BARE:
            plain = block
        else:
            plain = self.scratch("plain", block.shape, torch.float32).copy_(block)
        if self.norms:
            d = self.scratch("d", block.shape, torch.float64).copy_(plain)
        smallest, largest = self.extremes(block, plain, top, left)
        if not (math.isfinite(smallest) and math.isfinite(largest)):
            finite = self.finite_only(plain)
            self.remember_finite(block, plain, finite, top, left)
            if d is not None:
                d.masked_fill_(~finite, 0.0)
        if d is not None:
            self.add_squares(d.square_(), top, left)

    def measured(self) -> Measured:
        values, order = pattern_values(self.dtype)
        counts = self.table.cpu().numpy()[order].astype(np.int64)
        zeros = int(counts[values == 0].sum())
        present = np.flatnonzero(counts)
        values, counts = values[present], counts[present]
        double = np.flatnonzero(values[1:] == values[:-1])  # zeros of both signs
        if len(double):
            counts[double] += counts[double + 1]
            values, counts = np.delete(values, double + 1), np.delete(counts, double + 1)
        moments = Moments.from_values(values, counts)
        return self._measured(
            zeros, moments, Sketch.of_values(values.astype(np.float32), counts, narrow=True)
        )


class _SummedPass(_Pass):
    """For wider types: power sums in float64 around a shift, and counts of the upper 16 bits."""

    def __init__(self, blocks: Blocks, size: int, dtype: torch.dtype, grid: Grid) -> None:
        super().__init__(blocks, size, dtype)
        self.grid = grid
        self.norm_scale = grid.scale
        self.table = _zeros(65536, blocks)
        self._one = torch.ones(1, dtype=self.table.dtype, device=blocks.device)
        self.sums = np.zeros(4)
        self.l1 = 0.0
        self.zeros = 0
        self._at_shift = self.table[::0x8000]
        self._seen_at_shift = 0
        self._direct = dtype == torch.float32 and grid == Grid()

    def add(self, block: torch.Tensor, top: int, left: int) -> None:
        shape = block.shape
        d = self.scratch("d", shape, torch.float64).copy_(block)
        plain = block if self.dtype in _BARE else d
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
            # Sixteen magnitudes lose nothing that counts in float32, and cost half.
            part = torch.abs(block, out=self.scratch("magnitude", block.shape, torch.float32))
            self.l1 += _pairwise_sum(part)
        else:
            self.l1 += float(torch.abs(d, out=self.scratch("squares", d.shape, torch.float64)).sum())

    def _count(self, values: torch.Tensor) -> bool:
        """Count a block's upper 16 bits; tell whether any weight fell on the shift."""
        if not self._direct:
            values = self.scratch("single", values.shape, torch.float32).copy_(values)
        codes = self.scratch("codes", values.shape, torch.int32)
        torch.bitwise_right_shift(values.view(torch.int32), 16, out=codes)
        codes.bitwise_and_(0xFFFF)
        _count_codes(self.table, codes, self._one)
        at_shift = int(self._at_shift.sum())
        new = at_shift != self._seen_at_shift
        self._seen_at_shift = at_shift
        return new

    def _add_sums(self, d: torch.Tensor, top: int, left: int) -> None:
        squares = torch.mul(d, d, out=self.scratch("squares", d.shape, torch.float64))
        shift = self.grid.shift * self.grid.scale
        if self.norms and shift != 0.0:
            # Of the weights themselves: sum (d + K)^2 = sum d^2 + 2 K sum d + n K^2.
            height, width = d.shape
            rows = _array(d.sum(1))
            s1 = float(rows.sum())
            self.row_squares[top : top + height] += 2 * shift * rows + width * shift * shift
            columns = 2 * shift * _array(d.sum(0)) + height * shift * shift
            self.column_squares[left : left + width] += columns
        else:
            s1 = float(d.sum())
        s2 = self.add_squares(squares, top, left)
        self.sums += (s1, s2, _dot(squares, d), _dot(squares, squares))
        self.n += d.numel()

    def _add_partly(self, block: torch.Tensor, x: torch.Tensor, top: int, left: int) -> None:
        """Take in a block that is not all finite: slower, and only what is finite enters. `x` is it in float64."""
        finite = self.finite_only(x)
        self.remember_finite(block, x, finite, top, left)
        d = x[finite]
        self.l1 += float(d.abs().sum())
        self.zeros += int((d == 0.0).sum())
        self._shift(d)
        self._count(d.float() if self._direct else d)
        self.sums += [float(d.pow(power).sum()) for power in (1, 2, 3, 4)]
        self.n += d.numel()
        if self.norms:
            self.add_squares(x.masked_fill_(~finite, 0.0).mul_(self.grid.scale).square_(), top, left)

    def better_grid(self) -> Grid | None:
        """A grid for another pass, if this one's was no good for the weights that came."""
        if not self.low < self.high:
            return None
        moments = self._moments()
        if not -_ROOM < math.log2(self.reach) + math.log2(self.grid.scale) < 2 * _ROOM:
            return Grid(0.0, scale_for(max(abs(self.low), abs(self.high))))
        if abs(moments.mean - self.grid.shift) <= _FAR * moments.std:
            return None
        shift = moments.mean if abs(moments.mean) > 2 * moments.std else 0.0
        if self.dtype == torch.float32:
            shift = float(np.float32(shift))
        better = Grid(shift, scale_for(moments.std))
        return None if better == self.grid else better

    @property
    def reach(self) -> float:
        """Largest distance of a weight from the shift."""
        return max(abs(self.high - self.grid.shift), abs(self.low - self.grid.shift))

    def _moments(self) -> Moments:
        sums = (float(self.sums[0]), float(self.sums[1]), float(self.sums[2]), float(self.sums[3]))
        return Moments.from_sums(self.n, sums, self.l1, self.grid.shift, self.grid.scale)

    def sketch(self) -> Sketch:
        table = self.table.cpu().numpy()
        return Sketch.of_bins(table, self.grid.shift, self.grid.scale, self.low, self.high)

    def measured(self) -> Measured:
        return self._measured(self.zeros, self._moments(), self.sketch())


@cache
def pattern_values(dtype: torch.dtype) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Give the finite values of all bit patterns of a type, ascending, and the pattern of each."""
    wide = dtype.itemsize == 2
    patterns = torch.from_numpy(np.arange(65536 if wide else 256, dtype=np.uint16 if wide else np.uint8))
    values: Floats = (patterns != 0 if dtype == torch.bool else patterns.view(dtype)).to(torch.float64).numpy()
    finite = np.flatnonzero(np.isfinite(values))
    order = finite[np.argsort(values[finite], kind="stable")]
    return values[order], order


def _zeros(size: int, blocks: Blocks) -> torch.Tensor:
    # Torch fills what is as long as this in threads of its own.
    return torch.from_numpy(np.zeros(size, np.int64)).to(blocks.device)


def _array(values: torch.Tensor) -> Array:
    """A small result as NumPy has it."""
    if values.dtype in (torch.bfloat16, torch.float16):
        values = values.float()
    array: Array = values.cpu().numpy()
    return array


def _stack(rows: list[Array]) -> Array:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)


def _count_codes(table: torch.Tensor, codes: torch.Tensor, one: torch.Tensor) -> None:
    """Add the codes of a block to a table of counts."""
    if codes.numel() > len(table):
        # Half as long again per element as the table is long, but twice as fast per code.
        table += torch.bincount(codes.view(-1), minlength=len(table))
    else:
        table.index_add_(0, codes.view(-1), one.expand(codes.numel()))


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


def _pairwise_sum(part: torch.Tensor) -> float:
    """Sum of a contiguous float32 block: sixteen at a time in float32, the rest in float64."""
    flat = part.view(-1)
    cut = flat.numel() // 16 * 16
    return float(flat[:cut].view(16, -1).sum(0).sum(dtype=torch.float64)) + float(flat[cut:].sum())


def _dot(a: torch.Tensor, b: torch.Tensor) -> float:
    """Sum of the products of two contiguous float64 blocks."""
    a, b = a.view(-1), b.view(-1)
    if a.device.type != "cpu" or torch.get_num_threads() == 1:
        return float(torch.dot(a, b))
    # Torch's starts threads from 4,096 elements on, NumPy's from 10,000.
    x, y = a.numpy(), b.numpy()
    return sum(float(x[k : k + 8192] @ y[k : k + 8192]) for k in range(0, len(x), 8192))
