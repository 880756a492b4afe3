"""The least that any summary with a histogram must do: count the bin of every weight, in memory, and nothing else.

A core stores one count a cycle. So this is what ratios to a sum can come down to where memory is faster than that. By
torch's own operations it takes a copy, for only wider integers are counted fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit

Codes = npt.NDArray[np.uint16]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def count(codes: Any, tables: Any) -> None:
    """Count codes, neighbours in different tables: uint16 (n,) into uint32 (2, 65536)."""
    first, second = tables[0], tables[1]
    pairs = len(codes) // 2
    for pair in range(pairs):
        first[codes[2 * pair]] += np.uint32(1)
        second[codes[2 * pair + 1]] += np.uint32(1)
    if len(codes) % 2:
        first[codes[-1]] += np.uint32(1)


def count_by_torch(codes: Codes) -> None:
    """Count codes by ``torch.bincount``, a few megabytes at a time."""
    wide = torch.empty(1 << 20, dtype=torch.int32)
    total = np.zeros(65536, np.int64)
    with torch.inference_mode():
        for part in torch.from_numpy(codes).split(len(wide)):
            total += torch.bincount(wide[: len(part)].copy_(part), minlength=65536).numpy()


def codes_of(weights: torch.Tensor) -> Codes:
    """Bins of float32 (the upper halves of its bits), or patterns of bfloat16, in place."""
    halves = weights.reshape(-1).view(torch.uint16).numpy()
    return halves[1::2] if weights.dtype == torch.float32 else halves


def tables() -> npt.NDArray[np.uint32]:
    """Two tables of counts, all zero."""
    return np.zeros((2, 65536), np.uint32)
