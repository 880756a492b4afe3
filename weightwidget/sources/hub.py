"""What Hugging Face's layout of a model folder tells beside the weights: a name, and what the axes mean."""

from __future__ import annotations

import json
from pathlib import Path

from weightwidget.sources.base import ModuleInfo
from weightwidget.sources.module import plain_config
from weightwidget.sources.names import telling_part

_LARGEST_CONFIG = 1 << 20


def name_of_path(path: Path) -> str:
    """Tell what a person calls the model in a file or folder.

    The file's or folder's name; the one above for ``model.safetensors`` or alike; the repository's name in
    Hugging Face's cache.
    """
    path = path.absolute()
    repository = next((part for part in reversed(path.parts) if part.startswith("models--")), None)
    if repository is not None and "snapshots" in path.parts:
        return repository.rpartition("--")[2]
    return telling_part(path.parts[-3:]) or str(path)


def root_module(folder: Path) -> dict[str, ModuleInfo]:
    """Read the model's class and sizes from the ``config.json`` in its folder; empty without a usable one.

    It only adds meaning, so a damaged one is no reason not to show the weights.
    """
    path = folder / "config.json"
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            return {}
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(config, dict) or "model_type" not in config:
        return {}
    classes = config.get("architectures")
    kind = classes[0] if isinstance(classes, list) and classes and isinstance(classes[0], str) else ""
    return {"": ModuleInfo("", kind, plain_config(config))}
