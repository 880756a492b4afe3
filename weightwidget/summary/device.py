"""The pass over a tensor on an accelerator: it stays there, and only counts and sums come back.

Starting an operation is what costs, and waiting for one: blocks are large, and nothing is asked for before the end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import torch_dtype
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.parts import Grid, Part, Plan, cells_of, take_codes

DEVICE_BLOCK = 1 << 23
"""Elements of a block: what is computed of it takes up to 400 MB. Of fewer, starting the operations takes longer than
they do."""

BACKLOG = 8
"""Blocks that may be under way before the work is waited for, so that it can be cancelled."""

TABLES = 64
"""Tables of counts that neighbouring weights go to."""

PLACES = 65536 + 1024
"""Places of a table: those of all codes, and the last one for what is not finite."""

_RUN = 1024
"""Terms that are summed up in float32 where there is no float64."""

Floats = npt.NDArray[np.float64]


class DevicePass:
    """What is gathered of the blocks of a tensor on an accelerator; see `weightwidget.summary.parts.Part`.

    As a rule all weights are finite: then there is no need to look at each for that. If the sums say at the end that
    some were not, the tensor is gone through once more, carefully.

    Parameters
    ----------
    blocks
        The tensor, in blocks that are whole rows or lie within one.
    plan
        What all parts agree on.
    double
        Whether the device has float64; by default all but MPS have.
    careful
        Whether weights that are not finite are looked for.
    """

    def __init__(self, blocks: Blocks, plan: Plan, double: bool | None = None, careful: bool = False) -> None:
        self.blocks, self.plan = blocks, plan
        self.device = blocks.device
        self._double = self.device.type != "mps" if double is None else double
        self._float = torch.float64 if self._double else torch.float32
        self._dtype = torch_dtype(plan.dtype)
        self._careful = careful
        box = blocks.box
        # The last place takes what is not finite.
        self._table = torch.zeros(PLACES, dtype=torch.int64, device=self.device)
        self._tables = torch.zeros(TABLES * PLACES, dtype=torch.int32, device=self.device)
        self._lanes = (torch.arange(TABLES, dtype=torch.int32, device=self.device) * PLACES).repeat(PLACES // TABLES)
        self._one = torch.ones(1, dtype=torch.int32, device=self.device)
        self._counts = torch.zeros(4, dtype=torch.int64, device=self.device)  # zeros, NaN, +Inf, -Inf
        self._ends = [torch.tensor(end, dtype=self._float, device=self.device) for end in (np.inf, -np.inf)]
        self._places = [torch.tensor(-1, dtype=torch.int64, device=self.device) for _ in range(2)]
        self._sums: list[torch.Tensor] = []
        self._rows: list[torch.Tensor] = []
        self._columns = _Sum(torch.zeros(box.width if plan.norms else 0, dtype=self._float, device=self.device))
        self._pool = _DevicePool(blocks, plan, self._float)

    def run(self, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Part:
        """Go through all blocks; see `weightwidget.summary.streaming.measure`."""
        for number, (block, top, left) in enumerate(self.blocks):
            if cancelled():
                raise Cancelled
            self._add(block, top, left)
            if number % BACKLOG == BACKLOG - 1:
                self._counts[0].item()
            advance(block.numel())
        sums = self._all_sums()
        if not (self._careful or np.isfinite(sums).all()):
            again = DevicePass(self.blocks, self.plan, self._double, careful=True)
            return again.run(cancelled, lambda _elements: None)
        return self._part(sums)

    def _add(self, block: torch.Tensor, top: int, left: int) -> None:
        x = block.to(torch.float32 if self.plan.counted else self._float)
        finite = torch.isfinite(x) if self._careful else None
        bare = x if finite is None else torch.where(finite, x, 0.0)
        # A type that rounds might round to zero.
        nulls = (block if block.dtype in _COMPARED else bare) == 0
        self._counts[0] += nulls.sum()
        if finite is not None:
            infinite = torch.isinf(x)
            parts = (torch.isnan(x), infinite & (x > 0), infinite & (x < 0))
            self._counts[1:] += torch.stack([part.sum() for part in parts])
        self._find(x, finite, top, left)
        self._pool.add(x, top, left)
        grid = self.plan.grid
        if self.plan.counted:
            self._count(_patterns(block), finite)
            if finite is None:
                self._sums.append(bare.sum(dtype=self._float).reshape(1))
        else:
            d = bare if grid == Grid() else (bare - grid.shift) * grid.scale
            self._count((d.to(torch.float32).view(torch.int32) >> 16) & 0xFFFF, finite)
            self._sum_up(d if finite is None else torch.where(finite, d, 0.0), bare)
        if self.plan.norms:
            scaled = bare.to(self._float)
            squares = (scaled if grid.scale == 1.0 else scaled * grid.scale).square()
            self._rows.append(squares.sum(1))
            self._columns.add(squares.sum(0), left - self.blocks.box.left)

    def _count(self, codes: torch.Tensor, finite: torch.Tensor | None) -> None:
        codes = codes.reshape(-1) if finite is None else torch.where(finite, codes, PLACES - 1).reshape(-1)
        # Neighbours go to different tables: the same place of one would be waited for.
        whole = len(codes) // len(self._lanes) * len(self._lanes)
        for part in (codes[:whole].view(-1, len(self._lanes)), codes[whole:].view(1, -1)):
            places = (part + self._lanes[: part.shape[1]]).reshape(-1)
            self._tables.index_add_(0, places, self._one.expand(len(places)))
        self._table += self._tables.view(TABLES, PLACES).sum(0)
        self._tables.zero_()

    def _sum_up(self, d: torch.Tensor, bare: torch.Tensor) -> None:
        d2 = d * d
        terms = (d, d2, d2 * d, d2 * d2, bare.abs())
        if self._double:
            self._sums.append(torch.stack([term.sum() for term in terms]))
            return
        whole = d.numel() // _RUN * _RUN
        for start, end, length in ((0, whole, _RUN), (whole, d.numel(), d.numel() - whole)):
            if end > start:
                flat = [term.reshape(-1)[start:end].view(-1, length).sum(1) for term in terms]
                self._sums.append(torch.stack(flat, 1).reshape(-1))

    def _find(self, x: torch.Tensor, finite: torch.Tensor | None, top: int, left: int) -> None:
        width = x.shape[1]
        for number, (away, find) in enumerate(((np.inf, torch.argmin), (-np.inf, torch.argmax))):
            values = (x if finite is None else torch.where(finite, x, away)).reshape(-1)
            at = find(values)
            value = values[at].to(self._float)
            known = self._ends[number]
            # Blocks come in the order of their places: of equal ones the first stays.
            better = value < known if number == 0 else value > known
            place = (top + at // width) * self.blocks.columns + left + at % width
            self._ends[number] = torch.where(better, value, known)
            self._places[number] = torch.where(better, place, self._places[number])

    def _all_sums(self) -> Floats:
        """What the blocks' sums come to: the power sums and that of magnitudes; of counted types, of the weights."""
        if not self._sums:
            return np.zeros(1 if self.plan.counted else 5)
        together = torch.cat(self._sums).cpu().to(torch.float64).numpy()
        return np.asarray(together.reshape(-1, 1 if self.plan.counted else 5).sum(0))

    def _part(self, sums: Floats) -> Part:
        codes, counts = take_codes(self._table[:65536].cpu().numpy(), self.plan.dtype)
        zeros, nan, posinf, neginf = self._counts.tolist()
        low, high = (float(end) for end in self._ends)
        s1, s2, s3, s4, l1 = (0.0,) * 5 if self.plan.counted else sums.tolist()
        lows, highs = self._pool.result()
        return Part(
            box=self.blocks.box,
            finite=int(counts.sum()),
            nan=nan,
            posinf=posinf,
            neginf=neginf,
            zeros=zeros,
            low=low,
            high=high,
            argmin=int(self._places[0]),
            argmax=int(self._places[1]),
            sums=(s1, s2, s3, s4),
            l1=l1,
            codes=codes,
            counts=counts,
            row_squares=self._row_squares(),
            column_squares=self._columns.result(),
            lows=lows,
            highs=highs,
        )

    def _row_squares(self) -> Floats:
        height = self.blocks.box.height if self.plan.norms else 0
        if not height:
            return np.zeros(0)
        rows = torch.cat(self._rows).cpu().to(torch.float64).numpy()
        # Where blocks lie within rows, there are as many parts of each.
        return np.asarray(rows.reshape(height, -1).sum(1))


