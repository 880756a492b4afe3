"""`links`: how channels pass through a network, as far as classes, names, sizes and the order of modules tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightwidget.anatomy.flow.order import attach_outputs, attach_rest, link_in_order, link_sequential
from weightwidget.anatomy.flow.ports import layers_of
from weightwidget.anatomy.flow.residual import attach_streams
from weightwidget.anatomy.flow.spaces import Flow
from weightwidget.anatomy.flow.wiring import Wiring, tied_names
from weightwidget.sources.base import WeightSource

if TYPE_CHECKING:
    from weightwidget.anatomy.anatomy import Anatomy


def links(source: WeightSource, anatomy: Anatomy) -> Flow:
    """Find how channels pass through a network, without running anything.

    Known are the recurrent layers and attention layers of known classes, the residual streams of known transformers,
    and what lies in ``torch.nn.Sequential``. For the rest the order of modules and their sizes are a guess, and the
    members of a space say so (`Member.certain`, `Member.why`).

    Parameters
    ----------
    source
        The weights. Nothing is read.
    anatomy
        The meaning of their axes.
    """
    wiring = Wiring(tied_names(source))
    orders = {name: float(place) for place, name in enumerate(source.tensors)}
    layers = layers_of(source, anatomy, anatomy.recurrent)
    streams = attach_streams(source, anatomy, layers, wiring, orders)
    attach_outputs(layers, source, wiring, orders)
    link_sequential(source, layers, wiring, orders)
    link_in_order([layer for layer in layers if layer.path not in streams], wiring, orders)
    attach_rest(layers, wiring, orders)
    return wiring.flow("from classes, names, sizes and the order of modules")
