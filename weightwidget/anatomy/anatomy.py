"""`axes(source)`: what the axes of every tensor mean, and which tensors make a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weightwidget.anatomy.axes import Axes, unknown_axes
from weightwidget.anatomy.layers import AttentionLayer, EmbeddingTable, ExpertLayer, RecurrentLayer
from weightwidget.anatomy.rules import find
from weightwidget.sources.base import WeightSource


class Anatomy(Mapping[str, Axes]):
    """The meaning of the axes of a model's tensors, by name; and its layers.

    Parameters
    ----------
    source
        The weights. Names, shapes, classes and hyperparameters are looked at; nothing is read.

    Attributes
    ----------
    attention, recurrent, experts, embeddings
        Layers whose tensors belong together, in the model's order.
    version
        Counts the changes by hand.
    """

    def __init__(self, source: WeightSource) -> None:
        self._source = source
        self._own: dict[str, Axes] = {}
        self._found = find(source)
        self.version = 0

    @property
    def attention(self) -> list[AttentionLayer]:
        """Attention layers."""
        return self._found.attention

    @property
    def recurrent(self) -> list[RecurrentLayer]:
        """Recurrent layers, one for each layer and direction."""
        return self._found.recurrent

    @property
    def experts(self) -> list[ExpertLayer]:
        """Mixtures of experts."""
        return self._found.experts

    @property
    def embeddings(self) -> list[EmbeddingTable]:
        """Tables of vectors."""
        return self._found.embeddings

    def __getitem__(self, name: str) -> Axes:
        own = self._own.get(name) or self._found.axes.get(name)
        if own is not None:
            return own
        ref = self._source.tensors.get(name)
        if ref is None:
            raise KeyError(f"there is no tensor {name!r} in {self._source.name}")
        return unknown_axes(len(ref.shape))

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.tensors)

    def __len__(self) -> int:
        return len(self._source.tensors)


def axes(obj: Any) -> Anatomy:
    """What the axes of a model's tensors mean.

    Parameters
    ----------
    obj
        A `WeightSource`, or whatever `weightwidget.open_weights` takes.

    Returns
    -------
    Anatomy
        A mapping of tensor names to `weightwidget.anatomy.axes.Axes`.
    """
    if isinstance(obj, WeightSource):
        return Anatomy(obj)
    from weightwidget.sources import open_weights

    source = open_weights(obj)
    try:
        return Anatomy(source)
    finally:
        source.close()
