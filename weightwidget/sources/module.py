"""Weights of a live ``torch.nn.Module``. Nothing is run, switched, or computed from them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from weightwidget.sources.base import ModuleInfo, role_of
from weightwidget.sources.memory import Entry, list_entries
from weightwidget.sources.names import telling_part, visible
from weightwidget.sources.source import ListedSource

log = logging.getLogger(__name__)

_NORMS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    *([nn.RMSNorm] if hasattr(nn, "RMSNorm") else []),
)

# Of a Hugging Face configuration: what gives the axes of the tensors a meaning. Several names of one thing are
# listed, for only some configurations translate them.
CONFIG_KEYS = (
    "model_type",
    "initializer_range",
    "vocab_size",
    *("hidden_size", "d_model", "n_embd", "dim", "emb_dim"),
    "intermediate_size",
    *("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    *("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"),
    *("encoder_attention_heads", "decoder_attention_heads"),
    *("num_encoder_attention_heads", "num_decoder_attention_heads"),
    *("num_key_value_heads", "num_kv_heads", "kv_n_heads"),
    *("head_dim", "d_head", "d_kv", "attention_head_size"),
    *("multi_query", "new_decoder_architecture", "rotary_dim", "rope_theta", "position_embedding_type"),
    *("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
    *("state_size", "mamba_d_state", "n_groups", "time_step_rank", "mamba_dt_rank", "expand"),
    "max_position_embeddings",
    *("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"),
    "pad_token_id",
)

_INNER_CONFIGS = ("text_config", "vision_config", "audio_config", "attn_config", "ffn_config")
"""Configurations within one: what they say is listed as ``"vision_config.num_attention_heads"``."""

_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
}
"""Wrapper classes, and the name under which they hold the model."""

_LONGEST_TEXT = 64
_LONGEST_TUPLE = 16


@dataclass
class Walk:
    """What a walk over a module finds.

    Attributes
    ----------
    entries
        Parameters and buffers, module by module in the order of ``named_modules``.
    modules
        The modules by path.
    skipped
        What was left out, with the reason.
    """

    entries: list[Entry] = field(default_factory=list)
    modules: dict[str, ModuleInfo] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def open_module(model: nn.Module, name: str | None = None) -> ListedSource:
    """Open a live model.

    Parameters
    ----------
    model
        On any device, in any mode. It is not changed, and not copied: its tensors are shared.
    name
        What to call it; by default the last part of a transformers model's name or path, else the class name.

    Raises
    ------
    ValueError
        If the model has no parameters and no buffers.
    """
    walk = walk_module(model)
    listing = list_entries(walk.entries)
    skipped = {**walk.skipped, **listing.skipped}
    name = name or _name_of(model)
    if not listing.refs:
        why = "; ".join(visible(f"{key}: {reason}") for key, reason in list(skipped.items())[:3])
        raise ValueError(
            f"{visible(name)} has no weights to show: " + (why or "the model has neither parameters nor buffers") + "."
        )
    return ListedSource(name, listing.refs, walk.modules, skipped, listing.release)


def walk_module(model: nn.Module, prefix: str = "") -> Walk:
    """List the parameters and buffers of a module and of all below it.

    A module that is registered in several places is listed in each: its tensors are then shared, not hidden.

    Parameters
    ----------
    model
        The module.
    prefix
        Path of the module itself.
    """
    walk = Walk()
    _visit(model, prefix, walk, (), None)
    return walk


def _visit(module: nn.Module, path: str, walk: Walk, above: tuple[nn.Module, ...], config: Any) -> None:
    if any(module is ancestor for ancestor in above):
        walk.skipped[path] = "this module contains itself"
        return
    hyper = _hyperparameters(module)
    # Layers hold the configuration of their model too; it is told once, where it begins to hold.
    own = module.__dict__.get("config")
    if own is not None and own is not config:
        config, hyper = own, {**plain_config(own), **hyper}
    walk.modules[path] = ModuleInfo(path, kind_of(module), hyper, _bases(module), _library(module))
    for leaf, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
        name = _join(path, leaf)
        # A lazy parameter has no shape yet, so its rank is unknown; it is skipped later, with the reason.
        ndim = 0 if nn.parameter.is_lazy(parameter) else parameter.ndim
        walk.entries.append(Entry(name, parameter, _parameter_role(module, name, ndim)))
    for leaf, buffer in module.named_buffers(recurse=False, remove_duplicate=False):
        role = "mask" if leaf.lower().endswith("_mask") or leaf.lower() == "mask" else "buffer"
        walk.entries.append(Entry(_join(path, leaf), buffer, role))
    for leaf, child in _children(module).items():
        if child is not None:
            _visit(child, _join(path, leaf), walk, (*above, module), config)


def _children(module: nn.Module) -> dict[str, nn.Module | None]:
    """All children; `named_children` leaves repeated ones out. TorchScript's container is no dict."""
    return dict(module._modules.items())


