"""Convolutions: kernels by class, by hyperparameters, by name and shape; and linear layers that read image patches."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from weightwidget.anatomy.axes import Axes, Split, equal_split, numbered
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.base import ModuleView, rule
from weightwidget.sources.base import TensorRef, WeightSource

TORCH = tuple(f"{lazy}Conv{turned}{n}d" for lazy in ("", "Lazy") for turned in ("", "Transpose") for n in (1, 2, 3))

KERAS = (
    *(f"{kind}{n}D" for kind in ("Conv", "DepthwiseConv", "SeparableConv") for n in (1, 2)),
    *("Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
)

SPATIAL = {1: ("k",), 2: ("kh", "kw"), 3: ("kd", "kh", "kw")}
"""Names of a kernel's axes, by their number."""

LARGEST_KERNEL = 64
"""Longest kernel axis of a tensor that is taken for a convolution by its shape alone."""

MOST_GROUPS = 64
"""With more groups than this there is no block for each."""

_WEIGHTS = ("weight", "weight_orig", "weight_mask", "weight_v")
"""Last parts of the names under which a module keeps its kernel: plain, pruned, with torch's old weight norm."""

_PARAMETRIZED = ("original", "original1")
"""The same below ``parametrizations.weight``; the second is the direction of torch's new weight norm."""

_GUESSED = "guessed from its name and shape"


@rule(*TORCH, *(f"Parametrized{kind}" for kind in TORCH))
def torch_convolution(module: ModuleView, found: Found) -> None:
    """PyTorch's convolutions: (out, in / groups, ...), transposed ones (in, out / groups, ...)."""
    kind = module.kind.removeprefix("Parametrized").removeprefix("Lazy")
    _add_torch(module, found, f"torch.nn.{kind}", "Transpose" in kind, int(kind[-2]))


@rule(*(kind for kind in KERAS if kind != "Conv1D"))
def keras_convolution(module: ModuleView, found: Found) -> None:
    """Keras's convolutions: kernel axes first, then (in / groups, out); transposed (out, in)."""
    ndim = int(module.kind.removesuffix("Transpose")[-2])
    spatial, why = SPATIAL[ndim], f"Keras's {module.kind}"
    places = tuple(range(ndim))
    for leaf, ref in module.tensors.items():
        if leaf == "bias" and len(ref.shape) == 1:
            found.axes[ref.name] = Axes(("out",), "bias", True, why, output=0)
        if len(ref.shape) != ndim + 2:
            continue
        if leaf == "depthwise_kernel" or (leaf == "kernel" and module.kind.startswith("Depthwise")):
            names = (*spatial, "in", "multiplier")
            channels = ref.shape[-2]
            found.axes[ref.name] = Axes(names, "conv", True, why, ndim + 1, ndim, places, channels)
        elif leaf == "kernel" and module.kind.endswith("Transpose"):
            found.axes[ref.name] = Axes((*spatial, "out", "in"), "conv", True, why, ndim, ndim + 1, places)
        elif leaf in ("kernel", "pointwise_kernel"):
            groups = _groups(module.hyper) if leaf == "kernel" else 1
            if ref.shape[-1] % groups:
                continue
            splits = _group_splits(ndim + 1, ref.shape[-1], groups)
            names = (*spatial, "in", "out")
            found.axes[ref.name] = Axes(names, "conv", True, why, ndim + 1, ndim, places, groups, splits)


def finish_convolutions(source: WeightSource, found: Found) -> None:
    """Find the convolutions that no class tells: subclasses, Keras's Conv1D, and bare kernels by name and shape.

    Parameters
    ----------
    source
        The model.
    found
        What the rules by class have found; added to.
    """
    own: dict[str, dict[str, TensorRef]] = {}
    for ref in source.tensors.values():
        own.setdefault(ref.module, {})[ref.name.rpartition(".")[2]] = ref
    for path, info in source.modules.items():
        module = ModuleView(path, info.kind, info.hyper, own.get(path, {}), source)
        if any(ref.name in found.axes for ref in _kernels(module).values()):
            continue
        if info.kind == "Conv1D":
            keras_convolution(module, found)
        elif _is_subclass(info.hyper):
            why = f"{info.kind}, a convolution by its hyperparameters"
            transposed, size = bool(info.hyper["transposed"]), len(info.hyper["kernel_size"])
            _add_torch(module, found, why, transposed, size)
    first = True
    for ref in source.tensors.values():
        known = found.axes.get(ref.name)
        if known is not None and known.what == "conv":
            first = False
        elif known is None and ref.role == "weight":
            axes = guess_kernel(ref, own[ref.module], first)
            if axes is not None:
                first = False
                found.axes[ref.name] = axes
                bias = own[ref.module].get("bias")
                size = _outputs(axes, ref.shape)
                if bias is not None and bias.shape == (size,) and bias.name not in found.axes:
                    found.axes[bias.name] = Axes(("out",), "bias", False, _GUESSED, output=0)
        if known is not None and known.what == "linear":
            patches = guess_patches(ref, known)
            if patches is not None:
                found.axes[ref.name] = patches


