"""Parameters and buffers that modules hold beside their layers: class tokens, positions, scales, state spaces."""

from __future__ import annotations

import re
from collections.abc import Mapping

from weightwidget.anatomy.axes import Axes, Split
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.dense import bias
from weightwidget.anatomy.rules.model import Model
from weightwidget.anatomy.rules.norm import PER_CHANNEL, names_norm
from weightwidget.sources.base import TensorRef

_TOKEN = re.compile(
    r"(cls|mask|distillation|dist|register|class|eos|sep|query|task|iou|storage)_?(token|tokens|embedding|emb)|probe|"
    r"masked_spec_embed|mask_emb|class_emb|latents|query_tokens|image_newline|time_mix_\w+|time_maa_\w+|"
    r"token_shift\w*|abs_pos_token"
)
_POSITION = re.compile(
    r"(abs_)?pos(ition|itional)?_?(embed|embedding|embeddings|emb|encoding)s?|embed_positions|pos_encoding|pos_table"
)
_CHANNEL = re.compile(
    r"lambda_?\d?|gamma(_\d)?|layer_?scale\w*|ls\d|time_decay|time_first|layer_scalar|gating|out_scale|alpha|skip_scale"
)
_RELATIVE = re.compile(r"relative_position_bias_table|relative_attention_bias|rel_pos_bias")
_HEAD = re.compile(r"sinks|attention_sink\w*|slopes|alibi|head_scale")

Names = tuple[str, ...]


def name_parameters(model: Model, found: Found) -> None:
    """Name the axes of what has no layer of its own, by the last part of its name and its rank.

    In a module of a known library the name is telling; elsewhere it is a guess.
    """
    for path, leaves in model.own.items():
        for leaf, ref in leaves.items():
            if ref.name in found.axes or (leaf == "weight" and ref.shape and ref.role == "weight"):
                continue
            kind = model.info(path).kind
            certain = model.trusted(path) or model.is_known_file
            why = (f"{leaf} of {kind}" if kind else f"a {model.config('').get('model_type')} model") if certain else ""
            axes = _parameter(leaf, ref, leaves, kind, certain, why or "guessed from its name and shape")
            if axes is not None:
                found.axes[ref.name] = axes


def _parameter(
    leaf: str, ref: TensorRef, leaves: Mapping[str, TensorRef], kind: str, certain: bool, why: str
) -> Axes | None:
    rank = len(ref.shape)
    if rank == 0:
        return Axes((), "buffer" if ref.role == "buffer" else "other", True, "a single number")
    last = rank - 1
    names: Names | None = None
    what, output = "other", last
    if _TOKEN.fullmatch(leaf):
        names, what = _trailing(ref.shape, ("token", "channel")), "channel"
    elif _POSITION.fullmatch(leaf) or (kind.endswith("SinusoidalPositionalEmbedding") and leaf == "weights"):
        if leaf == "positional_embedding" and ref.shape[:-1] == (2,):  # SAM's random frequencies
            return Axes(("coordinate", "frequency"), "position", certain, why)
        grid = {1: ("channel",), 2: ("position", "dim"), 3: ("batch", "position", "dim")}
        names = grid.get(rank, ("batch", "height", "width", "channel") if rank == 4 else None)
        what = "position"
    elif _RELATIVE.fullmatch(leaf) and rank == 2:
        return Axes(("relative position", "head"), "position", certain, why)
    elif re.fullmatch(r"rel_pos_[hw]", leaf) and rank == 2:
        return Axes(("relative position", "head_dim"), "position", certain, why, output=1)
    elif _HEAD.fullmatch(leaf) and rank == 1:
        return Axes(("head",), "other", certain, why)
    elif leaf.endswith("inv_freq") and rank == 1:
        return Axes(("frequency",), "buffer", certain, why)
    elif leaf in ("A_log", "A") and rank == 2:
        return Axes(("channel", "state"), "other", certain, why, output=0)
    elif leaf in ("A_log", "A", "D", "dt_bias") and rank == 1:
        # Mamba's second version has heads, and then A has one number for each.
        per_head = leaf == "dt_bias" or len(leaves.get("A_log", ref).shape) == 1
        return Axes(("head" if per_head else "channel",), "channel", certain, why, output=0)
    elif leaf == "logit_scale" and rank == 3:
        return Axes(("head", "one 1", "one 2"), "other", certain, why)
    elif re.fullmatch(r"r_[rsw]_bias|(pos_)?bias_[uv]", leaf) and rank == 2:
        names, what = ("head", "head_dim"), "bias"
    elif leaf == "seg_embed" and rank == 3:
        names, what = ("segment", "head", "head_dim"), "position"
    elif leaf in ("r", "r_kernel") and rank == 3:
        names, what = ("in", "head", "head_dim"), "position"
    elif re.fullmatch(r"[qkv]_bias", leaf) and rank == 1:
        return bias(why, certain, "(head head_dim)")
    elif leaf == "e_score_correction_bias" and rank == 1:
        return bias(why, certain, "expert")
    elif leaf == "bias" and ref.shape[1:] == (1,) and "Conv" in kind:
        names, what, output = ("out", "one"), "bias", 0
    elif _CHANNEL.fullmatch(leaf) and sum(size > 1 for size in ref.shape) == 1 and not _of_norm(ref, leaves):
        names = tuple("channel" if size > 1 else f"one {axis}" for axis, size in enumerate(ref.shape))
        what, output = "channel", names.index("channel")
    elif ref.numel == 1 and leaf not in ("bias", "weight"):
        return Axes(tuple(f"one {axis}" for axis in range(rank)), "other", True, "a single number")
    elif leaf not in PER_CHANNEL and (ref.role in ("buffer", "mask") or ref.dtype == "bool"):
        return Axes(_buffer(leaf, rank), "buffer", False, "no weight")
    if names is None or len(names) != rank:
        return None
    return Axes(names, what, certain, why, output=output)


