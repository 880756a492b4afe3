"""Weights of which only a summary was saved: they can be listed, not read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

from weightwidget.sources.base import Index, ModuleInfo, TensorRef
from weightwidget.sources.names import visible
from weightwidget.sources.source import ListedSource

DEVICE = "summary"
"""`TensorRef.device` of weights that are nowhere."""

SUFFIX = ".summary.safetensors"
"""How the name of a file that holds a summary ends, by convention."""


class WeightsNotSavedError(ValueError):
    """The weights themselves were asked for, and only their summary is there."""


@dataclass(frozen=True)
class NotSaved:
    """Reader of a tensor whose weights are not there.

    Attributes
    ----------
    model
        What the model is called.
    """

    model: str

    def __call__(self, _index: Index) -> NoReturn:
        """Say what is there and what is not.

        Raises
        ------
        WeightsNotSavedError
            Always.
        """
        raise WeightsNotSavedError(
            f"only the summary of {visible(self.model)} was opened, and it holds no weights: open the weights "
            "themselves, WeightExplorer(model) or the file that they are in, to see single ones"
        )


@dataclass(frozen=True)
class SavedRef(TensorRef):
    """A tensor of which only the summary is there.

    Attributes
    ----------
    stored
        Its size in bytes where it was summarised: this version of torch may not know its type.
    """

    stored: int = 0

    @property
    def nbytes(self) -> int:
        """Stored size in bytes."""
        return self.stored


class SavedSource(ListedSource):
    """A source of which nothing but the summary is there.

    Parameters
    ----------
    name
        What a person calls it.
    refs
        The tensors in order.
    modules
        The modules that are known, by path.
    summary
        The `weightwidget.ModelSummary`. This floor knows no more of it.
    """

    def __init__(self, name: str, refs: Iterable[TensorRef], modules: Mapping[str, ModuleInfo], summary: Any) -> None:
        super().__init__(name, refs, modules)
        self.summary = summary


@runtime_checkable
class Summarised(Protocol):
    """A summary, which can be opened like weights."""

    def as_source(self, name: str | None = None) -> SavedSource:
        """Give the summary as a source."""


Opener = Callable[[Path, str | None], ListedSource]

OPENERS: dict[str, Opener] = {}
"""What opens safetensors files that hold something else than weights, by the first word of the ``format`` in their
metadata. Filled by the floors above, which know what is in these files.
"""


def opener_for(metadata: Mapping[str, str]) -> Opener | None:
    """What opens a file with that metadata; None if it holds weights."""
    return OPENERS.get(metadata.get("format", "").partition(" ")[0])


def has_weights(ref: TensorRef) -> bool:
    """Whether the weights themselves are there, not only their summary."""
    return ref.device != DEVICE
