"""The scan: all tensors of a source in threads of its own, with progress, priorities and cancel."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal
from weakref import WeakSet

from weightwidget.sources.base import TensorRef, WeightSource, torch_dtype
from weightwidget.summary import fused
from weightwidget.summary.batch import COST, Batch, suits
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.kernel import Work, in_turn, unreadable
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.parts import PIECE, Box
from weightwidget.summary.queueing import Pace, Queue, Task
from weightwidget.summary.record import TensorSummary, with_name
from weightwidget.summary.scratch import release
from weightwidget.summary.threads import one_thread

log = logging.getLogger(__name__)

Status = Literal["scanning", "ready", "cancelled", "failed"]

MAX_WORKERS = 8
"""Threads of a scan at most: more would only wait for the memory."""

SLOW = 0.3
"""Seconds of scanning from which on it is worth compiling faster kernels: not for the first paint of a small model."""

_LAST = 5.0
"""Seconds that Python's end waits at most for the threads of scans, which stop after the block that they are at."""

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
        Number of threads; by default one a core, `MAX_WORKERS` at most.
    thumbnail
        Largest side of the tensors' pictures.
    known
        Records that are taken over as they are; their tensors are not read.
    norms
        Whether those of rows and columns are wanted, see `TensorSummary.row_norms`.
    """

    def __init__(
        self,
        source: WeightSource,
        on_progress: Callable[[float], None] | None = None,
        workers: int | None = None,
        thumbnail: int = 64,
        known: Mapping[str, TensorSummary] | None = None,
        norms: bool = True,
    ) -> None:
        self._name = source.name
        self._order = list(source.tensors)
        self._modules = dict(source.modules)
        self._kinds = {path: info.kind for path, info in source.modules.items()}
        self._on_progress = on_progress
        self._thumbnail, self._norms = thumbnail, norms
        refs = source.tensors
        self._results = {name: known[name] for name in refs if name in known} if known else {}
        self._ties: dict[str, list[TensorRef]] = {}
        self._todo: dict[str, TensorRef] = {}
        for name, ref in refs.items():
            if name in self._results:
                continue
            if ref.shared_with is not None and ref.shared_with in refs and ref.shared_with != name:
                self._ties.setdefault(ref.shared_with, []).append(ref)
            else:
                self._todo[name] = ref
        for first in self._ties:
            if first in self._results:
                self._results.update(self._tied(first, self._results[first]))
        sizes = {name: max(1, _nbytes(ref)) for name, ref in self._todo.items()}
        self.total_bytes = sum(sizes.values())
        count = (min(os.cpu_count() or 1, MAX_WORKERS) if workers is None else workers) or 1
        pieces = sum(-(-size // PIECE) for size in sizes.values())
        self._workers = max(1, min(count, pieces))
        self._queue = Queue(self._todo, sizes, self._ties)
        self._pace = Pace()
        self._begun = 0.0
        self._asked = False
        self.done_bytes = 0
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
            self._begun = time.monotonic()
            self._pace.see(0)
        _scans.add(self)
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"weightwidget-scan-{number}", daemon=True)
            _threads.add(thread)
            thread.start()
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
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0

    @property
    def rate(self) -> float:
        """Bytes that were summarised in a second, of late; 0 before anything is known."""
        return self._pace.rate

    @property
    def remaining(self) -> float | None:
        """Seconds that the rest will take at this rate; None as long as nothing tells."""
        if self._status != "scanning":
            return 0.0
        rate = self.rate
        return max(0, self.total_bytes - self.done_bytes) / rate if rate > 0 else None

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

    def prioritise(self, *paths: str) -> None:
        """Summarise tensors, or all in modules, before everything that is not yet under way.

        Parameters
        ----------
        *paths
            Names, what is wanted most first. They go before those of earlier calls.
        """
        self._queue.prioritise(paths)

    def cancel(self) -> None:
        """End the scan; what is found stays. Takes the time of one block, not of one tensor."""
        with self._lock:
            self._stop.set()
            if not self._started:
                self._started = True
                self._end()
        self._queue.close()

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

    def _work(self) -> None:
        failed = False
        try:
            with one_thread(restore=False):
                while not self._stop.is_set() and (taken := self._queue.take()) is not None:
                    task, box = taken
                    for alone in [task] if box or not suits(task.ref) else self._do_together(task):
                        self._do(alone, box)
                    self._report()
        except Cancelled:
            pass  # what was under way is dropped; `cancel` has set the flag that ends the other threads too
        except BaseException:
            failed = True
            log.exception("a thread of the scan of %s failed", self._name)
        finally:
            release()
            with self._lock:
                self._running -= 1
                if failed:
                    self._status = "failed"
                    self._stop.set()
                last = self._running == 0
                if last:
                    self._end()
            if failed:
                self._queue.close()
            if last:
                self._tell(self.progress)

    def _end(self) -> None:
        if self._status == "scanning":
            complete = len(self._results) == len(self._order)
            self._status = "ready" if complete else "cancelled"
        self._ended.set()

    def _do_together(self, first: Task) -> list[Task]:
        """Measure a tensor together with some of those that come next; give those that must be done alone."""
        left = (self.total_bytes - self.done_bytes) // torch_dtype(first.ref.dtype).itemsize
        batch = Batch(first.ref.dtype, self._thumbnail, self._norms, min(COST, left // (4 * self._workers)))
        together: list[Task] = []
        alone: list[Task] = []
        task: Task | None = first
        with in_turn:
            while task is not None:
                try:
                    (together if batch.add(task.ref) else alone).append(task)
                except Exception:
                    log.debug("tensor %s cannot be read", task.ref.name, exc_info=True)
                    alone.append(task)  # there it fails again, and its record says why
                task = self._queue.take_more(lambda ref: suits(ref) and batch.has_room(ref))
        if not together:
            return alone
        try:
            batch.measure()
            with in_turn:
                records = batch.records([self._kinds.get(task.ref.module, "") for task in together])
        except Exception:
            log.warning("tensors of %s cannot be measured together", self._name, exc_info=True)
            return [*alone, *together]
        self._keep([task for task, record in zip(together, records, strict=True) if record], filter(None, records))
        return [*alone, *(task for task, record in zip(together, records, strict=True) if not record)]

    def _do(self, task: Task, box: Box | None) -> None:
        """Open a tensor, or measure a box of one. What fails ends this tensor, not the scan."""
        ref, kind = task.ref, self._kinds.get(task.ref.module, "")
        try:
            if task.work is None:
                task.work = Work(ref, kind, self._thumbnail, norms=self._norms)
                boxes = task.work.boxes
                if len(boxes) > 1:
                    self._queue.add(task, boxes)
                    return
                box = boxes[0] if boxes else None
            while box is not None:
                self._queue.expect()
                part = task.work.measure(box, self._stop.is_set, partial(self._advance, task))
                with task.lock:
                    again = task.work.take(part)
                box = again[0] if len(again) == 1 else None
                if len(again) > 1:
                    self._queue.add(task, again)
            record = task.work.record
        except Cancelled:
            raise
        except Exception as error:
            log.debug("tensor %s cannot be summarised", ref.name, exc_info=True)
            record = unreadable(ref, kind, f"{type(error).__name__}: {error}")
        if record is not None and self._ends(task):
            self._keep([task], [record])

    def _ends(self, task: Task) -> bool:
        """Count the rest of a task as done; False if another thread has ended it."""
        with self._lock:
            if task.over:
                return False
            task.over = True
            self.done_bytes += task.rest()
        return True

    def _keep(self, tasks: list[Task], records: Iterable[TensorSummary]) -> None:
        found: dict[str, TensorSummary] = {}
        for record in records:
            found.update({record.name: record, **self._tied(record.name, record)})
        with self._lock:
            self._results.update(found)
            self.done_bytes += sum(task.rest() for task in tasks)
            for task in tasks:
                task.over = True
        self._pace.see(self.done_bytes)
        self._queue.finish(*tasks)

    def _tied(self, first: str, record: TensorSummary) -> dict[str, TensorSummary]:
        return {
            tie.name: with_name(record, tie.name, self._kinds.get(tie.module, ""), tie.role, first)
            for tie in self._ties.get(first, ())
        }

    def _advance(self, task: Task, elements: int) -> None:
        with self._lock:
            self.done_bytes += task.count(elements)
        self._pace.see(self.done_bytes)
        if not self._asked and time.monotonic() - self._begun > SLOW:
            self._asked = True
            here = (ref.dtype for ref in self._todo.values() if ref.device in ("cpu", "file"))
            fused.want_types(here, bare=not (self._norms or self._thumbnail))
        self._report()

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


_scans: WeakSet[Scan] = WeakSet()
_threads: WeakSet[threading.Thread] = WeakSet()


@atexit.register
def _end_all() -> None:
    """End all scans before Python does: a thread that comes back from torch when Python is gone aborts the process."""
    for scan in list(_scans):
        scan.cancel()
    latest = time.monotonic() + _LAST
    for thread in list(_threads):
        thread.join(max(0.0, latest - time.monotonic()))


def _nbytes(ref: TensorRef) -> int:
    try:
        return ref.nbytes
    except ValueError:  # a type that this version of torch does not know
        return ref.numel
