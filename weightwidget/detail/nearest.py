"""The nearest neighbours of all entries of a table at once, in blocks: progress, cancelling, little memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from weightwidget.detail.vectors import BAND, Floats, Ids, Table, never, runs, unit_vectors
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

PAIRS = 1 << 22
"""Pairs of entries whose cosines are held at a time: 16 MB of float32."""

EXACT = 2048
"""Up to so many entries all cosines are computed in float64."""

_FLOAT32_TERM = 6e-8
"""Half the distance of float32 numbers, relative."""


class Neighbours(NamedTuple):
    """The two nearest neighbours, by cosine, of some entries among all.

    Attributes
    ----------
    entries
        (m,): the entries that neighbours were looked for.
    nearest, second
        (m,): the nearest other entry and the second nearest; -1 where there is none.
    nearest_cosine, second_cosine
        (m,): their cosines, computed in float64; NaN where there is no neighbour. In tables of more than `EXACT`
        entries the search itself is in float32: an entry that is nearer by less than `error` may be missed.
    error
        Largest error of the cosines that were compared in the search, 0 for one in float64.
    """

    entries: Ids
    nearest: Ids
    nearest_cosine: Floats
    second: Ids
    second_cosine: Floats
    error: float


def sample(count: int, limit: int) -> Ids:
    """Numbers spread evenly over 0 to count - 1, `limit` of them or all; the same ones every time."""
    if limit >= count:
        return np.arange(count)
    return np.unique(((np.arange(limit) + 0.5) * count / limit).astype(np.int64))


def nearest(
    ref: TensorRef,
    axis: int = 0,
    limit: int | None = None,
    cancelled: Callable[[], bool] = never,
    report: Callable[[float], None] = lambda _share: None,
) -> Neighbours:
    """Find the two nearest neighbours, by cosine, of every entry.

    That takes count² * size multiplications for all entries (half of them are saved by symmetry), and a few blocks of
    memory, however large the table.

    Parameters
    ----------
    ref, axis
        As of `Table`.
    limit
        Look for the neighbours of that many entries only, spread evenly; still among all entries. None takes all.
    cancelled
        Asked before every block.
    report
        Takes the share that is done.

    Returns
    -------
    Neighbours
        In the order of the entries.
    """
    table = Table(ref, axis)
    entries = sample(table.count, table.count if limit is None else max(1, limit))
    search = _Search(table, entries, cancelled)
    whole = len(entries) == table.count
    step = search.step
    starts = range(0, table.count, step)
    wanted = range(0, len(entries), step)
    total = len(starts) * (len(starts) + 1) // 2 if whole else len(starts) * len(wanted)
    done = 0
    for first in wanted:
        query = search.units(entries[first : first + step])
        for start in starts:
            if whole and start < first:
                continue  # by symmetry: its turn was before
            if cancelled():
                raise Cancelled
            search.compare(first, query, start, both=whole and start > first)
            done += 1
            report(done / total)
    return search.result()


class _Search:
    """The best two of each entry so far."""

    def __init__(self, table: Table, entries: Ids, cancelled: Callable[[], bool]) -> None:
        self.table, self.entries, self._cancelled = table, entries, cancelled
        self.work = torch.float64 if table.count <= EXACT else torch.float32
        side = max(64, min(int(PAIRS**0.5), 4 * BAND // max(1, table.size)))
        self.step = min(side, max(1, table.count))
        m = len(entries)
        self._best = torch.full((m, 2), -torch.inf, dtype=self.work)
        self._which = torch.full((m, 2), -1, dtype=torch.int64)
        self._asked = torch.from_numpy(entries)

    def units(self, entries: Ids) -> torch.Tensor:
        """Unit vectors of some entries; NaN for those that have no direction."""
        if len(entries) and int(entries[-1]) - int(entries[0]) == len(entries) - 1:
            vectors = self.table.rows(int(entries[0]), int(entries[-1]) + 1)
        else:
            vectors = torch.cat([self.table.rows(start, stop) for start, stop in runs(entries)])
        return unit_vectors(vectors, self.work)

    def compare(self, first: int, query: torch.Tensor, start: int, both: bool) -> None:
        """Take the cosines of the asked entries from `first` on with the table's entries from `start` on."""
        stop = min(start + self.step, self.table.count)
        others = self.units(np.arange(start, stop))
        cosines = query @ others.T
        cosines.nan_to_num_(nan=-torch.inf)  # of entries without a direction
        numbers = torch.arange(start, stop)
        if not both:  # an entry is no neighbour of its own
            cosines[self._asked[first : first + len(query), None] == numbers] = -torch.inf
        self._take(first, cosines, numbers)
        if both:
            self._take(start, cosines.T, self._asked[first : first + len(query)])

    def _take(self, first: int, cosines: torch.Tensor, numbers: torch.Tensor) -> None:
        """Let rows of new cosines compete with the best so far, where any of them can win."""
        best = self._best[first : first + len(cosines)]
        better = torch.nonzero(cosines.amax(dim=1) > best[:, 1]).flatten()
        if not len(better):
            return
        found, at = cosines[better].topk(min(2, cosines.shape[1]), dim=1)
        which = self._which[first : first + len(cosines)]
        values = torch.cat([best[better], found], dim=1)
        ids = torch.cat([which[better], numbers[at]], dim=1)
        order = values.argsort(dim=1, descending=True, stable=True)[:, :2]
        best[better] = values.gather(1, order)
        which[better] = ids.gather(1, order)

    def result(self) -> Neighbours:
        """The best two, their cosines again in float64."""
        which = torch.where(torch.isfinite(self._best), self._which, -1).numpy()
        cosines = np.full(which.shape, np.nan)
        step = max(1, BAND // (3 * max(1, self.table.size)))
        for start in range(0, len(which), step):
            if self._cancelled():
                raise Cancelled
            part = which[start : start + step]
            own = unit_vectors(self.table.take(self.entries[start : start + step]), torch.float64)
            for place in (0, 1):
                known = np.flatnonzero(part[:, place] >= 0)
                other = unit_vectors(self.table.take(part[known, place]), torch.float64)
                product = (own[torch.from_numpy(known)] * other).sum(dim=1)
                cosines[start + known, place] = product.clamp(-1.0, 1.0).numpy()
        # The worst case of a sum of `size` products of unit vectors.
        error = 0.0 if self.work == torch.float64 else (self.table.size + 4) * _FLOAT32_TERM
        swapped = cosines[:, 0] < cosines[:, 1]  # told apart only in float64
        which[swapped], cosines[swapped] = which[swapped, ::-1], cosines[swapped, ::-1]
        return Neighbours(self.entries, which[:, 0], cosines[:, 0], which[:, 1], cosines[:, 1], error)
