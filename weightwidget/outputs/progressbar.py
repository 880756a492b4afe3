"""A progress bar of one line, on terminals only."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

PAUSE = 0.1
"""Seconds between updates."""


class ProgressBar:
    """Shows a share that is done, and about how long the rest takes.

    Parameters
    ----------
    label
        What is going on.
    stream
        Where to write; nothing is written unless it is a terminal.
    hidden
        Write nothing anyway.
    """

    def __init__(self, label: str, stream: TextIO, hidden: bool = False) -> None:
        self._label, self._stream = label, stream
        self._shown = stream.isatty() and not hidden
        self._started = self._last = time.monotonic()
        self._drawn = False

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()

    def show(self, share: float) -> None:
        """Say that this share is done, 0 to 1."""
        now = time.monotonic()
        if not self._shown or now - self._last < PAUSE:
            return
        self._last, self._drawn = now, True
        self._stream.write("\r\x1b[2K" + bar(self._label, share, now - self._started, _columns()))
        self._stream.flush()


def bar(label: str, share: float, elapsed: float, columns: int) -> str:
    """The line for a share that took some seconds, in so many columns."""
    share = min(1.0, max(0.0, share))
    rest = f" {share:4.0%}"
    if share > 0:
        rest += f"  {share / max(elapsed, 1e-6):.1%}/s  {_duration(elapsed / share - elapsed)} left"
    room = min(40, columns - len(label) - len(rest) - 4)
    full = round(share * room)
    drawn = f" [{'#' * full}{' ' * (room - full)}]" if room >= 5 else ""
    return f"{label}{drawn}{rest}"[: max(0, columns - 1)]


def _columns() -> int:
    return shutil.get_terminal_size((80, 24)).columns


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
