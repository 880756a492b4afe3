"""The overview: everything that a view shows without a kernel, packed as one safetensors blob.

`js/src/overview.ts` unpacks it. Rows are the tensors in the model's order, then the modules, the root (``""``) first.
A module that holds a single tensor shares that tensor's place in the arrays (``slot`` tells which): half the modules of
a large model are such.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save as save_safetensors

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.detail.matrix import default_axes, matrix_size
from weightwidget.sources.base import WeightSource, in_totals
from weightwidget.sources.saved import has_weights
from weightwidget.summary.pooling import cell_starts, shrink, thumbnail_size
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.table import stored_columns
from weightwidget.summary.tree import members
from weightwidget.wire import filter_pictures
from weightwidget.wire.anatomy import describe_anatomy
from weightwidget.wire.filter_pictures import FilterPictures, FilterPlan, choose_layers
from weightwidget.wire.histograms import local_histogram, local_log_histogram
from weightwidget.wire.kept import Grid, as_arrays, choose_whole, kept_size, whole

BUDGET = 4_000_000
"""Bytes that the overview of any ordinary model stays under."""

KEPT_BUDGET = 256_000
"""Bytes for small tensors that are kept whole."""

FILTER_BUDGET = 256_000
"""Bytes for pictures of the filters of convolutions that are not."""

MANY = 4096
"""Rows above which bins are stored in 16 bits, as shares of the fullest one."""

SKIPPED_SHOWN = 100
"""Entries that were left out of the model and that are listed with the reason; the others are counted."""

COUNT_COLUMNS = ("count", "nan", "posinf", "neginf", "zeros", "bytes")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Detail:
    """How much of each tensor the overview holds.

    Attributes
    ----------
    bins
        Bins of the histogram of w.
    log_bins
        Bins of the histogram of log10 |w|; 0 leaves it out.
    thumbnail
        Largest side of a thumbnail in cells (vectors: eight times as long); 0 leaves it out.
    profile
        Largest number of row norms and of column norms; 0 leaves them out.
    """

    bins: int
    log_bins: int
    thumbnail: int
    profile: int


LADDER = (
    Detail(128, 96, 64, 128),
    Detail(96, 64, 48, 96),
    Detail(64, 48, 32, 64),
    Detail(48, 32, 24, 48),
    Detail(32, 24, 16, 32),
    Detail(24, 0, 12, 0),
    Detail(24, 0, 8, 0),
    Detail(16, 0, 4, 0),
    Detail(16, 0, 0, 0),
)


class OverviewPacker:
    """Packs the overview of one source again and again while its scan goes on.

    What was computed for a tensor is kept, so that packing again costs only what is new.

    Parameters
    ----------
    source
        The weights. Only names, shapes and types are read.
    detail
        Largest side of a thumbnail, in cells. More than the default raises the budget in proportion to its square.
    anatomy
        What the axes of the tensors mean; by default what the rules find.
    """

    def __init__(self, source: WeightSource, detail: int = LADDER[0].thumbnail, anatomy: Anatomy | None = None) -> None:
        self.source = source
        self._anatomy = Anatomy(source) if anatomy is None else anatomy
        self._refs = list(source.tensors.values())
        self._rows = {ref.name: row for row, ref in enumerate(self._refs)}
        inside = members(source.tensors)
        self.modules = list(inside)
        self._has_weights = any(map(has_weights, self._refs))
        self._own_slot, self._slots = self._place_modules(inside)
        sizes = [matrix_size(ref.shape, default_axes(ref.shape)) for ref in self._refs]
        self._sizes = np.array(sizes, np.int64).T
        self._is_matrix = np.array([len(ref.shape) > 1 for ref in self._refs], bool)
        self._names = pack_names([ref.name for ref in self._refs])
        self._names_size = sum(len(rest) + 10 for _, rest in self._names)
        self._names_size += sum(12 + 4 * len(ref.shape) for ref in self._refs)
        self.detail = self._choose_detail(detail)
        self._described, self._codes = self._describe()
        self._describe_anatomy()
        self._histograms: dict[tuple[str, int], tuple[TensorSummary, Array]] = {}
        self._whole_rows: list[int] | None = None
        self._whole: dict[int, tuple[TensorSummary, Grid]] = {}
        self._drawn: dict[FilterPlan, tuple[TensorSummary, FilterPictures]] = {}

    def pack(
        self,
        tensors: Mapping[str, TensorSummary],
        modules: Mapping[str, TensorSummary] | None = None,
        grids: Sequence[Grid] | None = None,
        filters: bool = True,
    ) -> bytes:
        """Pack what is known so far.

        Parameters
        ----------
        tensors
            Records by tensor name; those still missing are marked as such.
        modules
            Merged records by module path, if they are there yet.
        grids
            Weights that are kept; by default small tensors, once the scan has ended.
        filters
            Whether pictures of the filters of other convolutions are kept, once the scan has ended.

        Returns
        -------
        bytes
            A safetensors file.
        """
        if self._anatomy.version != self._anatomy_version:
            self._describe_anatomy()
        modules = modules or {}
        records: list[TensorSummary | None] = [tensors.get(ref.name) for ref in self._refs]
        records += [modules.get(path) for path in self._own_slot]
        grids, drawn = self._kept(records, bool(modules), filters, grids)
        kept = list(as_arrays(grids))
        index = self._index(records, [entry for _, _, entry in kept], [layer.plan for layer in drawn])
        arrays: dict[str, Array] = {"index": index, "slot": self._slots, **self._codes}
        arrays["summarised"] = np.array([record is not None for record in records], np.uint8)
        arrays |= self._statistics(records)
        if any(records):
            arrays |= self._all_histograms(records)
            arrays |= self._pictures(records[: len(self._refs)])
        blob = {name: torch.from_numpy(array) for name, array in arrays.items()}
        for name in ("thumb", "profile"):
            if name in blob:
                blob[name] = blob[name].to(torch.bfloat16)
        blob |= {name: values for name, values, _ in kept}
        blob |= dict(filter_pictures.as_arrays(drawn))
        return save_safetensors(blob)

    def _kept(
        self,
        records: Sequence[TensorSummary | None],
        modules: bool,
        filters: bool,
        grids: Sequence[Grid] | None = None,
    ) -> tuple[Sequence[Grid], list[FilterPictures]]:
        """What is kept of the weights themselves: `grids`, or else small tensors; and pictures of filters."""
        room = self._filter_budget
        if grids is None:
            grids = self._small(records) if modules else []
            room = min(room, self._room - sum(kept_size(self._refs[grid.row]) for grid in grids))
        return grids, self._filters(records, grids, room) if modules and filters else []

    def look(self, tensors: Mapping[str, TensorSummary]) -> None:
        """Read now what `pack` keeps of the weights themselves, so that it is as old as the records.

        Parameters
        ----------
        tensors
            Records by tensor name, of all of them.
        """
        records = [tensors.get(ref.name) for ref in self._refs]
        self._kept(records, modules=True, filters=True)

    def adopt(self, earlier: OverviewPacker) -> None:
        """Take over what an earlier packer has computed of records that still hold.

        Parameters
        ----------
        earlier
            Of a source with the same tensors.
        """
        if self.detail == earlier.detail:
            self._histograms = dict(earlier._histograms)
        self._whole, self._drawn = dict(earlier._whole), dict(earlier._drawn)

    def _small(self, records: Sequence[TensorSummary | None]) -> list[Grid]:
        """Small tensors, each read once a record."""
        if self._whole_rows is None:
            self._whole_rows = choose_whole(self._refs, min(int(KEPT_BUDGET * self._scale), self._room))
        found = []
        for row in self._whole_rows:
            record = records[row]
            if record is None or record.error:
                continue
            kept = self._whole.get(row)
            if kept is None or kept[0] is not record:
                kept = self._whole[row] = record, whole(row, self._refs[row])
            found.append(kept[1])
        return found

    def _filters(
        self, records: Sequence[TensorSummary | None], grids: Sequence[Grid], budget: int
    ) -> list[FilterPictures]:
        """Pictures of the filters of convolutions that are not kept whole; each layer is read once."""
        skip = {grid.row for grid in grids if grid.levels == (0, 0)}
        skip |= {row for row, ref in enumerate(self._refs) if not (is_read(records[row]) and has_weights(ref))}
        found = []
        for plan in choose_layers(self._refs, self._anatomy, budget, skip):
            record = records[plan.row]
            assert record is not None  # see is_read
            drawn = self._drawn.get(plan)
            if drawn is None or drawn[0] is not record:
                drawn = record, filter_pictures.draw(plan, self._refs[plan.row], record)
                self._drawn[plan] = drawn
            found.append(drawn[1])
        return found

    @property
    def most_filters(self) -> int:
        """Bytes that pictures of filters take at most, whatever else is kept."""
        everything = 0
        for row, ref in enumerate(self._refs) if self._has_weights else ():
            choice = filter_pictures.plans(row, self._anatomy[ref.name], ref.shape, ref.dtype)
            everything += max((plan.nbytes for plan in choice), default=0)
        return min(self._filter_budget, everything)

    @property
    def _scale(self) -> float:
        """What more detail than the default does to the budgets."""
        return max(1.0, (self.detail.thumbnail / LADDER[0].thumbnail) ** 2)

    @property
    def _room(self) -> int:
        """Bytes that an overview has for weights."""
        return int(BUDGET * self._scale - self._estimate(self.detail))

    @property
    def _filter_budget(self) -> int:
        return int(FILTER_BUDGET * self._scale)

    def _index(
        self, records: Sequence[TensorSummary | None], kept: Sequence[list[int]], drawn: Sequence[FilterPlan]
    ) -> Array:
        # Modules have no errors.
        errors = {str(row): record.error for row, record in enumerate(records) if record and record.error}
        # Escapes keep lone surrogates, which no UTF-8 holds, readable on the other side.
        now: dict[str, Any] = {"errors": errors, "kept": kept}
        if drawn:
            now["filters"] = [[plan.row, plan.by, plan.shown] for plan in drawn]
        text = json.dumps(self._described | now, ensure_ascii=True, separators=(",", ":"))
        return np.frombuffer(text.encode(), np.uint8).copy()

    def _describe(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What is known without a scan: the index but for errors, and each row's places in its tables.

        Where a table has one entry, no places are stored.
        """
        kinds = [self._kind(ref.module) for ref in self._refs] + [self._kind(path) for path in self.modules]
        values: dict[str, Sequence[Any]] = {
            "shape": [ref.shape for ref in self._refs],
            "dtype": [ref.dtype for ref in self._refs],
            "role": [ref.role for ref in self._refs],
            "kind": kinds,
        }
        tables = {key: sorted(set(column)) for key, column in values.items()}
        codes: dict[str, Array] = {}
        for key, table in tables.items():
            if len(table) > 1:
                place = {value: code for code, value in enumerate(table)}
                dtype = np.uint8 if len(table) <= 256 else np.uint16 if len(table) <= 65536 else np.int32
                codes[key] = np.array([place[value] for value in values[key]], dtype)
        index = {
            "version": 1,
            "name": self.source.name,
            "tensors": len(self._refs),
            "modules": len(self.modules),
            "names": self._names,
            **{f"{key}s": table for key, table in tables.items()},
            "shared": {
                str(row): self._rows[ref.shared_with]
                for row, ref in enumerate(self._refs)
                if ref.shared_with is not None
            },
            **({} if self._has_weights else {"weights": False}),
            "errors": {},  # filled in when they are known
            "skipped": dict(islice(self.source.skipped.items(), SKIPPED_SHOWN)),
            "skipped_count": len(self.source.skipped),
            "thumbnail": self.detail.thumbnail,
            "profile": self.detail.profile,
        }
        return index, codes

    def _describe_anatomy(self) -> None:
        self._anatomy_version = self._anatomy.version
        self._described["anatomy"], places = describe_anatomy(self._anatomy, self._rows)
        self._codes["axes"] = np.array(places, np.uint16 if max(places, default=0) < 65536 else np.int32)

    def _place_modules(self, inside: Mapping[str, Sequence[str]]) -> tuple[list[str], Array]:
        """The modules with a place of their own in the arrays, and the place of every module."""
        own: list[str] = []
        slots = np.empty(len(inside), np.int32)
        for number, (path, names) in enumerate(inside.items()):
            if len(names) == 1 and in_totals(self._refs[self._rows[names[0]]]):
                slots[number] = self._rows[names[0]]
            else:
                slots[number] = len(self._refs) + len(own)
                own.append(path)
        return own, slots

    def _kind(self, path: str) -> str:
        info = self.source.modules.get(path)
        return info.kind if info else ""

    def _statistics(self, records: Sequence[TensorSummary | None]) -> dict[str, Array]:
        known = np.array([record is not None for record in records], bool)
        columns = stored_columns([record for record in records if record is not None])
        arrays: dict[str, Array] = {}
        for key, values in columns.items():
            if not known.any() and key not in ("count", "bytes"):
                continue
            if key in COUNT_COLUMNS:
                full = np.zeros(len(records), np.float64)
            else:
                full = np.full(len(records), np.nan, values.dtype)
            full[known] = values
            if key == "count":
                full[: len(self._refs)] = [ref.numel for ref in self._refs]
            elif key == "bytes":
                full[: len(self._refs)] = [ref.nbytes for ref in self._refs]
            elif key in COUNT_COLUMNS and not full.any():
                continue  # the other side takes a missing count as zero throughout
            if key in COUNT_COLUMNS and full.max(initial=0) < 2**31:
                full = full.astype(np.int32)
            arrays[f"stat.{key}"] = full
        for key in ("argmin", "argmax") if known.any() else ():
            arrays[f"stat.{key}"] = self._positions(key, records)
        return arrays

    def _positions(self, key: str, records: Sequence[TensorSummary | None]) -> Array:
        flat = np.full(len(self._refs), -1.0)
        for row, (ref, record) in enumerate(zip(self._refs, records, strict=False)):
            at = getattr(record, key) if record else None
            if at is not None:
                flat[row] = np.ravel_multi_index(at, ref.shape) if ref.shape else 0
        return flat.astype(np.int32) if flat.max(initial=0) < 2**31 else flat

    def _all_histograms(self, records: Sequence[TensorSummary | None]) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for name, bins in (("hist", self.detail.bins), ("loghist", self.detail.log_bins)):
            if bins == 0:
                continue
            # One row: counts, first and last edge, weights below and above.
            table = np.full((len(records), bins + 4), np.nan)
            for row, record in enumerate(records):
                if record is not None:
                    table[row] = self._histogram(name, record, row, bins)
            counts = np.nan_to_num(table[:, :bins])
            edges = table[:, bins : bins + 2]
            wide = bool(np.any(np.abs(np.nan_to_num(edges)) > np.finfo(np.float32).max))
            if len(records) > MANY:
                unit = np.maximum(counts.max(axis=1, initial=0), 1) / 65535
                arrays[name] = np.round(counts / unit[:, None]).astype(np.uint16)
                arrays[f"{name}.unit"] = unit.astype(np.float32)
            else:
                arrays[name] = counts.astype(np.float32)
            arrays[f"{name}.range"] = np.ascontiguousarray(edges, np.float64 if wide else np.float32)
            arrays[f"{name}.tails"] = np.ascontiguousarray(table[:, bins + 2 :], np.float32)
        return arrays

    def _histogram(self, name: str, record: TensorSummary, row: int, bins: int) -> Array:
        cached = self._histograms.get((name, row))
        if cached is None or cached[0] is not record:
            compute = local_histogram if name == "hist" else local_log_histogram
            cached = (record, compute(record, bins))
            self._histograms[name, row] = cached
        return cached[1]

    def _pictures(self, records: Sequence[TensorSummary | None]) -> dict[str, Array]:
        thumbnails: list[Array] = []
        profiles: list[Array] = []
        for ref, record, full in zip(self._refs, records, self._sizes.T.tolist(), strict=True):
            if record is None or record.error or ref.numel == 0:
                continue
            height, width = thumbnail_size(full[0], full[1], self.detail.thumbnail)
            if height * width and record.thumbnail is not None:
                thumbnails.append(shrink(record.thumbnail, height, width).ravel())
            if self.detail.profile and len(ref.shape) > 1:
                for norms, length in zip((record.row_norms, record.column_norms), full, strict=True):
                    known = np.full(length, np.nan, np.float32) if norms is None else norms
                    profiles.append(pool_largest(known, self.detail.profile))
        arrays: dict[str, Array] = {}
        if thumbnails:
            arrays["thumb"] = within_bfloat16(np.concatenate(thumbnails))
        if profiles:
            arrays["profile"] = within_bfloat16(np.concatenate(profiles))
        return arrays

    def _choose_detail(self, side: int) -> Detail:
        best = LADDER[0]
        if side != best.thumbnail:
            best = Detail(best.bins, best.log_bins, side, max(best.profile, 2 * side))
        budget = BUDGET * max(1.0, (side / LADDER[0].thumbnail) ** 2)
        rungs = [best, *(rung for rung in LADDER[1:] if rung.thumbnail < side)]
        return next((rung for rung in rungs if self._estimate(rung) <= budget), LADDER[-1])

    def _estimate(self, detail: Detail) -> int:
        """Bytes of an overview, a little more than it will be."""
        rows = len(self._refs) + len(self._own_slot)
        bin_bytes = 2 if rows > MANY else 4
        # Thirteen statistics and five counts; of each histogram its bins, range, tails and unit.
        per_row = 72 + sum(bins * bin_bytes + 20 for bins in (detail.bins, detail.log_bins) if bins)
        size = 2000 + rows * per_row + 6 * len(self.modules) + self._names_size
        height, width = self._sizes
        side, norms = detail.thumbnail, detail.profile
        strips = np.minimum(width, 8 * side)
        size += 2 * int(np.where(height == 1, strips, np.minimum(height, side) * np.minimum(width, side)).sum())
        return size + 2 * int((np.minimum(height, norms) + np.minimum(width, norms))[self._is_matrix].sum())


def is_read(record: TensorSummary | None) -> bool:
    """Whether a tensor was summarised, and without an error."""
    return record is not None and not record.error


def pack_names(names: Sequence[str]) -> list[tuple[int, str]]:
    """Names as (number of leading parts shared with the name before, the rest)."""
    packed = []
    before: list[str] = []
    for name in names:
        parts = name.split(".")
        shared = 0
        while shared < min(len(parts) - 1, len(before)) and parts[shared] == before[shared]:
            shared += 1
        packed.append((shared, ".".join(parts[shared:])))
        before = parts
    return packed


def within_bfloat16(values: Array) -> Array:
    """Values as float32; finite ones that bfloat16 cannot hold become its largest, for they are not infinite."""
    top = float(torch.finfo(torch.bfloat16).max)
    return np.where(np.isfinite(values), np.clip(values, -top, top), values).astype(np.float32)


def pool_largest(values: Array, size: int) -> Array:
    """At most ``size`` values, each the largest of its stretch; their number is min(len(values), size)."""
    if len(values) <= size:
        return values
    return np.maximum.reduceat(values, cell_starts(size, len(values))[:-1])
