"""Normalisations, and other layers with a number for each channel."""

from __future__ import annotations

import re
from functools import lru_cache

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.base import ModuleView, rule

BATCH = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
INSTANCE = ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
LAYER = ("LayerNorm", "GroupNorm", "RMSNorm")
KERAS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "SpectralNormalization")

PER_CHANNEL = frozenset(
    {
        *("weight", "bias", "running_mean", "running_var"),
        *("gamma", "beta", "moving_mean", "moving_variance", "scale", "g", "mean", "var"),
    }
)

_NORM = re.compile(r"\w*(Norm|RMSNorm|LayerNorm|BatchNorm\w*|GRN|NormGated|RMSNormGated|LayerNormalization)(\dd)?")
"""Class names that say that the class normalises."""

_NAMED_NORM = re.compile(
    r"(^|[_\d])(ln|bn|gn|norm|layernorm|rmsnorm|batchnorm|groupnorm)([_\d]|$)|norm(alization)?(_?\d+)?$|^norm|_norm"
)
"""Names of modules that say that they normalise."""


@rule(*BATCH, *INSTANCE, *LAYER, *KERAS, *(f"Lazy{kind}" for kind in (*BATCH, *INSTANCE)))
def norm(module: ModuleView, found: Found) -> None:
    """One gain, bias and statistic for each channel; LayerNorm over several axes has one for each element."""
    add_norm(module, found, f"{module.kind} layer", True)


def norm_by_class_name(module: ModuleView, found: Found) -> None:
    """A library's own normalisation, as its class is called: LlamaRMSNorm, FrozenBatchNorm2d."""
    if _NORM.fullmatch(module.kind):
        add_norm(module, found, f"{module.kind} layer", True)


def add_norm(module: ModuleView, found: Found, why: str, certain: bool) -> None:
    """Add a normalisation's tensors."""
    for leaf, ref in module.tensors.items():
        if leaf == "num_batches_tracked":
            found.axes[ref.name] = counter()
        elif leaf in PER_CHANNEL and ref.name not in found.axes:
            long = [size > 1 for size in ref.shape]
            if len(ref.shape) == 1:
                found.axes[ref.name] = channels(why, certain)
            elif sum(long) == 1:
                # ConvNeXt V2 keeps the axes over which it broadcasts.
                names = tuple("channel" if size > 1 else f"one {axis}" for axis, size in enumerate(ref.shape))
                found.axes[ref.name] = Axes(names, "norm", certain, why, output=long.index(True))
            elif len(ref.shape) > 1:
                names = tuple(f"normalised {axis}" for axis in range(len(ref.shape)))
                found.axes[ref.name] = Axes(names, "norm", certain, why)


@lru_cache(maxsize=512)
def channels(why: str, certain: bool, what: str = "norm") -> Axes:
    """Axes of one number for each channel."""
    return Axes(("channel",), what, certain, why, output=0)


@lru_cache(maxsize=1)
def counter() -> Axes:
    """Axes of a counter of steps: none."""
    return Axes((), "buffer", True, "a single number")


def names_norm(path: str) -> bool:
    """Whether the last part of a module's path says that it normalises."""
    return _NAMED_NORM.search(path.rpartition(".")[2].lower()) is not None


@rule("PReLU")
def prelu(module: ModuleView, found: Found) -> None:
    """PyTorch's has a slope for each channel, Keras's (alpha) one for each element that is not shared."""
    for leaf, ref in module.tensors.items():
        if leaf == "weight" and len(ref.shape) == 1:
            found.axes[ref.name] = channels("torch.nn.PReLU", True, "channel")
        elif leaf == "alpha" and ref.shape:
            names = (*(f"position {axis}" for axis in range(len(ref.shape) - 1)), "channel")
            found.axes[ref.name] = Axes(names, "channel", True, "Keras's PReLU", output=len(ref.shape) - 1)


def layer_scale(module: ModuleView, found: Found) -> None:
    """Layers of any library that are called so: a factor for each channel."""
    for ref in module.tensors.values() if module.kind.endswith("LayerScale") else ():
        if len(ref.shape) == 1:
            found.axes[ref.name] = channels(f"{module.kind} layer", True, "channel")
