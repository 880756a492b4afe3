"""Links by the order of modules: certain inside ``torch.nn.Sequential``, elsewhere a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from weightwidget.anatomy.flow.ports import Layer, Orders, attach_recurrent, fitting, read, write
from weightwidget.anatomy.flow.spaces import Labels
from weightwidget.anatomy.flow.wiring import Wiring
from weightwidget.sources.base import ModuleInfo, WeightSource

_PASSES = re.compile(
    r"Identity|(Alpha|Feature\w*)?Dropout[123]?d?|(Leaky|R|C|G|S|Hard|P)?R?e?(LU6?|ELU)|GELU|SiLU|Mish|Sigmoid|Tanh"
    r"|Hard(swish|sigmoid|tanh|shrink)|Soft(plus|shrink|sign)|LogSigmoid|Threshold|Tanhshrink|ReLU6?|SELU|CELU|ELU|RReLU"
    r"|(Adaptive)?(Max|Avg)Pool[123]d|LPPool[123]d|FractionalMaxPool[23]d|LocalResponseNorm"
    r"|Upsample|Upsampling\w+|(Zero|Constant|Reflection|Replication|Circular)Pad[123]d"
    r"|(Batch|Instance)Norm[123]d|GroupNorm|LayerNorm|RMSNorm"  # those without weights
)
"""PyTorch's modules without weights that leave every channel where it is."""

_TORCH = re.compile(
    r"Linear|NonDynamicallyQuantizableLinear|Conv[123]d|ConvTranspose[123]d|(Sync)?BatchNorm([123]d)?|InstanceNorm[123]d"
    r"|GroupNorm|LayerNorm|RMSNorm|PReLU|Embedding(Bag)?"
)
"""PyTorch's layers that have one input and one output."""


def attach_outputs(layers: Iterable[Layer], source: WeightSource, wiring: Wiring, orders: Orders) -> None:
    """Give every layer that has no outputs yet channels of its own."""
    for layer in layers:
        if layer.recurrent:
            if layer.outputs is None:
                attach_recurrent(layer, source, wiring, orders)
        elif layer.outputs is None and not layer.through and layer.size and layer.form != "expert":
            taken = wiring.covers(layer.writes[0].ref.name, layer.writes[0].axis)
            if not taken:
                what = layer.why or layer.kind
                write(layer, wiring, orders, wiring.space(layer.size), layer.certain, what)


def attach_rest(layers: Iterable[Layer], wiring: Wiring, orders: Orders) -> None:
    """Give inputs that nothing is known to write channels of their own."""
    for layer in layers:
        if not layer.linked and layer.inputs and layer.form != "expert":
            ports = layer.writes if layer.through else layer.reads
            if all(not wiring.covers(port.ref.name, port.axis) for port in ports) and (ports or layer.recurrent):
                what = layer.why or layer.kind
                read(layer, wiring, orders, wiring.space(layer.inputs), layer.certain, what)


def link_sequential(source: WeightSource, layers: Sequence[Layer], wiring: Wiring, orders: Orders) -> None:
    """Link what lies in a ``torch.nn.Sequential``, whose children follow each other."""
    by_path = {layer.path: layer for layer in layers}
    children: dict[str, list[ModuleInfo]] = {}
    for path, info in source.modules.items():
        if path:
            children.setdefault(path.rpartition(".")[0], []).append(info)
    done: set[str] = set()

    def through(info: ModuleInfo, labels: Labels | None, flat: bool) -> tuple[Labels | None, bool]:
        """Labels after a module, and whether positions were flattened into them."""
        if info.kind == "Sequential":
            return chain(info.path, labels, flat)
        if info.kind == "Flatten":
            # From another axis on, or up to another, it would do something else.
            plain = info.hyper.get("start_dim", 1) == 1 and info.hyper.get("end_dim", -1) == -1
            return (labels, True) if plain else (None, False)
        layer = by_path.get(info.path)
        if layer is None:
            return (labels, flat) if _PASSES.fullmatch(info.kind) else (None, False)
        if not _TORCH.fullmatch(info.kind):
            return None, False
        if labels is not None and not layer.linked and layer.inputs:
            fit = fitting(labels, layer.inputs, flat)
            if fit is not None:
                read(layer, wiring, orders, fit, True, "next in torch.nn.Sequential")
                return (layer.outputs, flat and layer.through)
        elif layer.through and layer.outputs is None:
            read(layer, wiring, orders, wiring.space(layer.inputs), True, layer.why)
        return layer.outputs, False

    def chain(path: str, labels: Labels | None, flat: bool) -> tuple[Labels | None, bool]:
        done.add(path)
        for info in children.get(path, []):
            labels, flat = through(info, labels, flat)
        return labels, flat

    for path, info in source.modules.items():
        if info.kind == "Sequential" and path not in done:
            chain(path, None, False)


def link_in_order(layers: Sequence[Layer], wiring: Wiring, orders: Orders) -> None:
    """Guess that a layer reads what the one before it writes, where there are as many channels.

    Only layers that nothing else has linked; and only the layer before, for a layer farther back is more often
    wrong than right.
    """
    before: Layer | None = None
    for layer in layers:
        can_read = not layer.linked and layer.inputs and layer.form != "expert"
        if before is not None and before.outputs is not None and can_read:
            fit = fitting(before.outputs, layer.inputs, before.form == "conv" and layer.form == "linear")
            if fit is None and before.through and layer.form == "linear" and _is_spatial(before, layers):
                fit = fitting(before.outputs, layer.inputs, True)
            if fit is not None:
                many = len(fit) // len(before.outputs)
                sizes = (
                    f"as many channels ({len(fit)})"
                    if many == 1
                    else f"{len(fit)} inputs are {many} positions of {len(before.outputs)} channels"
                )
                name = before.path or before.kind
                read(layer, wiring, orders, fit, False, f"guessed: comes after {name}, and has {sizes}")
        if layer.through and layer.outputs is None:
            read(layer, wiring, orders, wiring.space(layer.inputs), layer.certain, layer.why)
        if layer.outputs is not None:
            before = layer


def _is_spatial(norm: Layer, layers: Sequence[Layer]) -> bool:
    """Whether the channels that a norm passes through come from a convolution."""
    if norm.outputs is None:
        return False
    return any(
        layer.form == "conv" and layer.outputs is not None and np.array_equal(layer.outputs, norm.outputs)
        for layer in layers
    )
