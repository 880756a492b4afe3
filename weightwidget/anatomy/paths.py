"""Block paths: ``lstm.weight_ih_l0 › f``, ``encoder.layer.3.attention › head 5 › key``. From a path to what it names.

A block reads like a tensor: `block_ref` gives a virtual `TensorRef` of just its box.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import EllipsisType

import torch

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import SEPARATOR, Axes
from weightwidget.anatomy.layers import PROJECTIONS, AttentionLayer, HeadBlocks
from weightwidget.sources.base import Index, TensorRef
from weightwidget.sources.parts import PARTS, as_real

_HEAD = re.compile(r"head (\d{1,9})")

NAMED = 8
"""Blocks that a message names at most."""


@dataclass(frozen=True)
class Place:
    """Where a block lies.

    Attributes
    ----------
    path
        Of the block, as it is kept: heads by the path of their layer.
    tensor
        Name of the tensor.
    box
        One slice for each axis of the tensor.
    dropped
        Axes of the tensor that the block does not have: along which things only stand side by side, such as experts,
        and of which it takes one.
    """

    path: str
    tensor: str
    box: tuple[slice, ...]
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True)
class HeadPlace:
    """A head of an attention layer: its blocks in the projections that there are.

    Attributes
    ----------
    path
        ``"<path of the layer> › head 5"``.
    parts
        Its blocks, in the order of `weightwidget.anatomy.layers.PROJECTIONS`.
    """

    path: str
    parts: tuple[Place, ...]


def resolve(anatomy: Anatomy, tensors: Mapping[str, TensorRef], path: str) -> Place | HeadPlace:
    """Find the block that a path names.

    Parameters
    ----------
    anatomy
        Of the model.
    tensors
        Its tensors by name. A name that contains the separator wins over the block of a shorter name.
    path
        ``"<tensor> › <block>[ › <block>]"`` or ``"<layer> › head 5[ › key]"``; the layer may be named by any module
        around it that contains no other attention layer.

    Raises
    ------
    KeyError
        If there is no such block; the message says what there is.
    """
    labels = path.split(SEPARATOR)
    reasons: list[str] = []
    for cut in range(len(labels) - 1, -1, -1):
        owner, inner = SEPARATOR.join(labels[:cut]), labels[cut:]
        try:
            if owner in tensors:
                return _in_tensor(anatomy[owner], tensors[owner], inner)
            layer = _layer(anatomy, owner) if _HEAD.fullmatch(inner[0]) else None
            if layer is not None:
                return _in_layer(anatomy, tensors, layer, inner)
        except KeyError as error:
            reasons.append(str(error.args[0]))
    owner = labels[0]
    near = difflib.get_close_matches(owner, tensors, 3, 0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near and owner not in tensors else ""
    raise KeyError(reasons[0] if reasons else f"there is no tensor or attention layer {owner!r}{hint}")


def block_ref(base: TensorRef, place: Place) -> TensorRef:
    """A tensor that is a block of another: it reads only what is asked for of its box.

    Parameters
    ----------
    base
        The tensor in which the block lies.
    place
        Where.
    """
    sizes = tuple(part.stop - part.start for part in place.box)
    if len(place.box) > len(base.shape):  # a part of a complex tensor
        base = as_real(base)
    shape = tuple(size for axis, size in enumerate(sizes) if axis not in place.dropped)
    reader = BoxReader(base.reader, place.box, place.dropped)
    return TensorRef(place.path, shape, base.dtype, base.role, reader, device=base.device)


@dataclass(frozen=True)
class BoxReader:
    """Reads slices of a box of a tensor.

    Attributes
    ----------
    read
        Reads the tensor.
    box
        One slice for each of its axes, with ends and without steps.
    dropped
        Axes of which the box holds one element, and which what is read does not have.
    """

    read: Callable[[Index], torch.Tensor]
    box: tuple[slice, ...]
    dropped: tuple[int, ...] = ()

    def __call__(self, index: Index) -> torch.Tensor:
        """Read a slice."""
        return self.read(self.compose(index))

    def compose(self, index: Index) -> tuple[int | slice, ...]:
        """Index into the tensor of an index into the box.

        Parameters
        ----------
        index
            Integers, slices, an ellipsis; axes that are left out are whole.

        Raises
        ------
        IndexError
            If it has more entries than there are axes, or an integer lies outside.
        ValueError
            If a slice runs backwards.
        """
        kept = [axis for axis in range(len(self.box)) if axis not in self.dropped]
        parts = list(index) if isinstance(index, tuple) else [index]
        if parts.count(...) > 1:
            raise IndexError("an index can only have a single ellipsis ('...')")
        if len(parts) - parts.count(...) > len(kept):
            raise IndexError(f"too many indices: the block has {len(kept)} axes, but {len(parts)} were indexed")
        at = parts.index(...) if ... in parts else len(parts)
        after = parts[at + 1 :]
        full = [*parts[:at], *[slice(None)] * (len(kept) - at - len(after)), *after]
        inner = dict(zip(kept, full, strict=True))
        return tuple(
            part.start if axis in self.dropped else _within(part, inner[axis]) for axis, part in enumerate(self.box)
        )


def _within(outer: slice, inner: int | slice | EllipsisType) -> int | slice:
    """Index of an axis of the tensor, given that of the box's stretch of it."""
    size = outer.stop - outer.start
    if isinstance(inner, slice):
        first, stop, step = inner.indices(size)
        if step < 0:
            raise ValueError("slice step must be positive")  # as torch has it
        return slice(outer.start + first, outer.start + max(first, stop), step)
    if isinstance(inner, EllipsisType):
        raise TypeError("an ellipsis stands for several axes, not for one")
    at = operator.index(inner)
    if not -size <= at < size:
        raise IndexError(f"index {at} is out of bounds for an axis of size {size}")
    return int(outer.start + at % size)


