"""What a scan has to do, in the order in which it is wanted, handed out to its threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from weightwidget.sources.base import TensorRef
from weightwidget.summary.kernel import Work
from weightwidget.summary.parts import Box, matrix_shape

AHEAD = 1 << 23
"""Elements that the system is asked to read ahead at most."""


@dataclass(eq=False)
class Task:
    """A tensor that is being summarised.

    Attributes
    ----------
    ref
        The tensor.
    nbytes
        What its part in the progress is.
    counted
        How much of that is counted already.
    work
        Its summary under way; None until it was looked at.
    over
        Whether its record is there, or it failed.
    """

    ref: TensorRef
    nbytes: int
    counted: int = 0
    work: Work | None = None
    over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, elements: int) -> int:
        """Count elements that are done, and give the bytes that this adds to the progress."""
        with self.lock:
            step = min(self.nbytes - self.counted, int(elements * self.nbytes / max(1, self.ref.numel)))
            self.counted += step
            return step

    def rest(self) -> int:
        """Count all that is left, and give how much that is."""
        with self.lock:
            left, self.counted = self.nbytes - self.counted, self.nbytes
            return left


class Queue:
    """Tensors and boxes of tensors that wait for a thread.

    What somebody asked for comes first, then the boxes of tensors that were begun, then the other tensors. Safe to
    use from several threads.

    Parameters
    ----------
    refs
        The tensors by name, in the model's order.
    sizes
        Their bytes.
    ties
        Further names of tied tensors, by the first.
    """

    def __init__(
        self, refs: Mapping[str, TensorRef], sizes: Mapping[str, int], ties: Mapping[str, Sequence[TensorRef]]
    ) -> None:
        self._refs, self._sizes, self._ties = refs, sizes, ties
        self._urgent: deque[str] = deque()
        self._waiting = deque(refs)
        self._boxes: deque[tuple[Task, Box]] = deque()
        self._taken: set[str] = set()
        self._open: dict[str, Task] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._in_files = any(ref.device == "file" for ref in refs.values())

    def prioritise(self, paths: Iterable[str]) -> None:
        """See `weightwidget.summary.scan.Scan.prioritise`."""
        wanted: list[str] = []
        with self._changed:
            for path in paths:
                inside = f"{path}."
                for first in self._refs:
                    names = [first, *(ref.name for ref in self._ties.get(first, ()))]
                    if any(name == path or name.startswith(inside) for name in names):
                        wanted.append(first)
            self._urgent.extendleft(name for name in reversed(wanted) if name not in self._taken)
            begun = [self._open[name] for name in dict.fromkeys(wanted) if name in self._open]
            if begun:
                rank = {task: place for place, task in enumerate(begun)}
                self._boxes = deque(sorted(self._boxes, key=lambda entry: rank.get(entry[0], len(begun))))

    def take(self) -> tuple[Task, Box | None] | None:
        """Give what is to be done next: a tensor to be opened, or a box to be measured. None at the end.

        Waits while others may still add boxes.
        """
        with self._changed:
            while not self._closed:
                name = self._next_of(self._urgent)
                if name is None and self._boxes:
                    return self._boxes.popleft()
                name = name or self._next_of(self._waiting)
                if name is not None:
                    return self._open_task(name), None
                if not self._open:
                    self._changed.notify_all()
                    return None
                self._changed.wait()
            return None

    def take_more(self, fits: Callable[[TensorRef], bool]) -> Task | None:
        """Give the tensor that is next to be opened, if it fits; None if it does not, or boxes come first."""
        with self._changed:
            if self._closed or self._boxes:
                return None
            for names in (self._urgent, self._waiting):
                while names and names[0] in self._taken:
                    names.popleft()
                if names:
                    return self._open_task(names.popleft()) if fits(self._refs[names[0]]) else None
            return None

    def _open_task(self, name: str) -> Task:
        self._taken.add(name)
        task = self._open[name] = Task(self._refs[name], self._sizes[name])
        return task

    def _next_of(self, names: deque[str]) -> str | None:
        while names:
            name = names.popleft()
            if name not in self._taken:
                return name
        return None

    def add(self, task: Task, boxes: Iterable[Box]) -> None:
        """Have boxes of a tensor measured."""
        with self._changed:
            self._boxes.extend((task, box) for box in boxes)
            self._changed.notify_all()

    def finish(self, *tasks: Task) -> None:
        """Take note that nothing more of some tensors is to be measured."""
        with self._changed:
            for task in tasks:
                self._open.pop(task.ref.name, None)
                if any(other is task for other, _ in self._boxes):  # it failed
                    self._boxes = deque(entry for entry in self._boxes if entry[0] is not task)
            self._changed.notify_all()

    def close(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def expect(self) -> None:
        """Tell the system what will be read after what is under way."""
        if not self._in_files:
            return
        with self._changed:
            if self._boxes:
                task, box = self._boxes[0]
                ref = task.ref
            else:
                name = next((name for name in self._waiting if name not in self._taken), None)
                if name is None:
                    return
                ref = self._refs[name]
                box = Box(0, 0, *matrix_shape(ref.shape))
        if (reader := ref.stream) is not None:
            reader.expect(box.top * matrix_shape(ref.shape)[1] + box.left, min(box.size, AHEAD))


_WINDOW = 2.0
"""Seconds over which the rate of a scan is taken."""


class Pace:
    """How fast a scan goes, of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def see(self, done: int) -> None:
        """Take note of how many bytes are done now."""
        now = time.monotonic()
        with self._lock:
            self._seen.append((now, done))
            while len(self._seen) > 2 and now - self._seen[1][0] > _WINDOW:
                self._seen.popleft()

    @property
    def rate(self) -> float:
        """Bytes in a second; 0 as long as nothing tells."""
        with self._lock:
            if len(self._seen) < 2:
                return 0.0
            (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start else 0.0
