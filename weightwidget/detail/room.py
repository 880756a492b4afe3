"""Memory for many arrays at once: asked from the system in small parts, it costs as much as the work on it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

HUGE = 1 << 21
"""Bytes of a large page of memory, where the system has such. NumPy asks for them for arrays of some megabytes."""


class Room:
    """Arrays that lie one behind the other; safe to use from several threads.

    The memory is given back when the last of them goes.

    Parameters
    ----------
    size
        Bytes. Nothing is taken for 0.
    """

    def __init__(self, size: int) -> None:
        self._bytes = np.empty(size + HUGE if size else 0, np.uint8)
        self._used = -self._bytes.ctypes.data % HUGE
        self._lock = threading.Lock()

    def empty(self, shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Make an array, as `numpy.empty` does; elsewhere if there is no room left."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        with self._lock:
            start = self._used
            if start + size > len(self._bytes):
                return np.empty(shape, dtype)
            self._used += -(-size // 64) * 64
        return self._bytes[start : start + size].view(dtype).reshape(shape)
