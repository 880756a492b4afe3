"""Names of tensors and modules made fit for pages, pictures and terminals: they are hostile input."""

from __future__ import annotations

from typing import Literal

from weightwidget.sources.names import visible

__all__ = ["ELLIPSIS", "shorten", "visible"]

ELLIPSIS = "…"


def shorten(text: str, most: int, keep: Literal["start", "end", "both"] = "end") -> str:
    """At most so many characters of a text that `visible` has seen; an ellipsis says where some are missing.

    Parameters
    ----------
    text
        A name.
    most
        Characters, the ellipsis among them.
    keep
        Which part stays. Of a tensor's name the end tells more than the start.
    """
    if len(text) <= most:
        return text
    room = max(0, most - 1)
    if keep == "start":
        return text[:room] + ELLIPSIS
    if keep == "end":
        return ELLIPSIS + text[len(text) - room :]
    return text[: room - room // 2] + ELLIPSIS + text[len(text) - room // 2 :]
