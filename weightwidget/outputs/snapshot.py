"""A live copy of an explorer inside a notebook's output, which needs no kernel, no extension and no network."""

from __future__ import annotations

import html
from typing import Any

HEIGHT = 760
"""Height of the frame in CSS pixels: that of the explorer at full width."""


class Snapshot:
    """What `WeightExplorer.snapshot` gives: displayed as the last value of a cell, it is a copy of the explorer.

    In hosts that clean what others wrote (an untrusted notebook, GitHub), the static copy in it is what stays: a
    picture and a table. Where they show pictures only, there is the picture.

    Parameters
    ----------
    document
        The page that is framed.
    static
        HTML without scripts, which stands under the frame.
    picture
        PNG.
    text
        For hosts that show text only.
    """

    def __init__(self, document: str, static: str, picture: bytes, text: str) -> None:
        self._document, self._static, self._picture, self._text = document, static, picture, text

    @property
    def size(self) -> int:
        """Bytes that it adds to a notebook, about."""
        return len(self._repr_html_()) + len(self._picture) * 4 // 3

    def _repr_html_(self) -> str:
        return framed(self._document, self._static)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/html": self._repr_html_(), "text/plain": self._text}
        if self._picture:
            bundle["image/png"] = self._picture
        return bundle

    def __repr__(self) -> str:
        return self._text


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
