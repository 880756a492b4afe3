"""Requests of the front end, answered: request kind -> function. Every exception becomes an error reply."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from weightwidget.detail.histogram import count, histogram
from weightwidget.detail.tiles import extreme, profile, tile
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.record import TensorSummary
from weightwidget.wire.histograms import log_range

log = logging.getLogger(__name__)

Buffers = list[bytes]
Answer = tuple[dict[str, Any], Buffers]
IsCancelled = Callable[[], bool]

WORKERS = 2
"""Threads that answer requests. Two, so that a long histogram does not hold up the heatmap's tiles."""


class Weights(Protocol):
    """What the handlers need of an explorer."""

    def ref(self, path: str) -> TensorRef | None:
        """The tensor of that name, None if there is none."""

    def record(self, path: str) -> TensorSummary | None:
        """The record of the tensor or module of that path, None while it is not summarised."""


class Handlers:
    """Answers requests in threads of its own, so that neither the kernel nor the scan waits.

    Parameters
    ----------
    weights
        Where tensors and records are looked up.
    send
        Called from those threads with each reply and its buffers.
    """

    def __init__(self, weights: Weights, send: Callable[[dict[str, Any], Buffers], None]) -> None:
        self._weights = weights
        self._send = send
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="weightwidget-request")
        self._running: dict[str, threading.Event] = {}

    def receive(self, message: Any) -> None:
        """Take a message of the front end: a request, or the withdrawal of one."""
        if not isinstance(message, Mapping):
            return
        withdrawn = message.get("cancel")
        if isinstance(withdrawn, str):
            event = self._running.get(withdrawn)
            if event:
                event.set()
            return
        request_id = message.get("id")
        if isinstance(request_id, str):
            cancelled = self._running[request_id] = threading.Event()
            try:
                self._pool.submit(self._answer, request_id, dict(message), cancelled)
            except RuntimeError:  # closed: there is no view left that waits for the answer
                self._running.pop(request_id, None)

    def close(self) -> None:
        """Withdraw what is under way and take nothing more."""
        for event in list(self._running.values()):
            event.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, request_id: str, request: dict[str, Any], cancelled: threading.Event) -> None:
        try:
            if cancelled.is_set():
                return
            reply, buffers = answer(self._weights, request, cancelled.is_set)
        except Cancelled:
            return
        except Exception as error:
            log.debug("request %s failed", request.get("kind"), exc_info=True)
            reply, buffers = {"error": {"type": type(error).__name__, "message": message_of(error)}}, []
        finally:
            self._running.pop(request_id, None)
        self._send({"id": request_id, **reply}, buffers)


