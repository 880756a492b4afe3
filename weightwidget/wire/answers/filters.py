"""The filters of a convolution."""

from __future__ import annotations

from weightwidget.wire.answers.base import Handler

HANDLERS: dict[str, Handler] = {}