def guess_kernel(ref: TensorRef, beside: Mapping[str, TensorRef], first: bool) -> Axes | None:
    """Guess whether a weight of unknown class is a convolution's kernel, and its layout.

    A bias of the same module tells whether the first or the second axis is that of the outputs; without one the
    name does.

    Parameters
    ----------
    ref
        The weight.
    beside
        The tensors of the same module by the last part of their names.
    first
        Whether no convolution comes before it. A later one with a single input for each filter is taken for a
        depthwise one; the first may as well read gray pictures.

    Returns
    -------
    Axes or None
        With `certain` False; None if it does not look like a kernel.
    """
    path, _, leaf = ref.name.lower().rpartition(".")
    ndim = len(ref.shape) - 2
    if ndim not in SPATIAL or min(ref.shape) < 1:
        return None
    tells = "conv" in path
    if leaf in ("kernel", "depthwise_kernel", "pointwise_kernel"):
        return _guess_channels_last(ref, leaf, ndim) if ndim == 2 or tells else None
    if leaf not in ("weight", "weight_orig", "weight_v", "w"):
        return None
    kernel = ref.shape[2:]
    plausible = max(kernel) <= (LARGEST_KERNEL if tells or ndim > 1 else 0)
    # Expert tensors and the like are larger towards the end; kernels are not.
    if not plausible or (not tells and math.prod(kernel) > 16 * max(ref.shape[:2])):
        return None
    bias = beside.get("bias")
    says_transposed = re.search(r"deconv|transpose|upconv|conv_?t\b|\bups?\b", path) is not None
    outputs = bias.shape[0] if bias is not None and len(bias.shape) == 1 else None
    if outputs is None:
        transposed = says_transposed
    elif ref.shape[0] == ref.shape[1]:
        transposed = says_transposed and outputs == ref.shape[1]
    else:
        transposed = outputs == ref.shape[1] != ref.shape[0]
    depthwise = not transposed and ref.shape[1] == 1 and ref.shape[0] > 1
    names_depthwise = re.search(r"depthwise|(^|[._])dw(conv)?([._\d]|$)", path) is not None
    groups = ref.shape[0] if depthwise and (names_depthwise or not first) else 1
    return _torch_axes(ref.shape, groups, transposed, False, _GUESSED)


def guess_patches(ref: TensorRef, known: Axes) -> Axes | None:
    """Guess whether a linear layer reads flattened patches of a picture, and so is a convolution of that stride.

    Parameters
    ----------
    ref, known
        The weight, and what its axes mean so far: (out, in).
    """
    path = ref.name.lower().rpartition(".")[0]
    if known.names != ("out", "in") or not re.search(r"patch_?embed|vision_embed_tokens|patchify", path):
        return None
    if patch_size(ref.shape[1]) is None:
        return None
    why = "guessed from its name: a linear layer that reads patches, rows by columns by channels"
    return Axes(("out", "(kh kw in)"), "conv", False, why, output=0, input=1)


