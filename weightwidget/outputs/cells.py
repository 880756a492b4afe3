"""What a notebook cell made before it was run again: closed when the new run has made its successor."""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ipywidgets import DOMWidget
from ipywidgets.widgets import widget as ipywidgets_widget

log = logging.getLogger(__name__)


class Closable(Protocol):
    """What a cell makes."""

    def close(self) -> None:
        """Let go of everything. May be called again."""


@dataclass(frozen=True)
class Run:
    """One run of one cell."""

    cell: str
    id: str
    began: datetime | None = None

    def follows(self, other: Run) -> bool:
        """Whether it is a later run than the other, of the same cell.

        A task that a run left behind may still make something when the cell has been run again: it is the earlier
        run's, and closes nothing. Front ends that send no time are taken to leave none behind.
        """
        if self.cell != other.cell or self.id == other.id:
            return False
        return self.began is None or other.began is None or self.began > other.began


def current_run() -> Run | None:
    """The run of a notebook's cell that this code belongs to.

    Returns
    -------
    Run or None
        None outside IPython's kernel, in callbacks of widgets and code that no cell holds (a console, a panel), in
        other threads than the one that runs cells, and where the front end does not say which cell it runs: JupyterLab,
        Notebook 7 and VS Code send ``cellId`` with the request, nbclient and nbconvert do not.
    """
    # In another thread the kernel answers with whatever cell ran last, not with the one that started the thread.
    if threading.current_thread() is not threading.main_thread():
        return None
    ipython = sys.modules.get("IPython")  # who has not imported it is not in a notebook
    shell = ipython.get_ipython() if ipython is not None else None
    get_parent: Callable[[], Any] | None = getattr(shell, "get_parent", None)  # a terminal's shell has none
    return run_of(get_parent()) if get_parent is not None else None


def run_of(message: Any) -> Run | None:
    """The run that a kernel's request asks for; None if it asks for something else or names no cell."""
    if not isinstance(message, dict):
        return None
    header, metadata = message.get("header") or {}, message.get("metadata") or {}
    cell, request = metadata.get("cellId"), header.get("msg_id")
    if header.get("msg_type") != "execute_request" or not isinstance(cell, str) or not isinstance(request, str):
        return None
    began = header.get("date")
    return Run(cell, request, began if isinstance(began, datetime) and began.tzinfo is not None else None)


class Made:
    """What the cells of this kernel made. Holds nothing alive."""

    def __init__(self) -> None:
        self._by_cell: dict[str, list[tuple[Run, weakref.ref[Closable]]]] = {}

    def add(self, thing: Closable, run: Run | None) -> None:
        """Remember what a run made, and close what earlier runs of its cell made.

        Parameters
        ----------
        thing
            What was made just now.
        run
            By which run; made by none, it is left alone for good.
        """
        if run is None:
            return
        made = self._by_cell.get(run.cell, [])
        earlier = [ref for other, ref in made if run.follows(other)]
        kept = [(other, ref) for other, ref in made if not run.follows(other) and ref() is not None]
        self._by_cell[run.cell] = [*kept, (run, weakref.ref(thing))]
        for ref in earlier:
            before = ref()
            if before is None:
                continue
            try:
                before.close()
            except Exception:  # whatever a part of the old one raises, the new one is whole
                log.exception("what an earlier run of the cell made could not be closed")


_made = Made()


def replace_earlier(thing: Closable) -> None:
    """Close what earlier runs of the running cell made, now that this run has made its successor.

    What one run makes, however much, is kept; so is what other cells made, and everything outside of cells.
    """
    _made.add(thing, current_run())


def close_layout(widget: DOMWidget) -> None:
    """Close the layout of a widget that was closed, unless another widget has it, too.

    ipywidgets makes one for every widget and closes none: they stay in the saved notebook.
    """
    if not widget.trait_has_value("layout"):  # never finished: asking would make one
        return
    layout = widget.layout
    others = [other for other in list(ipywidgets_widget._instances.values()) if other is not widget]
    if not any(other.has_trait("layout") and other.layout is layout for other in others):
        layout.close()
