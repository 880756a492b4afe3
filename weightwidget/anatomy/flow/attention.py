"""Channels inside attention: values, which the output projection reads; queries and keys, which meet in a product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightwidget.anatomy.flow.ports import Orders
from weightwidget.anatomy.flow.spaces import Labels, Role
from weightwidget.anatomy.flow.wiring import NONE, Wiring
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.sources.base import WeightSource


def attach_heads(layers: Sequence[AttentionLayer], source: WeightSource, wiring: Wiring, orders: Orders) -> None:
    """Attach queries to keys, and values to the output projection's inputs, head by head."""
    for layer in layers:
        name = layer.path or "attention"
        if layer.query is not None and layer.key is not None and layer.query.size == layer.key.size:
            size = layer.key.count * layer.key.size
            products = wiring.space(size, f"queries and keys of {name}")
            each = [np.arange(head * layer.key.size, (head + 1) * layer.key.size) for head in range(layer.key.count)]
            asked = [each[min(layer.kv_head(head), len(each) - 1)] for head in range(layer.query.count)]
            _attach(layer, layer.query, products, asked, "query", "writes", source, wiring, orders)
            _attach(layer, layer.key, products, each, "key", "writes", source, wiring, orders)
        if layer.value is not None:
            size = layer.value.count * layer.value.size
            values = wiring.space(size, f"values of {name}")
            each = [
                np.arange(head * layer.value.size, (head + 1) * layer.value.size) for head in range(layer.value.count)
            ]
            _attach(layer, layer.value, values, each, "value", "writes", source, wiring, orders)
            if layer.output is not None and layer.output.size == layer.value.size:
                # In grouped-query attention several query heads read the same values.
                read = [each[min(layer.kv_head(head), len(each) - 1)] for head in range(layer.output.count)]
                _attach(layer, layer.output, values, read, "", "reads", source, wiring, orders)


def _attach(
    layer: AttentionLayer,
    blocks: HeadBlocks,
    space: Labels,
    heads: list[np.ndarray[tuple[int], np.dtype[np.int64]]],
    part: str,
    role: Role,
    source: WeightSource,
    wiring: Wiring,
    orders: Orders,
) -> None:
    """Attach the heads of a projection, each with its channels, and those of its bias."""
    ref = source.tensors.get(blocks.tensor)
    if ref is None or len(ref.shape) <= blocks.axis:
        return
    labels = np.full(ref.shape[blocks.axis], NONE, np.int64)
    for head, channels in enumerate(heads):
        start = blocks.start(head)
        if start + blocks.size > len(labels):
            return
        labels[start : start + blocks.size] = space[channels]
    why = layer.why or "attention layer"
    fused = int((labels >= 0).sum()) < len(labels)
    wiring.attach(
        ref.name,
        blocks.axis,
        role,
        labels,
        orders[ref.name],
        certain=layer.certain,
        why=why,
        part=part if fused else "",
    )
    if role != "writes":
        return
    prefix = ref.name.rpartition(".")[0]
    stem = ref.name.removesuffix("weight")
    for bias in (f"{stem}bias", f"{prefix}.in_proj_bias" if prefix else "in_proj_bias"):
        other = source.tensors.get(bias)
        if other is not None and bias != ref.name and other.shape == (len(labels),):
            wiring.attach(
                bias, 0, "shifts", labels, orders[bias], certain=layer.certain, why=why, part=part if fused else ""
            )
