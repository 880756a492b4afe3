"""Layers as links see them: what their tensors read, write and carry through, by the meaning of their axes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.flow.spaces import Labels, Role
from weightwidget.anatomy.flow.wiring import Wiring
from weightwidget.anatomy.layers import RecurrentLayer
from weightwidget.sources.base import TensorRef, WeightSource

_PER_CHANNEL: dict[str, Role] = {
    "weight": "scales",
    "gamma": "scales",
    "scale": "scales",
    "g": "scales",
    "bias": "shifts",
    "beta": "shifts",
    "running_mean": "mean",
    "moving_mean": "mean",
    "running_var": "variance",
    "moving_variance": "variance",
}


_TABLE = re.compile(r"embed(ding)?s?$|(^|[._])embed_\w+$|(^|[._])(wte|wpe|emb|tok|tok_emb|pos_emb|pos|shared)$")
"""Names of tables of vectors."""


@dataclass(frozen=True)
class Port:
    """An axis of a tensor. The role is what the tensor does with what lies along it."""

    ref: TensorRef
    axis: int
    role: Role
    groups: int = 1
    across: int | None = None

    @property
    def size(self) -> int:
        """Number of channels along it."""
        return self.ref.shape[self.axis] * self.groups


@dataclass
class Layer:
    """A module with weights of its own.

    Attributes
    ----------
    path, kind
        Of the module.
    reads, writes
        What carries its inputs, and its outputs.
    through
        Whether inputs and outputs are the same channels: norms, depthwise convolutions. All ports are in `writes`.
    form
        ``"linear"``, ``"conv"``, ``"norm"``, ``"embedding"``, ``"recurrent"``, ``"expert"``, ``"other"``. Of stacked
        experts only what all share is attached: unit j of one is not unit j of another.
    certain
        Whether the meaning of its axes is.
    recurrent
        Its recurrent layers and directions.
    outputs
        Labels of its outputs, once they are known.
    linked
        Whether its inputs are linked to something.
    """

    path: str
    kind: str
    reads: list[Port] = field(default_factory=list)
    writes: list[Port] = field(default_factory=list)
    through: bool = False
    form: str = "other"
    certain: bool = True
    why: str = ""
    recurrent: list[RecurrentLayer] = field(default_factory=list)
    outputs: Labels | None = None
    linked: bool = False

    @property
    def inputs(self) -> int:
        """Number of input channels; 0 if it has none."""
        if self.recurrent:
            return self.recurrent[0].inputs
        if self.through:
            return self.size
        return self.reads[0].size if self.reads else 0

    @property
    def size(self) -> int:
        """Number of output channels."""
        return self.writes[0].size if self.writes else 0


Orders = Mapping[str, float]
"""Place of each tensor in the network."""


def layers_of(source: WeightSource, axes: Mapping[str, Axes], recurrent: list[RecurrentLayer]) -> list[Layer]:
    """All modules that have weights with channels, in the model's order.

    Parameters
    ----------
    source
        The weights.
    axes
        The meaning of their axes.
    recurrent
        The recurrent layers.
    """
    cells: dict[str, list[RecurrentLayer]] = {}
    for cell in recurrent:
        cells.setdefault(cell.path, []).append(cell)
    grouped: dict[str, list[TensorRef]] = {}
    for ref in source.tensors.values():
        grouped.setdefault(ref.module, []).append(ref)
    found = []
    for path, refs in grouped.items():
        info = source.modules.get(path)
        kind = info.kind if info else ""
        if path in cells:
            own = cells[path]
            found.append(Layer(path, kind, form="recurrent", certain=own[0].certain, why=own[0].why, recurrent=own))
            continue
        known = {ref.name: axes[ref.name] for ref in refs}
        matrices = [ref for ref in refs if _is_matrix(ref, known[ref.name])]
        if len(matrices) > 1:
            # Parameters of a module's own: each is a layer by itself, called by its name.
            made = [_layer(ref.name, kind, [ref], known) for ref in matrices]
        else:
            made = [_layer(path, kind, refs, known)]
        found += [layer for layer in made if layer is not None]
    return found


def _layer(path: str, kind: str, refs: list[TensorRef], axes: Mapping[str, Axes]) -> Layer | None:
    layer = Layer(path, kind)
    matrices = [ref for ref in refs if _is_matrix(ref, axes[ref.name])]
    if not matrices:
        return _per_channel(layer, refs, axes)
    ref = matrices[0]
    meaning = axes[ref.name]
    layer.certain, layer.why = meaning.certain, meaning.why
    output, source_axis = meaning.output, meaning.input
    if not meaning.known:
        is_table = _TABLE.search(path) is not None
        layer.why = "guessed from its name and shape"
        output, source_axis = (1, 0) if is_table else (0, 1)
    if output is None:
        return None
    layer.form = meaning.what or ("embedding" if source_axis == 0 else "linear" if len(ref.shape) == 2 else "conv")
    if layer.form in ("embedding", "position"):
        layer.form = "embedding"
        layer.writes.append(Port(ref, output, "writes"))
        return layer
    groups = meaning.groups
    if groups > 1 and source_axis is not None:
        if output == 0 and groups == ref.shape[0] and ref.shape[source_axis] == 1:
            layer.through = True  # depthwise: every channel has a filter of its own
            layer.writes.append(Port(ref, 0, "filters"))
        elif output == 0:
            layer.writes.append(Port(ref, 0, "writes"))
            layer.reads.append(Port(ref, source_axis, "reads", groups, across=0))
        elif ref.shape[output] == 1 and groups == ref.shape[source_axis]:  # depthwise and transposed
            layer.through = True
            layer.writes.append(Port(ref, source_axis, "filters"))
        else:  # transposed: the outputs lie in groups along the inputs
            layer.writes.append(Port(ref, output, "writes", groups, across=source_axis))
            layer.reads.append(Port(ref, source_axis, "reads"))
    else:
        layer.writes.append(Port(ref, output, "writes"))
        if source_axis is not None:
            layer.reads.append(Port(ref, source_axis, "reads"))
    size = layer.size
    for other in refs:
        if other is not ref and other.shape == (size,) and other.role in ("bias", "gain"):
            layer.writes.append(Port(other, 0, "shifts" if other.role == "bias" else "scales"))
    return layer


def _is_matrix(ref: TensorRef, axes: Axes) -> bool:
    if ref.role in ("mask", "buffer") or len(ref.shape) < 2 or 0 in ref.shape:
        return False
    return axes.what in ("", "linear", "conv", "embedding", "position", "attention", "router", "expert")


def _per_channel(layer: Layer, refs: list[TensorRef], axes: Mapping[str, Axes]) -> Layer | None:
    for ref in refs:
        role = _PER_CHANNEL.get(ref.name.rpartition(".")[2])
        meaning = axes[ref.name]
        is_norm = meaning.what in ("norm", "channel") or "norm" in layer.kind.lower() or ref.role == "gain"
        if role is not None and len(ref.shape) == 1 and ref.shape[0] > 0 and (is_norm or layer.writes):
            layer.writes.append(Port(ref, 0, role))
            layer.certain &= meaning.certain
            layer.why = meaning.why or "guessed from its name and shape"
    layer.through, layer.form = True, "norm"
    return layer if layer.writes and len({port.size for port in layer.writes}) == 1 else None


def write(layer: Layer, wiring: Wiring, orders: Orders, labels: Labels, certain: bool, why: str) -> None:
    """Attach the outputs of a layer, or of one that passes channels through, to these labels."""
    for number, port in enumerate(layer.writes):
        first = number == 0
        wiring.attach(
            port.ref.name,
            port.axis,
            port.role,
            labels,
            orders[port.ref.name],
            certain=certain if first else True,
            why=why if first else "the same layer",
            groups=port.groups,
            across=port.across,
        )
    layer.outputs = labels


def read(layer: Layer, wiring: Wiring, orders: Orders, labels: Labels, certain: bool, why: str) -> None:
    """Attach the inputs of a layer to labels, of which there are as many as inputs."""
    layer.linked = True
    if layer.through:
        write(layer, wiring, orders, labels, certain, why)
        return
    for port in layer.reads:
        wiring.attach(
            port.ref.name,
            port.axis,
            port.role,
            labels,
            orders[port.ref.name],
            certain=certain,
            why=why,
            groups=port.groups,
            across=port.across,
        )
    for cell in layer.recurrent:
        if cell.layer == 0:
            axis = 1 if cell.layout == "torch" else 0
            wiring.attach(cell.input, axis, "reads", labels, orders[cell.input], certain=certain, why=why)


def fitting(labels: Labels, size: int, spatial: bool) -> Labels | None:
    """Labels for an input of `size` that reads these, None if they do not fit.

    Where the input is a multiple of them and `spatial` is true, channels were flattened together with their
    positions, as PyTorch does: all positions of the first channel come first.
    """
    if len(labels) == size:
        return labels
    if spatial and len(labels) and size % len(labels) == 0:
        return np.repeat(labels, size // len(labels))
    return None


def attach_recurrent(layer: Layer, source: WeightSource, wiring: Wiring, orders: Orders) -> None:
    """Attach the hidden units of a module's recurrent layers, and link them to each other: its class says how."""
    below: Labels | None = None
    for number in sorted({cell.layer for cell in layer.recurrent}):
        states = []
        for cell in (cell for cell in layer.recurrent if cell.layer == number):
            axis, other = (0, 1) if cell.layout == "torch" else (1, 0)
            name = f"hidden units of {cell.path or cell.kind}, layer {number}" + (", backwards" * cell.reverse)
            hidden = wiring.space(cell.hidden, name)
            gates = np.tile(hidden, len(cell.gates))

            def attach(tensor: str | None, at: int, role: Role, labels: Labels, cell: RecurrentLayer = cell) -> None:
                if tensor is not None:
                    wiring.attach(
                        tensor, at, role, labels, orders[tensor], certain=cell.certain, why=cell.why or cell.kind
                    )

            attach(cell.input, axis, "writes", gates)
            attach(cell.recurrent, axis, "writes", gates)
            if cell.input_bias is not None and cell.input_bias == cell.recurrent_bias:
                attach(cell.input_bias, 1, "shifts", gates)
            else:
                attach(cell.input_bias, 0, "shifts", gates)
                attach(cell.recurrent_bias, 0, "shifts", gates)
            state = hidden
            if cell.projection is not None:
                # A projection reads the units; what it writes is the state.
                attach(cell.projection, 1, "reads", hidden)
                state_size = source.tensors[cell.projection].shape[0]
                state = wiring.space(state_size, f"projected state of {cell.path}, layer {number}")
                attach(cell.projection, 0, "writes", state)
            attach(cell.recurrent, other, "reads", state)
            if below is not None and cell.inputs == len(below):
                attach(cell.input, other, "reads", below)
            states.append(state)
        below = np.concatenate(states)
    layer.outputs = below
