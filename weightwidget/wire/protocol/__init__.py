"""The messages between the front end and the kernel, typed: one module a view. `js/src/protocol/` mirrors this folder.

A request is ``{"id", "kind", ...}``. It is answered by ``{"id", "kind", ...}`` and binary buffers, or by
``{"id", "error": {"type", "message"}}``. Before that the kernel may send ``{"id", "progress"}`` any number of times,
a share from 0 to 1. ``{"cancel": id}`` withdraws a request: it gets no answer, or the one that was already on its way.
Arrays travel as buffers, little-endian and row-major, in the order that the reply's docstring gives. JSON has no NaN
and no infinities: numbers that may be such travel in buffers.
"""

from __future__ import annotations

from typing import TypedDict


class Cancel(TypedDict):
    """Withdraws a request."""

    cancel: str


class ErrorBody(TypedDict):
    """What went wrong, worded for a practitioner."""

    type: str
    message: str


class ErrorReply(TypedDict):
    """Answers a request that failed."""

    id: str
    error: ErrorBody


class Progress(TypedDict):
    """How far the kernel has come with a request that takes long."""

    id: str
    progress: float
