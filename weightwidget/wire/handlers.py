"""Requests of the front end, answered: request kind -> function. Every exception becomes an error reply."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from weightwidget.detail.pyramid import Pyramid
from weightwidget.sources.base import displayable
from weightwidget.summary.cancel import Cancelled
from weightwidget.wire.answers import (
    channel,
    experts,
    filters,
    gates,
    heads,
    heatmap,
    histogram,
    records,
    spectrum,
    tokens,
)
from weightwidget.wire.answers.base import Answer, Buffers, Handler, Job, Weights
from weightwidget.wire.pulse import Pulse

log = logging.getLogger(__name__)

WORKERS = 2
"""Threads that answer requests. Two, so that a long histogram does not hold up the heatmap's tiles."""

SLOW_WORKERS = 2
"""Threads for the slow kinds. Two, so that a full spectrum does not hold up everything else that takes long."""

ANSWERS: tuple[ModuleType, ...] = (
    *(heatmap, histogram, records, filters, gates),
    *(heads, tokens, experts, channel, spectrum),
)
"""Modules with answers; their `SLOW`, if there is one, names the kinds of request that may take seconds."""

HANDLERS: dict[str, Handler] = {kind: handler for module in ANSWERS for kind, handler in module.HANDLERS.items()}

SLOW: frozenset[str] = frozenset(kind for module in ANSWERS for kind in getattr(module, "SLOW", ()))
"""Kinds of request that have threads of their own, so that they do not hold up the others."""


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
        self._slow_pool = ThreadPoolExecutor(SLOW_WORKERS, thread_name_prefix="weightwidget-slow-request")
        self._running: dict[str, threading.Event] = {}
        self._pyramid = Pyramid()

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
            pool = self._slow_pool if message.get("kind") in SLOW else self._pool
            try:
                pool.submit(self._answer, request_id, dict(message), cancelled)
            except RuntimeError:  # closed: there is no view left that waits for the answer
                self._running.pop(request_id, None)

    def forget(self) -> None:
        """Let go of what is kept of the weights, which have changed."""
        self._pyramid.forget()

    def close(self) -> None:
        """Withdraw what is under way and take nothing more."""
        self.forget()
        for event in list(self._running.values()):
            event.set()
        for pool in (self._pool, self._slow_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, request_id: str, request: dict[str, Any], cancelled: threading.Event) -> Answer:
        def tell(share: float) -> None:
            self._send({"id": request_id, "progress": share}, [])

        if request.get("kind") not in SLOW:
            return answer(self._weights, request, Job(cancelled.is_set, tell, self._pyramid))
        with Pulse(tell) as pulse:
            return answer(self._weights, request, Job(cancelled.is_set, pulse.report, self._pyramid))

    def _answer(self, request_id: str, request: dict[str, Any], cancelled: threading.Event) -> None:
        try:
            if cancelled.is_set():
                return
            reply, buffers = self._work(request_id, request, cancelled)
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
    # Not every text can be sent: a message may quote a path of bytes that are no UTF-8.
    if isinstance(error, KeyError) and error.args:
        return displayable(str(error.args[0]))
    return displayable(str(error) or type(error).__name__)


def answer(weights: Weights, request: Mapping[str, Any], job: Job | None = None) -> Answer:
    """Answer one request.

    Parameters
    ----------
    weights
        Where tensors and records are looked up.
    request
        One of those in `weightwidget.wire.protocol`.
    job
        Says whether somebody still waits, and takes the progress.

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
    Cancelled
        When the job says so.
    """
    kind = request.get("kind")
    handler = HANDLERS.get(kind) if isinstance(kind, str) else None
    if handler is None:
        raise ValueError(f"unknown request {kind!r}; this kernel knows {', '.join(HANDLERS)}")
    reply, buffers = handler(weights, request, job or Job())
    return {"kind": kind, **reply}, buffers
