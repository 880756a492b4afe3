"""A tensor as a table of vectors, one for each token, position or whatever else has one. Read in bands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.matrix import Matrix
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

Floats: TypeAlias = npt.NDArray[np.float64]
Ids: TypeAlias = npt.NDArray[np.int64]

BAND = 1 << 20
"""Elements of the table that are read at a time."""


class Table:
    """A tensor as a table of vectors.

    Parameters
    ----------
    ref
        The tensor, of two axes or more.
    axis
        Axis along which the entries lie; all others flattened make the vectors.

    Attributes
    ----------
    count, size
        Number of entries, and of elements of each.

    Raises
    ------
    ValueError
        If the tensor has no such axis, fewer than two axes, or a type that is no number.
    """

    def __init__(self, ref: TensorRef, axis: int = 0) -> None:
        ndim = len(ref.shape)
        if ndim < 2:
            raise ValueError(f"{ref.name!r} of shape {ref.shape} is no table of vectors: it has fewer than two axes")
        if isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < ndim:
            raise ValueError(f"{ref.name!r} has {ndim} axes, numbered from 0: there is no axis {axis!r}")
        self.ref = ref
        self._matrix = Matrix(ref, {"rows": [axis], "cols": [other for other in range(ndim) if other != axis]})
        self.count, self.size = self._matrix.height, self._matrix.width
        self.dtype = self._matrix.dtype

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Vectors start to stop - 1: (stop - start, size), float32 where that holds them exactly. Not to write to."""
        if self.size == 0 or start >= stop:
            return torch.zeros(max(0, stop - start), self.size, dtype=self.dtype)
        return self._matrix.block(start, stop, 0, self.size)

    def take(self, entries: Sequence[int] | Ids) -> torch.Tensor:
        """Vectors of some entries: (len(entries), size), float64.

        Raises
        ------
        IndexError
            If there is no such entry.
        """
        chosen = self.check(entries)
        parts = [self.rows(start, stop) for start, stop in runs(chosen)]
        return torch.cat(parts).double() if parts else torch.zeros(0, self.size, dtype=torch.float64)

    def check(self, entries: Sequence[int] | Ids) -> Ids:
        """Numbers of entries as an array.

        Raises
        ------
        IndexError
            If there is no such entry.
        """
        chosen = np.asarray(entries, dtype=np.int64).reshape(-1)
        wrong = chosen[(chosen < 0) | (chosen >= self.count)]
        if len(wrong):
            raise IndexError(f"{self.ref.name!r} has entries 0 to {self.count - 1}: there is no entry {wrong[0]}")
        return chosen

    def bands(self, cancelled: Callable[[], bool]) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the first entry and the vectors, in float64, of one band after the other."""
        step = max(1, BAND // max(1, self.size))
        for start in range(0, self.count, step):
            if cancelled():
                raise Cancelled
            yield start, self.rows(start, min(start + step, self.count)).double()


def runs(entries: Ids) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, as (first, end)."""
    if not len(entries):
        return
    breaks = np.flatnonzero(np.diff(entries) != 1) + 1
    for run in np.split(entries, breaks):
        yield int(run[0]), int(run[-1]) + 1


def never() -> bool:
    """Nobody cancels."""
    return False


def lengths_of(vectors: torch.Tensor) -> torch.Tensor:
    """L2 norm of each row."""
    found: torch.Tensor = torch.linalg.vector_norm(vectors, dim=1)
    return found


def unit_vectors(vectors: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Vectors scaled to length 1; NaN throughout where that is not possible."""
    lengths = lengths_of(vectors.double())[:, None]
    lengths = torch.where(torch.isfinite(lengths) & (lengths > 0), lengths, torch.nan)
    return (vectors / lengths).to(dtype)
