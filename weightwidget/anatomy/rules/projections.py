"""Attention layers with a projection each for queries, keys and values, found by the names of these."""

from __future__ import annotations

from collections.abc import Iterator

from weightwidget.anatomy.axes import Axes, Split, equal_split, numbered
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.anatomy.rules.heads import Counts, Naming, count_heads, heads_split, is_certain, output_axis
from weightwidget.anatomy.rules.model import Model
from weightwidget.sources.base import TensorRef

TRIPLES = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
    ("q", "k", "v"),
    ("wq", "wk", "wv"),
    ("Wq", "Wk", "Wv"),
    ("W_Q", "W_K", "W_V"),
    ("to_q", "to_k", "to_v"),
    ("query_proj", "key_proj", "value_proj"),
    ("q_head", "k_head", "v_head"),
    ("linear_q", "linear_k", "linear_v"),
    ("queries", "keys", "values"),
    ("query_layer", "key_layer", "value_layer"),
)
"""Names of the three projections in one module."""

_BY_QUERY = {triple[0]: triple for triple in TRIPLES}

OUTPUT = (
    *("o_proj", "out_proj", "out_lin", "wo", "to_out.0", "to_out", "c_proj", "o", "dense", "proj", "projection"),
    *("Wo", "W_O", "out", "linear_out", "output.dense", "attention_output", "post_proj", "attn_out"),
)
"""Names of the output projection in the same module."""

_BESIDE = ("output.dense", "output", "out_proj", "dense", "proj", "o_proj", "proj_out", "attn_out", "out")
_WRAPPED = frozenset({"self", "attention", "self_attention", "self_attn", "att"})
"""Modules whose output projection lies beside them, as in BERT's attention.self and attention.output.dense."""


def separate_projections(model: Model, found: Found) -> None:
    """Find attention layers whose queries, keys and values have a matrix each.

    Adds the layers, and the meaning of their projections' axes.
    """
    known = {layer.path for layer in found.attention}
    for container, parts in _triples(model):
        if container not in known:
            if all(len(ref.shape) == 2 for ref in parts):
                _add_matrices(model, found, container, parts)
            elif all(len(ref.shape) == 3 for ref in parts):
                _add_tensors(model, found, container, parts)


def _triples(model: Model) -> Iterator[tuple[str, tuple[TensorRef, TensorRef, TensorRef]]]:
    for path, query in model.matrices.items():
        container, _, last = path.rpartition(".")
        triple = _BY_QUERY.get(last)
        if triple is not None:
            key, value = (model.matrices.get(f"{container}.{name}" if container else name) for name in triple[1:])
            if key is not None and value is not None:
                yield container, (query, key, value)


def find_output(model: Model, container: str) -> tuple[str, TensorRef | None]:
    """The output projection of a module with queries, keys and values; and the module that contains all four.

    Parameters
    ----------
    model
        The model.
    container
        Module of the query projection.
    """
    prefix = f"{container}." if container else ""
    for name in OUTPUT:
        ref = model.matrices.get(prefix + name)
        if ref is not None:
            return container, ref
    above, _, last = container.rpartition(".")
    if last in _WRAPPED:
        for name in _BESIDE:
            ref = model.matrices.get(f"{above}.{name}" if above else name)
            if ref is not None:
                return above, ref
    return container, None


def layout_is_known(model: Model, container: str) -> bool:
    """Whether the class of a module, or the configuration of a file, is one whose attention has the usual layout.

    In an unknown class the names of the projections are telling, but it may lay its heads out as it likes.
    """
    return model.trusted(container) or model.is_known_file


def why_of(model: Model, container: str, counts: Counts | None) -> tuple[bool, str]:
    """Whether the layout of a layer's heads is certain, and why."""
    kind = model.info(container).kind
    known = layout_is_known(model, container)
    if counts is not None and not counts.certain:
        return False, counts.why
    by_hand = counts is not None and counts.why.endswith("by hand")
    if known or by_hand:
        source = (
            kind if model.trusted(container) else f"a {model.config(container).get('model_type', '')} model".strip()
        )
        return True, counts.why if counts is not None and by_hand else f"projections and head count of {source}"
    told = f" and {counts.why}" if counts is not None else ""
    return False, f"guessed from the names of the projections{told}"


