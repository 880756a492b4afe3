"""WeightExplorer: the widget's traits and life cycle. It delegates everything else."""

from __future__ import annotations

import logging
import operator
import os
import threading
import time
from collections.abc import Callable, Collection, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import anywidget
import torch
import traitlets as t
from torch import nn

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.anatomy.blocks import Blocks
from weightwidget.detail.pixels import Aggregate
from weightwidget.detail.selection import Selection, select
from weightwidget.following import Follower, wait_if_soon
from weightwidget.outputs.cells import close_layout, replace_earlier
from weightwidget.outputs.display import with_fallbacks
from weightwidget.outputs.html import SavedPage, save_page
from weightwidget.outputs.names import shorten, visible
from weightwidget.outputs.notebook_progress import NotebookProgress
from weightwidget.outputs.saved import Copied
from weightwidget.outputs.view import StaticView
from weightwidget.sources import open_weights
from weightwidget.sources.base import TensorRef, WeightSource, in_totals
from weightwidget.sources.parts import shown
from weightwidget.sources.saved import SavedSource, has_weights
from weightwidget.sources.source import ListedSource
from weightwidget.sources.tokenizers import TokenStrings
from weightwidget.sources.versions import stamps
from weightwidget.summary.filtering import TensorFilter
from weightwidget.summary.finished import FinishedScan, picture_side, scan_of
from weightwidget.summary.known import still_known
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.scan import Scan
from weightwidget.watching import Watch, check
from weightwidget.wire.checks import CHECKS
from weightwidget.wire.comms import handle_beside_cells
from weightwidget.wire.handlers import Handlers, message_of
from weightwidget.wire.overview import OverviewPacker

if TYPE_CHECKING:
    import pandas as pd
    from sidecar import Sidecar

    from weightwidget.outputs.charts import Charts
    from weightwidget.outputs.snapshot import Snapshot

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"

COLOR_SCALES = ("robust", "full", "symlog", "row")
COLOR_MAPS = ("blue-red", "purple-green", "brown-teal", "grey")
AGGREGATES = get_args(Aggregate)

VIEWS = ("heatmap", "filters", "gates", "heads", "tokens", "experts", "channel", "spectrum")

PATIENCE = 2.0
"""Seconds that a cell waits for the scan, so that the notebook of a small model is whole when the cell ends."""

MOST_LOOKED_AT = 1000
"""Paths that a view may ask to be read next."""

QUICK_BLOCK = 1 << 22
"""Weights of the tensors around a selected block, up to which it is summarised for the static picture of a cell."""


Opened: TypeAlias = tuple[WeightSource, Anatomy, Blocks, OverviewPacker, TensorFilter]


