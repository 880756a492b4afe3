"""The life of an explorer's scan: begun, followed, cancelled, begun again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.anatomy.blocks import Blocks
from weightwidget.exploring.lookups import Known
from weightwidget.exploring.state import Opened
from weightwidget.following import Follower, wait_if_soon
from weightwidget.outputs.names import visible
from weightwidget.sources import open_weights
from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.sources.saved import SavedSource
from weightwidget.sources.source import ListedSource
from weightwidget.sources.versions import stamps
from weightwidget.summary.filtering import TensorFilter
from weightwidget.summary.finished import FinishedScan, picture_side, scan_of
from weightwidget.summary.known import still_known
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.scan import Scan
from weightwidget.wire.handlers import message_of
from weightwidget.wire.overview import OverviewPacker

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that a cell waits for the scan, so that the notebook of a small model is whole when the cell ends."""

MOST_LOOKED_AT = 1000
"""Paths that a view may ask to be read next."""


class Scanned(Known):
    """Opens the weights, has them read and sends what is found."""

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the scan has ended.

        Parameters
        ----------
        timeout
            Seconds to wait at most; None waits as long as it takes.

        Returns
        -------
        WeightExplorer
            Itself, so that ``WeightExplorer(model).wait()`` can end a cell.

        Raises
        ------
        TimeoutError
            If the scan is still going on after `timeout`; it goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            scan, done = self._scan, self._done
            # An observer that the following thread calls cannot wait for that thread.
            waits_for_itself = threading.current_thread() is self._follower and scan is not None
            ended = scan.wait if scan is not None and waits_for_itself else done.wait
            if not ended(None if end is None else max(0.0, end - time.monotonic())):
                raise TimeoutError(f"the scan of {visible(self.source.name)} still goes on ({self.progress:.0%} done)")
            if done is self._done:  # else a refresh has started another scan
                return self

    def cancel(self) -> None:
        """Stop the scan. What was summarised stays; `refresh` starts again."""
        if self._scan is not None:
            self._scan.cancel()

    def refresh(self, everything: bool = False) -> Self:
        """Show the weights as they are now, after training on or editing them. What has not changed is not read again.

        What was given to the constructor is opened anew: layers may have been exchanged or converted, files
        written again.

        Parameters
        ----------
        everything
            Whether to read all weights. It takes this to see a write that torch does not count (through ``.data``, a
            NumPy view, a fused optimizer) to a few elements of a large matrix: what torch does not count is looked for
            in all of vectors and small tensors, and in one element of every row and column of others.

        Returns
        -------
        WeightExplorer
            Itself.

        Raises
        ------
        RuntimeError
            If the explorer is closed.
        WeightFileError
            If a file is gone or damaged; what is shown then stays.
        """
        if self._closed:
            raise RuntimeError("the explorer is closed: make a new one")
        opened = self._open()
        while True:
            self.cancel()
            done = self._done
            if threading.current_thread() is not self._follower:
                done.wait()
            with self._starting:
                if done is self._done:  # else another thread was quicker
                    done = self._done = threading.Event()
                    break
        known: dict[str, TensorSummary] = {}
        try:
            known = self._show_again(opened, lambda _ref: everything)
        finally:
            self._start_scan(PATIENCE, done, known)
        return self

    @property
    def summary(self) -> ModelSummary:
        """The records of all tensors and, merged, of all modules. Waits for the scan."""
        self.wait()
        summary, scan = self._summary, self._scan
        if summary is None:
            if scan is None:
                raise RuntimeError("the explorer was closed before its scan began")
            summary = scan.summary()
        return summary

    def to_frame(self) -> pd.DataFrame:
        """All statistics as a pandas data frame, one row a tensor, indexed by name. Waits for the scan."""
        return self.summary.to_frame()

    def _open(self) -> Opened:
        source = open_weights(self._obj, name=self._name)
        if source is self._obj and self._name is not None:
            # The caller's source keeps its own name.
            if isinstance(source, SavedSource):
                source = source.summary.as_source(self._name)
            else:
                source = ListedSource(self._name, source.tensors.values(), source.modules, source.skipped)
        anatomy = Anatomy(source)
        anatomy.model = self._obj if isinstance(self._obj, nn.Module) else None
        if self.source is not None:  # read again: what was set by hand stays
            anatomy.adopt(self.anatomy)
        packer = OverviewPacker(source, picture_side(source, self._detail), anatomy)
        return source, anatomy, Blocks(source, anatomy), packer, TensorFilter(source)

    def _take(self, opened: Opened) -> None:
        self.source, self.anatomy, self._blocks, self._packer, self._filter = opened
        self.anatomy.observe(self._on_axes_set)
        if self._handlers is not None:
            self._handlers.forget()

    def _on_axes_set(self) -> None:
        self._pack()
        if self._path_of(self.selected) is None:  # a block that is no longer one
            whole = self.selected.partition(SEPARATOR)[0]
            self.selected = whole if self._path_of(whole) == whole else self._first_matrix()

    def _pack(self) -> None:
        """Send what is known now."""
        if self._closed or self._scan is None:
            return
        with self._packing:  # else an older overview could follow a newer one
            summary = self._summary
            self._overview = self._packer.pack(self._records(), summary.modules if summary is not None else None)

    def _new_scan(self, known: dict[str, TensorSummary] | None = None) -> Scan | FinishedScan:
        return scan_of(self.source, max(self._packer.detail.thumbnail, 8), known, self._stamps)

    def _start_scan(
        self, patience: float, done: threading.Event, known: dict[str, TensorSummary] | None = None
    ) -> None:
        scan = self._scan = self._new_scan(known)
        self._summary = None
        follower = self._follower = Follower(self, scan, done)
        try:
            self.set_trait("status", "scanning")
            self.set_trait("progress", 0.0)
            self._prioritise()
        finally:  # whatever an observer raises: somebody may already wait for the end
            scan.start()
            follower.start()
        wait_if_soon(scan, done, patience)

    def _finish(self, scan: Scan | FinishedScan) -> None:
        if scan is not self._scan:
            return  # overtaken by a refresh
        self._summary = scan.summary()
        if scan.status == "cancelled":  # somebody clicked: packing a large model takes longer than a click should
            self._tell_end(scan)
        self._pack()
        self._tell("visible", self._passing())
        self._tell_end(scan)

    def _tell_end(self, scan: Scan | FinishedScan) -> None:
        for trait, value in (("_pace", {}), ("progress", scan.progress), ("status", scan.status)):
            if scan is self._scan:  # an observer may have called `refresh`
                self._tell(trait, value)

    def _fail(self, error: Exception) -> None:
        log.error("the scan of %s failed", self.source.name, exc_info=error)
        self._message = f"the scan failed: {message_of(error)}"
        self._tell("status", "failed")

    def _tell(self, trait: str, value: object) -> None:
        """Set a trait from another thread; what an observer raises does not end what goes on there."""
        try:
            self.set_trait(trait, value)
        except Exception:
            log.exception("an observer of %r failed", trait)

    def _show_again(self, opened: Opened, written: Callable[[TensorRef], bool]) -> dict[str, TensorSummary]:
        """Put what was opened anew in the place of what was; what of the records still holds."""
        before, packer = self.source, self._packer
        now = stamps(opened[0].tensors.values())
        known = still_known(opened[0], self._records(), self._stamps, now, written)
        self._take(opened)
        self._stamps = now
        if listing(self.source) == listing(before):
            self._packer.adopt(packer)
            return known
        if self._packer.detail != packer.detail:
            known = {}  # their pictures have another size
        self._overview = self._packer.pack({})
        if self._path_of(self.selected) == self.selected:
            self._enter_selected()
        else:
            self.selected = self._first_matrix()
        return known

    def _look(self, paths: list[Any]) -> None:
        """Take what a view shows: it is read next."""
        named = (path for path in paths[:MOST_LOOKED_AT] if isinstance(path, str))
        self._looked_at = tuple(path for path in named if path in self.source.tensors or path in self._packer.modules)
        self._prioritise()

    def _prioritise(self) -> None:
        selected = (self._blocks.tensors(self.selected) or [self.selected]) if self.selected else []
        if self._scan is not None and (selected or self._looked_at):
            self._scan.prioritise(*selected, *self._looked_at)

    def _enter_selected(self) -> None:
        # What belongs to the tensor before means nothing in this one. What a view sends along is meant for this one.
        for trait, value in (("window", None), ("drawn_axes", None), ("index", ())):
            if trait not in self._sent_along:
                setattr(self, trait, value)
        self._prioritise()


def listing(source: WeightSource) -> list[tuple[str, tuple[int, ...], str, str]]:
    """What a view lists of the tensors of a source before any is read."""
    return [(ref.name, ref.shape, ref.dtype, ref.role) for ref in source.tensors.values()]