def kind_of(module: nn.Module) -> str:
    """Class name of a module; of what was scripted, for a TorchScript one."""
    if isinstance(module, torch.jit.ScriptModule):
        return str(getattr(module, "original_name", type(module).__name__))
    return type(module).__name__


def _bases(module: nn.Module) -> tuple[str, ...]:
    """Names of PyTorch's layers that the class of a module inherits from."""
    classes = type(module).__mro__[1:]
    return tuple(c.__name__ for c in classes if issubclass(c, nn.Module) and _is_layer_of_torch(c))


def _is_layer_of_torch(layer: type) -> bool:
    return layer.__module__.startswith("torch.nn.modules.") and layer is not nn.Module


def _library(module: nn.Module) -> str:
    return "" if isinstance(module, torch.jit.ScriptModule) else type(module).__module__.partition(".")[0]


def _parameter_role(module: nn.Module, name: str, ndim: int) -> str:
    leaf = name.rpartition(".")[2].lower().removesuffix("_orig")
    is_norm = isinstance(module, _NORMS) or "norm" in type(module).__name__.lower()
    if is_norm and leaf in {"weight", "scale", "gamma", "g"}:
        return "gain"
    if isinstance(module, nn.PReLU | nn.Embedding | nn.EmbeddingBag):
        return "weight"
    return role_of(name, ndim)


def _hyperparameters(module: nn.Module) -> dict[str, Any]:
    """List the simple public attributes of a module: what its constructor was given, by and large.

    Only its own ``__dict__`` is looked at: ``getattr`` could run a property or compute a parametrized weight.
    """
    public = [key for key in module.__dict__ if not key.startswith("_") and key != "training"]
    hyper = _plain(module.__dict__, public)
    parameters = dict(module._parameters.items())
    if "weight" in parameters or "bias" in parameters:
        parametrized = _children(module).get("parametrizations")
        bias = parameters.get("bias")
        hyper["bias"] = bias is not None or (parametrized is not None and "bias" in _children(parametrized))
    return hyper


def _plain(values: Any, keys: Any) -> dict[str, Any]:
    """Those of the values that are numbers, texts, truth values or short tuples of them.

    `values` is a mapping or an object with attributes; what it lacks is left out.
    """
    found: dict[str, Any] = {}
    for key in keys:
        value = _value_of(values, key)
        if _is_plain(value):
            found[key] = value
        elif isinstance(value, tuple) and len(value) <= _LONGEST_TUPLE and all(map(_is_plain, value)):
            found[key] = tuple(value)
    return found


def _value_of(values: Any, key: str) -> Any:
    """Value of a key or attribute, None if there is none."""
    if isinstance(values, Mapping):
        return values.get(key)
    try:
        return getattr(values, key, None)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # Some configurations refuse to be asked for what differs from layer to layer.
        log.debug("%s has no plain %s: %s", type(values).__name__, key, error)
        return None


def _is_plain(value: Any) -> bool:
    return type(value) in (int, float, bool) or (type(value) is str and len(value) <= _LONGEST_TEXT)


def plain_config(config: Any) -> dict[str, Any]:
    """Of a Hugging Face configuration, what gives axes a meaning.

    Parameters
    ----------
    config
        The contents of a ``config.json``, or the object that transformers makes of it.
    """
    found = _plain(config, CONFIG_KEYS)
    for key in _INNER_CONFIGS:
        inner = _value_of(config, key)
        if inner is not None:
            found |= {f"{key}.{name}": value for name, value in _plain(inner, CONFIG_KEYS).items()}
    return found


def _name_of(model: nn.Module) -> str:
    # What is wrapped is what a person calls the model.
    while (inner := _children(model).get(_WRAPPERS.get(type(model).__name__, ""))) is not None:
        model = inner
    origin = getattr(model.__dict__.get("config"), "_name_or_path", None)
    telling = telling_part(re.split(r"[/\\]", origin)) if isinstance(origin, str) else ""
    return telling or kind_of(model)


def _join(path: str, leaf: str) -> str:
    return f"{path}.{leaf}" if path else leaf
