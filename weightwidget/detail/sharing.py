"""Work that a few threads share, for kernels that leave Python's lock to others."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_THREADS = 4
"""So few read memory as fast as it can be read."""


def shared(work: Callable[[T], R], items: Sequence[T], threads: int | None = None) -> list[R]:
    """Results of `work` for all items, in their order.

    Parameters
    ----------
    work
        Called from several threads at once.
    items
        What to call it with.
    threads
        How many, the calling one included; by default as many as there are cores, up to `MAX_THREADS`.

    Raises
    ------
    BaseException
        The first that `work` raises, once all threads have ended; of the remaining items none is begun.
    """
    waiting, errors = deque(enumerate(items)), list[BaseException]()
    found: dict[int, R] = {}

    def take() -> None:
        while not errors:
            try:
                number, item = waiting.popleft()
            except IndexError:  # others were faster
                return
            try:
                found[number] = work(item)
            except BaseException as error:  # noqa: BLE001 - raised below, in the calling thread
                errors.append(error)

    most = min(len(items), threads or min(MAX_THREADS, os.cpu_count() or 1))
    helpers = [threading.Thread(target=take, name="weightwidget-tiles", daemon=True) for _ in range(most - 1)]
    for helper in helpers:
        helper.start()
    take()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return [found[number] for number in range(len(items))]
