"""An explorer beside a training: what changed is read within a step, and shown beside the training."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import Any

import torch

from weightwidget.exploring.scanning import Scanned
from weightwidget.following import Follower
from weightwidget.sources.base import TensorRef
from weightwidget.summary.record import TensorSummary
from weightwidget.watching import Watch, check


class Trained(Scanned):
    """Watches trainings."""

    def watch(self, optimizer: torch.optim.Optimizer | None = None, every: int = 100) -> Watch:
        """Show the weights while they are trained: read what changed after every so many steps.

        Reading happens within the step, so that no weights are seen half updated; sending them goes on beside the
        training. Where reading so often would take more than a tenth of the training's time, it is done more rarely.
        Nothing is raised into the training: what goes wrong ends the watching, and the view says so.

        Parameters
        ----------
        optimizer
            Its steps count. Without one, call ``step()`` of what is returned in your loop; then all weights are read
            each time, for a loop by hand may write past torch's counter. Watching an optimizer again takes the place of
            watching it before.
        every
            Steps from one refresh to the next.

        Returns
        -------
        Watch
            Its ``stop()`` ends the watching, as does closing the explorer; ``cost`` tells what it has cost. Used as a
            context manager, it ends with the block, and what the last steps changed is shown.

        Raises
        ------
        TypeError
            If the optimizer is none of torch's.
        ValueError
            If `every` is less than 1.
        RuntimeError
            If the explorer is closed.

        Notes
        -----
        Tensors that the optimizer does not hold (running statistics of normalisations, frozen layers) are read when
        they have changed by the rules of `refresh`.
        """
        if self._closed:
            raise RuntimeError("the explorer is closed: make a new one")
        check(optimizer, every)
        for watch in self._watches:
            if optimizer is not None and watch.optimizer is optimizer:
                watch.stop()
        made = Watch(self, optimizer, operator.index(every))
        self._watches = (*self._watches, made)
        return made

    def _show_watch(self, watch: Watch, state: dict[str, Any]) -> None:
        if watch.stopped:
            self._watches = tuple(other for other in self._watches if other is not watch)
        if not self._closed:
            self._tell("_watch", state)
            if "error" in state:
                self._tell("_message", state["error"])

    def _read_changed(self, written: Callable[[TensorRef], bool], patient: bool) -> bool:
        """Read what changed while the caller waits; show it in a thread.

        Parameters
        ----------
        written
            Whether a tensor was certainly written to.
        patient
            Whether to wait until what was read before is shown.

        Returns
        -------
        bool
            False if something else is being read, or is not shown yet.
        """
        if patient:
            self.wait()
        with self._starting:
            follower = self._follower
            if self._closed or not self._done.is_set() or (follower is not None and follower.rests and not patient):
                return False
            opened = self._open()
            with self._packing:
                known: dict[str, TensorSummary] = {}
                try:
                    known = self._show_again(opened, written)
                finally:
                    self._scan_now(known)
        return True

    def _scan_now(self, known: dict[str, TensorSummary]) -> None:
        """Scan while the caller waits, and show what was found in a thread."""
        scan, self._summary = self._new_scan(known), None
        self._scan, done = scan, threading.Event()
        self._done, self._follower = done, Follower(self, scan, done)
        try:
            scan.start().wait()
            if scan.status == "ready":
                self._packer.look(scan.results)
        except BaseException:  # an interrupt of the training
            scan.cancel()
            raise
        finally:
            self._follower.start()
