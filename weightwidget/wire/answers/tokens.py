"""The vectors of an embedding."""

from __future__ import annotations

from weightwidget.wire.answers.base import Handler

HANDLERS: dict[str, Handler] = {}
