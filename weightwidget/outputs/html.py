"""An explorer as one file of HTML, which opens anywhere: no kernel, no network."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weightwidget.outputs import numbers
from weightwidget.outputs.names import visible
from weightwidget.outputs.page import page
from weightwidget.outputs.saved import Copied, overview_of
from weightwidget.sources.written import replace_file, writable

WRITING = 0.02
"""Share of the work that is left when the weights are collected: packing and writing."""


@dataclass(frozen=True)
class SavedPage(os.PathLike[str]):
    """A file that was written.

    Attributes
    ----------
    path
        Where it lies.
    size
        Its size in bytes.
    """

    path: Path
    size: int

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return f"{visible(str(self.path))}: {numbers.plain(numbers.size(self.size))}"

    __repr__ = __str__


def save_page(
    copied: Copied,
    path: str | os.PathLike[str],
    detail: int | None = None,
    progress: Callable[[float], None] | None = None,
    static: Callable[[], str] = str,
) -> SavedPage:
    """Write a copy of an explorer as one file.

    Parameters
    ----------
    copied
        What it shows.
    path
        Where to. The file is written beside it and then renamed: nothing half written is ever found there, and what
        was there before stays until the new file is complete.
    detail
        How many levels of the heatmap it holds: see `weightwidget.outputs.saved.overview_of`.
    progress
        Takes the share that is done, 0 to 1. What it raises ends the work, and nothing is written.
    static
        Makes the HTML for readers whose browser runs no scripts.

    Returns
    -------
    SavedPage

    Raises
    ------
    ValueError
        If the detail is not one.
    OSError
        If the file cannot be written; the message names it.
    """
    target = writable(path, "model.html")
    told = (lambda share: progress(share * (1 - WRITING))) if progress is not None else None
    text = page(overview_of(copied, detail, told), copied.traits, copied.name, static()).encode()
    replace_file(target, text)
    if progress is not None:
        progress(1.0)
    return SavedPage(target, len(text))
