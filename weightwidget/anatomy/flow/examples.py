"""Inputs that a model might take, where nobody gives one: only their shapes count."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from torch import nn

Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments."""

BATCH = 2
LENGTH = 8

_SIDES = (32, 64, 28, 224, 16, 8, 96, 128, 48, 40, 24, 20, 12, 256, 299, 384, 512)
_LENGTHS = (64, 128, 256, 16, 32, 512, 1024, 4096, 16000)


def guessed_inputs(model: nn.Module) -> Iterator[tuple[Call, str]]:
    """Yield inputs that would fit the first layer, with what they are.

    Parameters
    ----------
    model
        On the meta device.
    """
    config = getattr(model, "config", None)
    names = _required(model)
    if (names and names[0] in ("input_ids", "tokens")) or "input_ids" in _parameters(model):
        ids = _ids()
        yield ((), {"input_ids": ids}), f"token ids of shape {tuple(ids.shape)}"
        if "decoder_input_ids" in _parameters(model):
            yield ((), {"input_ids": ids, "decoder_input_ids": ids}), f"token ids of shape {tuple(ids.shape)}"
    if "pixel_values" in _parameters(model):
        side, channels = getattr(config, "image_size", 224), getattr(config, "num_channels", 3)
        side = side if isinstance(side, int) else 224
        pixels = _floats(BATCH, channels, side, side)
        yield ((), {"pixel_values": pixels}), f"an image of shape {tuple(pixels.shape)}"
    times = max(1, len(names))
    for value in _for_first_layer(model):
        what = "token ids" if not value.dtype.is_floating_point else "an input"
        yield ((value,) * times, {}), f"{what} of shape {tuple(value.shape)}"


def _for_first_layer(model: nn.Module) -> Iterator[torch.Tensor]:
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            yield _ids()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            for side in _SIDES:
                yield _floats(BATCH, module.in_channels, side, side)
        elif isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            for length in _LENGTHS:
                yield _floats(BATCH, module.in_channels, length)
        elif isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            for side in (16, 32, 8, 64):
                yield _floats(BATCH, module.in_channels, side, side, side)
        elif isinstance(module, nn.Linear):
            yield _floats(BATCH, module.in_features)
            yield _floats(BATCH, LENGTH, module.in_features)
            yield from _images(module.in_features)
        elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
            yield _floats(BATCH, LENGTH, module.input_size)
            yield _floats(BATCH, module.input_size)
        elif isinstance(module, nn.MultiheadAttention):
            yield _floats(LENGTH, BATCH, module.embed_dim)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            yield _floats(BATCH, module.num_features)
            yield _floats(BATCH, module.num_features, 32, 32)
        elif isinstance(module, nn.LayerNorm):
            yield _floats(BATCH, LENGTH, *module.normalized_shape)
        else:
            continue
        return
    # No layer of PyTorch's: the first matrix of the model's own may be what its inputs go into.
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            yield from (_floats(BATCH, size) for size in parameter.shape[-2:])
            return


def _images(size: int) -> Iterator[torch.Tensor]:
    """Images that a flattening would turn into as many features."""
    for channels in (1, 3):
        side = round((size / channels) ** 0.5)
        if channels * side * side == size:
            yield _floats(BATCH, channels, side, side)


def _parameters(model: nn.Module) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(model.forward).parameters)
    except (TypeError, ValueError):
        return {}


def _required(model: nn.Module) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = _parameters(model).values()
    return [one.name for one in parameters if one.default is inspect.Parameter.empty and one.kind in kinds]


def _floats(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def _ids() -> torch.Tensor:
    return torch.empty((BATCH, LENGTH), dtype=torch.long, device="meta")
