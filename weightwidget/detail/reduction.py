"""One pass over a window of a matrix, for all that is drawn of it: compiled where that is there, else by NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        for row, col, band in matrix.bands(window, unit, cancelled):
            _add(row, col, band, levels, parts)
        return
    for row, col, stored in matrix.bands(window, unit, cancelled, stored=True):
        rest = parts
        memory = flat_memory(stored)
        if memory is not None:
            rest = _add_compiled(compiled_kernels, row, col, memory, levels, parts)
        if rest:
            _add(row, col, stored, levels, rest)


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


def _add_compiled(
    compiled_kernels: ModuleType,
    row: int,
    col: int,
    memory: Memory,
    levels: tuple[int, int],
    parts: list[Extremes | Moments | Count],
) -> list[Extremes | Moments | Count]:
    """Reduce a band, and give back the parts for which the kernels could not do it."""
    shape = -(-memory[2] >> levels[0]), -(-memory[3] >> levels[1])
    rest: list[Extremes | Moments | Count] = []
    measured: list[Extremes | Moments] = [part for part in parts if not isinstance(part, Count)]
    if measured:
        shift = next((part.shift for part in measured if isinstance(part, Moments)), 0.0)
        low, high = np.empty(shape, np.float32), np.empty(shape, np.float32)
        total, square = np.empty(shape), np.empty(shape)
        # What is not finite is left to NumPy: that tells NaN and both infinities apart.
        if not np.isfinite(compiled_kernels.reduce(*memory, *levels, shift, low, high, total, square)):
            rest += measured
            measured = []
        for part in measured:
            if isinstance(part, Extremes):
                part.merge(row, col, low, high)
            else:
                part.merge(row, col, total, square)
    for count in (part for part in parts if isinstance(part, Count)):
        counts = np.empty(shape)
        compiled_kernels.count(*memory, *levels, *count.limits, counts)
        count.merge(row, col, counts)
    return rest
