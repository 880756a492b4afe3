"""The numbers of a channel space: what each member does with each channel, and which channels are unusual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.anatomy.flow.spaces import Flow, Member, Space
from weightwidget.detail.channel import (
    axis_squares,
    deviations,
    outlying,
    per_channel,
    recorded_squares,
    switched_off,
    values_at,
)
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.record import TensorSummary

Floats = npt.NDArray[np.float64]

Reason = Literal["off", "unwritten", "unread", "large", "small"]
"""Why a channel is unusual: a norm's gain is next to nothing; nothing writes it (all weights exactly zero); nothing
reads it; a number of it is far larger, or smaller, than that of the other channels."""


@dataclass(frozen=True, eq=False)
class SpaceNumbers:
    """Numbers of all channels of a space.

    Attributes
    ----------
    values
        float64, shape (members, channels): Euclidean norm of the slice that writes, reads or filters the channel;
        gain, bias or running statistic itself where there is one a channel. Non-finite weights are left out of norms.
        NaN where a member does not carry the channel.
    away
        Robust deviations from the median of each member; see `weightwidget.detail.channel.deviations`.
    errors
        Why a member has no numbers, by its place.
    """

    values: Floats
    away: Floats
    errors: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unusual:
    """A channel that stands out.

    Attributes
    ----------
    channel
        Its number.
    reason
        Why.
    member
        Place of the member where it shows most.
    value
        The member's number.
    deviation
        Robust deviations from the median there.
    members
        In how many members it shows.
    """

    channel: int
    reason: Reason
    member: int
    value: float
    deviation: float
    members: int


def space_numbers(
    space: Space,
    ref_of: Callable[[str], TensorRef | None],
    record_of: Callable[[str], TensorSummary | None] = lambda _name: None,
    cancelled: Callable[[], bool] | None = None,
    report: Callable[[float], None] | None = None,
) -> SpaceNumbers:
    """Compute the numbers of a space.

    Where a tensor's record holds its norms, they are taken from there; the others are read, once, piece by piece.

    Parameters
    ----------
    space
        The space.
    ref_of, record_of
        Give tensor and record of a name, or None.
    cancelled
        Asked now and then.
    report
        Takes the share that is done.

    Raises
    ------
    Cancelled
        When `cancelled` says so.
    """
    values = np.full((len(space.members), space.size), np.nan)
    errors: dict[int, str] = {}
    squares: dict[tuple[str, int, int], Floats] = {}
    for place, member in enumerate(space.members):
        if cancelled is not None and cancelled():
            raise Cancelled
        try:
            values[place] = _of_member(member, space.size, ref_of, record_of, squares, cancelled)
        except (ValueError, TypeError, KeyError, OSError) as error:
            errors[place] = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        if report is not None:
            report((place + 1) / len(space.members))
    away = np.stack([deviations(row) for row in values]) if len(values) else values
    return SpaceNumbers(values, away, errors)


def _of_member(
    member: Member,
    size: int,
    ref_of: Callable[[str], TensorRef | None],
    record_of: Callable[[str], TensorSummary | None],
    squares: dict[tuple[str, int, int], Floats],
    cancelled: Callable[[], bool] | None,
) -> Floats:
    ref = ref_of(member.tensor)
    if ref is None:
        raise KeyError(f"there is no tensor {member.tensor!r}")
    if len(ref.shape) == 1:
        values = values_at(ref)
        return per_channel(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0) ** 2, member.channels, size, values)
    key = (member.tensor, member.axis, member.groups)
    found = squares.get(key)
    if found is None:
        if member.groups == 1:
            found = recorded_squares(record_of(member.tensor), ref.shape, member.axis)
        if found is None:
            found = axis_squares(ref, member.axis, member.groups, member.across, cancelled)
        squares[key] = found
    return per_channel(found, member.channels, size)


@dataclass(frozen=True)
class Partner:
    """A channel on the other side of a layer.

    Attributes
    ----------
    space, channel
        Number of its space, and of the channel in it.
    value
        Euclidean norm of the weights between the two; of a single weight its magnitude.
    """

    space: int
    channel: int
    value: float


def partners(
    flow: Flow, space: Space, place: int, channel: int, ref_of: Callable[[str], TensorRef | None], count: int = 8
) -> list[Partner]:
    """The channels to which a layer's weights connect a channel most strongly.

    Where the layer writes the channel, those that it is computed from; where it reads it, those computed from it.

    Parameters
    ----------
    flow, space
        The links, and the channel's space.
    place
        Of the member in the space.
    channel
        The channel.
    ref_of
        Gives the tensor of a name, or None. Only the channel's slice is read.
    count
        How many at most.

    Raises
    ------
    KeyError
        If the tensor is gone.
    """
    member = space.members[place]
    other_role = {"writes": "reads", "reads": "writes"}.get(member.role)
    across = [pair for pair in flow.of(member.tensor) if pair[1].role == other_role and pair[1].axis != member.axis]
    ref = ref_of(member.tensor)
    if ref is None:
        raise KeyError(f"there is no tensor {member.tensor!r}")
    found = []
    for other_space, other in across:
        squares = _slice_squares(ref, member, other, channel)
        values = per_channel(squares, other.channels, other_space.size)
        best = np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable")[:count]
        found += [Partner(other_space.number, int(at), float(values[at])) for at in best if values[at] > 0]
    return sorted(found, key=lambda one: -one.value)[:count]


def _slice_squares(ref: TensorRef, member: Member, other: Member, channel: int) -> Floats:
    """Squares of the weights of a channel, summed for each position on the axis of the other side."""
    length, others = ref.shape[member.axis], ref.shape[other.axis]
    squares = np.zeros((other.groups, others))
    for position in member.positions(channel).tolist():
        group, at = divmod(position, length)
        index: list[int | slice] = [slice(None)] * len(ref.shape)
        index[member.axis] = at
        start = 0
        if member.groups > 1 and member.across is not None:
            size = ref.shape[member.across] // member.groups
            index[member.across] = slice(group * size, (group + 1) * size)
            start = group * size if member.across == other.axis else 0
        piece = ref.read(tuple(index)).cpu().to(torch.float64)
        piece = torch.where(piece.isfinite(), piece, 0.0).square()
        axis = other.axis - (other.axis > member.axis)
        sums = piece.sum([dim for dim in range(piece.ndim) if dim != axis]) if piece.ndim > 1 else piece
        row = at // (length // other.groups) if other.groups > 1 else 0
        squares[row, start : start + len(sums)] += sums.numpy()
    return squares.reshape(-1)


def unusual(space: Space, numbers: SpaceNumbers) -> list[Unusual]:
    """Channels that stand out, hard facts first, then the farthest from the others.

    Parameters
    ----------
    space
        The space.
    numbers
        Its numbers.
    """
    found = [
        *_switched_off(space, numbers),
        *_unused(space, numbers, ("writes", "filters"), "unwritten"),
        *_unused(space, numbers, ("reads",), "unread"),
    ]
    told = {one.channel for one in found}
    far: dict[int, Unusual] = {}
    count: dict[int, int] = {}
    for place, member in enumerate(space.members):
        if member.role in ("mean", "variance", "shifts"):
            continue  # far-out biases and statistics are common, and tell little of the weights
        for channel in outlying(numbers.away[place]).tolist():
            count[channel] = count.get(channel, 0) + 1
            deviation = float(numbers.away[place, channel])
            if channel not in far or abs(deviation) > abs(far[channel].deviation):
                reason: Reason = "large" if deviation > 0 else "small"
                value = float(numbers.values[place, channel])
                far[channel] = Unusual(channel, reason, place, value, deviation, 0)
    rest = [one for one in far.values() if one.channel not in told]
    rest.sort(key=lambda one: -abs(one.deviation))
    found += [
        Unusual(one.channel, one.reason, one.member, one.value, one.deviation, count[one.channel]) for one in rest
    ]
    return found


def _switched_off(space: Space, numbers: SpaceNumbers) -> list[Unusual]:
    places: dict[int, list[int]] = {}
    for place, member in enumerate(space.members):
        if member.role == "scales":
            for channel in switched_off(numbers.values[place]).tolist():
                places.setdefault(channel, []).append(place)
    found = []
    for channel, at in places.items():
        place = min(at, key=lambda one: abs(float(numbers.values[one, channel])))
        found.append(
            Unusual(
                channel,
                "off",
                place,
                float(numbers.values[place, channel]),
                float(numbers.away[place, channel]),
                len(at),
            )
        )
    return sorted(found, key=lambda one: (-one.members, one.channel))


def _unused(space: Space, numbers: SpaceNumbers, roles: tuple[str, ...], reason: Reason) -> list[Unusual]:
    """Channels for which all members of these roles are exactly zero."""
    places = [place for place, member in enumerate(space.members) if member.role in roles]
    if not places:
        return []
    values = numbers.values[places]
    known = ~np.isnan(values)
    zero = ((values == 0) | ~known).all(0) & known.any(0)
    return [
        Unusual(channel, reason, places[0], 0.0, float(numbers.away[places[0], channel]), len(places))
        for channel in np.flatnonzero(zero).tolist()
    ]
