"""What is guessed by name and shape, where no class tells: bare state dicts, arrays, classes of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.dense import add_embedding, bias, matrix
from weightwidget.anatomy.rules.model import Model
from weightwidget.anatomy.rules.norm import PER_CHANNEL, channels, counter, names_norm
from weightwidget.sources.base import TensorRef

GUESSED = "guessed from its name and shape"

_EMBEDDING = re.compile(
    r"wte|wpe|emb|tok|pos|tok_?emb\w*|pos_?emb\w*|\w*embeddings?|embed_(tokens|positions|in)|embed|shared|tokens|"
    r"positions|\w+_embed|word_embed\w*|tok_embeddings|embedding_\w+|relative_attention_bias|lang_emb\w*"
)
"""Last parts of the names of modules that are tables of vectors."""

_NO_TABLE = re.compile(
    r"patch_?embed\w*|embed_out|output_embed\w*|visual_embed\w*|time_embed\w*|mask_embed|point_embed"
)

_CONV1D = frozenset({"c_attn", "c_proj", "c_fc", "q_attn"})
"""GPT-2's layers that transformers stores as (in, out)."""

_CONV1D_FAMILIES = frozenset({"gpt2", "openai-gpt", "imagegpt", "decision_transformer"})


def guess_layers(model: Model, found: Found) -> None:
    """Guess vectors and matrices that no rule by class has named; what has more axes is left to others."""
    turned = _conv1d_modules(model, found)
    certain = model.is_known_file
    why = f"the names of a {model.config('').get('model_type')} model" if certain else GUESSED
    for path, leaves in model.own.items():
        for leaf, ref in leaves.items():
            if ref.name in found.axes or ref.role == "mask":
                continue
            rank = len(ref.shape)
            if rank == 1:
                axes = _vector(path, leaf, ref, leaves, why, certain)
                if axes is not None:
                    found.axes[ref.name] = axes
            elif leaf == "num_batches_tracked" and rank == 0:
                found.axes[ref.name] = counter()
            elif rank == 2 and ref.role != "buffer":
                _matrix(model, found, path, leaf, ref, leaves, why, certain, path in turned)


def _vector(
    path: str, leaf: str, ref: TensorRef, leaves: Mapping[str, TensorRef], why: str, certain: bool
) -> Axes | None:
    norm = names_norm(path) or not leaves.keys().isdisjoint({"running_mean", "moving_mean", "gamma", "beta"})
    weight = leaves.get("weight", leaves.get("kernel"))
    if leaf in PER_CHANNEL and (norm or (leaf in ("weight", "scale", "g") and ref.role == "gain")):
        return channels(why, certain)
    if leaf == "bias" and weight is not None and weight.shape == ref.shape:
        return channels(why, certain)  # a gain and a bias, whatever the module is called
    if leaf == "bias" or (leaf.endswith("bias") and ref.role == "bias" and not leaf.startswith("r_")):
        return bias(why, certain and leaf == "bias")
    return None


def _matrix(
    model: Model,
    found: Found,
    path: str,
    leaf: str,
    ref: TensorRef,
    leaves: Mapping[str, TensorRef],
    why: str,
    certain: bool,
    turned: bool,
) -> None:
    own = path.rpartition(".")[2].lower()
    named = leaf in ("embedding", "embeddings") or (leaf == "weight" and _EMBEDDING.fullmatch(own) is not None)
    if named and not _NO_TABLE.fullmatch(own) and "bias" not in leaves:
        add_embedding(ref, found, why, certain, _padding(model, path) if certain else None)
        return
    if leaf == "kernel":
        found.axes[ref.name] = matrix("guessed: Keras and Flax store kernels as (in, out)", False, True)
    elif leaf in ("weight", "w", "W") or turned:
        offset = leaves.get("bias", leaves.get("b"))
        tells = offset is not None and len(offset.shape) == 1 and ref.shape[0] != ref.shape[1]
        if offset is not None and tells and offset.shape[0] in ref.shape:
            transposed = offset.shape[0] == ref.shape[1]
            found.axes[ref.name] = matrix(
                why if certain else "guessed from the length of its bias", certain, transposed
            )
        else:
            found.axes[ref.name] = matrix(why, certain, turned)
    elif leaf == "in_proj_weight" and ref.shape[0] == 3 * ref.shape[1]:
        found.axes[ref.name] = matrix("guessed: fused as in torch.nn.MultiheadAttention", False)


def _padding(model: Model, path: str) -> int | None:
    padding = model.config(path).get("pad_token_id")
    return padding if type(padding) is int and padding >= 0 else None


def _conv1d_modules(model: Model, found: Found) -> set[str]:
    """Paths of GPT-2's layers in a file, if it stores them as transformers does: c_attn (d, 3 d) tells.

    nanoGPT and others call their ordinary linear layers so too: (3 d, d).
    """
    mentioned = {path: ref for path, ref in model.matrices.items() if path.rpartition(".")[2] in _CONV1D}
    if not mentioned:
        return set()
    family = model.config("").get("model_type")
    if family in _CONV1D_FAMILIES:
        return set(mentioned)
    shapes = [ref.shape for path, ref in mentioned.items() if path.endswith("c_attn") and ref.name not in found.axes]
    return set(mentioned) if shapes and all(shape[1] > shape[0] for shape in shapes) else set()
