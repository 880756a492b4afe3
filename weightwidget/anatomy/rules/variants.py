"""What stands beside weights: masks, lengths of weight norm, singular vectors, low-rank adapters."""

from __future__ import annotations

import re
from dataclasses import replace

from weightwidget.anatomy.axes import Axes, Split
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.model import Companion, Model, logical_path
from weightwidget.sources.base import TensorRef


def name_companions(model: Model, found: Found) -> None:
    """Give masks the axes of their weights, and lengths and vectors those axes that they share."""
    for companion in model.companions:
        axes = _companion(companion, found)
        if axes is not None:
            found.axes.setdefault(companion.ref.name, axes)


def _companion(companion: Companion, found: Found) -> Axes | None:
    ref, weight = companion.ref, companion.weight
    known = found.axes.get(weight.name) if weight is not None else None
    if weight is None or known is None:
        return None
    if ref.shape == weight.shape:
        return replace(known, why=f"{companion.what} of {weight.name}: {known.why}")
    why = f"belongs to {weight.name}: {known.why}"
    if len(ref.shape) == len(weight.shape):
        kept = [own == whole for own, whole in zip(ref.shape, weight.shape, strict=True)]
        if all(same or own == 1 for same, own in zip(kept, ref.shape, strict=True)):
            names = tuple(
                name if same else f"one {axis}" for axis, (name, same) in enumerate(zip(known.names, kept, strict=True))
            )
            splits = tuple(split for split in known.splits if kept[split.axis] and not split.inner)
            output = known.output if known.output is not None and kept[known.output] else None
            return Axes(names, "channel", known.certain, why, output, splits=splits)
    if companion.what == "vector" and len(ref.shape) == 1 and known.output is not None:
        # Spectral norm keeps the first singular vectors of the weight as (out, everything else).
        if ref.shape[0] == weight.shape[known.output] and ref.shape[0] != weight.numel // ref.shape[0]:
            return Axes((known.names[known.output],), "buffer", known.certain, why, output=0)
        return Axes(("component",), "buffer", known.certain, why)
    return None


_LORA = re.compile(r"(?P<base>.*)\.lora_(?P<part>embedding_A|embedding_B|A|B|down|up)(?P<rest>(\..+)?)")


def name_adapters(model: Model, found: Found) -> None:
    """Low-rank adapters: A reads the inputs (rank, in), B writes the outputs (out, rank)."""
    for path, leaves in model.own.items():
        if "lora_" not in path and not any(leaf.startswith("lora_") for leaf in leaves):
            continue
        for leaf, ref in leaves.items():
            whole = f"{path}.{leaf}".removesuffix(".weight")
            match = _LORA.fullmatch(whole)
            if match is None or len(ref.shape) != 2:
                continue
            found.axes[ref.name] = _adapter(model, found, ref, match["base"], match["part"])


def _adapter(model: Model, found: Found, ref: TensorRef, base: str, part: str) -> Axes:
    weight = model.matrices.get(logical_path(base))
    known = found.axes.get(weight.name) if weight is not None else None
    old = found.axes.get(ref.name)
    certain = bool(model.info(base).kind) and old is not None and old.certain
    why = "low-rank adapter (LoRA)" if certain else "guessed from its name: low-rank adapter (LoRA)"
    reads = part in ("A", "down", "embedding_A")
    if part.startswith("embedding"):
        names = ("rank", "token") if reads else ("dim", "rank")
        return Axes(names, "embedding", certain, why, 1 if reads else 0)
    label = "in" if reads else "out"
    splits: tuple[Split, ...] = ()
    if known is not None and weight is not None:
        axis = known.input if reads else known.output
        if axis is not None and weight.shape[axis] == ref.shape[1 if reads else 0]:
            label = known.names[axis]
            splits = tuple(split for split in known.splits if split.axis == axis and axis == (1 if reads else 0))
    names = ("rank", label) if reads else (label, "rank")
    return Axes(names, "linear", certain, why, output=0, input=1, splits=splits)
