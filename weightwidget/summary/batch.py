"""Tensors in memory that are measured together: one call of a compiled kernel, in which Python has no part.

Threads that each call a kernel for every tensor wait for Python's lock, and for each other, longer than they measure.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import TensorRef, dtype_name, torch_dtype
from weightwidget.sources.memory import HeldTensor
from weightwidget.summary import fused
from weightwidget.summary.blocks import pilot_steps
from weightwidget.summary.kernel import record_of
from weightwidget.summary.moments import Moments
from weightwidget.summary.parts import PIECE, Measured, Plan, cells_of, finite_codes, matrix_shape
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import SMALL, Component, Sketch, compact_counts
from weightwidget.summary.summed import grid_suits

Array = npt.NDArray[Any]

COST = 1 << 21
"""Most elements of a batch: half a millisecond, after which somebody may cancel or want something else first."""

START = 1 << 15
"""Elements that take as long as the preparation of one tensor."""

KEYS = 1 << 19
"""Room for bins, patterns and values: what eight large tensors can have at most, and more than a hundred usually do."""


@dataclass(frozen=True)
class _Layout:
    """What a job needs to know of a shape; see `compiled_batch`."""

    rows: int
    columns: int
    down: int
    right: int
    cell_rows: npt.NDArray[np.int64]
    cell_columns: npt.NDArray[np.int64]

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the thumbnail."""
        return len(self.cell_rows) - 1, len(self.cell_columns) - 1


@lru_cache(256)
def _layout_of(shape: tuple[int, ...], thumbnail: int) -> _Layout:
    rows, columns = matrix_shape(shape)
    return _Layout(rows, columns, *pilot_steps(rows, columns), *cells_of(Plan(shape, "float32", thumbnail)))


class _Buffers(threading.local):
    """Memory of a thread, made when it is first needed."""

    def __init__(self) -> None:
        self.keys = np.empty(KEYS, np.uint32)
        self.counts = np.empty(KEYS, np.uint32)


_buffers = _Buffers()


def suits(ref: TensorRef) -> bool:
    """Whether a tensor can be in a batch, as far as its description tells."""
    return (
        ref.device == "cpu"
        and isinstance(ref.reader, HeldTensor)
        and 0 < ref.nbytes <= PIECE
        and fused.batch_kernel(ref.dtype) is not None
    )


