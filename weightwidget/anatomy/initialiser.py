"""What a layer's weights were drawn from before training: by class and hyperparameters, else by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from weightwidget.anatomy.axes import Axes
from weightwidget.sources.base import TensorRef, WeightSource

TORCH = "PyTorch's default initialisation"
KERAS = "Keras's default initialisation"

_LINEAR = {"Linear", "NonDynamicallyQuantizableLinear", "LazyLinear"}
_CONV = {f"{kind}{ndim}d" for kind in ("Conv", "ConvTranspose", "LazyConv", "LazyConvTranspose") for ndim in (1, 2, 3)}
_RECURRENT = {f"{kind}{end}" for kind in ("LSTM", "GRU", "RNN") for end in ("", "Cell")}
_NORMAL_MODELS = frozenset(
    {
        *("albert", "bert", "bloom", "deberta", "distilbert", "electra", "gemma", "gpt2", "gpt_neo", "gpt_neox"),
        *("llama", "mistral", "mixtral", "mpnet", "olmo", "phi", "qwen2", "roberta", "vit"),
    }
)
"""Types of transformers' models whose matrices and embeddings are drawn from one normal distribution."""

_GPT2 = ("c_attn", "c_fc", "c_proj", "wte", "wpe")


@dataclass(frozen=True)
class Initialiser:
    """The distribution that a tensor's elements were drawn from.

    Attributes
    ----------
    name
        Whose it is: ``"PyTorch's default initialisation"``.
    law
        ``"uniform"`` on both sides of zero, ``"normal"``, or ``"orthogonal"``: rows or columns orthonormal.
    size
        Bound of the uniform distribution, standard deviation of the normal one, singular value of the orthogonal
        matrix.
    certain
        Whether the class of the layer fixes it, unless somebody drew again. If not, it is assumed.
    """

    name: str
    law: Literal["uniform", "normal", "orthogonal"]
    size: float
    certain: bool = True

    @property
    def std(self) -> float:
        """Standard deviation of the elements; NaN for an orthogonal matrix, where it goes with the shape."""
        if self.law == "orthogonal":
            return math.nan
        return self.size / math.sqrt(3) if self.law == "uniform" else self.size

    def __str__(self) -> str:
        """Read as ``PyTorch's default initialisation, U(±0.0442)``."""
        drawn = {"uniform": f"U(±{self.size:.3g})", "normal": f"N(0, {self.size:.3g}²)", "orthogonal": "orthogonal"}
        return f"{self.name}, {drawn[self.law]}" + ("" if self.certain else " (assumed)")


def initialiser(source: WeightSource, ref: TensorRef, axes: Axes) -> Initialiser | None:
    """What a tensor's elements were drawn from.

    Parameters
    ----------
    source
        The model.
    ref
        A tensor of it with two or more axes, as a whole.
    axes
        Of the tensor.

    Returns
    -------
    Initialiser or None
        None where it is not known and nothing can be assumed.
    """
    if len(ref.shape) < 2 or ref.role not in ("weight", "gain"):
        return None
    info = source.modules.get(ref.module)
    kind, hyper = (info.kind, info.hyper) if info is not None else ("", {})
    leaf = ref.name.rpartition(".")[2].removesuffix("_orig")
    of_family = _transformers(source, ref, leaf, kind)
    if of_family is not None:
        return of_family
    if kind:
        return _by_class(kind, hyper, leaf, ref.shape)
    assumed = _by_name(leaf, ref, axes)
    return replace(assumed, certain=False) if assumed is not None else None