class _Sum:
    """A sum of vectors that loses nothing in float32 either.

    What each addition loses is summed up beside it (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation
    endlicher Summen", ZAMM 54, 1974).
    """

    def __init__(self, start: torch.Tensor) -> None:
        self._sum, self._lost = start, torch.zeros_like(start)

    def add(self, terms: torch.Tensor, first: int) -> None:
        """Add to some places."""
        known = self._sum[first : first + len(terms)]
        total = known + terms
        lost = torch.where(known.abs() >= terms.abs(), (known - total) + terms, (terms - total) + known)
        self._lost[first : first + len(terms)] += lost
        known.copy_(total)

    def result(self) -> Floats:
        """The sum."""
        both = (part.cpu().to(torch.float64).numpy() for part in (self._sum, self._lost))
        return np.asarray(sum(both))


class _DevicePool:
    """Smallest and largest under each cell of the thumbnail."""

    def __init__(self, blocks: Blocks, plan: Plan, kind: torch.dtype) -> None:
        self._rows, self._columns = (starts.tolist() for starts in cells_of(plan))
        cells = len(self._rows) - 1, len(self._columns) - 1
        self._low = torch.full(cells, torch.inf, dtype=kind, device=blocks.device)
        self._high = torch.full(cells, -torch.inf, dtype=kind, device=blocks.device)
        self._gathers: dict[tuple[int, int], tuple[int, torch.Tensor]] = {}

    def add(self, x: torch.Tensor, top: int, left: int) -> None:
        """Take in a block."""
        if not self._low.numel():
            return
        first, gather = self._gather(left, x.shape[1], x.device)
        cell, start = int(np.searchsorted(self._rows, top, "right")) - 1, 0
        while start < x.shape[0]:
            end = min(x.shape[0], self._rows[cell + 1] - top)
            band = x[start:end]
            for pool, reduce, choose in (
                (self._low, torch.amin, torch.minimum),
                (self._high, torch.amax, torch.maximum),
            ):
                found = reduce(reduce(band, 0)[gather], 1).to(pool.dtype)
                place = pool[cell, first : first + len(found)]
                place.copy_(choose(place, found))  # NaN stays NaN
            start, cell = end, cell + 1

    def _gather(self, left: int, width: int, device: torch.device) -> tuple[int, torch.Tensor]:
        """The first cell under some columns, and the columns under each cell, as many of each."""
        known = self._gathers.get((left, width))
        if known is None:
            starts = np.asarray(self._columns)
            first = int(np.searchsorted(starts, left, "right")) - 1
            end = int(np.searchsorted(starts, left + width, "left"))
            begin = np.maximum(starts[first:end] - left, 0)
            stop = np.minimum(starts[first + 1 : end + 1] - left, width)
            places = np.minimum(begin[:, None] + np.arange((stop - begin).max()), stop[:, None] - 1)
            known = self._gathers[left, width] = first, torch.from_numpy(places).to(device)
        return known

    def result(self) -> tuple[Floats, Floats]:
        """Smallest and largest, float64."""
        return self._low.cpu().to(torch.float64).numpy(), self._high.cpu().to(torch.float64).numpy()


_COMPARED = (torch.float32, torch.float64, torch.int32, torch.int64)
"""Types in which zero is looked for as they are stored: a smaller type might round to it."""


def _patterns(block: torch.Tensor) -> torch.Tensor:
    if block.dtype == torch.bool or block.element_size() == 1:
        return block.contiguous().view(torch.uint8).to(torch.int32)
    return block.contiguous().view(torch.int16).to(torch.int32) & 0xFFFF