def patch_size(inputs: int) -> tuple[int, int] | None:
    """Side and channels (3, else 1, else 4) of the square patches of so many numbers; None if there are none."""
    for channels in (3, 1, 4):
        side = math.isqrt(inputs // channels)
        if side > 1 and side * side * channels == inputs:
            return side, channels
    return None


def _guess_channels_last(ref: TensorRef, leaf: str, ndim: int) -> Axes | None:
    """Flax and Keras: kernel axes first."""
    if max(ref.shape[:ndim]) > LARGEST_KERNEL:
        return None
    depthwise = leaf == "depthwise_kernel"
    names = (*SPATIAL[ndim], "in", "multiplier" if depthwise else "out")
    groups = ref.shape[ndim] if depthwise else 1
    return Axes(names, "conv", False, _GUESSED, ndim + 1, ndim, tuple(range(ndim)), groups)


def _add_torch(module: ModuleView, found: Found, why: str, transposed: bool, ndim: int) -> None:
    groups = _groups(module.hyper)
    outputs = None
    for leaf, ref in _kernels(module).items():
        if len(ref.shape) != ndim + 2:
            continue
        if leaf == "magnitude":
            found.axes[ref.name] = _magnitude_axes(ref.shape, why)
            continue
        if not _fits(ref.shape, module.hyper, groups, transposed):
            continue
        axes = found.axes[ref.name] = _torch_axes(ref.shape, groups, transposed, True, why)
        outputs = _outputs(axes, ref.shape)
    for leaf in ("bias", "bias_orig", "bias_mask"):
        bias = module.tensors.get(leaf)
        if bias is not None and outputs is not None and bias.shape == (outputs,):
            found.axes[bias.name] = Axes(("out",), "bias", True, why, output=0)


def _kernels(module: ModuleView) -> dict[str, TensorRef]:
    """The tensors of a module that have its kernel's axes, and as ``"magnitude"`` the lengths of weight norm."""
    found = {leaf: module.tensors[leaf] for leaf in (*_WEIGHTS, "kernel") if leaf in module.tensors}
    below = f"{module.path}.parametrizations.weight." if module.path else "parametrizations.weight."
    for leaf in _PARAMETRIZED:
        ref = module.source.tensors.get(below + leaf)
        if ref is not None:
            found[leaf] = ref
    magnitude = module.tensors.get("weight_g") or (
        module.source.tensors.get(below + "original0") if "original1" in found else None
    )
    if magnitude is not None:
        found["magnitude"] = magnitude
    return found


def _torch_axes(shape: tuple[int, ...], groups: int, transposed: bool, certain: bool, why: str) -> Axes:
    ndim = len(shape) - 2
    output, names = (1, ("in", "out")) if transposed else (0, ("out", "in"))
    # The first axis has all channels, those of the outputs or, transposed, of the inputs; the second one group's.
    splits = _group_splits(0, shape[0], groups)
    places = tuple(range(2, ndim + 2))
    return Axes((*names, *SPATIAL[ndim]), "conv", certain, why, output, 1 - output, places, groups, splits)


def _magnitude_axes(shape: tuple[int, ...], why: str) -> Axes:
    """Axes of weight norm's lengths: one number along one axis, whichever it was asked for."""
    along = next((axis for axis, size in enumerate(shape) if size > 1), 0)
    places = range(len(shape))
    names = tuple(("out" if along == 0 else "kernel place") if axis == along else "1" for axis in places)
    return Axes(names, "channel", True, f"{why}, weight norm", output=0 if along == 0 else None)


def _group_splits(axis: int, length: int, groups: int) -> tuple[Split, ...]:
    if not 1 < groups <= MOST_GROUPS or groups >= length or length % groups:
        return ()
    return (equal_split(axis, "group", numbered("group", groups), length),)


def _outputs(axes: Axes, shape: tuple[int, ...]) -> int:
    """Number of output channels, those of all groups."""
    size = shape[axes.output or 0]
    full = axes.output == 0 or axes.names[-1] == "out"
    return size if full else size * axes.groups


def _groups(hyper: Mapping[str, Any]) -> int:
    groups = hyper.get("groups", 1)
    return groups if isinstance(groups, int) and groups > 0 else 1


def _fits(shape: tuple[int, ...], hyper: Mapping[str, Any], groups: int, transposed: bool) -> bool:
    """Whether the shape is that of the hyperparameters: a class of that name may be somebody else's."""
    if shape[0] % groups:
        return False
    first, second = ("in_channels", "out_channels") if transposed else ("out_channels", "in_channels")
    return bool(shape[0] == hyper.get(first, shape[0]) and shape[1] * groups == hyper.get(second, shape[1] * groups))


def _is_subclass(hyper: Mapping[str, Any]) -> bool:
    """Whether these are the hyperparameters of torch's convolutions, whatever the class is called."""
    wanted = {"in_channels", "out_channels", "kernel_size", "groups", "transposed"}
    size = hyper.get("kernel_size")
    return wanted <= set(hyper) and isinstance(size, tuple) and len(size) in SPATIAL
