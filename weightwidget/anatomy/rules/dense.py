"""Fully connected layers and tables of vectors."""

from __future__ import annotations

from typing import Literal

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import EmbeddingTable
from weightwidget.anatomy.rules.base import ModuleView, rule
from weightwidget.sources.base import TensorRef

LINEAR = ("Linear", "NonDynamicallyQuantizableLinear", "LazyLinear", "LoRACompatibleLinear")


@rule(*LINEAR)
def linear(module: ModuleView, found: Found) -> None:
    """torch.nn.Linear: (out, in)."""
    why = f"torch.nn.{module.kind}" if module.kind != "NonDynamicallyQuantizableLinear" else "torch.nn.Linear"
    for leaf, ref in module.tensors.items():
        if leaf == "weight" and len(ref.shape) == 2:
            found.axes[ref.name] = Axes(("out", "in"), "linear", True, why, output=0, input=1)
        elif leaf == "bias" and len(ref.shape) == 1:
            found.axes[ref.name] = bias(why)


def bias(why: str, certain: bool = True) -> Axes:
    """Axes of one number for each output."""
    return Axes(("out",), "bias", certain, why, output=0)


@rule("Bilinear")
def bilinear(module: ModuleView, found: Found) -> None:
    """torch.nn.Bilinear: (out, in1, in2)."""
    for leaf, ref in module.tensors.items():
        if leaf == "weight" and len(ref.shape) == 3:
            found.axes[ref.name] = Axes(("out", "in1", "in2"), "linear", True, "torch.nn.Bilinear", output=0, input=1)
        elif leaf == "bias":
            found.axes[ref.name] = bias("torch.nn.Bilinear")


@rule("Conv1D")
def conv1d_or_transposed_linear(module: ModuleView, found: Found) -> None:
    """GPT-2's Conv1D is a linear layer stored as (in, out); Keras's Conv1D has a kernel of rank 3."""
    weight = module.tensors.get("weight")
    if weight is None or len(weight.shape) != 2:
        return
    why = "transformers' Conv1D: a linear layer stored as (in, out)"
    found.axes[weight.name] = Axes(("in", "out"), "linear", True, why, output=1, input=0)
    if "bias" in module.tensors:
        found.axes[module.tensors["bias"].name] = bias(why)


@rule("Dense", "EinsumDense")
def dense(module: ModuleView, found: Found) -> None:
    """Keras's Dense: kernel (in, out)."""
    why = f"Keras's {module.kind}"
    for leaf, ref in module.tensors.items():
        if leaf == "kernel" and len(ref.shape) == 2:
            found.axes[ref.name] = Axes(("in", "out"), "linear", True, why, output=1, input=0)
        elif leaf == "bias" and len(ref.shape) == 1:
            found.axes[ref.name] = bias(why)


@rule("Embedding", "EmbeddingBag")
def embedding(module: ModuleView, found: Found) -> None:
    """Tables of vectors of PyTorch and Keras: (entries, dim)."""
    ref = module.tensors.get("weight") or module.tensors.get("embeddings")
    if ref is None or len(ref.shape) != 2:
        return
    padding = module.hyper.get("padding_idx")
    add_embedding(ref, found, f"{module.kind} layer", True, padding if isinstance(padding, int) else None)


def add_embedding(ref: TensorRef, found: Found, why: str, certain: bool, padding: int | None = None) -> None:
    """Add a table of vectors (entries, dim), by its name one of tokens, positions or types."""
    entries = entries_of(ref.name)
    found.axes[ref.name] = Axes((entries, "dim"), "embedding", certain, why, output=1, input=0)
    found.embeddings.append(EmbeddingTable(ref.name, entries, 0, padding, certain, why))


def entries_of(name: str) -> Literal["token", "position", "type"]:
    """What has a vector in the table of that name."""
    words = name.lower()
    if any(word in words for word in ("position", "pos_emb", "wpe", ".pos.", "relative", "pos_embed")):
        return "position"
    leaf = words.rpartition(".")[0].rpartition(".")[2]
    if leaf in ("pos", "positions"):
        return "position"
    if any(word in words for word in ("token_type", "segment", "type_embed")):
        return "type"
    return "token"
