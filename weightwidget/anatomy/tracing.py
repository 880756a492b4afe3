"""`trace`: how channels pass through a live model, seen in a run of its code on a copy without weights."""

from __future__ import annotations

from typing import Any

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.flow import Flow
from weightwidget.anatomy.flow.tracing import runnable
from weightwidget.sources import open_weights


def trace(model: Any, example: Any = None) -> Flow:
    """Find how channels pass through a model by running its code; `Anatomy.trace` of an explorer does the same.

    Parameters
    ----------
    model, example
        As of `weightwidget.anatomy.flow.tracing.trace`.

    Raises
    ------
    weightwidget.anatomy.flow.TraceError
        If the code cannot be run so; the message says why.
    """
    module, _ = runnable(model, example)
    return Anatomy(open_weights(module)).trace(model, example)
