"""One pass over a window of a matrix, for all that is drawn of it: compiled where that is there, else by NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.boxes import GRAIN, copy
from weightwidget.detail.matrix import Matrix
from weightwidget.detail.pixels import Count, Extremes, Moments
from weightwidget.summary.compiling import compiled

KERNELS = "weightwidget.detail.compiled_tiles"

Memory = tuple[npt.NDArray[Any], int, int, int]
"""Flat memory, elements from one row to the next, height, width."""

BLOCK = 1 << 17
"""Elements that NumPy works on at a time: half a megabyte, which stays in a core's second cache."""

Window = tuple[int, int, int, int]
IsCancelled = Callable[[], bool] | None


def kernels() -> ModuleType | None:
    """The compiled kernels, once they are ready."""
    return compiled(KERNELS)


def reduce(
    matrix: Matrix,
    window: Window,
    levels: tuple[int, int],
    parts: list[Extremes | Moments | Count],
    cancelled: IsCancelled = None,
) -> None:
    """Hand all elements of a window to the parts.

    Parameters
    ----------
    matrix
        The matrix; fastest where its rows run along memory.
    window
        row0, row1, col0, col1; ends exclusive.
    levels
        A pixel covers 2**level elements on each axis.
    parts
        What takes the elements; all of that window and those levels.
    cancelled
        Asked between bands.

    Raises
    ------
    Cancelled
        When `cancelled` says so.
    """
    compiled_kernels = kernels() if levels != (0, 0) and matrix.dtype == torch.float32 else None
    unit = 1 << levels[0], 1 << levels[1]
    if compiled_kernels is None:
        for part in parts:
            part.start()
        for row, col, band in matrix.bands(window, unit, cancelled):
            _add(row, col, band, levels, parts)
        return
    measured = Measured([part for part in parts if not isinstance(part, Count)])
    counts = [part for part in parts if isinstance(part, Count)]
    for count in counts:
        count.start()
    finite = True
    for row, col, stored in matrix.bands(window, unit, cancelled, stored=True):
        memory = flat_memory(stored)
        rest: list[Extremes | Moments | Count] = []
        if measured.parts and not measured.reduce(compiled_kernels, row, col, stored.shape, memory):
            finite = False
            rest += measured.parts
        if memory is None:
            rest += counts
        else:
            for count in counts:
                found = np.empty(count.shape_of(stored.shape), np.float32)
                compiled_kernels.count(*memory, *levels, *count.limits, found)
                count.merge(row, col, found)
        if rest:
            _add(row, col, stored, levels, rest)
    for part in parts:
        if isinstance(part, Extremes):
            part.finite = finite


def flat_memory(band: torch.Tensor) -> Memory | None:
    """A band as the compiled kernels take it; None if its rows do not lie in the CPU's memory as they read them."""
    if band.device.type != "cpu" or not (band.stride(1) == 1 or band.shape[1] == 1):
        return None
    height, width = band.shape
    flat = band.as_strided(((height - 1) * band.stride(0) + width,), (1,))
    if band.dtype == torch.bfloat16:
        return flat.view(torch.int16).numpy().view(np.uint16), band.stride(0), height, width
    return flat.numpy(), band.stride(0), height, width


def grains(
    row: int, col: int, band: torch.Tensor, levels: tuple[int, int], size: int = GRAIN
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Cut a band that starts at this row and column into blocks of at most `size` elements.

    A block begins at the edge of a pixel, or lies within one.
    """
    unit = 1 << levels[0], 1 << levels[1]
    width = min(band.shape[1], max(min(unit[1], size), size >> 2))
    height = max(1, size // width)
    height = height // unit[0] * unit[0] if height >= unit[0] else 1 << (height.bit_length() - 1)
    for top in range(0, band.shape[0], height):
        for left in range(0, band.shape[1], width):
            yield row + top, col + left, band[top : top + height, left : left + width]


def _add(
    row: int, col: int, band: torch.Tensor, levels: tuple[int, int], parts: list[Extremes | Moments | Count]
) -> None:
    for top, left, block in grains(row, col, band, levels, BLOCK):
        if block.dtype == torch.bfloat16 or block.device.type != "cpu":
            copied = torch.empty(block.shape)
            copy(copied, block)
            block = copied
        array = block.numpy()
        for part in parts:
            part.add(top, left, array)


class Measured:
    """The parts to which the compiled kernel reduces, all in one reading.

    Parameters
    ----------
    parts
        Of one window and its levels. What none of them asks for goes elsewhere.
    """

    def __init__(self, parts: list[Extremes | Moments]) -> None:
        self.parts = parts
        if not parts:
            return
        self._started = False
        extremes = next((part for part in parts if isinstance(part, Extremes)), None)
        moments = next((part for part in parts if isinstance(part, Moments)), None)
        self._shift = 0.0 if moments is None else moments.shift
        shape = parts[0].height, parts[0].width
        self._planes: list[Any] = [
            np.empty(shape, np.float32) if extremes is None else extremes.low,
            np.empty(shape, np.float32) if extremes is None else extremes.high,
            np.empty(shape) if moments is None else moments.total,
            None if moments is None else moments.square,
        ]

    def reduce(
        self, compiled_kernels: ModuleType, row: int, col: int, shape: Sequence[int], memory: Memory | None
    ) -> bool:
        """Reduce a band of this shape that starts at this row and column of the window; tell whether that could be.

        It cannot for what the kernel does not read, and for what is not finite: that is left to NumPy, which tells NaN
        and both infinities apart. The pixels of the band are then as they were before it.
        """
        first = self.parts[0]
        levels, pixels = first.levels, first.shape_of(shape)
        torn = any(
            at % (1 << level) or ((at + length) % (1 << level) and at + length < size)
            for at, length, size, level in zip((row, col), shape, first.sizes, levels, strict=True)
        )
        if torn and not self._started:  # if any band tears a pixel, the first one does
            self._started = True
            for part in self.parts:
                part.start()
        start, pitch = (row >> levels[0]) * first.width + (col >> levels[1]), first.width
        planes = self._planes
        if torn:  # other bands have a share in the pixels
            planes = [None if plane is None else np.empty(pixels, plane.dtype) for plane in planes]
            start, pitch = 0, pixels[1]
        finite = False
        if memory is not None:
            flat = [None if plane is None else plane.reshape(-1) for plane in planes]
            total = compiled_kernels.reduce(*memory, *levels, self._shift, *flat, start, pitch)
            finite = bool(np.isfinite(total))
        for part in self.parts:
            if not torn:
                if not finite:
                    part.clear(row, col, pixels)
            elif finite and isinstance(part, Extremes):
                part.merge(row, col, planes[0], planes[1])
            elif finite:
                part.merge(row, col, planes[2], planes[3])
        return finite
