"""Follows a scan in a thread: tells how far it is, sends what it found so far, and shows its end."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol, TypeVar

FIRST_LOOK = 0.3
"""Seconds of scanning after which its rate tells how long it will take."""

PROGRESS_INTERVAL = 0.1
"""Seconds between updates of the progress bar."""

PACE_INTERVAL = 0.5
"""Seconds between updates of rate and time left: faster, the numbers could not be read."""

FIRST_OVERVIEW = 0.5
"""Seconds of scanning after which the first statistics are sent."""

PACKING_PAUSE = 4
"""How many times longer than packing an overview the scan then goes on undisturbed."""


class Scanning(Protocol):
    """What is followed: a scan, or what looks like one."""

    @property
    def progress(self) -> float:
        """Share that is done, 0 to 1."""

    @property
    def rate(self) -> float:
        """Bytes a second; 0 before anything is known."""

    @property
    def remaining(self) -> float | None:
        """Seconds left; None while nothing tells."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it has come."""


ScanType = TypeVar("ScanType", bound=Scanning)
ScanOfExplorer = TypeVar("ScanOfExplorer", bound=Scanning, contravariant=True)


class Followed(Protocol[ScanOfExplorer]):
    """Whose scan it is: the explorer."""

    def _tell(self, trait: str, value: object) -> None:
        """Set a trait; raises nothing."""

    def _pack(self) -> None:
        """Send what is known now."""

    def _finish(self, scan: ScanOfExplorer) -> None:
        """Show what the ended scan found."""

    def _fail(self, error: Exception) -> None:
        """Say that the scan, or showing it, failed."""


class Follower(threading.Thread):
    """Follows one scan.

    Parameters
    ----------
    explorer
        Whose scan it is.
    scan
        The scan; may have ended already.
    done
        Set at the end, whatever happens.
    """

    def __init__(self, explorer: Followed[ScanType], scan: ScanType, done: threading.Event) -> None:
        super().__init__(name="weightwidget-follow", daemon=True)
        self._explorer: Followed[Any] | None = explorer
        self._scan, self._done = scan, done
        self._rested_at = 0.0

    @property
    def rests(self) -> bool:
        """Whether what it found was shown so recently that showing more would take too much of everything's time."""
        return self.is_alive() or time.monotonic() < self._rested_at

    def run(self) -> None:
        """Follow the scan to its end."""
        explorer, self._explorer = self._explorer, None  # a thread that is kept keeps no explorer alive
        assert explorer is not None, "a thread runs once"
        try:
            self._follow(explorer)
            begun = time.monotonic()
            explorer._finish(self._scan)
            ended = time.monotonic()
            self._rested_at = ended + PACKING_PAUSE * (ended - begun)
        except Exception as error:  # noqa: BLE001 - whatever it is, the view must say that it ended
            explorer._fail(error)
        finally:
            self._done.set()

    def _follow(self, explorer: Followed[Any]) -> None:
        """Report progress, and send what was found so far ever more rarely."""
        scan, started = self._scan, time.monotonic()
        next_pace, next_overview = FIRST_LOOK, FIRST_OVERVIEW
        while not scan.wait(PROGRESS_INTERVAL):
            explorer._tell("progress", scan.progress)
            begun = time.monotonic()
            if begun - started > next_pace:
                explorer._tell("_pace", pace(scan))
                next_pace = begun - started + PACE_INTERVAL
            if begun - started > next_overview:
                explorer._pack()
                ended = time.monotonic()
                next_overview = ended - started + max(0.6 * (ended - started), PACKING_PAUSE * (ended - begun))


def pace(scan: Scanning) -> dict[str, float | None]:
    """How fast a scan is: bytes a second, and the seconds that are left if that can be told."""
    remaining = scan.remaining
    return {"rate": round(scan.rate), "left": None if remaining is None else round(remaining, 1)}


def wait_if_soon(scan: Scanning, done: threading.Event, patience: float) -> None:
    """Wait for the scan, but no longer than it takes to see that it will outlast the patience."""
    started = time.monotonic()
    while not done.wait(PROGRESS_INTERVAL):
        elapsed = time.monotonic() - started
        if elapsed >= patience or (elapsed >= FIRST_LOOK and elapsed > patience * scan.progress):
            return
