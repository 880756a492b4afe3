"""Summaries by anybody's executor: threads, processes, or a cluster. What is sent names weights, and holds none."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, TypeAlias

from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.summary import fused
from weightwidget.summary.kernel import Work, summarize_tensor, unreadable
from weightwidget.summary.parts import PIECE, Box, Part, Plan
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.streaming import measure
from weightwidget.summary.threads import one_thread

log = logging.getLogger(__name__)

Entry: TypeAlias = tuple[TensorRef, str]
"""A tensor, and the class of the module that owns it."""

BOXES = 2
"""Boxes of a large tensor that are sent as one task: enough to be worth the way."""


def summarize_remotely(
    entries: list[Entry], executor: Executor, progress: Callable[[float], None] | None, norms: bool = True
) -> dict[str, TensorSummary]:
    """Summarise tensors by an executor; the same numbers come out as without one.

    Parameters
    ----------
    entries
        The tensors.
    executor
        Whatever runs functions. Tensors in files can be sent to other processes and machines that find the same
        path; tensors in memory only to threads.
    progress
        Called with the share that is done.
    norms
        Whether those of rows and columns are wanted.

    Returns
    -------
    dict
        Records by name. Those that failed say why.

    Raises
    ------
    TypeError
        If tensors in memory would have to be sent to other processes.
    """
    jobs: dict[Future[Any], Batch | Boxes] = {}
    found: dict[str, TensorSummary] = {}
    total = sum(ref.numel for ref, _ in entries) or 1
    done = 0
    try:
        for job in _jobs(entries, found, norms):
            jobs[executor.submit(job.run)] = job
        while jobs:
            for future in wait(jobs, return_when=FIRST_COMPLETED).done:
                job = jobs.pop(future)
                done += job.numel
                for following in job.take(future, found):
                    jobs[executor.submit(following.run)] = following
                    done -= following.numel
                if progress is not None:
                    progress(min(1.0, max(0, done) / total))
    except BaseException:
        for future in jobs:
            future.cancel()
        raise
    if progress is not None and not entries:
        progress(1.0)
    return found


class Batch:
    """Some tensors that are summarised in one go."""

    def __init__(self, entries: list[Entry], norms: bool) -> None:
        self._entries = entries
        self._norms = norms

    @property
    def numel(self) -> int:
        """Number of elements."""
        return sum(ref.numel for ref, _ in self._entries)

    def run(self) -> list[TensorSummary]:
        """Do the work, wherever that is."""
        fused.want_types(ref.dtype for ref, _ in self._entries)
        return [_summarized(ref, kind, self._norms) for ref, kind in self._entries]

    def take(self, future: Future[Any], found: dict[str, TensorSummary]) -> list[Boxes]:
        """Take what came of it; nothing more is to be done."""
        try:
            records = future.result()
        except Exception as error:
            log.debug("a task failed", exc_info=True)
            refuse_tensors_in_memory(error, self._entries[0][0])
            records = [_failed(ref, kind, error) for ref, kind in self._entries]
        found.update({record.name: record for record in records})
        return []


class Boxes:
    """Some boxes of a large tensor."""

    def __init__(self, entry: Entry, work: Work, boxes: list[Box]) -> None:
        self._entry, self._work, self._boxes = entry, work, boxes
        self._plan = work.plan

    @property
    def numel(self) -> int:
        """Number of elements."""
        return sum(box.size for box in self._boxes)

    def __getstate__(self) -> tuple[TensorRef, Plan, list[Box]]:
        return self._entry[0], self._plan, self._boxes

    def __setstate__(self, state: tuple[TensorRef, Plan, list[Box]]) -> None:
        ref, self._plan, self._boxes = state
        self._entry = (ref, "")

    def run(self) -> list[Part]:
        """Do the work, wherever that is."""
        ref = self._entry[0]
        fused.want_types([ref.dtype])
        whole = None if ref.device == "file" else ref.read()
        with one_thread():
            return [measure(ref, self._plan, box, whole) for box in self._boxes]

    def take(self, future: Future[Any], found: dict[str, TensorSummary]) -> list[Boxes]:
        """Take what came of it; gives what is to be done once more."""
        ref, kind = self._entry
        if ref.name in found:  # another box failed
            return []
        try:
            again: list[Box] = []
            for part in future.result():
                again = self._work.take(part)
        except Exception as error:
            log.debug("a task failed", exc_info=True)
            refuse_tensors_in_memory(error, ref)
            found[ref.name] = _failed(ref, kind, error)
            return []
        if self._work.record is not None:
            found[ref.name] = self._work.record
        return list(_in_groups(self._entry, self._work, again))


def _jobs(entries: list[Entry], found: dict[str, TensorSummary], norms: bool) -> Iterator[Batch | Boxes]:
    batch: list[Entry] = []
    room = BOXES * PIECE
    for ref, kind in entries:
        nbytes = 0 if ref.device == "meta" or not fused.is_known(ref.dtype) else ref.nbytes
        if nbytes > PIECE:
            work = Work(ref, kind, norms=norms)
            if work.record is None:
                yield from _in_groups((ref, kind), work, work.boxes)
            else:
                found[ref.name] = work.record
            continue
        batch.append((ref, kind))
        room -= nbytes
        if room <= 0 or len(batch) >= 64:
            yield Batch(batch, norms)
            batch, room = [], BOXES * PIECE
    if batch:
        yield Batch(batch, norms)


def _in_groups(entry: Entry, work: Work, boxes: list[Box]) -> Iterator[Boxes]:
    for first in range(0, len(boxes), BOXES):
        yield Boxes(entry, work, boxes[first : first + BOXES])


def _summarized(ref: TensorRef, kind: str, norms: bool) -> TensorSummary:
    try:
        return summarize_tensor(ref, kind, norms=norms)
    except Exception as error:
        log.debug("tensor %s cannot be summarised", ref.name, exc_info=True)
        return _failed(ref, kind, error)


def _failed(ref: TensorRef, kind: str, error: Exception) -> TensorSummary:
    return unreadable(ref, kind, f"{type(error).__name__}: {error}")


def refuse_tensors_in_memory(error: Exception, ref: TensorRef) -> None:
    """Raise if an error says that a tensor cannot be sent."""
    if isinstance(error, pickle.PicklingError) or "pickle" in str(error):
        raise TypeError(
            f"tensor {ref.name!r} cannot be sent to another process ({error}): use an executor of threads, or none"
        ) from error


def entries_of(source: WeightSource) -> list[Entry]:
    """The tensors of a source, tied ones once."""
    kinds = {path: info.kind for path, info in source.modules.items()}
    return [
        (ref, kinds.get(ref.module, ""))
        for name, ref in source.tensors.items()
        if ref.shared_with is None or ref.shared_with == name or ref.shared_with not in source.tensors
    ]
