"""Attention layers whose queries, keys and values come out of one product, and in which order these lie.

The orders were read in the modelling code of transformers 5: one after the other (GPT-2, MPT, Phi-3), head by head
(GPT-NeoX, BLOOM), in groups with a key and a value each (Falcon), in four parts with the values before the keys
(CodeGen).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from weightwidget.anatomy.axes import Axes, Split, equal_split, numbered
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.anatomy.rules.heads import Naming, count_heads, heads_split, is_certain, output_axis
from weightwidget.anatomy.rules.model import Model
from weightwidget.anatomy.rules.projections import find_output, why_of
from weightwidget.sources.base import TensorRef

QKV = ("q", "k", "v")

FUSED = frozenset(
    {
        *("c_attn", "qkv", "qkv_proj", "query_key_value", "Wqkv", "W_pack", "att_proj", "qkv_linear", "to_qkv"),
        *("in_proj", "in_proj_weight", "wqkv", "qkv_fused", "W_qkv", "attn_qkv"),
    }
)
"""Names of fused projections."""


@dataclass(frozen=True)
class Strips:
    """Where one of query, key and value lies: as `weightwidget.anatomy.layers.HeadBlocks`."""

    first: int
    step: int
    size: int
    count: int
    run: int = 1


@dataclass(frozen=True)
class Layout:
    """Order of a fused projection's outputs.

    Attributes
    ----------
    label
        Name of the axis.
    split
        Its division.
    query, key, value
        Where the heads lie.
    """

    label: str
    split: Split
    query: Strips
    key: Strips
    value: Strips


Order: TypeAlias = Callable[[int, int, int, int], Layout]
"""From axis, heads, key heads and the size of a head to the layout."""


def one_after_other(axis: int, heads: int, kv_heads: int, size: int) -> Layout:
    """All queries, then all keys, then all values."""
    query, key = heads_split(axis, heads, size), heads_split(axis, kv_heads, size)
    sizes = (heads * size, kv_heads * size, kv_heads * size)
    return Layout(
        "(qkv head head_dim)",
        Split(axis, "qkv", QKV, sizes, ((query,), (key,), (key,))),
        Strips(0, size, size, heads),
        Strips(heads * size, size, size, kv_heads),
        Strips((heads + kv_heads) * size, size, size, kv_heads),
    )


def head_by_head(axis: int, heads: int, _kv_heads: int, size: int) -> Layout:
    """Query, key and value of the first head, then those of the second."""
    inner = equal_split(axis, "qkv", QKV, 3 * size)
    return Layout(
        "(head qkv head_dim)",
        equal_split(axis, "head", numbered("head", heads), 3 * heads * size, (inner,)),
        *(Strips(number * size, 3 * size, size, heads) for number in range(3)),
    )


def in_groups(axis: int, heads: int, kv_heads: int, size: int) -> Layout:
    """For each key head the queries that read it, then the key, then the value."""
    group = heads // kv_heads
    step = (group + 2) * size
    inner = tuple(
        (
            Split(
                axis,
                "qkv",
                QKV,
                (group * size, size, size),
                ((heads_split(axis, group, size, number * group),), (), ()),
            ),
        )
        for number in range(kv_heads)
    )
    return Layout(
        "(group qkv head_dim)",
        Split(axis, "group", numbered("group", kv_heads), (step,) * kv_heads, inner),
        Strips(0, step, size, heads, group),
        Strips(group * size, step, size, kv_heads),
        Strips((group + 1) * size, step, size, kv_heads),
    )


PARTS = 4
"""CodeGen was trained on that many TPU cores, and its weights lie as these held them."""


def in_parts(axis: int, heads: int, _kv_heads: int, size: int) -> Layout:
    """CodeGen: four parts, each with the queries, then the values, then the keys of a quarter of the heads."""
    local = heads // PARTS
    step = 3 * local * size
    inner = tuple(
        (equal_split(axis, "qvk", ("q", "v", "k"), step, (heads_split(axis, local, size, part * local),)),)
        for part in range(PARTS)
    )
    query, value, key = (Strips(number * local * size, step, size, heads, local) for number in range(3))
    split = Split(axis, "part", numbered("part", PARTS), (step,) * PARTS, inner)
    return Layout("(part qvk head head_dim)", split, query, key, value)


_HEAD_BY_HEAD = re.compile(
    r"(GPTNeoX|GPTNeoXJapanese|Bloom|Persimmon)\w*Attention|DisentangledSelfAttention|MiniMaxLightningAttention"
)
_ONE_AFTER_OTHER = re.compile(
    r"(GPT2|ImageGPT|Bark|DecisionTransformerGPT2|Mpt|ModernBert\w*|Dbrx|Phi3|Phi4Multimodal|Blip\w*|InstructBlip\w*|Sam\w*|"
    r"VitDet|TimeSformer|Timesformer|Glm4v\w*|Qwen\w*|LayoutLMv2\w*)(Self|Vision|Vis)?(Flash|Sdpa)?Attention|Attention"
)
_BY_MODEL_TYPE = {
    **dict.fromkeys(("gpt_neox", "gpt_neox_japanese", "bloom", "persimmon", "deberta"), head_by_head),
    **dict.fromkeys(
        ("gpt2", "openai-gpt", "imagegpt", "mpt", "modernbert", "dbrx", "phi3", "blip", "sam"), one_after_other
    ),
}


def order_of(model: Model, container: str, name: str) -> tuple[Order, bool]:
    """Order of the outputs of a fused projection, and whether that is certain.

    Parameters
    ----------
    model
        The model.
    container
        Path of the attention module.
    name
        Last part of the projection's path.
    """
    kind, own, config = model.info(container).kind, model.info(container).hyper, model.config(container)
    trusted, family = model.trusted(container), str(config.get("model_type", ""))
    told: Mapping[str, Any] = {**config, **own}
    sure = trusted or model.is_known_file
    if re.fullmatch(r"Falcon\w*Attention", kind) or (not kind and family == "falcon"):
        if told.get("new_decoder_architecture"):
            return in_groups, sure
        return (one_after_other if told.get("multi_query") else head_by_head), sure
    if re.fullmatch(r"GPTBigCode\w*Attention", kind) or (not kind and family == "gpt_bigcode"):
        return (one_after_other if told.get("multi_query", True) else head_by_head), sure
    if kind == "CodeGenAttention" or (not kind and family == "codegen"):
        return in_parts, sure
    if _HEAD_BY_HEAD.fullmatch(kind):
        return head_by_head, sure
    # All of transformers' layers of that name take q, k and v apart in this order; one attends over channels.
    if name == "qkv" and model.info(container).library == "transformers" and "Channel" not in kind:
        return one_after_other, sure
    if _ONE_AFTER_OTHER.fullmatch(kind) and model.info(container).library in ("", "transformers"):
        return one_after_other, sure
    known = _BY_MODEL_TYPE.get(family) if not kind else None
    if known is not None:
        return known, sure
    return (head_by_head if name == "query_key_value" else one_after_other), False


def fused_projections(model: Model, found: Found) -> None:
    """Find attention layers with fused projections.

    Adds the layers, and the meaning of their projections' axes.
    """
    known = {layer.path for layer in found.attention}
    for path, ref in model.matrices.items():
        container, _, last = path.rpartition(".")
        if last in FUSED and len(ref.shape) == 2 and container not in known:
            _add_fused(model, found, container, last, ref)


def _add_fused(model: Model, found: Found, container: str, last: str, ref: TensorRef) -> None:
    axis = output_axis(found, ref)
    rows = ref.shape[axis]
    path, out = find_output(model, container)
    asked = model.matrices.get(f"{container}.q_attn" if container else "q_attn")
    if asked is not None and rows == 2 * asked.shape[output_axis(found, asked)]:
        _add_cross(model, found, container, (asked, ref), path, out)
        return
    width = out.shape[1 - output_axis(found, out)] if out is not None and len(out.shape) == 2 else rows // 3
    attends = "att" in f"{container}.{model.info(container).kind}".lower() or last == "in_proj_weight"
    if last.startswith("in_proj") and (rows != 3 * width or not attends):
        return  # state spaces and gated convolutions have input projections of that name too
    order, order_certain = order_of(model, container, last)
    counts = count_heads(model, container, width, _key_rows(rows, width))
    certain, why = why_of(model, container, counts)
    if counts is None:
        _without_heads(model, found, ref, axis, width, order)
        Naming(model, found, False, UNCOUNTED).output(out, None, width)
        return
    size = width // counts.heads
    kv_heads, rest = divmod(rows - counts.heads * size, 2 * size)
    misfit = rest or kv_heads < 1 or counts.heads % max(kv_heads, 1) or (order is in_parts and counts.heads % PARTS)
    if misfit or (order is head_by_head and kv_heads != counts.heads):
        return
    certain = certain and order_certain
    if not order_certain and "guess" not in why:
        why = f"guessed from the name; {why}"
    layout = order(axis, counts.heads, kv_heads, size)
    naming = Naming(model, found, certain, why)
    sure = certain and is_certain(found, ref)
    naming.name(ref, axis, layout.label, (layout.split,))
    _name_bias(model, found, ref)
    blocks = [
        HeadBlocks(ref.name, axis, part.first, part.step, part.size, part.count, axis == 1, part.run)
        for part in (layout.query, layout.key, layout.value)
    ]
    output = naming.output(out, counts.heads, size)
    found.attention.append(
        AttentionLayer(
            path if output is not None else container,
            counts.heads,
            kv_heads,
            size,
            blocks[0],
            blocks[1],
            blocks[2],
            output,
            rotary=model.is_rotary(container),
            certain=sure,
            why=why,
        )
    )


def _key_rows(rows: int, width: int) -> int:
    """Outputs of the keys; as many as the queries' where the projection has no room for both and nothing else."""
    return (rows - width) // 2 if rows > width and (rows - width) % 2 == 0 else width


