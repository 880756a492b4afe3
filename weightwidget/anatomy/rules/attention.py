"""Attention layers: PyTorch's own by class, those of other libraries by the names of their projections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weightwidget.anatomy.axes import Axes, Split, equal_split, numbered
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.anatomy.rules.base import ModuleView, rule
from weightwidget.sources.base import TensorRef, WeightSource

QKV = ("q", "k", "v")


def heads_split(axis: int, heads: int, size: int) -> Split:
    """Divide an axis into heads."""
    return equal_split(axis, "head", numbered("head", heads), heads * size)


@rule("MultiheadAttention")
def multihead_attention(module: ModuleView, found: Found) -> None:
    """torch.nn.MultiheadAttention: in_proj_weight (3 d, d) holds q, k and v one after the other."""
    heads, width = module.hyper.get("num_heads"), module.hyper.get("embed_dim")
    if not isinstance(heads, int) or not isinstance(width, int) or heads < 1 or width % heads:
        return
    size, why = width // heads, "torch.nn.MultiheadAttention"
    split = heads_split(0, heads, size)
    fused = module.tensors.get("in_proj_weight")
    projections: dict[str, HeadBlocks | None] = dict.fromkeys(QKV)
    if fused is not None and fused.shape[:1] == (3 * width,):
        qkv = equal_split(0, "qkv", QKV, 3 * width, (split,))
        found.axes[fused.name] = Axes(
            ("(qkv head head_dim)", "in"), "attention", True, why, output=0, input=1, splits=(qkv,)
        )
        projections = {
            name: HeadBlocks(fused.name, 0, number * width, size, size, heads) for number, name in enumerate(QKV)
        }
    for name in QKV:
        ref = module.tensors.get(f"{name}_proj_weight")
        if ref is not None and ref.shape[:1] == (width,):
            found.axes[ref.name] = Axes(("(head head_dim)", "in"), "attention", True, why, 0, 1, splits=(split,))
            projections[name] = HeadBlocks(ref.name, 0, 0, size, size, heads)
    fused_bias = module.tensors.get("in_proj_bias")
    if fused_bias is not None:
        qkv = equal_split(0, "qkv", QKV, 3 * width, (split,))
        found.axes[fused_bias.name] = Axes(("(qkv head head_dim)",), "bias", True, why, output=0, splits=(qkv,))
    for leaf in ("bias_k", "bias_v"):
        if leaf in module.tensors:
            names = ("batch", "token", "(head head_dim)")
            found.axes[module.tensors[leaf].name] = Axes(names, "bias", True, why, output=2)
    out = module.source.tensors.get(f"{module.path}.out_proj.weight" if module.path else "out_proj.weight")
    output = None
    if out is not None and out.shape[1:] == (width,):
        output = HeadBlocks(out.name, 1, 0, size, size, heads)
    found.attention.append(
        AttentionLayer(
            module.path,
            heads,
            heads,
            size,
            *(projections[name] for name in QKV),
            output,
            rotary=False,
            certain=True,
            why=why,
        )
    )


def finish_multihead(found: Found) -> None:
    """Name the heads along the columns of output projections, whose own class knows nothing of them."""
    for layer in found.attention:
        out = layer.output
        if out is not None and out.tensor in found.axes and out.step == out.size:
            old = found.axes[out.tensor]
            if old.splits or len(old.names) != 2:
                continue
            names = tuple("(head head_dim)" if axis == out.axis else name for axis, name in enumerate(old.names))
            split = heads_split(out.axis, out.count, out.size)
            found.axes[out.tensor] = Axes(
                names, "attention", layer.certain, layer.why, old.output, old.input, splits=(split,)
            )


# -- by the names of the projections ------------------------------------------------------------------------------

_QUERY = ("query", "q_proj", "q_lin", "wq", "to_q", "query_proj", "q", "W_Q", "Wq", "queries", "linear_q")
_KEY = ("key", "k_proj", "k_lin", "wk", "to_k", "key_proj", "k", "W_K", "Wk", "keys", "linear_k")
_VALUE = ("value", "v_proj", "v_lin", "wv", "to_v", "value_proj", "v", "W_V", "Wv", "values", "linear_v")
_OUTPUT = (
    *("o_proj", "out_proj", "out_lin", "wo", "to_out.0", "to_out", "c_proj", "o", "dense", "proj", "projection"),
    *("Wo", "W_O", "out", "linear_out", "output.dense"),
)
_FUSED = ("c_attn", "qkv", "qkv_proj", "query_key_value", "Wqkv", "W_pack", "in_proj", "att_proj")

_HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead", "heads", "encoder_attention_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "kv_n_heads")
_HEAD_DIM = ("head_dim", "attention_head_size", "head_size", "dim_head", "key_value_proj_dim", "kv_channels")


@dataclass(frozen=True)
class Counts:
    """Heads of a layer, as far as its modules and its configuration tell."""

    heads: int | None
    kv_heads: int | None
    head_dim: int | None
    certain: bool


def attention_by_names(source: WeightSource, found: Found) -> None:
    """Find attention layers by the names of their projections; for the counts look at hyperparameters.

    Adds the layers, and the meaning of their projections' axes.
    """
    known = {layer.path for layer in found.attention}
    for container, separate in _separate(source):
        if container not in known:
            _add_separate(source, found, container, separate)
    for name, leaf in _fused(source):
        _add_fused(source, found, name, leaf)


def _leaves(source: WeightSource, container: str, names: tuple[str, ...]) -> TensorRef | None:
    prefix = f"{container}." if container else ""
    for name in names:
        ref = source.tensors.get(f"{prefix}{name}.weight")
        if ref is not None and len(ref.shape) == 2:
            return ref
    return None


def _separate(source: WeightSource) -> Iterator[tuple[str, dict[str, TensorRef]]]:
    """Modules with separate query, key and value projections."""
    for name, ref in source.tensors.items():
        parts = name.split(".")
        if len(parts) < 2 or parts[-1] != "weight" or parts[-2] not in _QUERY or len(ref.shape) != 2:
            continue
        container = ".".join(parts[:-2])
        at = _QUERY.index(parts[-2])
        key = _leaves(source, container, (_KEY[at],))
        value = _leaves(source, container, (_VALUE[at],))
        if key is not None and value is not None:
            yield container, {"query": ref, "key": key, "value": value}


def _output(source: WeightSource, container: str) -> tuple[str, TensorRef | None]:
    """The output projection of a module with q, k and v, and the module that contains all four."""
    ref = _leaves(source, container, _OUTPUT)
    if ref is not None:
        return container, ref
    above = container.rpartition(".")[0]
    if container.rpartition(".")[2] in ("self", "attention", "self_attention", "self_attn"):
        ref = _leaves(source, above, ("output.dense", "output", "out_proj", "dense", "proj", "o_proj"))
        if ref is not None:
            return above, ref
    return container, None


def _counts(source: WeightSource, container: str, rows: int, kv_rows: int) -> Counts:
    """Look for the number of heads in the module, then in those around it, at last in the configuration."""
    path = container
    while True:
        info = source.modules.get(path)
        found = _told(info.hyper, rows, kv_rows) if info is not None else None
        if found is not None:
            return Counts(*found, certain=bool(info and info.kind))
        if not path:
            return Counts(None, None, None, False)
        path = path.rpartition(".")[0]


def _told(hyper: Mapping[str, Any], rows: int, kv_rows: int) -> tuple[int, int, int] | None:
    def first(keys: tuple[str, ...]) -> int | None:
        found = (hyper.get(key) for key in keys)
        return next((value for value in found if type(value) is int and value > 0), None)

    heads, kv_heads, head_dim = first(_HEADS), first(_KV_HEADS), first(_HEAD_DIM)
    if head_dim is None and heads is not None and rows % heads == 0:
        head_dim = rows // heads
    if head_dim is None or rows % head_dim or kv_rows % head_dim:
        return None
    if kv_heads is not None and heads is not None and head_dim != rows // heads:
        return None
    heads, kv_heads = rows // head_dim, kv_rows // head_dim
    return (heads, kv_heads, head_dim) if heads % max(kv_heads, 1) == 0 else None


def _out_axis(found: Found, ref: TensorRef) -> int:
    """Axis of the outputs of a projection: 0 unless its class is known to be stored the other way round."""
    axes = found.axes.get(ref.name)
    return axes.output if axes is not None and axes.output is not None else 0


def _add_separate(source: WeightSource, found: Found, container: str, projections: dict[str, TensorRef]) -> None:
    axes = {name: _out_axis(found, ref) for name, ref in projections.items()}
    rows = {name: ref.shape[axes[name]] for name, ref in projections.items()}
    path, out = _output(source, container)
    counts = _counts(source, container, rows["query"], rows["key"])
    classes = all(ref.name in found.axes and found.axes[ref.name].certain for ref in projections.values())
    certain = counts.certain and classes
    why = _why(source, path, certain)
    if counts.heads is None or counts.kv_heads is None or counts.head_dim is None:
        for name, ref in projections.items():
            _name_axes(found, ref, axes[name], "(head head_dim)", (), classes, why)
        return
    blocks: dict[str, HeadBlocks | None] = {"query": None, "key": None, "value": None, "output": None}
    for name, ref in projections.items():
        count = counts.heads if name == "query" else counts.kv_heads
        size = rows[name] // count if rows[name] % count == 0 else 0
        if not size:
            return
        split = heads_split(axes[name], count, size)
        _name_axes(found, ref, axes[name], "(head head_dim)", (split,), certain, why)
        blocks[name] = HeadBlocks(ref.name, axes[name], 0, size, size, count, transposed=axes[name] == 1)
    if out is not None:
        blocks["output"] = _output_heads(found, out, counts.heads, certain, why)
    rotary = _is_rotary(source, path)
    found.attention.append(
        AttentionLayer(
            path, counts.heads, counts.kv_heads, counts.head_dim, **blocks, rotary=rotary, certain=certain, why=why
        )
    )


def _output_heads(found: Found, out: TensorRef, heads: int, certain: bool, why: str) -> HeadBlocks | None:
    in_axis = 1 - _out_axis(found, out)
    if out.shape[in_axis] % heads:
        return None
    size = out.shape[in_axis] // heads
    split = heads_split(in_axis, heads, size)
    old = found.axes.get(out.name)
    names = ["out", "out"]
    names[in_axis] = "(head head_dim)"
    sure = certain and (old is None or old.certain)
    found.axes[out.name] = Axes(tuple(names), "attention", sure, why, 1 - in_axis, in_axis, splits=(split,))
    return HeadBlocks(out.name, in_axis, 0, size, size, heads, transposed=in_axis == 0)


def _name_axes(
    found: Found, ref: TensorRef, out_axis: int, name: str, splits: tuple[Split, ...], certain: bool, why: str
) -> None:
    names = ["in", "in"]
    names[out_axis] = name
    found.axes[ref.name] = Axes(tuple(names), "attention", certain, why, out_axis, 1 - out_axis, splits=splits)


def _why(source: WeightSource, path: str, certain: bool) -> str:
    info = source.modules.get(path)
    if info is not None and info.kind and certain:
        return f"projections and head count of {info.kind}"
    return "guessed from the names of the projections" + (" and the configuration" if source.modules.get("") else "")


def _is_rotary(source: WeightSource, path: str) -> bool | None:
    hyper = source.modules[path].hyper if path in source.modules else {}
    root = source.modules[""].hyper if "" in source.modules else {}
    if any("rope" in key or "rotary" in key for key in (*hyper, *root)):
        return True
    if any("rotary" in name or name.endswith("inv_freq") for name in (*source.modules, *source.tensors)):
        return True
    return None


def _fused(source: WeightSource) -> Iterator[tuple[str, str]]:
    for name, ref in source.tensors.items():
        parts = name.split(".")
        if len(parts) >= 2 and parts[-1] == "weight" and parts[-2] in _FUSED and len(ref.shape) == 2:
            yield name, parts[-2]


_INTERLEAVED = re.compile(r"gptneox|bloom|falcon|persimmon", re.IGNORECASE)
"""Classes whose fused projections hold q, k and v head by head."""


def _add_fused(source: WeightSource, found: Found, name: str, leaf: str) -> None:
    ref = source.tensors[name]
    container = name[: -len(f".{leaf}.weight")] if name != f"{leaf}.weight" else ""
    axis = _out_axis(found, ref)
    rows, inputs = ref.shape[axis], ref.shape[1 - axis]
    info = source.modules.get(container)
    kind = info.kind if info is not None else ""
    path, out = _output(source, container)
    width = out.shape[1 - _out_axis(found, out)] if out is not None else inputs
    counts = _counts(source, container, width, width)
    if counts.heads is None or counts.head_dim is None or rows < width:
        return
    heads, size = counts.heads, counts.head_dim
    if (rows - heads * size) % (2 * size):
        return
    kv_heads = (rows - heads * size) // (2 * size)
    if kv_heads < 1 or heads % kv_heads:
        return
    why = _why(source, path, counts.certain)
    interleaved = bool(_INTERLEAVED.search(kind))
    if interleaved and kv_heads != heads:
        return  # Falcon's grouped layouts differ by version
    kinds_known = bool(kind) and counts.certain
    if interleaved:
        inner = equal_split(axis, "qkv", QKV, 3 * size)
        split = equal_split(axis, "head", numbered("head", heads), rows, (inner,))
        label = "(head qkv head_dim)"
        first, step = {"q": 0, "k": size, "v": 2 * size}, 3 * size
    else:
        q, kv = heads_split(axis, heads, size), heads_split(axis, kv_heads, size)
        split = Split(axis, "qkv", QKV, (heads * size, kv_heads * size, kv_heads * size), ((q,), (kv,), (kv,)))
        label = "(qkv head head_dim)"
        first, step = {"q": 0, "k": heads * size, "v": (heads + kv_heads) * size}, size
    _name_axes(found, ref, axis, label, (split,), kinds_known, why)
    bias = source.tensors.get(name.removesuffix("weight") + "bias")
    if bias is not None and bias.shape == (rows,):
        shifted = _along_first(split)
        found.axes[bias.name] = Axes((label,), "bias", kinds_known, why, output=0, splits=(shifted,))
    blocks = {
        projection: HeadBlocks(name, axis, first[short], step, size, heads if short == "q" else kv_heads, axis == 1)
        for projection, short in (("query", "q"), ("key", "k"), ("value", "v"))
    }
    output = _output_heads(found, out, heads, kinds_known, why) if out is not None else None
    found.attention.append(
        AttentionLayer(
            path,
            heads,
            kv_heads,
            size,
            **blocks,
            output=output,
            rotary=_is_rotary(source, path),
            certain=kinds_known,
            why=why,
        )
    )


def _along_first(split: Split) -> Split:
    """The same division of the only axis of a bias."""
    inner = tuple(tuple(_along_first(one) for one in part) for part in split.inner)
    return Split(0, split.name, split.labels, split.sizes, inner)
