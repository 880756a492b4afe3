"""The scan: all tensors of a source in threads of its own, with progress, priorities and cancel."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.kernel import summarize_tensor, unreadable
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary, with_name
from weightwidget.summary.threads import one_thread

log = logging.getLogger(__name__)

Status = Literal["scanning", "ready", "cancelled", "failed"]

MAX_WORKERS = 4
"""Threads of a scan at most: more would only wait for the memory, and the user's own work needs cores too."""

_REPORT_INTERVAL = 0.05
"""Seconds between calls of `on_progress`."""


class Scan:
    """Summarises the tensors of a source in the background.

    Tied tensors are summarised once. A tensor that cannot be read gets a record that says why; it does not
    end the scan.

    Parameters
    ----------
    source
        The weights. It is not changed, and must stay open until the scan has ended.
    on_progress
        Called now and then with the share of the bytes that is done, 0 to 1, and once at the end. It is
        called from the scan's threads.
    workers
        Number of threads; by default one a core, four at most.
    thumbnail
        Largest side of the tensors' pictures.
    """

    def __init__(
        self,
        source: WeightSource,
        on_progress: Callable[[float], None] | None = None,
        workers: int | None = None,
        thumbnail: int = 64,
    ) -> None:
        self._name = source.name
        self._order = list(source.tensors)
        self._modules = dict(source.modules)
        self._kinds = {path: info.kind for path, info in source.modules.items()}
        self._on_progress = on_progress
        self._thumbnail = thumbnail
        refs = source.tensors
        self._ties: dict[str, list[TensorRef]] = {}
        self._todo: dict[str, TensorRef] = {}
        for name, ref in refs.items():
            if ref.shared_with is not None and ref.shared_with in refs and ref.shared_with != name:
                self._ties.setdefault(ref.shared_with, []).append(ref)
            else:
                self._todo[name] = ref
        count = (min(os.cpu_count() or 1, MAX_WORKERS) if workers is None else workers) or 1
        self._workers = max(1, min(count, len(self._todo)))
        self._sizes = {name: max(1, _nbytes(ref)) for name, ref in self._todo.items()}
        self._total = sum(self._sizes.values())
        self._queue = deque(self._first_order())
        self._taken: set[str] = set()
        self._results: dict[str, TensorSummary] = {}
        self._done = 0
        self._running = 0
        self._reported = 0.0
        self._status: Status = "scanning"
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._started = False

    def start(self) -> Scan:
        """Start the threads. Further calls do nothing."""
        with self._lock:
            if self._started:
                return self
            self._started = True
            self._running = self._workers
        for number in range(self._workers):
            name = f"weightwidget-scan-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return self

    @property
    def status(self) -> Status:
        """``"scanning"`` (also before the start), ``"ready"``, ``"cancelled"`` or ``"failed"``."""
        return self._status

    @property
    def progress(self) -> float:
        """Share of the bytes that is done, 0 to 1."""
        if self._status == "ready":
            return 1.0
        return min(1.0, self._done / self._total) if self._total else 0.0

    @property
    def results(self) -> dict[str, TensorSummary]:
        """The records found so far, a copy, in the order in which they were found."""
        with self._lock:
            return dict(self._results)

    def summary(self) -> ModelSummary:
        """Summary of what is found so far, in the model's order."""
        found = self.results
        tensors = {name: found[name] for name in self._order if name in found}
        return ModelSummary(self._name, tensors, self._modules)

    def prioritise(self, path: str) -> None:
        """Summarise a tensor, or all in a module, before everything that is not yet under way."""
        with self._lock:
            inside = f"{path}."
            wanted = []
            for first in self._todo:
                names = [first, *(ref.name for ref in self._ties.get(first, ()))]
                if first not in self._taken and any(name == path or name.startswith(inside) for name in names):
                    wanted.append(first)
            self._queue.extendleft(reversed(wanted))

    def cancel(self) -> None:
        """End the scan; what is found stays. Takes the time of one block, not of one tensor."""
        with self._lock:
            self._stop.set()
            if not self._started:
                self._started = True
                self._end()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, however it comes.

        Parameters
        ----------
        timeout
            Seconds; without it, as long as it takes.

        Returns
        -------
        bool
            Whether the scan has ended.
        """
        return self._ended.wait(timeout)

    def _first_order(self) -> Iterable[str]:
        """Give the model's order, but what alone would keep a thread busy for long comes first."""
        large = self._total / (4 * self._workers)
        return sorted(self._todo, key=lambda name: -self._sizes[name] if self._sizes[name] > large else 0)

    def _work(self) -> None:
        failed = False
        try:
            with one_thread(restore=False):
                while not self._stop.is_set() and (ref := self._next()) is not None:
                    self._keep(ref, self._summarize(ref))
                    self._report()
        except Cancelled:
            pass  # what was under way is dropped; `cancel` has set the flag that ends the other threads too
        except BaseException:
            failed = True
            log.exception("a thread of the scan of %s failed", self._name)
        finally:
            with self._lock:
                self._running -= 1
                if failed:
                    self._status = "failed"
                    self._stop.set()
                last = self._running == 0
                if last:
                    self._end()
            if last:
                self._tell(self.progress)

    def _end(self) -> None:
        if self._status == "scanning":
            complete = len(self._results) == len(self._order)
            self._status = "ready" if complete else "cancelled"
        self._ended.set()

    def _next(self) -> TensorRef | None:
        with self._lock:
            while self._queue:
                name = self._queue.popleft()
                if name not in self._taken:
                    self._taken.add(name)
                    return self._todo[name]
        return None

    def _summarize(self, ref: TensorRef) -> TensorSummary:
        kind = self._kinds.get(ref.module, "")
        share = self._sizes[ref.name] / max(1, ref.numel)
        counted = 0

        def advance(elements: int) -> None:
            nonlocal counted
            step = min(self._sizes[ref.name] - counted, int(elements * share))
            counted += step
            with self._lock:
                self._done += step
            self._report()

        try:
            record = summarize_tensor(ref, kind, self._thumbnail, self._stop.is_set, advance)
        except Cancelled:
            raise
        except Exception as error:
            log.debug("tensor %s cannot be summarised", ref.name, exc_info=True)
            record = unreadable(ref, kind, f"{type(error).__name__}: {error}")
        with self._lock:
            self._done += self._sizes[ref.name] - counted
        return record

    def _keep(self, ref: TensorRef, record: TensorSummary) -> None:
        found = {ref.name: record}
        for tie in self._ties.get(ref.name, ()):
            kind = self._kinds.get(tie.module, "")
            found[tie.name] = with_name(record, tie.name, kind, tie.role, ref.name)
        with self._lock:
            self._results.update(found)

    def _report(self) -> None:
        if self._on_progress is None:
            return
        now = time.monotonic()
        with self._lock:
            if now - self._reported < _REPORT_INTERVAL:
                return
            self._reported = now
        self._tell(self.progress)

    def _tell(self, progress: float) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(progress)
        except Exception:
            log.exception("the progress callback of the scan of %s failed", self._name)


def _nbytes(ref: TensorRef) -> int:
    try:
        return ref.nbytes
    except ValueError:  # a type that this version of torch does not know
        return ref.numel