def _of_norm(ref: TensorRef, leaves: Mapping[str, TensorRef]) -> bool:
    """Whether a gamma or alike is the gain of a normalisation, by what stands beside it."""
    return names_norm(ref.module) or not leaves.keys().isdisjoint({"beta", "moving_mean", "running_mean"})


def _trailing(shape: tuple[int, ...], names: Names) -> Names:
    """The last names, after a batch axis of length 1 if there are more axes."""
    short = names[-len(shape) :]
    return ("batch", *short) if len(shape) == len(names) + 1 and shape[0] == 1 else short


def _buffer(leaf: str, rank: int) -> Names:
    if rank == 2 and leaf in ("position_ids", "token_type_ids"):
        return ("batch", "position")
    if rank == 4 and leaf in ("bias", "mask", "causal_mask"):
        return ("batch", "head", "query position", "key position")
    return tuple(f"axis {axis}" for axis in range(rank))


# -- state spaces -------------------------------------------------------------------------------------------------

_MIXER = re.compile(
    r"(Falcon|Jamba)?Mamba2?Mixer|JambaMambaMixer|(Bamba|FalconH1|Zamba2Mamba|NemotronHMamba2|GraniteMoeHybridMamba\w*)"
    r"(Mixer|Layer)"
)


def state_spaces(model: Model, found: Found) -> None:
    """Name the parts of the input projections of Mamba's mixers: by the sizes of A, of its steps and its convolution.

    In the first version (arXiv 2312.00752) A has a row for each channel, in the second (2405.21060) a number for each
    head.
    """
    for path, leaves in model.own.items():
        matrix = leaves.get("A_log")
        if matrix is None:
            continue
        prefix = f"{path}." if path else ""
        steps, kernel = model.matrices.get(f"{prefix}dt_proj"), model.matrices.get(f"{prefix}conv1d")
        certain = model.is_known_file or (model.trusted(path) and bool(_MIXER.fullmatch(model.info(path).kind)))
        if len(matrix.shape) == 2 and steps is not None:
            (inner, state), rank = matrix.shape, steps.shape[1]
            _parts(model, found, f"{prefix}in_proj", {"x": inner, "z": inner}, certain)
            _parts(model, found, f"{prefix}x_proj", {"dt": rank, "B": state, "C": state}, certain)
        elif len(matrix.shape) == 1 and kernel is not None:
            heads, out = matrix.shape[0], model.matrices.get(f"{prefix}out_proj")
            inner = out.shape[1] if out is not None else 0
            both, rest = divmod(kernel.shape[0] - inner, 2)
            if not rest and both > 0:
                parts = {"z": inner, "x": inner, "B": both, "C": both, "dt": heads}
                _parts(model, found, f"{prefix}in_proj", parts, certain)


def _parts(model: Model, found: Found, path: str, parts: Mapping[str, int], certain: bool) -> None:
    ref = model.matrices.get(path)
    old = found.axes.get(ref.name) if ref is not None else None
    if ref is None or old is None or old.names != ("out", "in") or sum(parts.values()) != ref.shape[0]:
        return
    split = Split(0, "part", tuple(parts), tuple(parts.values()))
    why = f"{', '.join(parts)} of a state space in one product" + ("" if certain else ": guessed from the names")
    label, sure = f"({'_'.join(parts)})", certain and old.certain
    found.axes[ref.name] = Axes((label, "in"), "linear", sure, why, output=0, input=1, splits=(split,))
    offset = model.beside(ref).get("bias")
    if offset is not None and offset.shape == ref.shape[:1]:
        found.axes[offset.name] = Axes((label,), "bias", sure, why, output=0, splits=(split,))
