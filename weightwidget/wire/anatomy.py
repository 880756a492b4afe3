"""The anatomy as the overview holds it: plain JSON. `js/src/anatomy.ts` mirrors it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import Axes, Split
from weightwidget.anatomy.layers import PROJECTIONS, AttentionLayer, HeadBlocks


def describe_anatomy(anatomy: Anatomy, rows: Mapping[str, int]) -> tuple[dict[str, Any], list[int]]:
    """Describe what is known of the axes and layers.

    Parameters
    ----------
    anatomy
        Of the source.
    rows
        Row of each tensor in the overview, in the model's order.

    Returns
    -------
    dict
        JSON: tables of splits and of axes, and the layers with tensors as row numbers.
    list of int
        For each tensor its place in the table of axes.
    """
    splits: dict[Split, int] = {}
    split_table: list[dict[str, Any]] = []

    def place_of(split: Split) -> int:
        known = splits.get(split)
        if known is not None:
            return known
        inner = [[place_of(one) for one in part] for part in split.inner]
        if inner and all(part == inner[0] for part in inner):
            inner = inner[:1]  # alike in all parts: told once
        split_table.append(
            {
                "axis": split.axis,
                "name": split.name,
                "labels": list(split.labels),
                "sizes": list(split.sizes[:1] if len(set(split.sizes)) == 1 else split.sizes),
                "inner": inner,
            }
        )
        splits[split] = len(split_table) - 1
        return splits[split]

    table: dict[Axes, int] = {}
    axes_table: list[dict[str, Any]] = []
    places = []
    for name in rows:
        axes = anatomy[name]
        if axes not in table:
            table[axes] = len(axes_table)
            axes_table.append(
                {
                    "names": list(axes.names),
                    "what": axes.what,
                    "certain": axes.certain,
                    "why": axes.why,
                    "output": axes.output,
                    "input": axes.input,
                    "spatial": list(axes.spatial),
                    "groups": axes.groups,
                    "splits": [place_of(split) for split in axes.splits],
                }
            )
        places.append(table[axes])

    def row(name: str | None) -> int | None:
        return rows.get(name) if name is not None else None

    def heads(blocks: HeadBlocks | None) -> dict[str, Any] | None:
        if blocks is None:
            return None
        return {
            "tensor": row(blocks.tensor),
            "axis": blocks.axis,
            "first": blocks.first,
            "step": blocks.step,
            "size": blocks.size,
            "count": blocks.count,
            "transposed": blocks.transposed,
            "run": blocks.run,
        }

    def attention(layer: AttentionLayer) -> dict[str, Any]:
        return {
            "path": layer.path,
            "heads": layer.heads,
            "kv_heads": layer.kv_heads,
            "head_dim": layer.head_dim,
            **{name: heads(layer.projection(name)) for name in PROJECTIONS},
            "rotary": layer.rotary,
            "certain": layer.certain,
            "why": layer.why,
        }

    return {
        "splits": split_table,
        "axes": axes_table,
        "attention": [attention(layer) for layer in anatomy.attention],
        "recurrent": [
            {
                "path": layer.path,
                "kind": layer.kind,
                "layer": layer.layer,
                "reverse": layer.reverse,
                "gates": list(layer.gates),
                "hidden": layer.hidden,
                "inputs": layer.inputs,
                "input": row(layer.input),
                "recurrent": row(layer.recurrent),
                "input_bias": row(layer.input_bias),
                "recurrent_bias": row(layer.recurrent_bias),
                "projection": row(layer.projection),
                "layout": layer.layout,
                "certain": layer.certain,
                "why": layer.why,
            }
            for layer in anatomy.recurrent
        ],
        "experts": [
            {
                "path": layer.path,
                "experts": layer.experts,
                "weights": [
                    {"role": weight.role, "pattern": weight.pattern, "stacked": weight.stacked}
                    for weight in layer.weights
                ],
                "router": row(layer.router),
                "router_axis": layer.router_axis,
                "certain": layer.certain,
                "why": layer.why,
            }
            for layer in anatomy.experts
        ],
        "embeddings": [
            {
                "tensor": row(table.tensor),
                "entries": table.entries,
                "axis": table.axis,
                "padding": table.padding,
                "certain": table.certain,
                "why": table.why,
            }
            for table in anatomy.embeddings
        ],
    }, places
