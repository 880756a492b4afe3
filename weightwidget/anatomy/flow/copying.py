"""A model's code without its weights: a copy on PyTorch's meta device, whose tensors have shapes and no values."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class TraceError(ValueError):
    """A model whose code could not be run on a copy without weights; the message says why and what to do."""


def without_weights(model: nn.Module) -> nn.Module:
    """Copy a model's structure; its tensors are replaced by ones without values, and hooks are left out.

    Parameters
    ----------
    model
        Is not changed. No tensor of it is copied.

    Raises
    ------
    TraceError
        If the model cannot be copied.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers, vars(module)):
            for tensor in list(tensors.values()):
                if isinstance(tensor, torch.Tensor) and id(tensor) not in memo:
                    memo[id(tensor)] = _empty(tensor)
        for name in HOOKS:
            hooks = vars(module).get(name)
            if hooks:  # they are the user's code, and may hold anything
                memo[id(hooks)] = type(hooks)()
    try:
        made = copy.deepcopy(model, memo)
    except Exception as error:
        kind = type(model).__name__
        raise TraceError(f"the structure of {kind} cannot be copied: {type(error).__name__}: {error}") from error
    # Evaluation: no dropout, and norms need no batch.
    return made.eval()


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    shape: tuple[int, ...] = tuple(tensor.shape)
    floating = tensor.dtype.is_floating_point
    # With a gradient to compute PyTorch takes no fused shortcuts, in which layers could not be told apart.
    empty = torch.empty(shape, dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=floating)
    return empty


def on_meta(value: Any) -> Any:
    """The same value with all tensors in it replaced by ones without values."""
    if isinstance(value, torch.Tensor):
        return torch.empty(tuple(value.shape), dtype=value.dtype, device="meta")
    if isinstance(value, dict):
        return {key: on_meta(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [on_meta(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
