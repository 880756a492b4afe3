"""What JupyterLab's left panel does in a kernel: explorers of the variables that are clicked there.

The panel's views have numbers. An explorer that the panel made lives as long as one of its views does, or a variable
of the user's holds it; those that the user made are only shown.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weightwidget.explorer import WeightExplorer
from weightwidget.sources.base import WeightSource

PATIENCE = 0.3
"""Seconds that opening waits for the scan: the kernel should be free again at once."""


@dataclass
class Opened:
    """An explorer that the panel shows.

    Attributes
    ----------
    target
        What it was opened for.
    explorer
        Shows it.
    versions
        State of the target's tensors when they were read.
    views
        Where it is shown.
    """

    target: Any
    explorer: WeightExplorer
    versions: list[tuple[int, int]]
    views: set[str] = field(default_factory=set)

    def refresh(self) -> None:
        """Read the weights again."""
        self.explorer.refresh()
        self.versions = _versions(self.explorer)


_opened: list[Opened] = []


def show(name: str, view: str) -> None:
    """Display a variable of the user's in a view of the panel.

    Parameters
    ----------
    name
        Of the variable. Its explorer is taken if it is one or has one already.
    view
        Number of the view.

    Raises
    ------
    NameError
        If there is no such variable any more.
    TypeError, ValueError
        As `WeightExplorer`: if there are no weights in it.
    """
    namespace = _namespace()
    if name not in namespace:
        raise NameError(f"there is no variable {name!r} any more: run the cell that makes it again")
    _show(namespace[name], name, view)


def show_file(name: str, view: str) -> None:
    """Display a file in the kernel's folder.

    Parameters
    ----------
    name
        The file's name.
    view
        Number of the view.

    Raises
    ------
    WeightFileError
        If it cannot be read; with the reason and the remedy.
    """
    # Absolute, so that no name is taken for a home folder (~) or an address (://).
    _show(Path.cwd() / name, None, view)


def refresh(view: str) -> None:
    """Read the weights of a view again, after training on them."""
    for opened in _opened:
        if view in opened.views:
            opened.refresh()


def leave(view: str) -> None:
    """Say that a view is gone. The explorer goes with the last one, if it is the panel's and nobody has it."""
    for opened in [opened for opened in _opened if view in opened.views]:
        opened.views.discard(view)
        if opened.views:
            continue
        _opened.remove(opened)
        own = opened.explorer is not opened.target
        if own and not any(value is opened.explorer for value in list(_namespace().values())):
            opened.explorer.close()


def explorer(target: Any) -> WeightExplorer:
    """Give the explorer that the panel shows of something.

    Parameters
    ----------
    target
        A model, a state dict or whatever was clicked in the panel.

    Returns
    -------
    WeightExplorer
        The one in the panel: what is set on it shows there.

    Raises
    ------
    LookupError
        If the panel shows nothing of it.
    """
    opened = _find(target)
    if opened is None:
        raise LookupError("the panel shows nothing of it: click on it there first, or make a WeightExplorer of it")
    return opened.explorer


def _show(target: Any, name: str | None, view: str) -> None:
    from IPython.display import display

    opened = _find(target)
    if opened is None:
        made = _explorer_of(target, name)
        opened = Opened(target, made, _versions(made))
        _opened.append(opened)
    elif opened.explorer is not target and opened.versions != _versions(opened.explorer):
        opened.refresh()
    if view not in opened.views:
        leave(view)  # what it showed before
        opened.views.add(view)
    display(opened.explorer)  # type: ignore[no-untyped-call]


def _explorer_of(target: Any, name: str | None) -> WeightExplorer:
    if isinstance(target, WeightExplorer):
        return target
    if isinstance(target, str | os.PathLike | WeightSource):
        name = None  # files and sources have better names than the variables that hold them
    return WeightExplorer(target, name=name, patience=PATIENCE)


def _find(target: Any) -> Opened | None:
    for opened in list(_opened):
        if opened.explorer.comm is None:  # closed by the user
            _opened.remove(opened)
        elif opened.target is target or _same_path(opened.target, target):
            return opened
    return None


def _same_path(one: Any, other: Any) -> bool:
    # A cell that runs again makes an equal path, not the same object.
    return isinstance(one, str | Path) and type(one) is type(other) and one == other


def _versions(explorer: WeightExplorer) -> list[tuple[int, int]]:
    """Tell whether an explorer's tensors were written to since: torch counts that. Empty where nothing tells."""
    tensors = [getattr(ref.reader, "tensor", None) for ref in explorer.source.tensors.values()]
    # Tensors made in inference mode have no count.
    return [(id(tensor), tensor._version) for tensor in tensors if tensor is not None and not tensor.is_inference()]


def _namespace() -> dict[str, Any]:
    from IPython import get_ipython

    shell = get_ipython()
    namespace: dict[str, Any] = vars(sys.modules["__main__"]) if shell is None else shell.user_ns
    return namespace
