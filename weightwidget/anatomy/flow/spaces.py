"""Channels that pass through a network, and the tensors that write, scale, shift and read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Labels: TypeAlias = npt.NDArray[np.int64]
"""One number for each position of an axis: which channel it carries; -1 for none."""

Role = Literal["writes", "reads", "scales", "shifts", "mean", "variance", "filters"]
"""What a tensor does with a channel. ``"writes"``: its outputs are the channels. ``"reads"``: its inputs are.
``"scales"`` and ``"shifts"``: gain and bias. ``"mean"`` and ``"variance"``: running statistics of a normalisation.
``"filters"``: a depthwise convolution, which keeps every channel apart."""


@dataclass(frozen=True, eq=False)
class Member:
    """An axis of a tensor that carries the channels of a space.

    Attributes
    ----------
    tensor
        Name of the tensor.
    axis
        The axis.
    role
        What the tensor does with the channels.
    channels
        For each position on the axis the channel that it carries, -1 for none of this space; None if position and
        channel are the same. After a flattening several positions carry one channel, as do the gates of a recurrent
        cell. With `groups` there are as many times as many entries, those of the first group first.
    groups, across
        Where different channels are read by different parts of the tensor: the axis `across` is divided into that
        many equal parts, each with channels of its own along `axis`. So a grouped convolution reads its inputs.
    certain
        Whether it is known that these are the channels of the members before it in the space.
    why
        How that is known, or guessed.
    order
        Place in the network.
    part
        Which part of a fused tensor: ``"query"``, ``"up"``; empty for the whole.
    """

    tensor: str
    axis: int
    role: Role
    channels: npt.NDArray[np.int32] | None = None
    groups: int = 1
    across: int | None = None
    certain: bool = True
    why: str = ""
    order: float = 0.0
    part: str = ""

    def positions(self, channel: int) -> npt.NDArray[np.int64]:
        """Positions that carry a channel: on the axis, or, with groups, counted on through all groups."""
        if self.channels is None:
            return np.array([channel], np.int64)
        return np.flatnonzero(self.channels == channel)

    def channel_at(self, position: int, group: int = 0) -> int:
        """The channel that a position on the axis carries; -1 for none."""
        if self.channels is None:
            return position
        at = group * (len(self.channels) // self.groups) + position
        return int(self.channels[at]) if 0 <= at < len(self.channels) else -1


@dataclass(frozen=True, eq=False)
class Space:
    """Channels that are the same from one tensor to the next.

    Attributes
    ----------
    number
        Place in `Flow.spaces`.
    name
        For a person: ``"residual stream of encoder.layer"``, ``"outputs of conv1"``.
    size
        Number of channels.
    members
        In network order.
    """

    number: int
    name: str
    size: int
    members: tuple[Member, ...]

    @property
    def certain(self) -> bool:
        """Whether all links are."""
        return all(member.certain for member in self.members)


class Flow:
    """How channels pass through a network.

    Parameters
    ----------
    spaces
        In network order.
    how
        Where the links come from, for a person.
    traced
        Whether they were seen in a run of the model's own code.

    Attributes
    ----------
    spaces, how, traced
        As given.
    """

    def __init__(self, spaces: Sequence[Space], how: str = "", traced: bool = False) -> None:
        self.spaces = tuple(spaces)
        self.how = how
        self.traced = traced

    def again(self) -> Flow:
        """The same links, for weights that were read again."""
        return Flow(self.spaces, self.how, self.traced)

    @cached_property
    def _by_tensor(self) -> dict[str, list[tuple[Space, Member]]]:
        found: dict[str, list[tuple[Space, Member]]] = {}
        for space in self.spaces:
            for member in space.members:
                found.setdefault(member.tensor, []).append((space, member))
        return found

    def of(self, tensor: str, axis: int | None = None) -> list[tuple[Space, Member]]:
        """The spaces that a tensor belongs to, with its membership in each.

        Parameters
        ----------
        tensor
            Its name.
        axis
            Only along this axis.
        """
        return [pair for pair in self._by_tensor.get(tensor, []) if axis is None or pair[1].axis == axis]

    def space(self, tensor: str, axis: int, position: int = 0) -> Space | None:
        """The space whose channel a position on an axis carries.

        Parameters
        ----------
        tensor, axis
            The axis.
        position
            On it. Fused tensors carry several spaces along one axis.
        """
        for space, member in self.of(tensor, axis):
            if any(member.channel_at(position, group) >= 0 for group in range(member.groups)):
                return space
        return None

    def __iter__(self) -> Iterator[Space]:
        return iter(self.spaces)

    def __len__(self) -> int:
        return len(self.spaces)

    def __repr__(self) -> str:
        certain = sum(space.certain for space in self.spaces)
        return f"Flow({len(self.spaces)} channel spaces, {certain} of them certain; {self.how})"
