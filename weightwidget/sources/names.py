"""Names of models and tensors: what tells something, and in which order people expect them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

_GENERIC = frozenset(
    {"model", "models", "pytorch_model", "diffusion_pytorch_model", "consolidated", "weights", "checkpoint"}
)

_Part: TypeAlias = tuple[int, tuple[tuple[int, int, str], ...]]


def telling_part(parts: Sequence[str]) -> str:
    """Last part of a path that tells models apart: ``tiny-bert`` of ``tiny-bert/model.safetensors``.

    Parameters
    ----------
    parts
        Of the path; empty ones and anchors do no harm. The last part is the answer if none tells anything.
    """
    found = [part for part in parts if part.strip("/\\.")]
    telling = (part for part in reversed(found) if part.partition(".")[0].lower() not in _GENERIC)
    return next(telling, found[-1] if found else "")


def natural_key(name: str) -> tuple[_Part, ...]:
    """Sorting key with ``layer.2`` before ``layer.10``, and a module's ``weight`` before its ``bias``."""
    path, dot, leaf = name.rpartition(".")
    last = (0 if leaf == "weight" else 1, _natural(leaf))
    return (*((1, _natural(part)) for part in path.split(".")), last) if dot else (last,)


@lru_cache(maxsize=4096)
def _natural(part: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers and texts of a name's part, in a form that can be compared."""
    # Long runs of digits are cut: a hostile name may have more than Python converts.
    chunks = re.findall(r"[0-9]{1,18}|[^0-9]+", part)
    return tuple((0, int(chunk), chunk) if chunk[0] in "0123456789" else (1, 0, chunk) for chunk in chunks)
