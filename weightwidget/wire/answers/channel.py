"""A channel followed through the network."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.anatomy.flow.numbers import SpaceNumbers, partners, space_numbers, unusual
from weightwidget.anatomy.flow.spaces import Flow, Member, Space
from weightwidget.detail.channel import pooled, spread, standing
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field

STEPS = 8192
"""Largest number of steps of a profile."""

NUMBERS = 1 << 20
"""Largest number of steps of all profiles of a reply together."""

UNUSUAL = 48
"""Unusual channels that are told if nobody asks for more."""

KEPT = 1 << 23
"""Numbers that are kept, of the spaces looked at last: 64 MB, twice over with the deviations."""


class _Kept:
    """Numbers of the spaces that were looked at last, for as long as their flow is there."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Flow, OrderedDict[int, SpaceNumbers]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self, flow: Flow, number: int) -> SpaceNumbers | None:
        with self._lock:
            spaces = self._of.get(flow)
            found = spaces.get(number) if spaces else None
            if spaces and found is not None:
                spaces.move_to_end(number)
            return found

    def put(self, flow: Flow, number: int, numbers: SpaceNumbers) -> None:
        with self._lock:
            spaces = self._of.setdefault(flow, OrderedDict())
            spaces[number] = numbers
            while len(spaces) > 1 and sum(kept.values.size for kept in spaces.values()) > KEPT:
                spaces.popitem(last=False)


_kept = _Kept()


def _channel(weights: Weights, request: Request, _job: Job) -> Answer:
    flow = weights.anatomy.flow
    tensor = _tensor(weights, flow, str(field(request, "path")))
    pairs = flow.of(tensor)
    axis, position, followed = (request.get(name) for name in ("axis", "position", "followed"))
    chosen: tuple[Space, Member] | None = None
    channel: int | None = None
    if axis is not None and position is not None:
        for space, member in pairs:
            at = max((member.channel_at(position, group) for group in range(member.groups)), default=-1)
            if member.axis == axis and 0 <= at < space.size:
                chosen, channel = (space, member), at
                break
    if chosen is None:
        on_axis = [pair for pair in pairs if pair[1].axis == axis]
        same = [pair for pair in pairs if pair[0].number == followed]
        writing = [pair for pair in pairs if pair[1].role != "reads"]
        chosen = next(iter(on_axis or same or writing or pairs), None)
    return {
        "tensor": tensor if pairs else "",
        "choices": [
            {
                "space": space.number,
                "name": space.name,
                "size": space.size,
                "axis": member.axis,
                "role": member.role,
                "part": member.part,
                "first": _first(member),
            }
            for space, member in pairs
        ],
        "space": chosen[0].number if chosen else None,
        "channel": channel,
        "how": flow.how,
        "traced": flow.traced,
        "traceable": weights.anatomy.traceable,
    }, []


def _tensor(weights: Weights, flow: Flow, path: str) -> str:
    """The tensor whose spaces are asked for: that of a block, of a module the first that has any."""
    if flow.of(path):
        return path
    if SEPARATOR in path and flow.of(outer := path.partition(SEPARATOR)[0]):
        return outer
    prefix = f"{path}." if path else ""
    for name in weights.anatomy:
        if name.startswith(prefix) and flow.of(name):
            return name
    return path


