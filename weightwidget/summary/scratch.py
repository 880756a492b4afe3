"""Buffers of the threads that measure by torch's own operations: fresh memory would cost as much as the work in it."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import torch

Shape = tuple[int, ...]

TILE = 1 << 17
"""Elements of a tile: what is computed of it stays near the core, and calls are few."""

RUN = 512
"""Terms of a sum in float32."""

_SHAPES = 64
"""Shapes of tiles that are kept ready; those of another model soon are others."""


class SingleBuffers(NamedTuple):
    """Float32 for what is computed of a tile, in its shape and in runs, and float64 (``wide``)."""

    terms: torch.Tensor
    term_runs: torch.Tensor
    squares: torch.Tensor
    square_runs: torch.Tensor
    moved: torch.Tensor
    wide: torch.Tensor


class _Memory(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, torch.Tensor] = {}
        self.views: dict[tuple[str, Shape], torch.Tensor] = {}
        self.tiles: dict[Shape, SingleBuffers] = {}


_memory = _Memory()


def scratch(name: str, shape: Shape, dtype: torch.dtype) -> torch.Tensor:
    """Give the buffer of a name in a shape; what that name had before is lost."""
    view = _memory.views.get((name, shape))
    if view is None:
        count = math.prod(shape)
        buffer = _memory.buffers.get(name)
        if buffer is None or len(buffer) < count:
            forget_shapes()
            buffer = _memory.buffers[name] = torch.empty(max(count, TILE), dtype=dtype)
        elif len(_memory.views) > 8 * _SHAPES:
            forget_shapes()
        view = _memory.views[name, shape] = buffer[:count].view(shape)
    return view


def single_buffers(shape: Shape) -> SingleBuffers:
    """Give all that `weightwidget.summary.single` needs: asking for one by one takes as long as to fill them."""
    found = _memory.tiles.get(shape)
    if found is None:
        single, runs = torch.float32, (-(-math.prod(shape) // RUN), RUN)
        if len(_memory.tiles) > _SHAPES:
            _memory.tiles.clear()
        found = SingleBuffers(
            terms=scratch("terms", shape, single),
            term_runs=scratch("terms", runs, single),
            squares=scratch("squares", shape, single),
            square_runs=scratch("squares", runs, single),
            moved=scratch("moved", shape, single),
            wide=scratch("wide", shape, torch.float64),
        )
        _memory.tiles[shape] = found
    return found


def forget_shapes() -> None:
    """Drop the views of this thread's buffers, not the buffers."""
    _memory.views.clear()
    _memory.tiles.clear()


def release() -> None:
    """Free this thread's buffers, which otherwise stay as long as it lives.

    A thread that Python does not wait for at its end must do so while it is waited for: torch lets go of Python's lock
    when it frees a tensor, and a thread that wants it back while Python shuts down brings the process down.
    """
    forget_shapes()
    _memory.buffers.clear()
