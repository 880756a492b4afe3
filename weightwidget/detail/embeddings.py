"""Tables of vectors (embeddings): norms, nearest neighbours, distances to given entries, clusters, cosines.

An entry is a token, a position or a type: whatever has a vector. Rows are read in bands; never the whole table at
once, and never a matrix of all pairs. Cosines with a vector of zeros, or with one that holds NaN or an infinity, are
NaN: such entries have no neighbours and are nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch

from weightwidget.detail.vectors import BAND, Floats, Ids, Table, lengths_of, never, unit_vectors
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

Measure: TypeAlias = Literal["cosine", "dot", "distance"]
"""How alike two vectors are: their cosine, their product, or (the smaller the nearer) their Euclidean distance."""

MEASURES: tuple[Measure, ...] = get_args(Measure)

GROUPED = 4096
"""At most so many entries are put into clusters."""


def norms(ref: TensorRef, axis: int = 0, cancelled: Callable[[], bool] = never) -> Floats:
    """L2 norms of all entries.

    Parameters
    ----------
    ref, axis
        As of `Table`.
    cancelled
        Asked before every band.

    Returns
    -------
    numpy.ndarray
        (count,), float64. NaN and infinities are passed on.
    """
    table = Table(ref, axis)
    out = np.empty(table.count)
    for start, band in table.bands(cancelled):
        out[start : start + len(band)] = lengths_of(band).numpy()
    return out


class Ranked(NamedTuple):
    """Some entries, the most alike first.

    Attributes
    ----------
    entries
        (k,)
    values
        (k,): by the measure that was asked for.
    """

    entries: Ids
    values: Floats


def neighbours_of(
    ref: TensorRef,
    entry: int,
    measure: Measure = "cosine",
    count: int = 20,
    axis: int = 0,
    cancelled: Callable[[], bool] = never,
) -> Ranked:
    """Find the entries that are most like one.

    Parameters
    ----------
    ref, axis
        As of `Table`.
    entry
        The entry; it is not among its neighbours.
    measure
        ``"cosine"``, ``"dot"`` or ``"distance"``.
    count
        How many.
    cancelled
        Asked before every band.

    Returns
    -------
    Ranked
        Computed in float64. Entries with NaN are left out.

    Raises
    ------
    IndexError
        If there is no such entry.
    ValueError
        If there is no such measure.
    """
    if measure not in MEASURES:
        raise ValueError(f"there is no measure {measure!r}: choose one of {', '.join(MEASURES)}")
    table = Table(ref, axis)
    table.check([entry])
    values = _compare(table, table.take([entry])[0], measure, cancelled)
    values[entry] = np.nan
    keys = values if measure == "distance" else -values
    known = np.flatnonzero(~np.isnan(keys))
    if 0 < count < len(known):
        known = known[np.argpartition(keys[known], count - 1)[:count]]
    order = known[np.argsort(keys[known], kind="stable")][: max(0, count)]
    return Ranked(order, values[order])


def _compare(table: Table, vector: torch.Tensor, measure: Measure, cancelled: Callable[[], bool]) -> Floats:
    """By the measure: all entries against a float64 vector."""
    out = np.empty(table.count)
    unit = unit_vectors(vector[None], torch.float64)[0]
    for start, band in table.bands(cancelled):
        if measure == "cosine":
            found = (unit_vectors(band, torch.float64) @ unit).clamp(-1.0, 1.0)
        elif measure == "dot":
            found = band @ vector
        else:
            found = lengths_of(band - vector)
        out[start : start + len(band)] = found.numpy()
    return out


class Reference(NamedTuple):
    """All entries against the mean of some.

    Attributes
    ----------
    cosine
        (count,): cosine with the mean.
    distance
        (count,): Euclidean distance to it.
    norm
        Of the mean.
    """

    cosine: Floats
    distance: Floats
    norm: float


def against_mean(
    ref: TensorRef, entries: Sequence[int] | Ids, axis: int = 0, cancelled: Callable[[], bool] = never
) -> Reference:
    """Compare all entries with the mean vector of some, of tokens say that are known to be unused.

    Tokens that lie near the mean of known unused ones were probably hardly trained: Land and Bartolo 2024, "Fishing
    for Magikarp".

    Parameters
    ----------
    ref, axis
        As of `Table`.
    entries
        The known ones; at least one.
    cancelled
        Asked before every band.

    Raises
    ------
    ValueError
        If no entries are given, or their vectors hold NaN or infinities.
    IndexError
        If there is no such entry.
    """
    table = Table(ref, axis)
    chosen = np.unique(table.check(entries))
    if not len(chosen):
        raise ValueError("no entries are given whose mean could be taken")
    total = torch.zeros(table.size, dtype=torch.float64)
    step = max(1, BAND // max(1, table.size))
    for start in range(0, len(chosen), step):
        if cancelled():
            raise Cancelled
        total += table.take(chosen[start : start + step]).sum(dim=0)
    mean = total / len(chosen)
    if not bool(torch.isfinite(mean).all()):
        raise ValueError("the vectors of these entries hold NaN or infinities: they have no mean")
    cosine = _compare(table, mean, "cosine", cancelled)
    return Reference(cosine, _compare(table, mean, "distance", cancelled), float(lengths_of(mean[None])[0]))


def clusters(ref: TensorRef, entries: Sequence[int] | Ids, threshold: float, axis: int = 0) -> Ids:
    """Group entries whose vectors point the same way: chains of cosines above a threshold.

    Parameters
    ----------
    ref, axis
        As of `Table`.
    entries
        Those that are grouped, `GROUPED` at most.
    threshold
        Two entries are linked if their cosine, in float64, is larger.

    Returns
    -------
    numpy.ndarray
        For each entry the number of its group, from 0 in order of first appearance.

    Raises
    ------
    ValueError
        If there are too many entries.
    """
    table = Table(ref, axis)
    chosen = table.check(entries)
    if len(chosen) > GROUPED:
        raise ValueError(f"{len(chosen)} entries are too many to group: {GROUPED} at most")
    units = unit_vectors(table.take(chosen), torch.float64)
    labels = np.full(len(chosen), -1, dtype=np.int64)
    group = 0
    for seed in range(len(chosen)):
        if labels[seed] >= 0:
            continue
        labels[seed] = group
        front = np.array([seed])
        while len(front):
            linked = ((units[torch.from_numpy(front)] @ units.T) > threshold).any(dim=0).numpy()
            front = np.flatnonzero(linked & (labels < 0))
            labels[front] = group
        group += 1
    return labels


class Cosines(NamedTuple):
    """Cosines of all pairs of entries, or of every step-th.

    Attributes
    ----------
    values
        (k, k): float64; NaN where an entry has no direction.
    step
        Entry 0, step, 2 * step, ... have a row and a column.
    """

    values: Floats
    step: int


def cosines(
    ref: TensorRef, axis: int = 0, most: int = 768, centred: bool = False, cancelled: Callable[[], bool] = never
) -> Cosines:
    """Cosines of all pairs of entries, as a matrix.

    Parameters
    ----------
    ref, axis
        As of `Table`.
    most
        Largest side of the matrix; of longer tables every second, third, ... entry is taken.
    centred
        Whether the mean over all entries is taken off first. What all vectors share hides what tells them apart.
    cancelled
        Asked before every band.
    """
    table = Table(ref, axis)
    step = max(1, -(-table.count // max(1, most)))
    taken = np.arange(0, table.count, step)
    vectors = table.take(taken)
    if centred and table.count:
        total = torch.zeros(table.size, dtype=torch.float64)
        for _, band in table.bands(cancelled):
            total += band.sum(dim=0)
        vectors = vectors - total / table.count
    units = unit_vectors(vectors, torch.float64)
    return Cosines((units @ units.T).clamp(-1.0, 1.0).numpy(), step)