def _by_class(kind: str, hyper: Mapping[str, Any], leaf: str, shape: tuple[int, ...]) -> Initialiser | None:
    if leaf in ("kernel", "recurrent_kernel", "embeddings"):
        return _keras(leaf, shape)
    if leaf == "weight" and (kind in _LINEAR or kind in _CONV):
        return _fan_in(shape)
    if leaf == "weight" and kind == "Bilinear":
        return _fan_in(shape[:2])
    if leaf == "weight" and kind in ("Embedding", "EmbeddingBag"):
        return Initialiser(TORCH, "normal", 1.0)
    if kind == "MultiheadAttention" and leaf in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
        return Initialiser(f"{TORCH} (Xavier)", "uniform", math.sqrt(6 / sum(shape)))
    hidden = hyper.get("hidden_size")
    if kind in _RECURRENT and leaf.startswith("weight") and isinstance(hidden, int) and hidden > 0:
        return Initialiser(TORCH, "uniform", 1 / math.sqrt(hidden))
    return Initialiser("GPT-2's initialisation", "normal", 0.02) if kind == "Conv1D" and leaf == "weight" else None


def _fan_in(shape: tuple[int, ...]) -> Initialiser | None:
    """torch.nn.init.kaiming_uniform_ with a = sqrt(5), as torch's layers call it."""
    fan_in = math.prod(shape[1:])
    return Initialiser(TORCH, "uniform", 1 / math.sqrt(fan_in)) if fan_in else None


def _keras(leaf: str, shape: tuple[int, ...]) -> Initialiser | None:
    if leaf == "embeddings":
        return Initialiser(KERAS, "uniform", 0.05)
    if leaf == "recurrent_kernel":
        return Initialiser(KERAS, "orthogonal", 1.0)
    window = math.prod(shape[:-2])
    fans = window * (shape[-2] + shape[-1])
    return Initialiser(f"{KERAS} (Glorot)", "uniform", math.sqrt(6 / fans)) if fans else None


def _transformers(source: WeightSource, ref: TensorRef, leaf: str, kind: str) -> Initialiser | None:
    """The normal distribution of a model of transformers: its configuration stands at the module that is the model."""
    path = ref.module
    while True:
        info = source.modules.get(path)
        model = info.hyper.get("model_type") if info is not None else None
        if info is not None and isinstance(model, str):
            break
        if not path:
            return None
        path = path.rpartition(".")[0]
    std = info.hyper.get("initializer_range", 0.02)
    is_matrix = kind in _LINEAR or kind in _CONV or kind in ("Conv1D", "Embedding") or (leaf == "weight" and not kind)
    if not is_matrix or not isinstance(std, float) or std <= 0:
        return None
    layers = info.hyper.get("num_hidden_layers") or info.hyper.get("n_layer")
    if model == "gpt2" and ref.module.endswith("c_proj") and isinstance(layers, int):
        std /= math.sqrt(2 * layers)  # so that the sum of all branches does not grow with depth
    return Initialiser(f"{model} initialisation in transformers", "normal", std, model in _NORMAL_MODELS)


def _by_name(leaf: str, ref: TensorRef, axes: Axes) -> Initialiser | None:
    if leaf in ("kernel", "recurrent_kernel", "embeddings"):
        return _keras(leaf, ref.shape)
    if any(part in ref.module.split(".") for part in _GPT2):
        return Initialiser("GPT-2's initialisation", "normal", 0.02)
    if leaf == "in_proj_weight":
        return Initialiser(f"{TORCH} (Xavier)", "uniform", math.sqrt(6 / sum(ref.shape)))
    if axes.what == "embedding":
        return Initialiser(TORCH, "normal", 1.0)
    if axes.what == "recurrent" and leaf.startswith("weight_"):
        if leaf.startswith("weight_hr"):  # (projected, hidden)
            return Initialiser(TORCH, "uniform", 1 / math.sqrt(ref.shape[1]))
        # The recurrent weights are (gates * hidden, hidden): the rows of the input weights alone tell no more.
        gates = next((len(split.labels) for split in axes.splits if split.axis == 0), 1)
        return Initialiser(TORCH, "uniform", 1 / math.sqrt(ref.shape[0] / gates))
    if leaf == "weight" and axes.what in ("", "linear", "conv", "attention", "router"):
        return _fan_in(ref.shape)
    return None
