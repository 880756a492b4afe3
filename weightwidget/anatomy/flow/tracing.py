"""Links as the model's own code makes them: run once, on a copy without weights, while channels are kept track of."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from weightwidget.anatomy.flow.attention import attach_heads
from weightwidget.anatomy.flow.copying import TraceError, on_meta, without_weights
from weightwidget.anatomy.flow.examples import Call, guessed_inputs
from weightwidget.anatomy.flow.operations import rule_for
from weightwidget.anatomy.flow.order import attach_outputs, attach_rest
from weightwidget.anatomy.flow.ports import layers_of
from weightwidget.anatomy.flow.recorder import Recorder
from weightwidget.anatomy.flow.spaces import Flow
from weightwidget.anatomy.flow.wiring import Wiring
from weightwidget.sources.base import WeightSource

if TYPE_CHECKING:
    from weightwidget.anatomy.anatomy import Anatomy

log = logging.getLogger(__name__)

TRIES = 24
"""Inputs that are tried where none is given."""


def runnable(model: Any, example: Any = None) -> tuple[nn.Module, Call | None]:
    """The module to run, and what to call it with; None if inputs are to be guessed.

    Raises
    ------
    TraceError
        If it is nothing that can be run.
    """
    call = None if example is None else _call_of(example)
    if isinstance(model, torch.export.ExportedProgram):
        if call is None and model.example_inputs is not None:
            args, kwargs = model.example_inputs
            call = tuple(args), dict(kwargs)
        model = model.module()
    if not isinstance(model, nn.Module):
        raise TraceError(f"only a torch.nn.Module or an ExportedProgram can be traced, not {type(model).__name__}")
    return model, call


def trace(model: Any, example: Any, source: WeightSource, anatomy: Anatomy) -> Flow:
    """Find how channels pass through a model by running its code.

    What runs is ``forward``, once, of a copy whose tensors lie on PyTorch's meta device: they have shapes and no
    values, nothing is computed, and the model itself is neither run nor changed. But its Python code does run: what it
    prints or writes elsewhere, it prints and writes; therefore nothing is traced unless somebody asks. Hooks are left
    out. Code whose course depends on values cannot be run so.

    Parameters
    ----------
    model
        A ``torch.nn.Module``; an ``torch.fx.GraphModule`` is one; or a ``torch.export.ExportedProgram``, whose graph is
        then run with its own example inputs.
    example
        What ``forward`` takes: a tensor, a tuple of positional or a dict of keyword arguments. Only types and shapes
        count. By default token ids or images of usual sizes are tried, as the first layer suggests.
    source, anatomy
        The model's weights, and the meaning of their axes.

    Returns
    -------
    Flow
        Links that were seen are certain. Tensors that were not used are members of spaces of their own.

    Raises
    ------
    TraceError
        If the code cannot be run so; the message says why and what to do.
    """
    model, call = runnable(model, example)
    empty = without_weights(model)
    failed: list[str] = []
    for (args, kwargs), what in _calls(empty, call):
        recorder = Recorder(empty, source, anatomy, rule_for)
        attach_heads(anatomy.attention, source, recorder.wiring, recorder.fallback)
        try:
            with random_numbers_kept(), recorder.listening():
                empty(*on_meta(args), **on_meta(kwargs))
        except Exception as error:  # the model's own code: anything may go wrong in it
            log.debug("tracing with %s failed", what, exc_info=True)
            failed.append(
                f"with {what}: {type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
            )
            continue
        return _finish(recorder, source, anatomy, what)
    advice = (
        "pass what forward takes, anatomy.trace(example=...): only shapes count"
        if call is None
        else ("its course may depend on values, which the copy does not have")
    )
    raise TraceError(
        f"forward of {type(model).__name__} could not be run on a copy without weights ({advice}). "
        + (f"First failure {failed[0]}" if failed else "No input could be guessed.")
    )


@contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Put Python's and NumPy's global generators back where they were; on the meta device torch draws nothing."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is what forward may draw from
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _calls(model: nn.Module, call: Call | None) -> Iterator[tuple[Call, str]]:
    if call is not None:
        yield call, "the given example"
        return
    yield from islice(guessed_inputs(model), TRIES)


def _call_of(example: Any) -> Call:
    if isinstance(example, dict):
        return (), example
    return (tuple(example) if isinstance(example, tuple | list) else (example,)), {}


def _finish(recorder: Recorder, source: WeightSource, anatomy: Anatomy, what: str) -> Flow:
    wiring: Wiring = recorder.wiring
    layers = layers_of(source, anatomy, anatomy.recurrent)
    for layer in layers:
        # What the run has used is known; the rest gets channels of its own.
        layer.linked = layer.path in recorder.modules
        if layer.recurrent and layer.linked:
            layer.outputs = recorder.nothing
    orders = {name: len(recorder.orders) + place for name, place in recorder.fallback.items()} | recorder.orders
    attach_outputs(layers, source, wiring, orders)
    attach_rest(layers, wiring, orders)
    return wiring.flow(f"seen in a run of forward on a copy without weights, with {what}", True, orders)
