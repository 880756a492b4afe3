"""Mixtures of experts: layer by expert."""

from __future__ import annotations

from weightwidget.wire.answers.base import Handler

HANDLERS: dict[str, Handler] = {}
