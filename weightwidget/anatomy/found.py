"""What the rules find in a source."""

from __future__ import annotations

from dataclasses import dataclass, field

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.layers import AttentionLayer, EmbeddingTable, ExpertLayer, RecurrentLayer


@dataclass
class Found:
    """What the rules find in a source.

    Attributes
    ----------
    axes
        By tensor name; what is missing is unknown.
    attention, recurrent, experts, embeddings
        The layers, in the model's order.
    """

    axes: dict[str, Axes] = field(default_factory=dict)
    attention: list[AttentionLayer] = field(default_factory=list)
    recurrent: list[RecurrentLayer] = field(default_factory=list)
    experts: list[ExpertLayer] = field(default_factory=list)
    embeddings: list[EmbeddingTable] = field(default_factory=list)
