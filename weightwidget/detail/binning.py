"""How weights fall into the bins of a histogram, and what one pass over them counts."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weightwidget.detail.blocks import Block


class Tally:
    """What one pass counts: slot 0 is below the range, the last one above it."""

    def __init__(self, bins: int) -> None:
        self.slots = np.zeros(bins + 2, np.int64)
        self.zeros = self.nan = self.posinf = self.neginf = 0

    def add(self, other: Tally) -> None:
        """Take what another pass has counted, of the same bins."""
        self.slots += other.slots
        self.zeros += other.zeros
        self.nan += other.nan
        self.posinf += other.posinf
        self.neginf += other.neginf


class Binning:
    """Finds the slot of each weight: by multiplication, and against the edges where rounding might decide."""

    def __init__(self, bins: int, low: float, high: float, *, magnitude: bool) -> None:
        self.bins, self.low, self.magnitude = bins, low, magnitude
        with np.errstate(over="ignore", invalid="ignore"):
            self.edges = np.linspace(low, high, bins + 1)
        if not math.isfinite(high - low):  # linspace overflows
            t = np.arange(bins + 1) / bins
            self.edges = low * (1 - t) + high * t
        self.per_unit = bins / (high - low) if high - low > bins / 1e300 else math.inf
        self.reach = max(abs(low), abs(high))

    def _doubt(self, kind: type[np.floating]) -> float:
        """Bound how far off, in bins, the quick estimate in that type may be: 8 units in the last place."""
        tame = 1e-30 < self.per_unit < 1e30 and self.reach < 1e30
        if not tame and (kind is np.float32 or not math.isfinite(self.per_unit)):
            return math.inf
        return 8 * float(np.finfo(kind).eps) * (self.bins + self.reach * self.per_unit)

    @property
    def compiles(self) -> bool:
        """Whether the compiled kernels bin this, and faster than NumPy does."""
        return self.sizes[2] <= 3 if self.magnitude else self._doubt(np.float32) <= 0.02

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """The smallest weight of each slot, float32 (bins + 3,): from -Inf below the range to +Inf after all."""
        smallest = self.edges.astype(np.float32)
        up = np.nextafter(smallest, np.float32(np.inf))
        short = smallest < self.edges
        short[-1] = smallest[-1] <= self.edges[-1]  # the last bin holds its upper edge
        return np.concatenate([[-np.inf], np.where(short, up, smallest), [np.inf]]).astype(np.float32)

    @cached_property
    def sizes(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], int]:
        """The smallest magnitude of each bin and the smallest beyond the last, and where to look for them.

        Float32 (bins + 1,); int32 (32769,): the bin of the smallest magnitude with each upper half of the bits; how
        often the bins between two of these are to be halved.
        """
        smallest = np.append(_smallest(self.edges[:-1]), _smallest(self.edges[-1:], beyond=True))
        upper = (np.arange(0x7F80, dtype=np.uint32) << 16).view(np.float32)
        starts: npt.NDArray[np.int32] = np.full((1 << 15) + 1, self.bins - 1, np.int32)
        starts[: len(upper)] = np.maximum(np.searchsorted(smallest[:-1], upper, side="right") - 1, 0)
        return smallest, starts, int(np.diff(starts).max()).bit_length()

    @property
    def doubt(self) -> float:
        """How far off, in bins, an estimate in float32 may be."""
        return self._doubt(np.float32)

    def slots(self, block: Block) -> npt.NDArray[np.int32]:
        """Slots of finite weights: 0 below, 1 … bins, bins + 1 above."""
        kind = block.dtype.type
        doubt = self._doubt(kind)
        if doubt > 0.02 and kind is np.float32:
            kind = np.float64
            block, doubt = block.astype(kind), self._doubt(kind)
        if doubt > 0.2:
            return self._exact(block).astype(np.int32)
        keys = np.log10(np.abs(block)) if self.magnitude else block
        at = np.subtract(keys, kind(self.low))
        at *= kind(self.per_unit)
        off = np.rint(at)
        off -= at
        np.abs(off, out=off)
        np.clip(at, -1, self.bins, out=at)
        at += 1  # now truncation rounds down everywhere
        slots = at.astype(np.int32)
        doubtful = np.flatnonzero(~(off > doubt))  # NaN, too, where it overflowed
        slots[doubtful] = self._exact(block[doubtful])
        return slots

    def _exact(self, weights: Block) -> npt.NDArray[np.intp]:
        keys = weights.astype(np.float64)
        if self.magnitude:
            keys = np.log10(np.abs(keys))
        slots = np.searchsorted(self.edges, keys, side="right")
        slots[keys == self.edges[-1]] = self.bins  # the last bin holds its upper edge
        return slots


def _smallest(edges: npt.NDArray[np.float64], *, beyond: bool = False) -> npt.NDArray[np.float32]:
    """The smallest positive float32 whose logarithm is at least each edge, or beyond it; +Inf if there is none."""
    # Bits of positive floats are in the order of their values.
    low, high = np.zeros(len(edges), np.int64), np.full(len(edges), 0x7F800000, np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        with np.errstate(divide="ignore"):
            logs = np.log10(middle.astype(np.uint32).view(np.float32).astype(np.float64))
        reached = logs > edges if beyond else logs >= edges
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    return high.astype(np.uint32).view(np.float32)
