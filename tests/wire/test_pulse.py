"""Signs of life while a request is worked on."""

from __future__ import annotations

import queue
import threading

import pytest

from weightwidget.wire.pulse import Pulse


def test_a_share_is_told_again_until_the_work_ends():
    told: queue.Queue[float] = queue.Queue()
    with Pulse(told.put, interval=0.001) as pulse:
        assert told.get(timeout=20) == 0
        pulse.report(0.25)
        while told.get(timeout=20) != 0.25:
            pass
        assert told.get(timeout=20) == 0.25
    while not told.empty():
        told.get()
    assert not [thread for thread in threading.enumerate() if thread.name == "weightwidget-pulse"]


def test_it_ends_with_an_error():
    with pytest.raises(ValueError, match="broken"), Pulse(lambda _share: None, interval=60):
        raise ValueError("broken")
    assert not [thread for thread in threading.enumerate() if thread.name == "weightwidget-pulse"]