def _in_tensor(axes: Axes, ref: TensorRef, labels: list[str]) -> Place:
    box = [slice(0, size) for size in ref.shape]
    splits, name, dropped = axes.splits, ref.name, []
    for label in labels:
        split = next((one for one in splits if label in one.labels), None)
        if split is None:
            raise KeyError(_missing(label, name, [one for split in splits for one in split.labels]))
        number = split.labels.index(label)
        if split.axis == len(box):  # the parts of complex numbers: an axis that the tensor does not have
            box.append(slice(number, number + 1))
            dropped.append(split.axis)
            splits, name = (), f"{name}{SEPARATOR}{label}"
            continue
        start = box[split.axis].start + sum(split.sizes[:number])
        box[split.axis] = slice(start, start + split.sizes[number])
        if split.sizes[number] == 1 and axes.names[split.axis] == split.name:
            dropped.append(split.axis)
        splits = split.inner[number] if split.inner else ()
        name = f"{name}{SEPARATOR}{label}"
    return _checked(Place(name, ref.name, tuple(box), tuple(dropped)), ref)


def _in_layer(
    anatomy: Anatomy, tensors: Mapping[str, TensorRef], layer: AttentionLayer, labels: list[str]
) -> Place | HeadPlace:
    found = _HEAD.fullmatch(labels[0])
    head = int(found[1]) if found else -1
    if not 0 <= head < layer.heads:
        raise KeyError(f"there is no {labels[0]!r} in {layer.path!r}: it has heads 0 to {layer.heads - 1}")
    path = f"{layer.path}{SEPARATOR}head {head}"
    there = [name for name in PROJECTIONS if (blocks := layer.projection(name)) and blocks.tensor in tensors]
    if len(labels) == 1:
        return HeadPlace(path, tuple(_projection(anatomy, tensors, layer, head, name) for name in there))
    if len(labels) > 2 or labels[1] not in there:
        label = labels[1] if labels[1] not in there else labels[2]
        raise KeyError(_missing(label, SEPARATOR.join([path, *labels[1:-1]]), there if len(labels) == 2 else []))
    return _projection(anatomy, tensors, layer, head, labels[1])


def _projection(
    anatomy: Anatomy, tensors: Mapping[str, TensorRef], layer: AttentionLayer, head: int, name: str
) -> Place:
    blocks = layer.projection(name)
    assert blocks is not None
    ref = tensors[blocks.tensor]
    slices = blocks.slices(number_of(blocks, layer, head), len(ref.shape))
    box = tuple(slice(*part.indices(size)[:2]) for part, size in zip(slices, ref.shape, strict=True))
    alone = blocks.size == 1 and anatomy[blocks.tensor].names[blocks.axis] == "head"
    path = f"{layer.path}{SEPARATOR}head {head}{SEPARATOR}{name}"
    return _checked(Place(path, ref.name, box, (blocks.axis,) if alone else ()), ref)


def number_of(blocks: HeadBlocks, layer: AttentionLayer, head: int) -> int:
    """Number of the block that a query head has or, of keys and values in grouped-query attention, reads."""
    return head if blocks.count == layer.heads else head * blocks.count // layer.heads


def _checked(place: Place, ref: TensorRef) -> Place:
    sizes = (*ref.shape, len(PARTS))
    if any(part.stop > size or part.start >= part.stop for part, size in zip(place.box, sizes, strict=False)):
        raise KeyError(f"{place.path!r} reaches beyond {ref.name!r} of shape {ref.shape}: its axes are set wrongly")
    return place


def _layer(anatomy: Anatomy, path: str) -> AttentionLayer | None:
    """The attention layer of that path, or the only one inside the module of that path."""
    inside = f"{path}." if path else ""
    found = []
    for layer in anatomy.attention:
        if layer.path == path:
            return layer
        if layer.path.startswith(inside):
            found.append(layer)
    if len(found) > 1:
        names = ", ".join(repr(layer.path) for layer in found[:NAMED])
        raise KeyError(f"there are {len(found)} attention layers in {path!r}: name one of {names}")
    return found[0] if found else None


def _missing(label: str, name: str, there: list[str]) -> str:
    if not there:
        return f"there is no block {label!r} in {name!r}: it has none"
    near = difflib.get_close_matches(label, there, 3, 0.5)
    if near:
        return f"there is no block {label!r} in {name!r}; did you mean {' or '.join(map(repr, near))}?"
    some = ", ".join(map(repr, there[:NAMED]))
    return f"there is no block {label!r} in {name!r}; there are {some}{', …' if len(there) > NAMED else ''}"
