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


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_ends_the_work_of_all(failing: int) -> None:
    """Whether it comes in the calling thread or in another one."""
    together, done = threading.Barrier(2), []

    def work(item: int) -> None:
        if item < 2:
            together.wait(30)
            if (threading.current_thread() is threading.main_thread()) == (failing == 0):
                raise KeyError("no such thing")
        done.append(item)

    before = threading.active_count()
    with pytest.raises(KeyError, match="no such thing"):
        shared(work, range(100_000), 2)
    assert threading.active_count() == before
    assert len(done) < 100_000 - 1


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
