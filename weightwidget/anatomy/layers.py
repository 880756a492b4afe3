"""Layers whose tensors belong together: attention, recurrent cells, mixtures of experts, embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PROJECTIONS = ("query", "key", "value", "output")


@dataclass(frozen=True)
class HeadBlocks:
    """Where the heads of one projection lie in a tensor: equal boxes along one axis.

    Attributes
    ----------
    tensor
        Name of the tensor.
    axis
        Axis along which the heads lie.
    first, step, size, count
        Head h takes `size` elements of the axis, from `start` of it: first + h * step. There are `count` heads.
    transposed
        Whether the tensor is stored as (inputs, outputs). The heads of query, key and value lie along the outputs,
        those of the output projection along its inputs.
    run
        How many heads follow one another directly, before `step` leads to the next such run: head h then begins at
        first + (h // run) * step + (h % run) * size. So it is where queries lie in groups, each with its own key and
        value.
    """

    tensor: str
    axis: int
    first: int
    step: int
    size: int
    count: int
    transposed: bool = False
    run: int = 1

    def start(self, head: int) -> int:
        """First element of a head along the axis."""
        return self.first + head // self.run * self.step + head % self.run * self.size

    def slices(self, head: int, ndim: int) -> tuple[slice, ...]:
        """Box of a head, one slice for each axis of the tensor.

        Parameters
        ----------
        head
            Number of the head.
        ndim
            Axes of the tensor.

        Raises
        ------
        IndexError
            If there is no such head.
        """
        if not 0 <= head < self.count:
            raise IndexError(f"there is no head {head}: {self.tensor!r} has heads 0 to {self.count - 1}")
        start = self.start(head)
        return tuple(slice(start, start + self.size) if axis == self.axis else slice(None) for axis in range(ndim))


@dataclass(frozen=True)
class AttentionLayer:
    """An attention layer.

    Attributes
    ----------
    path
        The module that contains all its projections, and nothing else that attends.
    heads, kv_heads
        Number of query heads, and of key and value heads (fewer in grouped-query attention).
    head_dim
        Size of a query or key head.
    query, key, value, output
        Where their heads lie; None where a projection is not there.
    rotary
        Whether queries and keys are rotated by position (RoPE); None if that is not known.
    certain
        As of `weightwidget.anatomy.axes.Axes`.
    why
        Where the layout comes from.
    """

    path: str
    heads: int
    kv_heads: int
    head_dim: int
    query: HeadBlocks | None
    key: HeadBlocks | None
    value: HeadBlocks | None
    output: HeadBlocks | None
    rotary: bool | None = None
    certain: bool = True
    why: str = ""

    def projection(self, name: str) -> HeadBlocks | None:
        """The heads of ``"query"``, ``"key"``, ``"value"`` or ``"output"``."""
        found: HeadBlocks | None = getattr(self, name) if name in PROJECTIONS else None
        return found

    def kv_head(self, head: int) -> int:
        """Number of the key and value head that a query head reads."""
        return head * self.kv_heads // self.heads


@dataclass(frozen=True)
class RecurrentLayer:
    """One layer and direction of an LSTM, a GRU or a plain RNN.

    Attributes
    ----------
    path
        The module.
    kind
        The cell.
    layer, reverse
        Number of the layer in the module, and whether it runs backwards.
    gates
        Blocks in stored order: ``("i", "f", "g", "o")``, ``("r", "z", "n")``, ``("h",)``; Keras has
        ``("i", "f", "c", "o")`` and ``("z", "r", "h")``. A plain RNN's only one is the whole tensor: no block has
        that name.
    hidden, inputs
        Number of units, and of inputs. With a projection (PyTorch's ``proj_size``) the recurrent weights read the
        projected state, which is smaller than `hidden`.
    input, recurrent
        Names of the input weights and the recurrent weights.
    input_bias, recurrent_bias
        Names of the biases; None where there is none. In Keras's GRU with ``reset_after`` one tensor of shape
        (2, 3 * units) holds both, and both names are its name.
    projection
        Name of the projection's weights, None without one.
    layout
        ``"torch"``: gates along the rows, (gates * hidden, inputs). ``"keras"``: along the columns.
    certain, why
        As of `weightwidget.anatomy.axes.Axes`.
    """

    path: str
    kind: Literal["LSTM", "GRU", "RNN"]
    layer: int
    reverse: bool
    gates: tuple[str, ...]
    hidden: int
    inputs: int
    input: str
    recurrent: str
    input_bias: str | None = None
    recurrent_bias: str | None = None
    projection: str | None = None
    layout: Literal["torch", "keras"] = "torch"
    certain: bool = True
    why: str = ""


@dataclass(frozen=True)
class ExpertWeights:
    """One weight that every expert of a layer has.

    Attributes
    ----------
    role
        What it is called: ``"gate_proj"``, ``"w1"``.
    pattern
        Name of the tensor; of experts that are modules of their own, with ``*`` for the expert's number.
    stacked
        Axis along which the experts lie in one tensor; None where each has a tensor.
    """

    role: str
    pattern: str
    stacked: int | None = None

    def path(self, expert: int) -> str:
        """Path of an expert's weights: a tensor, or a block of one."""
        return self.pattern.replace("*", str(expert)) if self.stacked is None else f"{self.pattern} › expert {expert}"


@dataclass(frozen=True)
class ExpertLayer:
    """A mixture of experts.

    Attributes
    ----------
    path
        The module that contains experts and router.
    experts
        Number of experts that are routed to.
    weights
        What each of them has.
    router
        Name of the router's weights, None if not found.
    router_axis
        Axis of the router along which the experts lie.
    certain, why
        As of `weightwidget.anatomy.axes.Axes`.
    """

    path: str
    experts: int
    weights: tuple[ExpertWeights, ...]
    router: str | None = None
    router_axis: int = 0
    certain: bool = True
    why: str = ""


@dataclass(frozen=True)
class EmbeddingTable:
    """A table of vectors, one for each token, position or kind.

    Attributes
    ----------
    tensor
        Its name.
    entries
        ``"token"``, ``"position"`` or ``"type"``: what has a vector.
    axis
        Axis along which the entries lie.
    padding
        Entry that is zero by design, None if there is none.
    certain, why
        As of `weightwidget.anatomy.axes.Axes`.
    """

    tensor: str
    entries: Literal["token", "position", "type"]
    axis: int = 0
    padding: int | None = None
    certain: bool = True
    why: str = ""
