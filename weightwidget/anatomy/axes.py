"""What the axes of a tensor mean: their names, and the named parts that they are divided into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from weightwidget.sources.parts import PARTS

Place: TypeAlias = slice | tuple[slice, ...]
"""Index of a block: a slice of the first axis, or one slice for each axis. ``tensor[place]`` is the block."""

SEPARATOR = " › "
"""Stands between the parts of a block's name, and between a tensor's name and that of a block in it."""


@dataclass(frozen=True)
class Split:
    """A division of one axis into named parts that lie one after the other.

    Attributes
    ----------
    axis
        The axis, counted from 0.
    name
        What the parts are: ``"gate"``, ``"qkv"``, ``"head"``, ``"expert"``, ...
    labels
        Name of each part: ``("i", "f", "g", "o")``, ``("head 0", "head 1")``.
    sizes
        Length of each part along the axis; together they are the axis.
    inner
        For each part the splits within it, which may be of the same axis (then of the part's stretch of it); empty
        if no part is divided further. Equal splits should be one object: they are sent once.
    """

    axis: int
    name: str
    labels: tuple[str, ...]
    sizes: tuple[int, ...]
    inner: tuple[tuple[Split, ...], ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.sizes) or (self.inner and len(self.inner) != len(self.labels)):
            raise ValueError(f"the split into {self.name}s has {len(self.labels)} labels but {len(self.sizes)} sizes")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"two parts of the split into {self.name}s have the same name: {self.labels}")

    def parts(self) -> Iterator[tuple[str, int, int, tuple[Split, ...]]]:
        """Yield label, start, end and inner splits of each part."""
        start = 0
        for number, (label, size) in enumerate(zip(self.labels, self.sizes, strict=True)):
            yield label, start, start + size, self.inner[number] if self.inner else ()
            start += size


def equal_split(axis: int, name: str, labels: tuple[str, ...], length: int, inner: tuple[Split, ...] = ()) -> Split:
    """Divide an axis into equal parts that are all divided alike.

    Parameters
    ----------
    axis, name, labels
        As of `Split`.
    length
        Length of the axis.
    inner
        The splits within each part.

    Raises
    ------
    ValueError
        If the axis cannot be divided so.
    """
    if not labels or length % len(labels):
        raise ValueError(f"an axis of length {length} cannot be divided into {len(labels)} equal parts")
    return Split(axis, name, labels, (length // len(labels),) * len(labels), (inner,) * len(labels) if inner else ())


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Labels of numbered parts: ``("head 0", "head 1", ...)``."""
    return tuple(f"{name} {number}" for number in range(count))


@dataclass(frozen=True)
class Axes:
    """The meaning of a tensor's axes.

    Attributes
    ----------
    names
        Name of each stored axis. An axis along which several things lie is written as in einops:
        ``"(gate hidden)"``, ``"(qkv head head_dim)"``. Empty for scalars. Axes of unknown meaning are called
        ``"axis 0"``, ``"axis 1"``, ...
    what
        What the tensor is, ``""`` if not known: one of `WHATS`.
    certain
        Whether the module's class or configuration fixes the meaning. If not, it is a guess by name and shape.
    why
        Where the meaning comes from, for a person: ``"torch.nn.LSTM"``, ``"guessed from its name and shape"``.
    output, input
        Axis along which the outputs, and the inputs, of the layer lie; None if there is none. Of a weight per channel
        (bias, gain) only the output axis is given.
    spatial
        Axes of a convolution's kernel window.
    groups
        Of a convolution.
    splits
        Divisions of the axes. Several splits at the top are alternatives, as ``"expert"`` and ``"gate"`` may be.
    """

    names: tuple[str, ...]
    what: str = ""
    certain: bool = False
    why: str = ""
    output: int | None = None
    input: int | None = None
    spatial: tuple[int, ...] = ()
    groups: int = 1
    splits: tuple[Split, ...] = field(default=())

    @property
    def known(self) -> bool:
        """Whether anything is known of the axes, be it a guess."""
        return bool(self.what)

    @cached_property
    def blocks(self) -> Mapping[str, Place]:
        """The named blocks: name to index, so that ``tensor[blocks["f"]]`` is the forget gate.

        Inner blocks are named after the outer ones: ``"q › head 5"``. Blocks along the first axis are a plain slice,
        others one slice for each axis.
        """
        found: dict[str, Place] = {}
        for label, slices in walk_blocks(self.splits, len(self.names)):
            whole_after_first = all(part == slice(None) for part in slices[1:])
            found[label] = slices[0] if whole_after_first else slices
        return found

    def __str__(self) -> str:
        """Read as ``(gate hidden) × in``, with a question mark if it is a guess."""
        return " × ".join(self.names) + ("" if self.certain or not self.known else " (a guess)")


WHATS = (
    "linear",  # matrix of a fully connected layer
    "conv",  # kernel of a convolution, transposed ones included
    "recurrent",  # weights and biases of a recurrent layer
    "attention",  # projections of an attention layer
    "embedding",  # table of vectors
    "expert",  # weights of several experts in one tensor
    "router",  # scores of experts
    "norm",  # gain or bias of a normalisation, or its running statistics
    "bias",  # one number per output
    "channel",  # any other number per channel: PReLU, layer scale
    "position",  # positions, biases by relative position
    "buffer",  # no weight: masks, counters, frequencies
    "other",  # known, but of its own kind
)


def unknown_axes(ndim: int) -> Axes:
    """Axes of which nothing is known.

    Parameters
    ----------
    ndim
        Number of axes.
    """
    return Axes(tuple(f"axis {axis}" for axis in range(ndim)))


def with_parts(axes: Axes) -> Axes:
    """Axes of a complex tensor: divided into real and imaginary part besides, along an axis that it does not have.

    Parameters
    ----------
    axes
        As of a real tensor.
    """
    return replace(axes, splits=(*axes.splits, _parts(axes)))


def _parts(axes: Axes) -> Split:
    return Split(len(axes.names), "part", PARTS, (1,) * len(PARTS))


def without_parts(axes: Axes) -> Axes:
    """Undo `with_parts`."""
    return replace(axes, splits=tuple(split for split in axes.splits if split != _parts(axes)))


def walk_blocks(
    splits: tuple[Split, ...], ndim: int, slices: tuple[slice, ...] | None = None, before: str = ""
) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Yield name and slices, one for each axis, of every block, outer ones before those inside.

    Parameters
    ----------
    splits
        Divisions of one tensor or block.
    ndim
        Number of axes of the tensor.
    slices
        The block that is divided; None for the whole tensor.
    before
        Its name.
    """
    outer = slices or (slice(None),) * ndim
    for split in splits:
        if split.axis >= ndim:  # the parts of complex numbers are no slices
            continue
        offset = outer[split.axis].start or 0
        for label, start, stop, inner in split.parts():
            part = slice(offset + start, offset + stop)
            own = (*outer[: split.axis], part, *outer[split.axis + 1 :])
            name = f"{before}{SEPARATOR}{label}" if before else label
            yield name, own
            yield from walk_blocks(inner, ndim, own, name)


def find_block(axes: Axes, name: str) -> tuple[slice, ...]:
    """Slices, one for each axis, of the block of that name; without walking over all blocks.

    Parameters
    ----------
    axes
        Of the tensor.
    name
        As a key of `Axes.blocks`.

    Raises
    ------
    KeyError
        If there is no such block; the message says which there are.
    """
    splits, slices = axes.splits, (slice(None),) * len(axes.names)
    for label in name.split(SEPARATOR):
        for split in splits:
            if label in split.labels:
                number = split.labels.index(label)
                start = (slices[split.axis].start or 0) + sum(split.sizes[:number])
                part = slice(start, start + split.sizes[number])
                slices = (*slices[: split.axis], part, *slices[split.axis + 1 :])
                splits = split.inner[number] if split.inner else ()
                break
        else:
            there = ", ".join(label for split in splits for label in split.labels[:8]) or "none"
            raise KeyError(f"there is no block {label!r}; there: {there}")
    return slices
