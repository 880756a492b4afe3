"""How far a long piece of work has come, told in the output of the cell that waits for it."""

from __future__ import annotations

import sys
import time
from typing import Any

from weightwidget.outputs.names import visible

QUIET = 0.7
"""Seconds of work before anything is said."""

INTERVAL = 0.2
"""Seconds between updates."""


class NotebookProgress:
    """Takes the share that is done and shows it; says nothing of what is done at once, or outside of IPython.

    Parameters
    ----------
    what
        What is being done: ``"saving model.html"``.
    """

    def __init__(self, what: str) -> None:
        self._what = visible(what)
        self._started = self._told = time.monotonic()
        self._line: Any = None

    def __call__(self, share: float, /) -> None:
        """Show a share, 0 to 1."""
        now = time.monotonic()
        if now - self._started < QUIET or now - self._told < INTERVAL or "IPython" not in sys.modules:
            return
        self._told = now
        left = (now - self._started) * (1 - share) / max(share, 1e-3)
        self._show(f"{self._what}: {share:.0%}, {left:.0f} s left; interrupt the kernel to stop")

    def done(self, text: str) -> None:
        """Replace the line, if there is one."""
        if self._line is not None:
            self._show(text)

    def _show(self, text: str) -> None:
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is None:
            return
        line = {"text/plain": text}
        if self._line is None:
            self._line = display(line, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._line.update(line, raw=True)
