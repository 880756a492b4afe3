"""A sign of life from requests that take long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

INTERVAL = 2.0
"""Seconds between signs of life; the front end takes a kernel for gone that says nothing for eight."""


class Pulse:
    """Tells how far a request has come: at once when that changes, and again while it does not.

    Some steps, such as a decomposition in LAPACK, tell nothing before they are done.

    Parameters
    ----------
    tell
        Takes the share that is done, 0 to 1; called from the thread that works and from one of the pulse's own.
    interval
        Seconds after which a share is told again.
    """

    def __init__(self, tell: Callable[[float], None], interval: float = INTERVAL) -> None:
        self._tell = tell
        self._interval = interval
        self._share = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="weightwidget-pulse", daemon=True)

    def report(self, share: float) -> None:
        """Tell a new share."""
        self._share = share
        self._tell(share)

    def _beat(self) -> None:
        while not self._ended.wait(self._interval):
            self._tell(self._share)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # After the reply no progress may follow.
        self._thread.join()
