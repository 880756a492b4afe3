"""The pass by compiled kernels: everything that is gathered of a block in one go."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import torch_dtype
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.compiling import Kernel, Kernels, allowed
from weightwidget.summary.parts import Grid, Part, Plan, cells_of, finite_codes, pattern_values

KERNELS = Kernels("weightwidget.summary.compiled")

FUSED_BLOCK = 1 << 22
"""Elements that a kernel takes at once: a few milliseconds, after which somebody may cancel."""

PLAIN = ("float32", "bfloat16")
"""Kernels that neither shift nor scale nor translate. Of these there are more: for batches, and for mere statistics."""

_COPIED_BLOCK = 1 << 16
"""The same where a block must be copied or converted before, which is to stay in the cache."""

ENDS = ("counts", "norms", "picture")
"""Kernels that every tensor needs beside that for its blocks."""

SCRATCH = 1 << 15
"""Float64 numbers of a thread that a kernel writes to in between; more than `compiled_add.SCRATCH`: tests look."""


class _Scratch(threading.local):
    """What a thread's kernels write to, made once. The tables are all zero between two passes."""

    def __init__(self) -> None:
        self.tables = np.zeros((2, 65536), np.uint32)
        self.codes = np.empty(65536, np.uint16)
        self.counts = np.empty(65536, np.int64)
        self.rest = np.empty(SCRATCH)


_scratch = _Scratch()


def kernel_name(plan: Plan) -> str:
    """Name of the kernel for a tensor."""
    if plan.dtype == "float32":
        return "float32" if plan.grid == Grid() else "moved float32"
    if not plan.counted:
        return "float64"
    if plan.dtype == "bfloat16":
        return "bfloat16"
    return "16 bits" if torch_dtype(plan.dtype).itemsize == 2 else "8 bits"


def want_types(dtypes: Iterable[str], bare: bool = False) -> None:
    """Have the kernels for tensors of some types compiled in the background.

    Parameters
    ----------
    dtypes
        The types.
    bare
        Whether neither norms nor thumbnails are wanted.
    """
    types = dict.fromkeys(dtypes)
    names = [kernel_name(Plan((), dtype, 0)) for dtype in types if is_known(dtype)]
    usual = [f"usual {name}" for name in names if name in ("float32", "float64")]
    plain = [name for name in names if name in PLAIN]
    alone = ["infinite", *(f"bare {name}" for name in plain)] if bare else []
    KERNELS.want([*ENDS, *usual, *names, *alone, *(f"batch {name}" for name in plain)])


def is_known(dtype: str) -> bool:
    """Whether this version of torch has a type, and there is a kernel for it."""
    kind = getattr(torch, dtype, None)
    return isinstance(kind, torch.dtype) and not kind.is_complex and "int4" not in dtype


def is_ready(plan: Plan) -> bool:
    """Whether the kernel for a tensor can be called. Where kernels are in use, one that is missing is ordered."""
    name = kernel_name(plan)
    if KERNELS.get(name) is not None and all(KERNELS.get(end) is not None for end in ENDS):
        return allowed()
    if KERNELS.in_use:
        KERNELS.want([name])
    return False


def is_usual(matrix: torch.Tensor, down: int, right: int, least: float, most: float) -> bool:
    """Whether a tensor in memory surely needs neither shift nor scale; see `compiled_ends.is_usual`.

    False where there is no kernel for that.
    """
    kernel = KERNELS.get(f"usual {str(matrix.dtype)[6:]}") if matrix.is_cpu and allowed() else None
    return kernel is not None and bool(kernel(matrix.numpy(), down, right, least, most))


def ends() -> tuple[Kernel, Kernel] | None:
    """The kernels `compiled_ends.take_norms` and `take_picture`; None where they are not ready, or not allowed."""
    norms, picture = KERNELS.get("norms"), KERNELS.get("picture")
    return (norms, picture) if norms is not None and picture is not None and allowed() else None


def batch_kernel(dtype: str) -> Kernel | None:
    """The kernel `compiled_batch.measure_batch` for a type; None where it is not ready, or not allowed."""
    kernel = KERNELS.get(f"batch {dtype}")
    return kernel if kernel is not None and allowed() else None


