"""Names of models and tensors, hostile input: how they are shown, what tells something, in which order they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

_GENERIC = frozenset(
    {"model", "models", "pytorch_model", "diffusion_pytorch_model", "consolidated", "weights", "checkpoint"}
)

_Part: TypeAlias = tuple[int, tuple[tuple[int, int, str], ...]]


# What prints, and yet is not seen: letters without a shape, selectors of variants, an empty pattern of Braille.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def visible(text: str) -> str:
    r"""The text with everything that is not seen as an escape: ``\x1b``, ``\u202e``, ``\n``.

    Terminals would obey control characters, marks that turn the direction of writing would make one name look like
    another, and so would blanks. Letters of all scripts stay. `js/src/draw/visible.ts` follows the same rules.
    """
    if text.isprintable() and (text.isascii() or not _BLANK.search(text)):
        return text
    return "".join(map(_visible, text))


def _visible(sign: str) -> str:
    if sign.isprintable() and not _BLANK.match(sign):
        return sign
    return sign.encode("unicode_escape", "surrogatepass").decode("ascii")


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