class Batch:
    """Some tensors of one type.

    Parameters
    ----------
    dtype
        One of `fused.PLAIN`.
    thumbnail
        Largest side of the pictures.
    norms
        Whether those of rows and columns are wanted.
    cost
        Most elements.
    """

    def __init__(self, dtype: str, thumbnail: int, norms: bool = True, cost: int = COST) -> None:
        self._dtype, self._thumbnail, self._norms = dtype, thumbnail, norms
        self._left, self._keys = cost, KEYS
        self._refs: list[TensorRef] = []
        self._tensors: list[torch.Tensor] = []  # alive as long as their addresses are used
        self._layouts: list[_Layout] = []

    def has_room(self, ref: TensorRef) -> bool:
        """Whether a tensor fits beside the others."""
        return ref.dtype == self._dtype and ref.numel <= self._left and min(ref.numel, 65536) <= self._keys

    def add(self, ref: TensorRef) -> bool:
        """Add a tensor that `suits`; False if its elements do not lie in order.

        Raises
        ------
        Exception
            Whatever its reader raises.
        """
        tensor = ref.read()
        if dtype_name(tensor.dtype) != self._dtype or not tensor.is_contiguous() or tensor.is_neg():
            return False
        self._refs.append(ref)
        self._tensors.append(tensor)
        self._layouts.append(_layout_of(ref.shape, self._thumbnail))
        self._left -= ref.numel + START
        self._keys -= min(ref.numel, 65536)
        return True

    def measure(self) -> None:
        """Measure all tensors. Python is not needed meanwhile."""
        kernel = fused.batch_kernel(self._dtype)
        assert kernel is not None, "asked for before it was ready"
        jobs, cells, size = self._jobs()
        self._out = np.empty(size, np.float32)
        self._totals, self._counts = np.empty((len(jobs), 7)), np.empty((len(jobs), 7), np.int64)
        self._found = np.empty(len(jobs), np.int64)
        area = max(layout.rows + layout.columns + 2 * layout.cells[0] * layout.cells[1] for layout in self._layouts)
        like = np.empty(0, np.float32 if self._dtype == "float32" else np.uint16)
        tables, scratch = fused.scratch()
        try:
            kernel(
                *(like, np.array(jobs, np.int64), cells, self._totals, self._counts, self._found, self._out),
                *(_buffers.keys, _buffers.counts, tables, finite_codes(self._dtype), np.empty(area + 1), scratch),
            )
        except BaseException:
            tables[:] = 0
            raise
        self._tensors.clear()

    def _jobs(self) -> tuple[list[tuple[int, ...]], npt.NDArray[np.int64], int]:
        """Jobs, the starts of all cells, and how many numbers come out."""
        places: dict[int, int] = {}
        starts: list[npt.NDArray[np.int64]] = []
        length = size = 0

        def place(cells: npt.NDArray[np.int64]) -> int:
            nonlocal length
            if id(cells) not in places:
                places[id(cells)] = length
                starts.append(cells)
                length += len(cells)
            return places[id(cells)]

        jobs: list[tuple[int, ...]] = []
        for ref, tensor, layout in zip(self._refs, self._tensors, self._layouts, strict=True):
            height, width = layout.cells
            rows, columns = self._normed(ref, layout)
            norms = size if rows else -1
            jobs.append(
                (
                    *(tensor.data_ptr(), layout.rows, layout.columns, layout.down, layout.right),
                    *(place(layout.cell_rows), place(layout.cell_columns), height, width),
                    *(norms, norms + rows, size + rows + columns),
                )
            )
            size += rows + columns + height * width
        return jobs, np.concatenate(starts), size

    def records(self, kinds: list[str]) -> list[TensorSummary | None]:
        """Records of the tensors, in the order in which they were added; None for one that must be measured alone.

        Parameters
        ----------
        kinds
            Classes of the modules that own them.
        """
        records: list[TensorSummary | None] = []
        at = place = 0
        everything = zip(
            *(self._refs, self._layouts, kinds),
            *(self._totals.tolist(), self._counts.tolist(), self._found.tolist()),
            strict=True,
        )
        for ref, layout, kind, totals, counts, found in everything:
            keys, numbers = _buffers.keys[at : at + max(found, 0)], _buffers.counts[at : at + max(found, 0)]
            rows, columns = self._normed(ref, layout)
            ends = place, place + rows, place + rows + columns
            at, place = at + max(found, 0), ends[2] + layout.cells[0] * layout.cells[1]
            spread = None if found < 0 else self._spread(ref, totals, counts, keys, numbers)
            if spread is None:
                records.append(None)
                continue
            zeros, nan, posinf, neginf, argmin, argmax, finite = counts
            low, high = totals[5:]
            picture = self._out[ends[2] : place].reshape(layout.cells) if self._thumbnail else None
            measured = Measured(
                nan=nan,
                posinf=posinf,
                neginf=neginf,
                zeros=zeros,
                low=low if finite else np.nan,
                high=high if finite else np.nan,
                argmin=argmin if finite else None,
                argmax=argmax if finite else None,
                moments=spread[0],
                sketch=spread[1],
                row_norms=self._out[ends[0] : ends[1]] if rows else None,
                column_norms=self._out[ends[1] : ends[2]] if rows else None,
                thumbnail=picture,
            )
            records.append(record_of(ref, kind, measured))
        return records

    def _normed(self, ref: TensorRef, layout: _Layout) -> tuple[int, int]:
        """How many norms of rows and of columns a tensor has."""
        return (layout.rows, layout.columns) if self._norms and len(ref.shape) > 1 else (0, 0)

    def _spread(
        self, ref: TensorRef, totals: list[float], counts: list[int], keys: Array, numbers: Array
    ) -> tuple[Moments, Sketch] | None:
        """Moments and sketch; None if sums and bins around zero were no good for the weights that came."""
        *sums, l1, low, high = totals
        n = counts[6]
        if n == 0:
            return Moments(), Sketch()
        narrow = torch_dtype(self._dtype).itemsize == 2
        if narrow or ref.numel <= SMALL:
            moments = Moments(n, *totals[:5])
            values = (keys << 16 if narrow else keys.copy()).view(np.float32)
            part = Component(True, 0.0, 1.0, narrow, values, compact_counts(numbers))
        else:
            moments = Moments.from_sums(n, (sums[0], sums[1], sums[2], sums[3]), l1, 0.0, 1.0)
            if low < high and not grid_suits(moments, low, high):
                return None
            part = Component(False, 0.0, 1.0, False, keys.astype(np.uint16), compact_counts(numbers))
        if low == high:
            moments = Moments.of_value(low, n)
        return moments, Sketch((part,), low + 0.0, high + 0.0)
