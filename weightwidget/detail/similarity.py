"""Filters that are copies of each other, and an order in which similar ones lie side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightwidget.detail.filters import FilterLayout, IsCancelled, chunks, unit_rows
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

MOST_COMPARED = 4096
"""Most filters of a layer that are compared with each other: the table of their cosines then takes 64 MB."""

COPY = 0.999
"""Cosine from which on two filters count as copies."""

LEAST_FAN_IN = 9
"""Filters with fewer weights are alike by chance too often."""

_STRETCH = 1 << 22
"""Weights of the filters that are compared at once with others."""

Cosines = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Similarity:
    """How alike the filters of a layer are.

    Attributes
    ----------
    copy_of
        int32 (filters,): for filters that have copies the first of those, for all others -1. Copies are filters of
        the same group with ``|cos| > 0.999``, directly or by way of others.
    copy_cosine
        float32 (filters,): cosine with that filter, about -1 for a copy of the opposite sign; NaN where there is
        none.
    order
        int32 (filters,): numbers of the filters, similar ones side by side; those that are zero or not finite last.
    """

    copy_of: npt.NDArray[np.int32]
    copy_cosine: npt.NDArray[np.float32]
    order: npt.NDArray[np.int32]


def similarity(
    ref: TensorRef,
    layout: FilterLayout,
    cancelled: IsCancelled = None,
    report: Callable[[float], None] | None = None,
) -> Similarity:
    """Compare all filters of a layer with each other.

    The order is that of the leaves of a hierarchical clustering (average linkage of the distance 1 - |cos|, so that
    filters of opposite sign are alike), whose branches are turned so that the filters that meet are as similar as
    possible (Gruvaeus and Wainer, "Two additions to hierarchical cluster analysis", 1972).

    Parameters
    ----------
    ref, layout
        The tensor, and where its filters lie.
    cancelled
        Asked now and then.
    report
        Takes the share that is done.

    Raises
    ------
    ValueError
        If there are too many filters.
    Cancelled
        When `cancelled` says so.
    """
    count = layout.filters
    if count > MOST_COMPARED:
        raise ValueError(f"{count} filters are too many to compare each with each: {MOST_COMPARED} at most")
    table = cosine_table(ref, layout, cancelled, None if report is None else lambda share: report(0.8 * share))
    copy_of = _copies(table, layout)
    representative = np.maximum(copy_of, 0)
    copy_cosine = np.where(copy_of >= 0, table[np.arange(count), representative], np.nan).astype(np.float32)
    return Similarity(copy_of, copy_cosine, leaf_order(table, cancelled).astype(np.int32))


def cosine_table(
    ref: TensorRef,
    layout: FilterLayout,
    cancelled: IsCancelled = None,
    report: Callable[[float], None] | None = None,
) -> Cosines:
    """Cosines of all filters with each other, float32 (filters, filters); NaN where one is zero or not finite.

    The filters are gone through in stretches, so that no copy of the whole tensor is made.
    """
    table = np.empty((layout.filters, layout.filters), np.float32)
    for start, stop, part in chunks(ref, layout, cancelled, _STRETCH):
        rows = unit_rows(part).astype(np.float32)
        for low, high, other in chunks(ref, layout, cancelled, _STRETCH):
            if low > start:
                break
            columns = rows if low == start else unit_rows(other).astype(np.float32)
            table[start:stop, low:high] = rows @ columns.T
            table[low:high, start:stop] = table[start:stop, low:high].T
        if report is not None:
            report((stop / layout.filters) ** 2)
    return table


def _copies(table: Cosines, layout: FilterLayout) -> npt.NDArray[np.int32]:
    """For each filter the first of its copies; -1 for none."""
    count = len(table)
    first = np.arange(count)
    if layout.fan_in >= LEAST_FAN_IN:
        group = np.array([layout.group(number) for number in range(count)])
        for number in range(count):
            alike = np.flatnonzero((np.abs(table[number, :number]) > COPY) & (group[:number] == group[number]))
            if len(alike):
                roots = np.unique(first[alike])
                # By way of this filter, several families may be one.
                first[np.isin(first, roots)] = roots[0]
                first[number] = roots[0]
    shared = np.bincount(first, minlength=count)[first] > 1
    return np.where(shared, first, -1).astype(np.int32)


def leaf_order(table: Cosines, cancelled: IsCancelled = None) -> npt.NDArray[np.int64]:
    """Numbers of the filters, similar ones side by side; see `similarity`.

    Parameters
    ----------
    table
        Cosines (filters, filters); rows of NaN come last.
    cancelled
        Asked now and then.
    """
    sound = np.flatnonzero(~np.isnan(np.diagonal(table)))
    rest = np.flatnonzero(np.isnan(np.diagonal(table)))
    if len(sound) < 2:
        return np.concatenate([sound, rest])
    distance = 1.0 - np.abs(table[np.ix_(sound, sound)])
    ordered: dict[int, list[int]] = {}
    ends = distance
    for one, other, merged in average_linkage(distance.copy(), cancelled):
        a, b = ordered.pop(one, [one]), ordered.pop(other, [other])
        joints = [
            (float(ends[a[-1], b[0]]), a, b),
            (float(ends[a[0], b[0]]), a[::-1], b),
            (float(ends[a[-1], b[-1]]), a, b[::-1]),
            (float(ends[a[0], b[-1]]), a[::-1], b[::-1]),
        ]
        _, left, right = min(joints, key=lambda joint: joint[0])
        ordered[merged] = left + right
    (leaves,) = ordered.values()
    if leaves[0] > leaves[-1]:
        leaves.reverse()
    return np.concatenate([sound[leaves], rest])


def average_linkage(distance: npt.NDArray[np.floating], cancelled: IsCancelled = None) -> list[tuple[int, int, int]]:
    """Cluster by average linkage (UPGMA), by chains of nearest neighbours: in n**2 steps.

    Parameters
    ----------
    distance
        Symmetric, (n, n). It is overwritten.
    cancelled
        Asked now and then.

    Returns
    -------
    list of tuple
        For each merger the two clusters and the new one; the first n are the single elements. Clusters come before
        those that they become part of.
    """
    count = len(distance)
    np.fill_diagonal(distance, np.inf)
    sizes = np.ones(count)
    names = list(range(count))
    alive = np.ones(count, bool)
    merges: list[tuple[int, int, int]] = []
    chain: list[int] = []
    while len(merges) < count - 1:
        if cancelled is not None and cancelled():
            raise Cancelled
        if not chain:
            chain.append(int(np.argmax(alive)))
        at = chain[-1]
        nearest = int(np.argmin(distance[at]))
        # Of equally near ones the one before in the chain: else the chain would run in a circle.
        if len(chain) > 1 and distance[at, chain[-2]] <= distance[at, nearest]:
            nearest = chain[-2]
        if len(chain) < 2 or nearest != chain[-2]:
            chain.append(nearest)
            continue
        del chain[-2:]
        keep, gone = min(at, nearest), max(at, nearest)
        merges.append((names[keep], names[gone], count + len(merges)))
        joined = (sizes[keep] * distance[keep] + sizes[gone] * distance[gone]) / (sizes[keep] + sizes[gone])
        joined[keep] = np.inf
        distance[keep] = distance[:, keep] = joined
        distance[gone] = distance[:, gone] = np.inf
        alive[gone] = False
        sizes[keep] += sizes[gone]
        names[keep] = merges[-1][2]
    return merges