UNCOUNTED = "guessed from its name; the number of heads is not known"


def _without_heads(model: Model, found: Found, ref: TensorRef, axis: int, width: int, order: Order) -> None:
    """Of an unknown number of heads, only queries, keys and values can be told apart where they lie in a row."""
    rest = ref.shape[axis] - width
    in_a_row = order is one_after_other and rest > 0 and rest % 2 == 0
    splits = (Split(axis, "qkv", QKV, (width, rest // 2, rest // 2)),) if in_a_row else ()
    label = "(head qkv head_dim)" if order is head_by_head else "(qkv head head_dim)"
    Naming(model, found, False, UNCOUNTED).name(ref, axis, label, splits)
    _name_bias(model, found, ref)


def _name_bias(model: Model, found: Found, ref: TensorRef) -> None:
    """PyTorch's own attention layer keeps the bias under a name of its own."""
    offset, known = model.beside(ref).get("in_proj_bias"), found.axes[ref.name]
    if ref.name.endswith("in_proj_weight") and offset is not None and offset.shape == ref.shape[:1]:
        label, splits = known.names[:1], known.splits
        found.axes[offset.name] = Axes(label, "bias", known.certain, known.why, output=0, splits=splits)


def _add_cross(
    model: Model, found: Found, container: str, parts: tuple[TensorRef, TensorRef], path: str, out: TensorRef | None
) -> None:
    """GPT-2's attention to an encoder: queries by themselves, keys and values fused."""
    query, pair = parts
    axes = output_axis(found, query), output_axis(found, pair)
    width = query.shape[axes[0]]
    counts = count_heads(model, container, width, width)
    certain, why = why_of(model, container, counts)
    if counts is None:
        return
    size, heads = width // counts.heads, counts.heads
    naming = Naming(model, found, certain, why)
    sure = certain and is_certain(found, query) and is_certain(found, pair)
    naming.name(query, axes[0], "(head head_dim)", (heads_split(axes[0], heads, size),))
    halves = equal_split(axes[1], "kv", ("k", "v"), 2 * width, (heads_split(axes[1], heads, size),))
    naming.name(pair, axes[1], "(kv head head_dim)", (halves,))
    output = naming.output(out, heads, size)
    found.attention.append(
        AttentionLayer(
            path if output is not None else container,
            heads,
            heads,
            size,
            HeadBlocks(query.name, axes[0], 0, size, size, heads, axes[0] == 1),
            HeadBlocks(pair.name, axes[1], 0, size, size, heads, axes[1] == 1),
            HeadBlocks(pair.name, axes[1], width, size, size, heads, axes[1] == 1),
            output,
            rotary=model.is_rotary(container),
            certain=sure,
            why=why,
        )
    )