def _add_matrices(model: Model, found: Found, container: str, parts: tuple[TensorRef, TensorRef, TensorRef]) -> None:
    axes = [output_axis(found, ref) for ref in parts]
    rows = [ref.shape[axis] for ref, axis in zip(parts, axes, strict=True)]
    counts = count_heads(model, container, rows[0], rows[1])
    certain, why = why_of(model, container, counts)
    naming = Naming(model, found, certain, why)
    if counts is None or rows[2] % counts.kv_heads:
        unsure = Naming(model, found, False, f"{why}; the number of heads is not known")
        for ref, axis in zip(parts, axes, strict=True):
            unsure.name(ref, axis, "(head head_dim)", ())
        unsure.output(find_output(model, container)[1], None, rows[0])
        return
    blocks = []
    for ref, axis, length, count in zip(
        parts, axes, rows, (counts.heads, counts.kv_heads, counts.kv_heads), strict=True
    ):
        size = length // count
        naming.name(ref, axis, "(head head_dim)", (heads_split(axis, count, size),))
        blocks.append(HeadBlocks(ref.name, axis, 0, size, size, count, transposed=axis == 1))
    path, out = find_output(model, container)
    output = naming.output(out, counts.heads, blocks[2].size)
    sure = certain and all(is_certain(found, ref) for ref in parts)
    found.attention.append(
        AttentionLayer(
            path if output is not None else container,
            counts.heads,
            counts.kv_heads,
            blocks[0].size,
            blocks[0],
            blocks[1],
            blocks[2],
            output,
            rotary=model.is_rotary(container),
            certain=sure,
            why=why,
        )
    )


def _add_tensors(model: Model, found: Found, container: str, parts: tuple[TensorRef, TensorRef, TensorRef]) -> None:
    """Projections of rank 3, (in, heads, head_dim), as Keras, Flax and XLNet have them."""
    kinds = {model.info(ref.module).kind for ref in parts} | {model.info(container).kind}
    certain = layout_is_known(model, container)
    kind = model.info(container).kind or next(iter(kinds - {""}), "")
    why = f"{kind}: (in, head, head_dim)" if certain and kind else "guessed from the names and shapes"
    counts = [ref.shape[1] for ref in parts]
    if counts[1] != counts[2] or counts[0] % counts[1] or parts[0].shape[2] != parts[1].shape[2]:
        return
    blocks = []
    for ref in parts:
        heads = ref.shape[1]
        split = equal_split(1, "head", numbered("head", heads), heads)
        found.axes[ref.name] = Axes(("in", "head", "head_dim"), "attention", certain, why, 2, 0, splits=(split,))
        blocks.append(HeadBlocks(ref.name, 1, 0, 1, 1, heads, transposed=True))
        bias = model.beside(ref).get("bias")
        if bias is not None and bias.shape == ref.shape[1:] and ref.module != container:
            first = equal_split(0, "head", numbered("head", heads), heads)
            found.axes[bias.name] = Axes(("head", "head_dim"), "bias", certain, why, 1, splits=(first,))
    path, out = find_output(model, container)
    output = None
    heads, size = parts[2].shape[1:]
    heads *= counts[0] // counts[1]
    if out is not None and out.shape[:2] == (heads, size) and len(out.shape) == 3:
        output = _output(found, out, 0, ("head", "head_dim", "out"), certain, why)
    elif out is not None and out.shape[1:] == (heads, size) and len(out.shape) == 3:
        output = _output(found, out, 1, ("out", "head", "head_dim"), certain, why)
    found.attention.append(
        AttentionLayer(
            path if output is not None else container,
            counts[0],
            counts[1],
            parts[0].shape[2],
            blocks[0],
            blocks[1],
            blocks[2],
            output,
            rotary=model.is_rotary(container),
            certain=certain,
            why=why,
        )
    )


def _output(found: Found, ref: TensorRef, axis: int, names: tuple[str, ...], certain: bool, why: str) -> HeadBlocks:
    split: Split = equal_split(axis, "head", numbered("head", ref.shape[axis]), ref.shape[axis])
    out = names.index("out")
    found.axes[ref.name] = Axes(names, "attention", certain, why, out, names.index("head_dim"), splits=(split,))
    return HeadBlocks(ref.name, axis, 0, 1, 1, ref.shape[axis], transposed=axis == 0)
