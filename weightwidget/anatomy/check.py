"""Whether axes fit a tensor, and axes written as text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from weightwidget.anatomy.axes import WHATS, Axes, Split, equal_split, numbered


def check_axes(axes: Axes, name: str, shape: tuple[int, ...]) -> None:
    """Raise if axes do not fit a tensor.

    Parameters
    ----------
    axes
        Of the tensor.
    name, shape
        Its name and size.

    Raises
    ------
    ValueError
        With what does not fit.
    TypeError
        If it is no `Axes`.
    """
    if not isinstance(axes, Axes):
        raise TypeError(f"the axes of {name!r} must be an Axes, not {type(axes).__name__}")
    if len(axes.names) != len(shape):
        raise ValueError(
            f"{name!r} has shape {shape}: {len(shape)} axes, but {len(axes.names)} are named: {axes.names}"
        )
    if axes.what and axes.what not in WHATS:
        raise ValueError(f"{axes.what!r} is nothing that a tensor can be; there is {', '.join(WHATS)}")
    for label, axis in (("output", axes.output), ("input", axes.input), *(("spatial", one) for one in axes.spatial)):
        if axis is not None and not 0 <= axis < len(shape):
            raise ValueError(f"{name!r} has {len(shape)} axes, so its {label} axis cannot be {axis}")
    _check_splits(axes.splits, name, list(shape))


def _check_splits(splits: Sequence[Split], name: str, shape: list[int]) -> None:
    for split in splits:
        if not 0 <= split.axis < len(shape):
            raise ValueError(f"{name!r} has {len(shape)} axes: the split into {split.name}s is of axis {split.axis}")
        if sum(split.sizes) != shape[split.axis] or min(split.sizes, default=0) < 0:
            raise ValueError(
                f"the parts {split.labels} of {name!r} have the sizes {split.sizes}, {sum(split.sizes)} in all, but "
                f"axis {split.axis} has {shape[split.axis]}"
            )
        checked: set[tuple[int, tuple[Split, ...]]] = set()
        for size, inner in zip(split.sizes, split.inner, strict=False):
            if (size, inner) not in checked:
                checked.add((size, inner))
                _check_splits(inner, name, [*shape[: split.axis], size, *shape[split.axis + 1 :]])


def read_axes(
    text: str | Sequence[str], name: str, shape: tuple[int, ...], parts: Mapping[str, int | str | Sequence[str]]
) -> Axes:
    """Read axes as people write them: ``"out in kh kw"``, ``"(gate hidden) in"`` with ``gate="i f g o"``.

    Parameters
    ----------
    text
        Names as in einops, or a sequence of names.
    name, shape
        Of the tensor.
    parts
        Of names within parentheses: how many parts there are, or the names of the parts. An axis is divided into
        those, the outer ones (written first) before the inner ones.

    Raises
    ------
    ValueError
        If it cannot be read, or does not fit.
    """
    names = tuple(re.findall(r"\([^()]*\)|[^\s()]+", text)) if isinstance(text, str) else tuple(text)
    if isinstance(text, str) and "".join(names).replace(" ", "") != re.sub(r"\s+", "", text):
        raise ValueError(f"{text!r} cannot be read: write names, with parentheses where several lie along one axis")
    if len(names) != len(shape):
        raise ValueError(
            f"{name!r} has shape {shape}: {len(shape)} axes, but {len(names)} are named: {' '.join(names)}"
        )
    splits, used = [], set()
    for axis, label in enumerate(names):
        inner = label[1:-1].split() if label.startswith("(") and label.endswith(")") else [label]
        used |= {one for one in inner if one in parts}
        split = _split(name, axis, shape[axis], inner, parts)
        if split is not None:
            splits.append(split)
    unused = sorted(set(parts) - used)
    if unused:
        raise ValueError(f"{unused[0]!r} is no name in {' '.join(names)!r}")

    def place(word: str) -> int | None:
        found = [axis for axis, label in enumerate(names) if re.search(rf"(^|[( ]){word}($|[ )])", label)]
        return found[0] if found else None

    input_axis = place("in")
    output = place("out")
    spatial = tuple(axis for axis, label in enumerate(names) if label in ("k", "kd", "kh", "kw"))
    return Axes(names, "", True, "set by hand", output, input_axis, spatial, splits=tuple(splits))


def _split(
    name: str, axis: int, length: int, inner: list[str], parts: Mapping[str, int | str | Sequence[str]]
) -> Split | None:
    """Divide an axis by the names in its parentheses, outer ones first."""
    labels: list[tuple[str, ...] | None] = []
    for word in inner:
        given = parts.get(word)
        if given is None:
            labels.append(None)
        elif isinstance(given, int):
            if given < 1:
                raise ValueError(f"there cannot be {given} parts of {word!r}")
            labels.append(numbered(word, given))
        else:
            labels.append(tuple(given.split() if isinstance(given, str) else given))
    known = math.prod(len(count) for count in labels if count is not None)
    if all(count is None for count in labels):
        return None
    if not known or length % known or (None not in labels and known != length):
        raise ValueError(f"axis {axis} of {name!r} has length {length}, which cannot be divided into {known} parts")

    def divide(at: int, size: int) -> tuple[Split, ...]:
        # Below a name whose number is open, parts lie in many pieces: those have names, but are no blocks.
        count = labels[at] if at < len(labels) else None
        if count is None:
            return ()
        return (equal_split(axis, inner[at], count, size, divide(at + 1, size // len(count))),)

    return next(iter(divide(0, length)), None)


def what_of(axes: Axes, found: Axes | None) -> str:
    """What a tensor is whose axes were named by hand.

    Parameters
    ----------
    axes
        As named.
    found
        What was thought of it before; None if nothing.
    """
    words = " ".join(axes.names).replace("(", "").replace(")", "").split()
    for telling, what in (
        (bool(axes.spatial), "conv"),
        ("expert" in words, "expert"),
        ("gate" in words and "hidden" in words, "recurrent"),
        ("head" in words, "attention"),
        ("token" in words, "embedding"),
        (found is not None and found.known, found.what if found is not None else ""),
        (len(axes.names) == 1, "channel"),
        (axes.output is not None and axes.input is not None, "linear"),
    ):
        if telling:
            return what
    return "other"
