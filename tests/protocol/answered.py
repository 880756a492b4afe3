"""Requests with Python's answers, as the cases for the front end store them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from weightwidget.wire.handlers import answer


def answered(known: Any, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each request with its reply, and the buffers of that as base64."""
    cases = []
    for request in requests:
        reply, buffers = answer(known, request)
        cases.append(
            {"request": request, "reply": reply, "buffers": [base64.b64encode(data).decode() for data in buffers]}
        )
    return cases
