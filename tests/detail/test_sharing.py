"""Work shared by threads, and arrays that share memory."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from weightwidget.detail.room import Room
from weightwidget.detail.sharing import shared


def test_results_come_in_the_order_of_the_items_whoever_made_them() -> None:
    """Each of three threads waits until all three are at work."""
    together, seen = threading.Barrier(3), set()

    def work(item: int) -> int:
        if item < 3:
            together.wait(30)
        seen.add(threading.get_ident())
        return item * item

    assert shared(work, range(11), 3) == [item * item for item in range(11)]
    assert len(seen) == 3
    assert threading.get_ident() in seen


def test_one_thread_is_the_calling_one() -> None:
    assert set(shared(lambda _: threading.get_ident(), range(5), 1)) == {threading.get_ident()}
    assert shared(lambda _: 0, [], 4) == []


@pytest.mark.parametrize("fails", ["the calling thread", "another thread"])
def test_an_error_ends_the_work_of_all(fails: str) -> None:
    """What is at work ends as it would; no more is begun by a thread that can know."""
    before, together, done = threading.active_count(), threading.Barrier(2), []

    def work(item: int) -> None:
        calling = threading.current_thread() is threading.main_thread()
        if item < 2:
            together.wait(30)
            if calling == (fails == "the calling thread"):
                raise KeyError("no such thing")
        while calling and threading.active_count() > before:
            pass  # until the other one has failed
        done.append(item)

    with pytest.raises(KeyError, match="no such thing"):
        shared(work, range(1000), 2)
    assert threading.active_count() == before
    if fails == "another thread":
        assert len(done) == 1


def test_arrays_share_the_room_as_long_as_there_is_some() -> None:
    room = Room(1000)
    first, second = room.empty((5, 7), np.float32), room.empty((3, 11), np.float64)
    assert first.base is not None
    assert second.base is not None
    assert (first.shape, first.dtype, second.shape, second.dtype) == ((5, 7), np.float32, (3, 11), np.float64)
    first[:], second[:] = 1, 2
    assert first.sum() == 35
    assert second.sum() == 66
    assert not np.shares_memory(first, second)
    large = room.empty((1 << 10, 1 << 10), np.float64)
    large[:] = 3
    assert first.sum() == 35
    assert large.shape == (1 << 10, 1 << 10)
    assert Room(0).empty((2, 3), np.float32).shape == (2, 3)
