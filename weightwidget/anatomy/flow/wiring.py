"""Where links are collected: numbers for channels, which of them are the same, and which axes carry them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from weightwidget.anatomy.flow.spaces import Flow, Labels, Member, Role, Space
from weightwidget.sources.base import WeightSource

NONE = -1
"""Label of what carries no channel."""


@dataclass(frozen=True, eq=False)
class Attached:
    """An axis and the labels along it. `labels` is as long as the axis, times the groups."""

    tensor: str
    axis: int
    role: Role
    labels: Labels
    groups: int
    across: int | None
    certain: bool
    why: str
    order: float
    part: str


@dataclass
class Wiring:
    """Collects links.

    Every channel has a label, a number of its own; `join` says that two labels are one channel. So concatenated,
    split and shuffled channels need no cases of their own.
    """

    tied: Mapping[str, str] = field(default_factory=dict)
    """First names of tensors that are one and the same: their axes carry the same channels, whatever is computed."""
    # Of each label: an earlier one that is the same channel, or itself; and the number of its space. Both have room to
    # grow, the first `_count` entries are used.
    _parent: Labels = field(default_factory=lambda: np.empty(1024, np.int64))
    _home: Labels = field(default_factory=lambda: np.empty(1024, np.int64))
    _count: int = 0
    _bases: list[int] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)
    _attached: list[Attached] = field(default_factory=list)
    _by_axis: dict[tuple[str, int], list[Attached]] = field(default_factory=dict)
    _taken: dict[tuple[str, int, Role], npt.NDArray[np.bool_]] = field(default_factory=dict)
    _tied: dict[tuple[str, int], Labels] = field(default_factory=dict)

    def space(self, size: int, name: str = "") -> Labels:
        """Labels of new channels.

        Parameters
        ----------
        size
            How many.
        name
            What they are, for a person; by default what first writes them.
        """
        base, self._count = self._count, self._count + size
        if self._count > len(self._parent):
            self._parent, self._home = (
                np.concatenate([array[:base], np.empty(2 * self._count - base, np.int64)])
                for array in (self._parent, self._home)
            )
        labels = np.arange(base, self._count, dtype=np.int64)
        self._parent[base : self._count] = labels
        self._home[base : self._count] = len(self._bases)
        if name:
            self._names[len(self._bases)] = name
        self._bases.append(base)
        self._sizes.append(size)
        return labels

    def canonical(self, labels: Labels) -> Labels:
        """The labels that stand for these; -1 stays."""
        found = labels.copy()
        known = labels >= 0
        inside = labels[known]
        roots = self._parent[inside]
        while True:
            above = self._parent[roots]
            if np.array_equal(above, roots):
                break
            roots = above
        self._parent[inside] = roots  # the next look is shorter
        found[known] = roots
        return found

    def join(self, first: Labels, second: Labels) -> bool:
        """Say that channels are the same, pair by pair.

        Parameters
        ----------
        first, second
            Of equal length; pairs with a -1 say nothing.

        Returns
        -------
        bool
            False if nothing was joined because that would make different channels of one space the same (which is
            what an operation that mixes channels would seem to do).
        """
        both = (first >= 0) & (second >= 0)
        left, right = self.canonical(first[both]), self.canonical(second[both])
        differ = left != right
        if not differ.any():
            return True
        pairs = np.stack(np.divmod(np.unique(left[differ] * self._count + right[differ]), self._count))
        one_to_one = all(len(np.unique(side)) == pairs.shape[1] for side in pairs)
        if not one_to_one or (self._home[pairs[0]] == self._home[pairs[1]]).any():
            return False
        self._parent[pairs.max(0)] = pairs.min(0)  # the earlier space stands for both
        return True

    def attach(
        self,
        tensor: str,
        axis: int,
        role: Role,
        labels: Labels,
        order: float,
        *,
        certain: bool,
        why: str,
        groups: int = 1,
        across: int | None = None,
        part: str = "",
    ) -> None:
        """Say which channels an axis carries. Positions that are attached in the same role stay as they were."""
        key = (tensor, axis, role)
        carries = labels >= 0
        taken = self._taken.get(key)
        if not carries.any() or (taken is not None and (len(taken) != len(labels) or (taken & carries).any())):
            return
        self._taken[key] = carries if taken is None else taken | carries
        if groups == 1:
            first = self._tied.setdefault((self.tied.get(tensor, tensor), axis), labels)
            if first is not labels and len(first) == len(labels):
                self.join(first, labels)
        port = Attached(tensor, axis, role, labels, groups, across, certain, why, order, part)
        self._attached.append(port)
        self._by_axis.setdefault((tensor, axis), []).append(port)

    def covers(self, tensor: str, axis: int) -> bool:
        """Whether an axis is attached to something."""
        return (tensor, axis) in self._by_axis

    def labels_of(self, tensor: str, axis: int, role: Role) -> Labels | None:
        """The labels that an axis is attached to in a role; None if it is not."""
        found: Labels | None = None
        for port in self._by_axis.get((tensor, axis), []):
            if port.role == role and port.groups == 1:
                found = port.labels if found is None else np.where(port.labels >= 0, port.labels, found)
        return found

    def flow(self, how: str = "", traced: bool = False, orders: Mapping[str, float] | None = None) -> Flow:
        """What was collected.

        Parameters
        ----------
        how, traced
            As of `Flow`.
        orders
            Place of each tensor in the network, if that was not known when it was attached.
        """
        if orders is not None:
            self._attached = [replace(port, order=orders[port.tensor]) for port in self._attached]
        members: dict[int, list[Member]] = {}
        used: dict[int, list[Labels]] = {}
        for port in sorted(self._attached, key=lambda port: port.order):
            labels = self.canonical(port.labels)
            homes = self._home[labels[labels >= 0]]
            for home in dict.fromkeys(homes.tolist()):
                inside = (labels >= 0) & (self._home[labels] == home)
                channels = np.where(inside, labels - self._bases[home], NONE)
                members.setdefault(home, []).append(self._member(port, channels, self._sizes[home]))
                used.setdefault(home, []).append(channels[inside])
        names = self._given_names()
        spaces = []
        for number, home in enumerate(sorted(members, key=lambda home: members[home][0].order)):
            own = tuple(members[home])
            size = int(max(channels.max() for channels in used[home])) + 1
            spaces.append(Space(number, names.get(home) or _name(own), size, own))
        return Flow(spaces, how, traced)

    def _given_names(self) -> dict[int, str]:
        """Names of spaces, and of those that were joined to them, by the number of the space that stands for both."""
        joined: dict[int, list[str]] = {}
        for space, name in self._names.items():
            if self._sizes[space]:
                root = self.canonical(np.array([self._bases[space]]))[0]
                joined.setdefault(int(self._home[root]), []).append(name)
        found = {}
        for home, names in joined.items():
            # Two streams that share an embedding are one.
            kind = names[0].partition(" of ")[0]
            others = [name.partition(" of ")[2] for name in names[1:] if name.startswith(f"{kind} of ")]
            found[home] = " and ".join([names[0], *others[:2]])
        return found

    @staticmethod
    def _member(port: Attached, channels: Labels, size: int) -> Member:
        plain = port.groups == 1 and len(channels) == size and bool((channels == np.arange(size)).all())
        kept: npt.NDArray[np.int32] | None = None if plain else channels.astype(np.int32)
        return Member(
            port.tensor,
            port.axis,
            port.role,
            kept,
            port.groups,
            port.across,
            port.certain,
            port.why,
            port.order,
            port.part,
        )


def tied_names(source: WeightSource) -> dict[str, str]:
    """First name of every tensor that has another name, too."""
    return {name: ref.shared_with for name, ref in source.tensors.items() if ref.shared_with is not None}


def _name(members: tuple[Member, ...]) -> str:
    writers = list(dict.fromkeys(_owner(member) for member in members if member.role == "writes"))
    if writers:
        # Where several layers write the same channels, they are added.
        return f"residual stream from {writers[0]}" if len(writers) > 2 else f"outputs of {writers[0]}"
    first = members[0]
    what = "inputs" if first.role == "reads" else "channels"
    return f"{what} of {_owner(first)}"


def _owner(member: Member) -> str:
    return member.tensor.rpartition(".")[0] or member.tensor
