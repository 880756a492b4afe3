"""Normalisations, and other layers with a number for each channel."""

from __future__ import annotations

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.base import ModuleView, rule

BATCH = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
INSTANCE = ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
LAYER = ("LayerNorm", "GroupNorm", "RMSNorm", "LocalResponseNorm")
KERAS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization")

PER_CHANNEL = frozenset(
    {"weight", "bias", "running_mean", "running_var", "gamma", "beta", "moving_mean", "moving_variance", "scale", "g"}
)


@rule(*BATCH, *INSTANCE, *LAYER, *KERAS, *(f"Lazy{kind}" for kind in (*BATCH, *INSTANCE)))
def norm(module: ModuleView, found: Found) -> None:
    """One gain, bias and statistic for each channel; LayerNorm over several axes has one for each element."""
    add_norm(module, found, f"{module.kind} layer", True)


def add_norm(module: ModuleView, found: Found, why: str, certain: bool) -> None:
    """Add a normalisation's tensors."""
    for leaf, ref in module.tensors.items():
        if leaf in PER_CHANNEL and len(ref.shape) == 1:
            found.axes[ref.name] = Axes(("channel",), "norm", certain, why, output=0)
        elif leaf in PER_CHANNEL and len(ref.shape) > 1:
            names = tuple(f"normalised {axis}" for axis in range(len(ref.shape)))
            found.axes[ref.name] = Axes(names, "norm", certain, why)
        elif leaf == "num_batches_tracked":
            found.axes[ref.name] = Axes((), "buffer", certain, why)


@rule("PReLU")
def prelu(module: ModuleView, found: Found) -> None:
    """A slope for each channel."""
    for leaf, ref in module.tensors.items():
        if leaf == "weight" and len(ref.shape) == 1:
            found.axes[ref.name] = Axes(("channel",), "channel", True, "torch.nn.PReLU", output=0)
