"""Where weights come from: one file a format, one protocol (`weightwidget.sources.base`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from weightwidget.sources.base import WeightSource
from weightwidget.sources.module import open_module
from weightwidget.sources.path import open_path
from weightwidget.sources.saved import Summarised
from weightwidget.sources.state_dict import open_state_dict

__all__ = ["open_weights"]


def open_weights(obj: Any, *, name: str | None = None) -> WeightSource:
    """Open the weights of a model, wherever they lie. Nothing is read until a tensor is; nothing is changed.

    Parameters
    ----------
    obj
        One of

        - a ``torch.nn.Module``;
        - a state dict: a mapping of tensors, NumPy arrays or modules, nested at will;
        - a single tensor or array;
        - the path of a ``.safetensors``, ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file;
        - the path of a folder with such a file or with shards, or of a shard index (``.index.json``);
        - a `weightwidget.ModelSummary`, or the file that it was saved to (``.summary.safetensors``): without weights,
          for reading one raises `weightwidget.sources.saved.WeightsNotSavedError`;
        - what `open_weights` gave: it is passed through.
    name
        What to call the model; by default a class name or a file name.

    Returns
    -------
    WeightSource
        The tensors by name, the modules as far as they are known, and what was skipped with the reason.

    Raises
    ------
    TypeError
        If `obj` is nothing of that kind.
    WeightFileError
        If a file is missing (a FileNotFoundError too), damaged, not supported, or a pickle with code in it.
    ValueError
        If there are no weights, or if two of them have the same name.
    """
    if isinstance(obj, nn.Module):
        return open_module(obj, name)
    if isinstance(obj, str | os.PathLike):
        return open_path(Path(os.fsdecode(obj)) if isinstance(obj, os.PathLike) else obj, name)
    if isinstance(obj, torch.Tensor | np.ndarray):
        return open_state_dict({"tensor": obj}, name or type(obj).__name__)
    if isinstance(obj, Summarised) and not isinstance(obj, type):
        return obj.as_source(name)
    if isinstance(obj, Mapping):
        return open_state_dict(obj, name)
    if isinstance(obj, WeightSource) and not isinstance(obj, type):
        return obj
    raise TypeError(
        f"weights cannot be opened from {_describe(obj)}. Pass a torch.nn.Module, a state dict (a mapping of "
        "names to tensors or NumPy arrays), or the path of a .safetensors, .pt, .pth or .bin file, of a "
        "folder of shards or of an .index.json."
    )


def _describe(obj: Any) -> str:
    if isinstance(obj, type):
        return f"the class {obj.__name__} (pass an instance of it)"
    kind = type(obj)
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"an object of type {where}{kind.__qualname__}"