def _first(member: Member) -> int:
    """First position on the axis that carries a channel of the space."""
    if member.channels is None:
        return 0
    return int(np.argmax(member.channels >= 0)) % (len(member.channels) // member.groups)


def _space_of(weights: Weights, request: Request) -> tuple[Flow, Space]:
    flow = weights.anatomy.flow
    number = field(request, "space")
    if not isinstance(number, int) or not 0 <= number < len(flow):
        raise KeyError(f"there is no channel space {number!r}: the links were found anew, look at the tensor again")
    return flow, flow.spaces[number]


def _numbers(weights: Weights, flow: Flow, space: Space, job: Job) -> SpaceNumbers:
    known = _kept.get(flow, space.number)
    if known is None:
        known = space_numbers(space, weights.ref, weights.record, job.cancelled, job.report)
        _kept.put(flow, space.number, known)
    return known


def _channel_space(weights: Weights, request: Request, job: Job) -> Answer:
    flow, space = _space_of(weights, request)
    numbers = _numbers(weights, flow, space, job)
    bins = min(max(1, int(field(request, "bins"))), STEPS, max(64, NUMBERS // max(1, len(space.members))))
    pools = [pooled(row, bins) for row in numbers.values]
    spreads = [spread(row) for row in numbers.values]
    strange = unusual(space, numbers)
    told = strange[: max(0, int(request.get("unusual", UNUSUAL)))]
    members = [
        {
            "tensor": member.tensor,
            "axis": member.axis,
            "role": member.role,
            "part": member.part,
            "certain": member.certain,
            "why": member.why,
            "times": _times(member),
            "norm": _is_norm(weights, member),
            "error": numbers.errors.get(place, ""),
        }
        for place, member in enumerate(space.members)
    ]
    reply: dict[str, Any] = {
        "space": space.number,
        "name": space.name,
        "size": space.size,
        "step": pools[0][2] if pools else 1,
        "certain": space.certain,
        "members": members,
        "unusual": [
            {"channel": one.channel, "reason": one.reason, "member": one.member, "members": one.members} for one in told
        ],
        "unusual_count": len(strange),
    }
    return reply, [
        np.stack([low for low, _, _ in pools]).tobytes(),
        np.stack([high for _, high, _ in pools]).tobytes(),
        np.array([[s.median, s.mad, s.low, s.high, s.q05, s.q95] for s in spreads], np.float64).tobytes(),
        np.array([[one.value, one.deviation] for one in told], np.float64).tobytes(),
    ]


def _times(member: Member) -> int:
    if member.channels is None:
        return 1
    carried = member.channels[member.channels >= 0]
    return int(np.bincount(carried).max(initial=1)) if len(carried) else 0


def _is_norm(weights: Weights, member: Member) -> bool:
    """Whether the member's numbers are norms of slices rather than single elements."""
    ref = weights.ref(member.tensor)
    return ref is None or len(ref.shape) != 1 or _times(member) > 1


def _channel_numbers(weights: Weights, request: Request, job: Job) -> Answer:
    flow, space = _space_of(weights, request)
    channel = field(request, "channel")
    if not isinstance(channel, int) or not 0 <= channel < space.size:
        raise IndexError(f"there is no channel {channel!r} in the {space.name}: it has {space.size}, from 0 on")
    numbers = _numbers(weights, flow, space, job)
    places = [standing(row, channel, away) for row, away in zip(numbers.values, numbers.away, strict=True)]
    positions = []
    for member in space.members:
        at = member.positions(channel)
        length = len(member.channels) // member.groups if member.channels is not None else space.size
        positions.append(int(at[0]) % length if len(at) else -1)
    table = [[one.value, one.rank, one.of, one.below, one.deviation] for one in places]
    return {"channel": channel, "positions": positions}, [np.array(table, np.float64).tobytes()]


def _channel_farthest(weights: Weights, request: Request, job: Job) -> Answer:
    flow, space = _space_of(weights, request)
    member, first, end = (int(field(request, name)) for name in ("member", "first", "end"))
    if not 0 <= member < len(space.members) or not 0 <= first < end:
        raise IndexError(f"there are no channels {first} to {end - 1} of member {member} in the {space.name}")
    away = np.abs(_numbers(weights, flow, space, job).away[member, first:end])
    return {"channel": None if np.isnan(away).all() else first + int(np.nanargmax(away))}, []


def _channel_partners(weights: Weights, request: Request, _job: Job) -> Answer:
    flow, space = _space_of(weights, request)
    channel, member, count = (int(field(request, name)) for name in ("channel", "member", "count"))
    if not 0 <= member < len(space.members) or not 0 <= channel < space.size:
        raise IndexError(f"there is no channel {channel} of member {member} in the {space.name}")
    found = partners(flow, space, member, channel, weights.ref, min(max(0, count), UNUSUAL))
    values = np.array([one.value for one in found], np.float64)
    return {"partners": [[one.space, one.channel] for one in found]}, [values.tobytes()]


def _trace(weights: Weights, _request: Request, _job: Job) -> Answer:
    return {"how": weights.anatomy.trace().how}, []


HANDLERS: dict[str, Handler] = {
    "channel": _channel,
    "channel_space": _channel_space,
    "channel_numbers": _channel_numbers,
    "channel_farthest": _channel_farthest,
    "channel_partners": _channel_partners,
    "trace": _trace,
}

SLOW = ("channel_space", "channel_numbers", "channel_farthest", "trace")