class WeightExplorer(anywidget.AnyWidget):
    """A layer tree linked to heatmap, histogram and filter panels for the weights of a model.

    Parameters
    ----------
    obj
        Whatever `weightwidget.open_weights` takes: a ``torch.nn.Module``, a state dict (nested too), a path to a
        ``.safetensors``, ``.pt`` or ``.pth`` file, or to a folder or index of sharded safetensors. A source that
        `open_weights` gave stays the caller's to close. A `ModelSummary`, or the file that it was saved to, is shown
        without the weights: what takes them says so.
    name
        What to call it; by default what the source is called.
    detail
        Largest side, in cells, of the picture of each tensor that is kept for use without a kernel.
    patience
        Seconds that the constructor waits for the scan, so that a small model is complete when the cell ends. It
        does not wait for a scan that would take longer; that goes on in the background.
    tokenizer
        Gives the tokens of embeddings their strings: a tokenizer, a list of strings, a mapping of strings to numbers,
        or a path to ``tokenizer.json``, ``vocab.json`` or ``vocab.txt``. By default one of these files beside the
        weights, if there is one.
    **traits
        Initial values of the traits below.

    Attributes
    ----------
    selected : str
        Path of the selected tensor, module or block (``"lstm.weight_ih_l0 › f"``,
        ``"encoder.layer.3 › head 5 › key"``); ``""`` is the whole model.
    query : str
        Text of the layer filter: ``"attention kind:Linear std>0.1"``. What is wrong with it is in `query_error`.
    facets : dict of str to (float, float)
        Range per statistic, ends included, that tensors must lie in.
    visible : list of str
        Tensors that pass `query` and `facets`, in the model's order. Read-only.
    value_range : (float, float) or None
        Interval of values, ends included, that is highlighted in the heatmap. See `selection`.
    window : (int, int, int, int) or None
        Visible part of the heatmap in elements: first row, end row, first column, end column; None shows all.
    index : tuple of int
        Position on every axis of the selected tensor or block, or ``()`` for its beginning; the entries of drawn
        axes do not matter.
    drawn_axes : dict or None
        ``{"rows": [axes], "cols": [axes]}`` of the selected tensor or block; axes listed together are flattened. None
        draws the first axis against all others; of stacked experts, one expert after the other.
    view : {"heatmap", "filters", "gates", "heads", "tokens", "experts", "channel", "spectrum"}
        What is shown of the selected tensor; where it has no such view, the heatmap.
    channel : (int, int) or None
        What the channel view follows: an axis of the selected tensor, and a position on it. ``(0, 99)`` is row 99 of a
        matrix, ``(1, 856)`` its column 856.
    color_scale : {"robust", "full", "symlog", "row"}
        How values map to colours.
    color_map : {"blue-red", "purple-green", "brown-teal", "grey"}
        The colours.
    aggregate : {"absmax", "mean", "std", "min", "max"}
        What a pixel shows where it covers several weights.
    progress : float
        Share of the scan that is done, 0 to 1. Read-only.
    status : {"scanning", "ready", "cancelled", "failed"}
        State of the scan. Read-only.
    anatomy : Anatomy
        What the axes of each tensor mean, and which tensors make a layer.
    source : WeightSource
        Where the weights come from.

    Raises
    ------
    TypeError
        If `obj` is nothing that `open_weights` takes, or there is no trait of a name.
    WeightFileError
        If a file is missing, damaged or refused.

    Notes
    -----
    When a notebook's cell is run again, the explorers that its earlier run made are closed as soon as the new one is
    there, with all their views: in other cells, in the sidebar, in JupyterLab's panel. Else every run would keep a
    model alive and add an explorer to the saved notebook. What another cell made stays, also where a function made it;
    if the new run fails, the old explorer stays.
    """

    # As text: a path would be watched by anywidget, for good and on behalf of every explorer ever made.
    _esm = (STATIC / "widget.js").read_text("utf-8")
    _css = (STATIC / "widget.css").read_text("utf-8")

    _overview = t.Bytes().tag(sync=True)
    _message = t.Unicode().tag(sync=True)
    _strings_version = t.Int(0).tag(sync=True)
    _pace = t.Dict().tag(sync=True)  # of the scan: bytes a second, seconds left
    _watch = t.Dict().tag(sync=True)  # of a training: steps, every how many it is read, what that costs

    selected = t.Unicode().tag(sync=True)
    query = t.Unicode().tag(sync=True)
    # What a drag changes many times a second is not echoed back to the view that sent it.
    facets = t.Dict(key_trait=t.Unicode()).tag(sync=True, echo_update=False)
    value_range = t.Tuple(t.CFloat(), t.CFloat(), default_value=None, allow_none=True).tag(sync=True, echo_update=False)
    window = t.Tuple(t.CInt(), t.CInt(), t.CInt(), t.CInt(), default_value=None, allow_none=True).tag(
        sync=True, echo_update=False
    )
    index = t.Tuple().tag(sync=True)
    drawn_axes = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    view = t.Enum(VIEWS, "heatmap").tag(sync=True)
    channel = t.Tuple(t.CInt(), t.CInt(), default_value=None, allow_none=True).tag(sync=True)
    color_scale = t.Enum(COLOR_SCALES, "robust").tag(sync=True)
    color_map = t.Enum(COLOR_MAPS, "blue-red").tag(sync=True)
    aggregate = t.Enum(AGGREGATES, "absmax").tag(sync=True)
    progress = t.Float(read_only=True).tag(sync=True)
    status = t.Enum(("scanning", "ready", "cancelled", "failed"), "scanning", read_only=True).tag(sync=True)
    visible = t.List(t.Unicode(), read_only=True)

    # ipywidgets closes what is collected, also what the constructor refused and never finished.
    source: WeightSource = None  # type: ignore[assignment]
    anatomy: Anatomy
    _handlers: Handlers | None = None
    _scan: Scan | FinishedScan | None = None
    _follower: Follower | None = None
    _summary: ModelSummary | None = None
    _stamps: dict[str, Hashable | None]
    _looked_at: tuple[str, ...] = ()
    _watches: tuple[Watch, ...] = ()
    _closed = False
    _sent_along: frozenset[str] = frozenset()
    _panels: tuple[Sidecar, ...] = ()

    def __init__(
        self,
        obj: Any,
        *,
        name: str | None = None,
        detail: int = 64,
        patience: float = PATIENCE,
        tokenizer: Any = None,
        **traits: Any,
    ) -> None:
        unknown = sorted(set(traits) - set(self.trait_names()))
        if unknown:
            raise TypeError(f"WeightExplorer has no trait {unknown[0]!r}")
        self._obj, self._name, self._detail = obj, name, operator.index(detail)
        self.strings = TokenStrings(obj, tokenizer)
        self._done = threading.Event()
        self._starting = threading.RLock()
        self._packing = threading.RLock()
        try:
            self._take(self._open())
            super().__init__(_overview=self._packer.pack({}))
            handle_beside_cells(self.comm)
            self._handlers = Handlers(self, self.send)
            self.on_msg(self._on_message)
            self.selected = traits.pop("selected", self._first_matrix())
            for trait, value in traits.items():
                setattr(self, trait, value)
            self._update_visible()
            self._stamps = {}
            self._start_scan(patience, self._done)
            replace_earlier(self)
        except BaseException:  # an interrupt too: nobody would hold what is to be closed
            self.close()
            raise

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

    def _records(self) -> dict[str, TensorSummary]:
        """The records of tensors that are there by now."""
        summary, scan = self._summary, self._scan  # a refresh in another thread may exchange them
        return summary.tensors if summary is not None else scan.results if scan is not None else {}

    # -- the scan -------------------------------------------------------------------------------------------------

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

    def wait(self, timeout: float | None = None) -> WeightExplorer:
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

    def refresh(self, everything: bool = False) -> WeightExplorer:
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
            self._on_selected(None)
        else:
            self.selected = self._first_matrix()
        return known

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

    def close(self) -> None:
        """Stop the scan, close the files and remove the widget, its views and sidebars from the notebook."""
        for watch in self._watches:
            watch.stop()
        self._closed = True
        self.cancel()
        if self._handlers is not None:
            self._handlers.close()
        panels, self._panels = self._panels, ()
        for panel in panels:
            panel.close()
            close_layout(panel)
        super().close()
        close_layout(self)
        if self._scan is not None:
            self._scan.wait(1.0)  # it ends with the block that it is at, and should not find the files closed
        if self.source is not None and self.source is not self._obj:
            self.source.close()
        self._obj = None
        if self.source is not None:
            self.anatomy.model = None  # a closed explorer keeps no model alive

    # -- what is known of the weights -----------------------------------------------------------------------------

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

    @property
    def selection(self) -> Selection:
        """The brushed weights of the selected tensor.

        Returns
        -------
        Selection
            ``indices``, int64 of shape (k, number of axes), and ``values``, shape (k,) in the stored dtype: the
            weights within `value_range`, ends included, in row-major order. On the CPU. Of complex weights, the
            magnitudes.

        Raises
        ------
        ValueError
            If no tensor is selected, or nothing is brushed.
        """
        ref = self.ref(self.selected)
        if ref is None:
            raise ValueError("no tensor is selected: set explorer.selected to a tensor's name first")
        if self.value_range is None:
            raise ValueError("nothing is brushed: drag over the histogram or set explorer.value_range = (low, high)")
        return select(ref, self.value_range)

    @property
    def query_error(self) -> str:
        """What is wrong with `query`; empty if nothing is. A faulty term does not filter."""
        return self._filter.error(self.query)

    @property
    def charts(self) -> Charts:
        """Linked bqplot charts beside the explorer."""
        from weightwidget.outputs.charts import Charts  # bqplot brings pandas along: not before it is needed

        return Charts(self)

    def sidebar(self, title: str | None = None) -> Sidecar:
        """Open the explorer in JupyterLab's right sidebar.

        Parameters
        ----------
        title
            Of the sidebar's tab; by default the model's name.

        Returns
        -------
        Sidecar
            Its ``close()`` closes the panel and leaves the explorer as it is. Closing the explorer closes it, too.
        """
        from weightwidget.outputs.sidebar import open_sidebar

        panel = open_sidebar(self, title or visible(self.source.name))
        self._panels = (*self._panels, panel)
        return panel

    def snapshot(self, detail: int = 0) -> Snapshot:
        """Make a live copy of what is shown now, to be displayed in the notebook. Waits for the scan.

        It needs no kernel, no extension and no network: what is saved with the notebook, or exported to HTML, stays
        alive. Hosts that take scripts out show a picture and a table of statistics instead.

        Parameters
        ----------
        detail
            How many levels of the heatmap it holds: see `save_html`.

        Returns
        -------
        Snapshot
            Displayed where it is the last value of a cell. Its ``size`` says how many bytes it adds to the notebook.
        """
        from weightwidget.outputs.snapshot import snapshot_of  # brings Pillow along: not before it is needed

        return snapshot_of(self._copied(), self._static_view(), detail)

    def save_html(
        self,
        path: str | os.PathLike[str],
        detail: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> SavedPage:
        """Save what is shown now as one file of HTML, which opens anywhere without a network. Waits for the scan.

        Parameters
        ----------
        path
            Where to. What lies there is replaced once the new file is complete.
        detail
            How many levels of the heatmap the file holds beyond the overview's picture of each tensor: with 0 a side
            of at most 64 cells, with 1 of 128, with 2 of 256, and so on until every weight is there. By default as
            many as fit 4 MB. A cell is the weight of largest magnitude under it. Small tensors are there with every
            weight, whatever the detail.
        progress
            Takes the share that is done, 0 to 1. By default a line under the cell tells it, if it takes long. What it
            raises ends the work.

        Returns
        -------
        SavedPage
            Path and size; can be used as a path.

        Raises
        ------
        ValueError
            If the detail is not one.
        OSError
            If the file cannot be written. What was there before is then still there.
        """
        from weightwidget.outputs.static import static_html  # brings Pillow along: not before it is needed

        line = NotebookProgress(f"saving {os.fspath(path)}")
        saved = save_page(self._copied(), path, detail, progress or line, lambda: static_html(self._static_view()))
        line.done(f"saved {saved}")
        return saved

    def _copied(self) -> Copied:
        passing = {"_overview", "_pace", "_watch"}
        state = self.get_state([name for name in WeightExplorer.class_own_traits(sync=True) if name not in passing])
        return Copied(self.source.name, self._packer, self.summary, state)

    @property
    def tokenizer(self) -> Any:
        """What gives tokens their strings, None if nothing was given. Can be set at any time."""
        return self.strings.given

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        self.strings = TokenStrings(self._obj, tokenizer)
        self._strings_version += 1

    def ref(self, path: str) -> TensorRef | None:
        """The tensor of that name, or block of that path; None if there is none. Of complex ones the magnitudes."""
        ref = self.source.tensors.get(path) or self._blocks.ref(path)
        return None if ref is None else shown(ref)

    def record(self, path: str) -> TensorSummary | None:
        """The record of the tensor, module or block of that path; None while it is not summarised.

        Blocks are summarised when they are asked for.
        """
        summary, scan = self._summary, self._scan  # a refresh in another thread may exchange them
        if summary is not None:
            known = summary.tensors.get(path) or summary.modules.get(path)
        else:
            known = scan.results.get(path) if scan else None
        return known or self._blocks.record(path)

    def __repr__(self) -> str:
        """Name, size and state: what hosts without widgets show."""
        return describe(self.source, self.status, self.progress)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook shows and stores: the widget, and a page, a picture and text for hosts without widgets."""
        return with_fallbacks(super()._repr_mimebundle_(**kwargs), self._static_view, include, exclude)

    def _static_view(self) -> StaticView:
        """What is shown now, for everything that is made without a front end."""
        summary, tensors, selected = self._summary, self._records(), self.selected
        modules = summary.modules if summary is not None else {}
        block = None
        if SEPARATOR in selected and selected not in self.source.tensors:
            parts = [ref for name in self._blocks.tensors(selected) if (ref := self.ref(name)) is not None]
            readable = all(map(has_weights, parts)) and not self._closed
            if readable and sum(ref.numel for ref in parts) <= QUICK_BLOCK:
                block = self._blocks.record(selected)
            else:  # the tensor around it is known already
                selected = selected.partition(SEPARATOR)[0]
        return StaticView(
            self.source, self.status, self.progress, tensors, modules, selected, block, failure=self._message
        )

    # -- traits ---------------------------------------------------------------------------------------------------

    def _on_message(self, _widget: object, content: Any, _buffers: object) -> None:
        if isinstance(content, dict) and content.get("cancel") == "scan":
            self.cancel()
        elif isinstance(content, dict) and content.get("stop") == "watch":
            for watch in self._watches:
                watch.stop()
        elif isinstance(content, dict) and isinstance(content.get("look"), list):
            self._look(content["look"])
        elif self._handlers is not None:
            self._handlers.receive(content)

    @t.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> str:
        path: str = proposal["value"]
        known = self._path_of(path)
        if known is None:
            raise t.TraitError(self._blocks.why_not(path))
        return known

    def _path_of(self, path: str) -> str | None:
        """The path as it is kept: heads by the path of their layer. None if it names nothing."""
        if path in self.source.tensors or path in self._packer.modules:
            return path
        block = self._blocks.find(path)
        return block.path if block is not None else None

    def _look(self, paths: list[Any]) -> None:
        """Take what a view shows: it is read next."""
        named = (path for path in paths[:MOST_LOOKED_AT] if isinstance(path, str))
        self._looked_at = tuple(path for path in named if path in self.source.tensors or path in self._packer.modules)
        self._prioritise()

    def _prioritise(self) -> None:
        selected = (self._blocks.tensors(self.selected) or [self.selected]) if self.selected else []
        if self._scan is not None and (selected or self._looked_at):
            self._scan.prioritise(*selected, *self._looked_at)

    @t.validate(*CHECKS)
    def _check(self, proposal: dict[str, Any]) -> Any:
        name = proposal["trait"].name
        try:
            return CHECKS[name](proposal["value"], self.ref(self.selected))
        except (ValueError, KeyError, TypeError) as error:
            raise t.TraitError(f"{name}: {message_of(error)}") from None

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what a view has changed, all at once."""
        self._sent_along = frozenset(sync_data)
        try:
            super().set_state(sync_data)
        finally:
            self._sent_along = frozenset()

    @t.observe("selected")
    def _on_selected(self, _change: object) -> None:
        # What belongs to the tensor before means nothing in this one. What a view sends along is meant for this one.
        for trait, value in (("window", None), ("drawn_axes", None), ("index", ())):
            if trait not in self._sent_along:
                setattr(self, trait, value)
        self._prioritise()

    @t.observe("query", "facets")
    def _on_filter(self, _change: object) -> None:
        self._update_visible()

    def _update_visible(self) -> None:
        self.set_trait("visible", self._passing())

    def _passing(self) -> list[str]:
        return self._filter.visible(self.query, self.facets, self._records())

    def _first_matrix(self) -> str:
        refs = self.source.tensors.values()
        first = next((ref for ref in refs if len(ref.shape) > 1), None) or next(iter(refs))
        return first.name


def listing(source: WeightSource) -> list[tuple[str, tuple[int, ...], str, str]]:
    """What a view lists of the tensors of a source before any is read."""
    return [(ref.name, ref.shape, ref.dtype, ref.role) for ref in source.tensors.values()]


def describe(source: WeightSource, status: str, progress: float) -> str:
    """One line of text for a source and the state of its scan."""
    count = sum(ref.numel for ref in source.tensors.values() if in_totals(ref))
    state = f"{status}, {progress:.0%}" if status in ("scanning", "cancelled") else status
    name = shorten(visible(source.name), 200, "both")
    return f"WeightExplorer({name}: {len(source.tensors):,} tensors, {count:,} weights, {state})"
