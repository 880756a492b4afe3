"""Keeps torch from starting threads for the work of one thread, without touching what the user has set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use the calling thread only, for the calls that it makes.

    Several threads that each start threads of torch's slow each other down many times over. The number of threads is
    a setting of each thread, but `torch.set_num_threads` also makes it the default of threads to come; that is put
    back at once, from a thread that lives for nothing else.
    """
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    with _lock:
        # Asked again: while another thread was in here, a fresh thread would have found its 1.
        torch.set_num_threads(1)
        _set_elsewhere(before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _set_elsewhere(count: int) -> None:
    thread = threading.Thread(target=torch.set_num_threads, args=(count,), daemon=True)
    thread.start()
    thread.join()
