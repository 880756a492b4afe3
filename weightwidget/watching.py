"""Watching a training: every so many steps, what changed is read while the training waits, then shown."""

from __future__ import annotations

import logging
import math
import statistics
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import torch

from weightwidget.sources.base import TensorRef
from weightwidget.sources.versions import lies_in, storages

log = logging.getLogger(__name__)

SHARE = 0.1
"""Share of the time of a training that reading its weights takes at most, once their cost is known."""

TELLING = 0.5
"""Seconds between updates of the number of steps in the view."""


class Watched(Protocol):
    """What is watched with: the explorer."""

    def _read_changed(self, written: Callable[[TensorRef], bool], patient: bool) -> bool:
        """Read what changed; False if that is not possible just now."""

    def _show_watch(self, watch: Watch, state: dict[str, Any]) -> None:
        """Show the state of a watch; an empty one when it has ended."""


@dataclass
class Cost:
    """What watching has cost the training.

    Attributes
    ----------
    seconds
        Time in which the training waited, in all.
    refreshes
        How many times the weights were read.
    training
        Seconds of the steps themselves, without what lay between loops.
    """

    seconds: float = 0.0
    refreshes: int = 0
    training: float = 0.0

    @property
    def per_refresh(self) -> float:
        """Seconds that the training waited each time, on average."""
        return self.seconds / self.refreshes if self.refreshes else 0.0

    @property
    def share(self) -> float:
        """Share of the time that the loop would have saved without it."""
        return self.seconds / (self.seconds + self.training) if self.seconds else 0.0

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s in {self.refreshes} refreshes ({self.share:.1%} of the training)"


class Watch:
    """A training that is watched, until `stop`. Can be a context manager: at its end the last steps are shown, too.

    Made by ``WeightExplorer.watch``.

    Parameters
    ----------
    explorer
        Shows the weights. It is not kept alive.
    optimizer
        Counts the steps; None if `step` is called by hand. It is not kept alive.
    every
        Steps from one refresh to the next.

    Attributes
    ----------
    asked
        Steps from one refresh to the next that were asked for.
    every
        The steps that it takes now: more than asked for, where reading the weights so often would take more than a
        tenth of the training's time.
    steps
        Steps so far.
    cost : Cost
        What it has cost.
    error
        What made it stop by itself; empty if nothing did.
    stopped
        Whether it has ended.
    """

    def __init__(self, explorer: Watched, optimizer: torch.optim.Optimizer | None, every: int) -> None:
        self.asked = self.every = every
        self.steps = 0
        self.cost = Cost()
        self.error = ""
        self.stopped = False
        self._telling = threading.RLock()
        self._explorer = weakref.ref(explorer)
        self._optimizer = weakref.ref(optimizer) if optimizer is not None else None
        self._durations: deque[float] = deque(maxlen=32)
        self._costs: deque[float] = deque(maxlen=5)
        self._read_at = 0
        self._left_at: float | None = None
        self._told_at = 0.0
        self._tell()
        if optimizer is not None:
            _hook_of(optimizer).add(self)

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """The optimizer, None if there is none (any more)."""
        return self._optimizer() if self._optimizer is not None else None

    def step(self) -> None:
        """Count a step of the training, and read what changed if it is time. Raises nothing.

        Called by the optimizer; call it yourself only in loops without one.
        """
        if self.stopped:
            return
        begun = time.perf_counter()
        self.steps += 1
        if self._left_at is not None:
            self._durations.append(begun - self._left_at)
            # A pause between two loops is no step.
            self.cost.training += min(begun - self._left_at, 10 * statistics.median(self._durations))
        try:
            if self.steps - self._read_at >= self.every:
                self._refresh(patient=False)
            if begun - self._told_at > TELLING:
                self._tell()
        except Exception as error:
            log.exception("watching a training failed")
            self._fail(error)
        self._left_at = time.perf_counter()
        self.cost.seconds += self._left_at - begun

    def stop(self) -> None:
        """End the watching; what is shown stays. May be called from any thread, and again."""
        with self._telling:  # else the step that is under way could tell its number afterwards
            self.stopped = True
            explorer = self._explorer()
            if explorer is not None:
                explorer._show_watch(self, {"error": self.error} if self.error else {})

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self.stopped and self.steps > self._read_at:
                self._refresh(patient=True)
        except Exception as failure:
            log.exception("showing the end of a training failed")
            self._fail(failure)
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self.stopped else "watching"
        stretched = f" (asked: {self.asked})" if self.every != self.asked else ""
        return f"<{state}: step {self.steps:,}, every {self.every:,} steps{stretched}, cost {self.cost}>"

    def _refresh(self, patient: bool) -> None:
        explorer = self._explorer()
        if explorer is None:
            self.stopped = True
            return
        begun = time.perf_counter()
        if not explorer._read_changed(self._written(), patient):
            return  # what was read before is not shown yet: with the next step
        self._costs.append(time.perf_counter() - begun)
        self.cost.refreshes += 1
        self._read_at = self.steps
        self.every = self._stretched()
        self._tell()

    def _written(self) -> Callable[[TensorRef], bool]:
        """Which tensors were written to, whatever the version counter says."""
        optimizer = self.optimizer
        if optimizer is None:  # a loop by hand writes as it likes
            return lambda _ref: True
        memory = storages(optimizer)
        return lambda ref: lies_in(ref, memory)

    def _stretched(self) -> int:
        """Steps to the next refresh: a multiple of those asked for, such that refreshing stays within its share."""
        if not self._durations:
            return self.asked
        step = max(statistics.median(self._durations), 1e-9)
        needed = statistics.median(self._costs) * (1 - SHARE) / SHARE / step
        return self.asked * max(1, math.ceil(needed / self.asked))

    def _tell(self) -> None:
        self._told_at = time.perf_counter()
        state = {"step": self.steps, "every": self.every, "asked": self.asked, "share": round(self.cost.share, 4)}
        with self._telling:
            explorer = self._explorer()
            if explorer is not None and not self.stopped:
                explorer._show_watch(self, state)

    def _fail(self, error: Exception) -> None:
        self.error = f"watching stopped: {type(error).__name__}: {error}"
        self.stop()


