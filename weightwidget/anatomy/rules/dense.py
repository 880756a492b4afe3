"""Fully connected layers and tables of vectors."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from weightwidget.anatomy.axes import Axes, equal_split
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import EmbeddingTable
from weightwidget.anatomy.rules.base import ModuleView, rule
from weightwidget.anatomy.rules.model import Model
from weightwidget.sources.base import TensorRef


@lru_cache(maxsize=512)
def matrix(why: str, certain: bool = True, transposed: bool = False, what: str = "linear") -> Axes:
    """Axes of a fully connected layer's weights: (out, in), or (in, out) if transposed."""
    names = ("in", "out") if transposed else ("out", "in")
    return Axes(names, what, certain, why, output=int(transposed), input=int(not transposed))


@lru_cache(maxsize=512)
def bias(why: str, certain: bool = True, name: str = "out") -> Axes:
    """Axes of one number for each output."""
    return Axes((name,), "bias", certain, why, output=0)


@rule("Linear", "NonDynamicallyQuantizableLinear", "LazyLinear")
def linear(module: ModuleView, found: Found) -> None:
    """torch.nn.Linear and what is derived from it: (out, in)."""
    sizes = module.hyper.get("out_features"), module.hyper.get("in_features")
    why = "torch.nn.Linear"
    for leaf, ref in module.tensors.items():
        if ref.name in found.axes:
            continue  # the output projection of an attention layer
        if leaf == "weight" and len(ref.shape) == 2:
            if None in sizes or ref.shape == sizes:
                found.axes[ref.name] = matrix(why, certain=None not in sizes or not module.hyper)
        elif leaf == "bias" and len(ref.shape) == 1:
            found.axes[ref.name] = bias(why)


@rule("Bilinear")
def bilinear(module: ModuleView, found: Found) -> None:
    """torch.nn.Bilinear: (out, in1, in2)."""
    for leaf, ref in module.tensors.items():
        if leaf == "weight" and len(ref.shape) == 3:
            found.axes[ref.name] = Axes(("out", "in1", "in2"), "linear", True, "torch.nn.Bilinear", output=0, input=1)
        elif leaf == "bias" and len(ref.shape) == 1:
            found.axes[ref.name] = bias("torch.nn.Bilinear")


@rule("Conv1D")
def conv1d(module: ModuleView, found: Found) -> None:
    """GPT-2's Conv1D is a linear layer stored as (in, out); Keras's of that name has a kernel of rank 3."""
    weight = module.tensors.get("weight")
    if weight is None or len(weight.shape) != 2:
        return
    why = "transformers' Conv1D, a linear layer stored as (in, out)"
    found.axes[weight.name] = matrix(why, transposed=True)
    if "bias" in module.tensors and len(module.tensors["bias"].shape) == 1:
        found.axes[module.tensors["bias"].name] = bias(why)


@rule("Dense")
def dense(module: ModuleView, found: Found) -> None:
    """Keras's and Flax's Dense: kernel (in, out)."""
    for leaf, ref in module.tensors.items():
        if leaf == "kernel" and len(ref.shape) == 2:
            found.axes[ref.name] = matrix("Dense layer, stored as (in, out)", transposed=True)
        elif leaf == "bias" and len(ref.shape) == 1:
            found.axes[ref.name] = bias("Dense layer")


@rule("EinsumDense")
def einsum_dense(module: ModuleView, found: Found) -> None:
    """Keras's EinsumDense: the letters of its equation tell inputs from outputs; (in, out) of rank 2 without it."""
    kernel, offset = module.tensors.get("kernel"), module.tensors.get("bias")
    equation = str(module.hyper.get("equation", "")).replace(" ", "")
    match = re.fullmatch(r"([\w.]+),(\w+)->([\w.]+)", equation)
    why = f"Keras's EinsumDense {equation}".strip()
    if kernel is None:
        return
    if match is None:
        if len(kernel.shape) == 2:
            found.axes[kernel.name] = matrix(why, certain=False, transposed=True)
    elif len(match[2]) == len(kernel.shape):
        kept = [letter in match[3] for letter in match[2]]
        numbered = len(kernel.shape) > 2
        names = [("out" if out else "in") + (f" {at}" if numbered else "") for at, out in enumerate(kept)]
        output = kept.index(True) if True in kept else None
        source = kept.index(False) if False in kept else None
        found.axes[kernel.name] = Axes(tuple(names), "linear", True, why, output, source)
    if offset is not None:
        names = [f"out {axis}" for axis in range(len(offset.shape))] if len(offset.shape) > 1 else ["out"]
        found.axes[offset.name] = Axes(tuple(names), "bias", True, why, output=len(names) - 1)


