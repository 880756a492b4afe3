"""How many heads an attention layer has: by its module, by the configuration, by other tensors, at last by habit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightwidget.anatomy.axes import Axes, Split, equal_split, numbered
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import HeadBlocks
from weightwidget.anatomy.rules.model import Model
from weightwidget.sources.base import TensorRef

HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead", "heads", "attention_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "kv_n_heads", "kv_heads")
HEAD_DIM = ("head_dim", "attention_head_size", "head_size", "dim_head", "key_value_proj_dim", "d_head", "d_kv")

SET_BY_HAND = "the number of heads was set by hand"


@dataclass(frozen=True)
class Counts:
    """Heads of a layer.

    Attributes
    ----------
    heads, kv_heads
        Of queries, and of keys and values.
    certain
        Whether a module, a configuration or a person told.
    why
        Who told.
    """

    heads: int
    kv_heads: int
    certain: bool
    why: str


def count_heads(model: Model, container: str, query: int, key: int) -> Counts | None:
    """Number of heads of the attention layer in a module; None if nothing tells.

    Parameters
    ----------
    model
        The model.
    container
        Module of the query projection.
    query, key
        Outputs of the query and of the key projection.
    """
    own = _by_hand(model, container)
    if own is not None:
        heads, kv_heads = own[0], own[1]
        if kv_heads is None:
            kv_heads = key * heads // query
        fits = heads > 0 and kv_heads > 0 and query % heads == 0 and key % kv_heads == 0 and heads % kv_heads == 0
        if fits and query // heads == key // kv_heads:
            return Counts(heads, kv_heads, True, SET_BY_HAND)
    for path in (container, container.rpartition(".")[0]):
        found = _told(model.info(path).hyper, query, key)
        if found is not None and model.info(path).kind:
            return Counts(*found, certain=True, why=f"the heads of {model.info(path).kind}")
    found = _told(model.config(container), query, key)
    if found is not None:
        return Counts(*found, certain=True, why="the configuration")
    return _inferred(model, container, query, key) or _usual(model, container, query, key)


def _by_hand(model: Model, container: str) -> tuple[int, int | None] | None:
    path = container
    while path not in model.heads:
        if not path:
            return None
        path = path.rpartition(".")[0]
    return model.heads[path]


def _told(hyper: Mapping[str, Any], query: int, key: int) -> tuple[int, int] | None:
    def first(keys: tuple[str, ...]) -> int | None:
        found = (hyper.get(name) for name in keys)
        return next((value for value in found if type(value) is int and value > 0), None)

    heads, kv_heads, size = first(HEADS), first(KV_HEADS), first(HEAD_DIM)
    if size is None and heads is not None and query % heads == 0:
        size = query // heads
    if size is None or query % size or key % size:
        return None
    # Some layers' queries carry a gate beside each head: then the rows are twice as many as the heads tell.
    if heads is not None and query != heads * size:
        if query == key or first(HEAD_DIM) is None:
            return None
        heads = None if kv_heads is None else heads
    if heads is not None and query != heads * size:
        return None
    heads, kv_heads = query // size, key // size
    return (heads, kv_heads) if heads % kv_heads == 0 else None


def _inferred(model: Model, container: str, query: int, key: int) -> Counts | None:
    """From tensors with one entry for each head, or one for each element of a head."""
    above = container.rpartition(".")[0]
    for path in (container, above):
        for name, axis in (
            ("relative_attention_bias.weight", 1),
            ("relative_position_bias_table", 1),
            ("relative_position_bias.relative_position_bias_table", 1),
            ("logit_scale", 0),
            ("sinks", 0),
        ):
            ref = model.source.tensors.get(f"{path}.{name}" if path else name)
            if ref is not None and len(ref.shape) > axis:
                heads = ref.shape[axis]
                if heads > 1 and query % heads == 0 and key % (query // heads) == 0:
                    return Counts(heads, key // (query // heads), False, f"guessed from the shape of {name}")
    for name in ("q_norm.weight", "query_norm.weight", "q_layernorm.weight", "inner_attn.inv_freq"):
        ref = model.source.tensors.get(f"{container}.{name}" if container else name)
        if ref is not None and len(ref.shape) == 1:
            size = ref.shape[0] * (2 if name.endswith("inv_freq") else 1)
            if size < query and query % size == 0 and key % size == 0 and (query // size) % (key // size) == 0:
                return Counts(query // size, key // size, False, f"guessed from the length of {name}")
    return None


def _usual(model: Model, container: str, query: int, key: int) -> Counts | None:
    """Sizes of heads in the families of which nearly all models of that width have the same."""
    prefix = f"{container}." if container else ""
    llama = f"{prefix}o_proj.weight" in model.source.tensors
    size = 128 if llama and query in (4096, 5120, 8192) else 64 if not llama and query in (768, 1024, 1280, 1600) else 0
    if not size or key % size or (query // size) % (key // size):
        return None
    return Counts(query // size, key // size, False, f"guessed: models {query} wide have heads of {size} as a rule")


def heads_split(axis: int, heads: int, size: int, first: int = 0) -> Split:
    """Divide an axis into heads, numbered from `first`."""
    labels = tuple(f"head {first + head}" for head in range(heads)) if first else numbered("head", heads)
    return equal_split(axis, "head", labels, heads * size)


def along_first(split: Split) -> Split:
    """The same division of the only axis of a bias."""
    inner = tuple(tuple(along_first(one) for one in part) for part in split.inner)
    return Split(0, split.name, split.labels, split.sizes, inner)


def output_axis(found: Found, ref: TensorRef) -> int:
    """Axis of the outputs of a projection: 0 unless it is known to be stored the other way round."""
    axes = found.axes.get(ref.name)
    return axes.output if axes is not None and axes.output is not None else 0


def is_certain(found: Found, ref: TensorRef) -> bool:
    """Whether it is certain which axis of a projection is that of its outputs."""
    axes = found.axes.get(ref.name)
    return axes is not None and axes.certain


@dataclass(frozen=True)
class Naming:
    """Names the axes of projections.

    Attributes
    ----------
    model, found
        What is named, and where to.
    certain, why
        As of `weightwidget.anatomy.axes.Axes`.
    """

    model: Model
    found: Found
    certain: bool
    why: str

    def name(self, ref: TensorRef, axis: int, label: str, splits: tuple[Split, ...]) -> None:
        """Name the outputs of a projection; its inputs are what they were. The bias, if there is one, goes along."""
        certain = self.certain and is_certain(self.found, ref)
        names = ["in", "in"]
        names[axis] = label
        self.found.axes[ref.name] = Axes(tuple(names), "attention", certain, self.why, axis, 1 - axis, splits=splits)
        bias = self.model.beside(ref).get("bias")
        if bias is not None and bias.shape == (ref.shape[axis],):
            splits = tuple(along_first(split) for split in splits)
            self.found.axes[bias.name] = Axes((label,), "bias", certain, self.why, output=0, splits=splits)

    def output(self, out: TensorRef | None, heads: int | None, size: int) -> HeadBlocks | None:
        """Name the heads along the inputs of an output projection; None if it does not read just them.

        Parameters
        ----------
        out
            The projection.
        heads, size
            Number of heads, and of elements of each; if that number is not known, None and of all elements.
        """
        if out is None or len(out.shape) != 2:
            return None
        axis = 1 - output_axis(self.found, out)
        if out.shape[axis] != (heads or 1) * size:
            return None
        names = ["out", "out"]
        names[axis] = "(head head_dim)"
        certain = self.certain and is_certain(self.found, out)
        splits = (heads_split(axis, heads, size),) if heads else ()
        self.found.axes[out.name] = Axes(tuple(names), "attention", certain, self.why, 1 - axis, axis, splits=splits)
        if heads is None:
            return None
        return HeadBlocks(out.name, axis, 0, size, size, heads, transposed=axis == 0)