class _StepHook:
    """Passes the steps of one optimizer on to the watches of it.

    It stays with the optimizer: torch goes through its hooks while calling them, and one that went in between, from
    the view or from a hook, would end the training with an error.
    """

    def __init__(self) -> None:
        self.watches: tuple[weakref.ref[Watch], ...] = ()

    def add(self, watch: Watch) -> None:
        alive = (ref for ref in self.watches if (other := ref()) is not None and not other.stopped)
        self.watches = (*alive, weakref.ref(watch))

    def __call__(self, *_given: object) -> None:
        for ref in self.watches:
            watch = ref()
            if watch is not None:
                watch.step()


_hooks: weakref.WeakKeyDictionary[torch.optim.Optimizer, _StepHook] = weakref.WeakKeyDictionary()


def _hook_of(optimizer: torch.optim.Optimizer) -> _StepHook:
    """The hook of an optimizer, registered when it is first asked for."""
    hook = _hooks.get(optimizer)
    if hook is None:
        hook = _hooks[optimizer] = _StepHook()
        optimizer.register_step_post_hook(hook)
    return hook


def check(optimizer: Any, every: Any) -> None:
    """Raise if a training cannot be watched so.

    Raises
    ------
    TypeError
        If the optimizer tells nobody of its steps.
    ValueError
        If `every` is no positive number.
    """
    if optimizer is not None and not hasattr(optimizer, "register_step_post_hook"):
        raise TypeError(
            f"a {type(optimizer).__name__} is no torch.optim.Optimizer and tells nobody of its steps: leave it out and "
            "call step() of what watch() gives in your loop"
        )
    if every < 1:
        raise ValueError(f"every is the number of steps from one refresh to the next, at least 1, not {every}")