@rule("Embedding", "EmbeddingBag", "ReversibleEmbedding")
def embedding(module: ModuleView, found: Found) -> None:
    """Tables of vectors of PyTorch, Keras and Flax: (entries, dim)."""
    for leaf in ("weight", "embeddings", "embedding"):
        ref = module.tensors.get(leaf)
        if ref is not None and len(ref.shape) == 2:
            padding = module.hyper.get("padding_idx")
            torch = leaf == "weight"
            why = f"torch.nn.{module.kind}" if torch else f"{module.kind} layer"
            add_embedding(ref, found, why, True, padding if isinstance(padding, int) else None)


def add_embedding(ref: TensorRef, found: Found, why: str, certain: bool, padding: int | None = None) -> None:
    """Add a table of vectors (entries, dim), by its name one of tokens, positions or types.

    Tables of a bias for each head by relative position, and tables that are one single vector, are no tables of
    embeddings, though they are stored as such.
    """
    owner = ref.module.rpartition(".")[2].lower()
    if "relative" in owner and "bias" in owner:
        found.axes[ref.name] = Axes(("relative position", "head"), "position", certain, why)
        return
    entries = entries_of(ref.name)
    found.axes[ref.name] = _table(entries, certain, why)
    if ref.shared_with is None and ref.shape[0] > 1:
        found.embeddings.append(EmbeddingTable(ref.name, entries, 0, padding, certain, why))


@lru_cache(maxsize=64)
def _table(entries: str, certain: bool, why: str) -> Axes:
    return Axes((entries, "dim"), "embedding", certain, why, output=1, input=0)


_POSITIONS = re.compile(r"position|(^|[._])pos([._]|$)|pos_?emb|wpe|relative|[hxyw]_pos")
_TYPES = re.compile(r"token_?type|segment|type_?emb|seg_emb|lang_emb")


@lru_cache(maxsize=4096)
def entries_of(name: str) -> Literal["token", "position", "type"]:
    """What has a vector in the table of that name; only the last two parts of its module's name tell."""
    words = ".".join(name.lower().split(".")[-3:-1])
    last = words.rpartition(".")[2]
    if _TYPES.search(last):
        return "type"
    return "position" if _POSITIONS.search(last) else "token"


_FUSED_MLP = {
    "gate_up_proj": ("gate", "up"),
    "input_linear": ("gate", "up"),
    "weights_in": ("gate", "up"),
    "Wi": ("input", "gate"),
}
"""Halves of the outputs of projections that transformers' gated layers make in one product, by the layer's name."""

_HALVES = re.compile(
    r"Phi\dMLP|Phi3\w*MLP|Glm\w*MLP|Dinov2SwiGLUFFN|GraniteMoe\w*MLP|GraniteSharedMLP|ModernBert\w*MLP"
)
_HALVED_FILES = {
    "gate_up_proj": ("phi3", "glm", "glm4"),
    "input_linear": ("granitemoeshared",),
    "Wi": ("modernbert",),
}
"""The same by the name of the layer and the ``model_type`` of a file."""


def gated_halves(model: Model, found: Found) -> None:
    """Name the halves of gated layers' first products: (gate; up) by rows."""
    for path, ref in model.matrices.items():
        container, _, last = path.rpartition(".")
        labels = _FUSED_MLP.get(last)
        old = found.axes.get(ref.name)
        if labels is None or old is None or old.splits or old.what != "linear" or old.output is None:
            continue
        kind = model.info(container).kind
        certain = (
            bool(_HALVES.fullmatch(kind) or last == "gate_up_proj") and model.info(container).library == "transformers"
        )
        certain |= model.is_known_file and model.config("").get("model_type") in _HALVED_FILES.get(last, ())
        length = ref.shape[old.output]
        if length % 2 or not (certain or last == "gate_up_proj"):
            continue
        named = f"{kind}: " if kind else ""
        why = f"{named}{' and '.join(labels)} in one product" if certain else "guessed from its name"
        label = f"({'_'.join(labels)} hidden)"
        names = tuple(label if axis == old.output else name for axis, name in enumerate(old.names))
        split = equal_split(old.output, "half", labels, length)
        sure = certain and old.certain
        found.axes[ref.name] = Axes(names, "linear", sure, why, old.output, old.input, splits=(split,))
        offset = model.beside(ref).get("bias")
        if offset is not None and offset.shape == (length,):
            along = equal_split(0, "half", labels, length)
            found.axes[offset.name] = Axes((label,), "bias", sure, why, output=0, splits=(along,))