def _bare_kernels(plan: Plan) -> tuple[Kernel, Kernel] | None:
    """The kernels `compiled_bare.add_bare` and `count_infinite`, where a tensor may do with these."""
    if not plan.bare or kernel_name(plan) not in PLAIN:
        return None
    add, infinite = KERNELS.get(f"bare {plan.dtype}"), KERNELS.get("infinite")
    return (add, infinite) if add is not None and infinite is not None else None


def scratch() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float64]]:
    """Two tables of counts, all zero, and what else kernels write to: of the calling thread."""
    return _scratch.tables, _scratch.rest


def run(blocks: Blocks, plan: Plan, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Part:
    """Measure a box of a tensor on the CPU; see `weightwidget.summary.streaming.measure`.

    `is_ready` must have said yes.
    """
    kernel, take, bare = KERNELS.get(kernel_name(plan)), KERNELS.get("counts"), _bare_kernels(plan)
    assert kernel is not None, "asked for before it was ready"
    assert take is not None, "asked for before it was ready"
    box, columns = blocks.box, blocks.columns
    cell_rows, cell_columns = cells_of(plan)
    cells = len(cell_rows) - 1, len(cell_columns) - 1
    lows, highs = np.full(cells, np.inf), np.full(cells, -np.inf)
    rows2, columns2 = np.zeros(box.height), np.zeros(box.width if plan.norms else 0)
    totals = np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.inf, -np.inf])
    counts = np.array([0, 0, 0, 0, -1, -1, 0])
    tables = _scratch.tables
    given: tuple[Any, ...] = ()
    moved: tuple[Any, ...] = (plan.grid.shift, plan.grid.scale)
    if kernel_name(plan) in PLAIN:
        moved = (None, None)
    elif plan.counted:
        given, moved = (_meaning(plan.dtype),), ()
    try:
        for block, top, left in blocks:
            if cancelled():
                raise Cancelled
            if bare is not None and block.is_contiguous():
                bare[0](_as_array(block, plan).reshape(-1), top * columns + left, tables, totals, counts)
            else:
                height, width = block.shape
                rows, cols = rows2[top - box.top :][:height], columns2[left - box.left :][:width]
                kernel(
                    *(_as_array(block, plan), *given, top, left, columns, *moved, tables, rows, cols),
                    *(cell_rows, cell_columns, lows, highs, totals, counts, _scratch.rest),
                )
            advance(block.numel())
    except BaseException:
        tables[:] = 0
        raise
    found = take(tables, finite_codes(plan.dtype), _scratch.codes, _scratch.counts)
    if bare is not None and plan.counted:
        bare[1](tables, counts)
    elif counts[1] or counts[2] or counts[3]:
        tables[:] = 0  # what is not finite has codes that nobody asks for
    zeros, nan, posinf, neginf, argmin, argmax, finite = (int(n) for n in counts)
    s1, s2, s3, s4, l1, low, high = (float(total) for total in totals)
    return Part(
        box=box,
        finite=int(_scratch.counts[:found].sum()) if plan.counted else finite,
        nan=nan,
        posinf=posinf,
        neginf=neginf,
        zeros=zeros,
        low=low,
        high=high,
        argmin=argmin,
        argmax=argmax,
        sums=(s1, s2, s3, s4),
        l1=l1,
        codes=_scratch.codes[:found].copy(),
        counts=_scratch.counts[:found].copy(),
        row_squares=rows2 if plan.norms else np.zeros(0),
        column_squares=columns2,
        lows=lows,
        highs=highs,
    )


def block_size(whole: torch.Tensor | None, plan: Plan) -> int:
    """Elements of the blocks to be given to `run`."""
    stored = plan.counted or plan.dtype in ("float32", "float64")
    copies = whole is not None and not (whole.ndim == 0 or whole.stride(-1) == 1)
    return FUSED_BLOCK if stored and not copies else _COPIED_BLOCK


def _as_array(block: torch.Tensor, plan: Plan) -> npt.NDArray[Any]:
    if plan.counted:
        return np.asarray(_contiguous(block).view(torch.uint16 if block.itemsize == 2 else torch.uint8).numpy())
    return np.asarray(_contiguous(block if block.dtype == torch.float32 else block.to(torch.float64)).numpy())


def _contiguous(block: torch.Tensor) -> torch.Tensor:
    """The block itself if its rows have no gaps."""
    return block if block.stride(1) == 1 or math.prod(block.shape) == 1 else block.contiguous()


@cache
def _meaning(dtype: str) -> npt.NDArray[np.float32]:
    return pattern_values(dtype).astype(np.float32)