def message_of(error: Exception) -> str:
    """The message of an exception as a person reads it. `KeyError` puts its own in quotes."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error) or type(error).__name__


def answer(weights: Weights, request: Mapping[str, Any], cancelled: IsCancelled = lambda: False) -> Answer:
    """Answer one request.

    Parameters
    ----------
    weights
        Where tensors and records are looked up.
    request
        A `weightwidget.wire.protocol.Request`.
    cancelled
        Asked now and then; once it says yes, `Cancelled` is raised.

    Returns
    -------
    tuple
        The reply without its id, and its buffers.

    Raises
    ------
    ValueError
        If there is no such kind of request, or a field is missing or wrong.
    KeyError
        If there is no such tensor or module.
    """
    kind = request.get("kind")
    handler = HANDLERS.get(kind) if isinstance(kind, str) else None
    if handler is None:
        raise ValueError(f"unknown request {kind!r}; this kernel knows {', '.join(HANDLERS)}")
    try:
        reply, buffers = handler(weights, request, cancelled)
    except KeyError as missing:
        if missing.args and missing.args[0] in FIELDS:
            raise ValueError(f"the request {kind!r} lacks the field {missing.args[0]!r}") from None
        raise
    return {"kind": kind, **reply}, buffers


FIELDS = ("tensor", "path", "axes", "index", "tile", "aggregate", "window", "bins", "scale", "range")


def _tensor(weights: Weights, path: str) -> TensorRef:
    ref = weights.ref(path)
    if ref is None:
        raise KeyError(f"there is no tensor {path!r}")
    return ref


def _record(weights: Weights, path: str) -> TensorSummary:
    record = weights.record(path)
    if record is None:
        raise KeyError(f"{path!r} is not summarised yet; wait until the scan has come there")
    return record


def _range(request: Mapping[str, Any]) -> tuple[float, float] | None:
    given = request.get("range")
    if given is None:
        return None
    low, high = (float(value) for value in given)
    return (low, high) if low <= high else (high, low)


def _tile(weights: Weights, request: Mapping[str, Any], cancelled: IsCancelled) -> Answer:
    drawn = tile(
        _tensor(weights, request["tensor"]),
        request["axes"],
        request["index"],
        request["tile"],
        request["aggregate"],
        value_range=_range(request),
        cancelled=cancelled,
    )
    height, width = drawn.values.shape
    buffers = [drawn.values.tobytes()]
    if drawn.shares is not None:
        buffers.append(drawn.shares.tobytes())
    return {"height": height, "width": width}, buffers


def _profile(weights: Weights, request: Mapping[str, Any], cancelled: IsCancelled) -> Answer:
    norms = profile(_tensor(weights, request["tensor"]), request["axes"], request["index"], cancelled=cancelled)
    reply = {"row_step": norms.row_step, "col_step": norms.col_step}
    return reply, [norms.rows.tobytes(), norms.cols.tobytes()]


def _cell(weights: Weights, request: Mapping[str, Any], cancelled: IsCancelled) -> Answer:
    ref = _tensor(weights, request["tensor"])
    found = extreme(ref, request["axes"], request["index"], request["window"], cancelled)
    return {"value": found.value, "row": found.row, "col": found.col, "position": list(found.position)}, []


def _histogram(weights: Weights, request: Mapping[str, Any], cancelled: IsCancelled) -> Answer:
    path, bins, scale = request["path"], int(request["bins"]), request["scale"]
    if not 1 <= bins <= 4096:
        raise ValueError(f"a histogram has 1 to 4096 bins, not {bins}")
    value_range = _range(request)
    ref = weights.ref(path)
    if value_range is None:
        record = _record(weights, path)
        value_range = record.robust_range() if scale == "value" else log_range(record)
    if ref is not None:
        exact = histogram(ref, bins, scale, value_range, cancelled=cancelled)
        reply = {
            "range": list(exact.range),
            "below": exact.below,
            "above": exact.above,
            "zeros": exact.zeros,
            "nan": exact.nan,
            "posinf": exact.posinf,
            "neginf": exact.neginf,
            "exact": True,
            "relative_error": 0.0,
        }
        return reply, [exact.counts.astype(np.float64).tobytes()]
    record = _record(weights, path)
    return _sketched_histogram(record, bins, scale, value_range)


def _sketched_histogram(record: TensorSummary, bins: int, scale: str, value_range: tuple[float, float]) -> Answer:
    finite = record.finite
    if scale == "value":
        counts, _ = record.histogram(bins, value_range)
        below = record.sketch.count_between(-np.inf, np.nextafter(value_range[0], -np.inf))
        outside = finite - counts.sum()
    else:
        counts, _ = record.log_magnitude_histogram(bins, value_range)
        small = 10.0 ** min(value_range[0], sys.float_info.max_10_exp)
        below = record.sketch.count_between(-small, small) - record.zeros
        outside = finite - record.zeros - counts.sum()
    below = round(float(min(max(below, 0), max(outside, 0))))
    reply = {
        "range": list(value_range),
        "below": below,
        "above": max(0, round(float(outside)) - below),
        "zeros": record.zeros,
        "nan": record.nan,
        "posinf": record.posinf,
        "neginf": record.neginf,
        "exact": record.sketch.exact,
        "relative_error": record.sketch.relative_error,
    }
    return reply, [np.ascontiguousarray(counts, np.float64).tobytes()]


def _count(weights: Weights, request: Mapping[str, Any], cancelled: IsCancelled) -> Answer:
    value_range = _range(request)
    if value_range is None:
        raise ValueError("the request 'count' needs a range [low, high]")
    ref = weights.ref(request["path"])
    if ref is not None:
        found, total = count(ref, value_range, cancelled=cancelled)
        return {"count": found, "total": total, "exact": True}, []
    record = _record(weights, request["path"])
    between = round(float(record.sketch.count_between(*value_range)))
    return {"count": between, "total": record.count, "exact": record.sketch.exact}, []


HANDLERS: dict[str, Callable[[Weights, Mapping[str, Any], IsCancelled], Answer]] = {
    "tile": _tile,
    "profile": _profile,
    "cell": _cell,
    "histogram": _histogram,
    "count": _count,
}
