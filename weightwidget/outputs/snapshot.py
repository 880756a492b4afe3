"""A live copy of an explorer inside a notebook's output, which needs no kernel, no extension and no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from typing import Any

from weightwidget.outputs.page import page
from weightwidget.outputs.picture import picture
from weightwidget.outputs.plain import plain_text
from weightwidget.outputs.saved import Copied, overview_of
from weightwidget.outputs.static import static_html
from weightwidget.outputs.view import StaticView

HEIGHT = 760
"""Height of the frame in CSS pixels: that of the explorer at full width."""


class Snapshot:
    """What `WeightExplorer.snapshot` gives: displayed as the last value of a cell, it is a copy of the explorer.

    In hosts that clean what others wrote (an untrusted notebook, GitHub), the static copy in it is what stays: a
    picture and a table. Where they show pictures only, there is the picture.

    Parameters
    ----------
    data
        By MIME type; binary data as base64.

    Attributes
    ----------
    size
        Bytes that it adds to a notebook.
    """

    def __init__(self, data: Mapping[str, str]) -> None:
        self._data = dict(data)

    @property
    def size(self) -> int:
        """Bytes that it adds to a notebook."""
        return len(json.dumps(self._data))

    def _repr_html_(self) -> str:
        return self._data["text/html"]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self._data

    def __repr__(self) -> str:
        return self._data["text/plain"]


def snapshot_of(copied: Copied, view: StaticView, detail: int = 0) -> Snapshot:
    """Make a copy that is displayed in a notebook.

    Parameters
    ----------
    copied
        What it shows.
    view
        The same, for hosts that run no scripts.
    detail
        How many levels of the heatmap it holds: see `weightwidget.outputs.saved.overview_of`.

    Raises
    ------
    ValueError
        If the detail is not one.
    """
    document = page(overview_of(copied, detail), copied.traits, copied.name)
    png = picture(view)
    return Snapshot(
        {
            "text/html": framed(document, static_html(view, png, folded=True)),
            "image/png": base64.b64encode(png).decode("ascii"),
            "text/plain": plain_text(view),
        }
    )


def framed(document: str, static: str) -> str:
    """HTML of a page in a frame that covers its static copy.

    Where the frame is taken out, as hosts do that clean what others wrote, the copy is what is seen.

    Parameters
    ----------
    document
        The page.
    static
        HTML without scripts.
    """
    # Scripts run, and nothing else may: the frame has an origin of its own, so that it reaches neither the notebook
    # nor what its address keeps. Downloads are for the pictures that a reader saves.
    return (
        f'<div style="position:relative;min-height:{HEIGHT}px">{static}'
        '<iframe title="weights: a live copy" sandbox="allow-scripts allow-downloads" allow="clipboard-write" '
        'style="position:absolute;top:0;left:0;width:100%;height:100%;border:1px solid #d9dfe7;border-radius:6px;'
        'background:#fff" '
        f'srcdoc="{html.escape(document, quote=True)}"></iframe></div>'
    )
