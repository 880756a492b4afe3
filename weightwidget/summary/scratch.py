"""Buffers of the threads that measure by torch's own operations: fresh memory would cost as much as the work in it."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import torch

Shape = tuple[int, ...]

RUN = 256
"""Terms of a sum in float32."""

_SHAPES = 64
"""Shapes of blocks that are kept ready; those of another model soon are others."""


class SingleBuffers(NamedTuple):
    """Memory for what is computed of a block, by its shape: 8 bytes a weight.

    The same memory is either float32 twice, each in the block's shape and in runs; or int32 (``codes``); or float64
    (``wide``). For sums of runs there is float32 beside it.
    """

    codes: torch.Tensor
    wide: torch.Tensor
    terms: torch.Tensor
    term_runs: torch.Tensor
    squares: torch.Tensor
    square_runs: torch.Tensor
    sums: torch.Tensor


class _Memory(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, torch.Tensor] = {}
        self.views: dict[tuple[str, Shape], torch.Tensor] = {}
        self.blocks: dict[Shape, SingleBuffers] = {}


_memory = _Memory()


def scratch(name: str, shape: Shape, dtype: torch.dtype) -> torch.Tensor:
    """Give the buffer of a name in a shape; what that name had before is lost."""
    view = _memory.views.get((name, shape))
    if view is None:
        count = math.prod(shape)
        buffer = _memory.buffers.get(name)
        if buffer is None or len(buffer) < count:
            _forget_shapes()
            buffer = _memory.buffers[name] = torch.empty(count, dtype=dtype)
        elif len(_memory.views) > _SHAPES:
            _forget_shapes()
        view = _memory.views[name, shape] = buffer[:count].view(shape)
    return view


def single_buffers(shape: Shape) -> SingleBuffers:
    """Give the buffers for a block; what they held before is lost."""
    found = _memory.blocks.get(shape)
    if found is None:
        count, runs = math.prod(shape), -(-math.prod(shape) // RUN)
        memory = scratch("work", (2 * runs * RUN,), torch.float32)
        first, second = memory.view(2, runs, RUN)
        if len(_memory.blocks) > _SHAPES:
            _memory.blocks.clear()
        found = SingleBuffers(
            codes=memory.view(torch.int32)[:count].view(shape),
            wide=memory.view(torch.float64)[:count].view(shape),
            terms=first.view(-1)[:count].view(shape),
            term_runs=first,
            squares=second.view(-1)[:count].view(shape),
            square_runs=second,
            sums=torch.empty(4, runs),
        )
        _memory.blocks[shape] = found
    return found


def _forget_shapes() -> None:
    _memory.views.clear()
    _memory.blocks.clear()


def release() -> None:
    """Free this thread's buffers, which otherwise stay as long as it lives.

    A thread that Python does not wait for at its end must do so while it is waited for: torch lets go of Python's lock
    when it frees a tensor, and a thread that wants it back while Python shuts down brings the process down.
    """
    _forget_shapes()
    _memory.buffers.clear()
