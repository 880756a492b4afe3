"""WeightExplorer: the widget, its traits and its two ends. What it does is in `weightwidget.exploring`."""

from __future__ import annotations

import operator
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

import anywidget
import traitlets as t

from weightwidget.detail.pixels import Aggregate
from weightwidget.exploring.copies import Shown
from weightwidget.exploring.scanning import PATIENCE
from weightwidget.exploring.training import Trained
from weightwidget.outputs.cells import close_layout, replace_earlier
from weightwidget.outputs.display import with_fallbacks
from weightwidget.outputs.saved import Copied
from weightwidget.sources.tokenizers import TokenStrings
from weightwidget.wire.checks import CHECKS
from weightwidget.wire.comms import handle_beside_cells
from weightwidget.wire.handlers import Handlers, message_of

STATIC = Path(__file__).parent / "static"

COLOR_SCALES = ("robust", "full", "symlog", "row")
COLOR_MAPS = ("blue-red", "purple-green", "brown-teal", "grey")
AGGREGATES = get_args(Aggregate)

VIEWS = ("heatmap", "filters", "gates", "heads", "tokens", "experts", "channel", "spectrum")


class WeightExplorer(Trained, Shown, anywidget.AnyWidget):
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

    def _copied(self) -> Copied:
        passing = {"_overview", "_pace", "_watch"}
        state = self.get_state([name for name in WeightExplorer.class_own_traits(sync=True) if name not in passing])
        return Copied(self.source.name, self._packer, self.summary, state)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook shows and stores: the widget, and a page, a picture and text for hosts without widgets."""
        return with_fallbacks(super()._repr_mimebundle_(**kwargs), self._static_view, include, exclude)

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
        self._enter_selected()

    @t.observe("query", "facets")
    def _on_filter(self, _change: object) -> None:
        self._update_visible()

    def _update_visible(self) -> None:
        self.set_trait("visible", self._passing())
