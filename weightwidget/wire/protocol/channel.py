"""A channel followed through the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired

    from weightwidget.anatomy.flow.numbers import Reason
    from weightwidget.anatomy.flow.spaces import Role


class SpaceChoice(TypedDict):
    """A space that a tensor belongs to. ``first`` is the first position on ``axis`` that carries a channel of it."""

    space: int
    name: str
    size: int
    axis: int
    role: Role
    part: str
    first: int


class ChannelRequest(TypedDict):
    """The spaces of a tensor, block or module, and the channel that a position on one of its axes carries.

    With ``axis`` and ``position`` that decides which space is followed; else ``followed``, if the tensor belongs to it;
    else the first space that the tensor writes.
    """

    id: str
    kind: Literal["channel"]
    path: str
    axis: NotRequired[int | None]
    position: NotRequired[int | None]
    followed: NotRequired[int | None]


class ChannelReply(TypedDict):
    """``tensor`` is the one whose spaces these are: of a module the first that has any; "" if none has.

    ``space`` is the followed one's number, ``channel`` the channel at the position asked for; null if there is none.
    ``how`` says where the links come from. ``traced``: they were seen in a run of the model's own code.
    ``traceable``: a request ``trace`` can be answered.
    """

    id: str
    kind: Literal["channel"]
    tensor: str
    choices: list[SpaceChoice]
    space: int | None
    channel: int | None
    how: str
    traced: bool
    traceable: bool


class ChannelMember(TypedDict):
    """An axis of a tensor that carries the channels: see `weightwidget.anatomy.flow.spaces.Member`.

    ``times`` is how many positions carry one channel. ``error`` says why there are no numbers.
    """

    tensor: str
    axis: int
    role: Role
    part: str
    certain: bool
    why: str
    times: int
    norm: bool
    error: str


class UnusualChannel(TypedDict):
    """A channel that stands out: see `weightwidget.anatomy.flow.numbers.Unusual`. ``member`` is a place in the list."""

    channel: int
    reason: Reason
    member: int
    members: int


class ChannelSpaceRequest(TypedDict):
    """The members of a space and the profiles of their numbers over all channels, in at most ``bins`` steps each.

    ``unusual`` is the largest number of unusual channels to tell.
    """

    id: str
    kind: Literal["channel_space"]
    space: int
    bins: int
    unusual: NotRequired[int]


class ChannelSpaceReply(TypedDict):
    """A step of the profiles is ``step`` channels.

    Buffers: float32 smallest and float32 largest number of each step, both (members, steps), NaN where there is none;
    float64 spreads (members, 6): median, median absolute deviation, smallest, largest, 5 % and 95 % quantile;
    float64 (unusual, 2): value and robust deviation.
    """

    id: str
    kind: Literal["channel_space"]
    space: int
    name: str
    size: int
    step: int
    certain: bool
    members: list[ChannelMember]
    unusual: list[UnusualChannel]
    unusual_count: int


class ChannelNumbersRequest(TypedDict):
    """The numbers of one channel of a space."""

    id: str
    kind: Literal["channel_numbers"]
    space: int
    channel: int


class ChannelNumbersReply(TypedDict):
    """How the channel stands in each member.

    ``positions`` has for each member the first position that carries the channel, on its axis (of the first group that
    has it); -1 for none. Buffer: float64 (members, 5): value; rank, 1 for the largest; number of channels that are
    ranked; share of the others that are smaller; robust deviation. NaN, and rank 0, where a member does not carry it.
    """

    id: str
    kind: Literal["channel_numbers"]
    channel: int
    positions: list[int]


class FarthestRequest(TypedDict):
    """The channel, among those from ``first`` to ``end`` - 1, that lies farthest from the others in one member."""

    id: str
    kind: Literal["channel_farthest"]
    space: int
    member: int
    first: int
    end: int


class FarthestReply(TypedDict):
    """The channel; null where the member carries none of them."""

    id: str
    kind: Literal["channel_farthest"]
    channel: int | None


class PartnersRequest(TypedDict):
    """The channels to which one member's weights connect a channel most strongly, at most ``count``."""

    id: str
    kind: Literal["channel_partners"]
    space: int
    channel: int
    member: int
    count: int


class PartnersReply(TypedDict):
    """``partners``: space and channel of each, the strongest first. Buffer: float64 norms of the weights in between."""

    id: str
    kind: Literal["channel_partners"]
    partners: list[tuple[int, int]]


class TraceRequest(TypedDict):
    """Find the links by running the model's own code, once, on a copy without weights."""

    id: str
    kind: Literal["trace"]


class TraceReply(TypedDict):
    """``how`` says what was run, and on what."""

    id: str
    kind: Literal["trace"]
    how: str
