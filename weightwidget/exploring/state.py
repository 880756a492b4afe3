"""What the parts of an explorer share: the weights, what was made of them, and how far the scan is."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, TypeAlias

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.blocks import Blocks
from weightwidget.following import Follower
from weightwidget.outputs.saved import Copied
from weightwidget.sources.base import WeightSource
from weightwidget.sources.tokenizers import TokenStrings
from weightwidget.summary.filtering import TensorFilter
from weightwidget.summary.finished import FinishedScan
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.scan import Scan
from weightwidget.watching import Watch
from weightwidget.wire.handlers import Handlers
from weightwidget.wire.overview import OverviewPacker

if TYPE_CHECKING:
    import traitlets as t
    from anywidget import AnyWidget as Widget
    from sidecar import Sidecar
else:
    Widget = object  # the widget itself comes in with the class that has the traits

Opened: TypeAlias = tuple[WeightSource, Anatomy, Blocks, OverviewPacker, TensorFilter]


class State(Widget):
    """The state of an explorer. Its traits are the widget's, and only declared here."""

    # ipywidgets closes what is collected, also what the constructor refused and never finished.
    source: WeightSource = None  # type: ignore[assignment]
    anatomy: Anatomy
    strings: TokenStrings
    _obj: Any
    _name: str | None
    _detail: int
    _blocks: Blocks
    _packer: OverviewPacker
    _filter: TensorFilter
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
    _done: threading.Event
    _starting: threading.RLock
    _packing: threading.RLock

    if TYPE_CHECKING:
        selected: t.Unicode[str, str | bytes]
        query: t.Unicode[str, str | bytes]
        visible: t.List[str]
        facets: t.Dict[str, Any]
        value_range: t.Tuple
        progress: t.Float[float, float]
        status: t.Enum[Any]
        _overview: t.Bytes
        _message: t.Unicode[str, str | bytes]
        _strings_version: t.Int[int, int]

        def _copied(self) -> Copied:
            """What is shown, for a copy that stays alive."""
