"""Keeps torch from starting threads for the work of one thread, without touching what the user has set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()


@contextmanager
def one_thread(restore: bool = True) -> Iterator[None]:
    """Let torch use the calling thread only, for the calls that it makes.

    Several threads that each start threads of torch's slow each other down many times over. The number of
    threads is a setting of each thread, but `torch.set_num_threads` also makes it the default of threads to
    come; that is put back at once, from a thread that lives for nothing else.

    Parameters
    ----------
    restore
        Whether the calling thread lives on and wants its own number back.
    """
    with _lock:  # a fresh thread that asks while another is in here would be told 1
        before = torch.get_num_threads()
        if before > 1:
            torch.set_num_threads(1)
            helper = threading.Thread(target=torch.set_num_threads, args=(before,), daemon=True)
            helper.start()
            helper.join()
    try:
        yield
    finally:
        if restore and before > 1:
            torch.set_num_threads(before)
