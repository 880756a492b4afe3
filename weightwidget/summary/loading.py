"""Summaries from files of unknown origin: nothing is taken for granted. `weightwidget.summary.storage` writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.sources.base import ModuleInfo, WeightFileError, displayable
from weightwidget.sources.safetensors_header import Header, read_header
from weightwidget.summary.checks import COUNTS, problem_of
from weightwidget.summary.entries import Entry, EntryError, is_size
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.moments import Moments
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import Component, Sketch
from weightwidget.summary.storage import (
    BINS,
    BY_THEMSELVES,
    CODINGS,
    FORMAT,
    MOMENTS,
    PURPOSE,
    TALLIES,
    TYPES,
    VALUES,
    VERSION,
    decoded,
    digest,
    is_plain,
)

Array = npt.NDArray[Any]
Grids = Iterator[list[float]]


def load_summary(path: str | os.PathLike[str]) -> ModelSummary:
    """Read a summary: see `ModelSummary.load`."""
    file = Path(path).expanduser()
    if file.is_dir():
        raise WeightFileError(f"{file}: this is a folder. Give the path of the file with the summary.")
    header = read_header(file)
    found, _, version = header.metadata.get("format", "").partition(" ")
    if found != FORMAT:
        raise WeightFileError(
            f"{file}: this is no saved summary but a file of weights. Open it with WeightExplorer or open_weights; "
            "summarize(path).save(...) makes a summary of it."
        )
    if not (version.isascii() and version.isdigit() and len(version) < 10 and int(version) > 0):
        raise WeightFileError(f"{file}: the file is damaged: its version is {version!r}. Save the summary again.")
    if int(version) > VERSION:
        raise WeightFileError(
            f"{file}: the summary was saved by a newer weightwidget (format {version}, this one reads up to "
            f"{VERSION}). Update it: pip install --upgrade weightwidget."
        )
    try:
        return _read(header)
    except EntryError as error:
        raise WeightFileError(f"{file}: the file is damaged: {error}. Copy or save the summary again.") from error


class _Arrays:
    """The arrays of a file, taken in the order in which they were put."""

    def __init__(self, header: Header) -> None:
        self._arrays: dict[str, Array] = {}
        with Path(header.stamp.path).open("rb") as file:
            for tensor in header.tensors:
                if tensor.dtype not in TYPES | TALLIES:
                    raise EntryError(f"{tensor.name!r} is of type {tensor.dtype}, which no summary has")
                file.seek(tensor.start)
                dtype = np.dtype(tensor.dtype).newbyteorder("<")
                count = int(np.prod(tensor.shape, dtype=object))
                data = np.frombuffer(file.read(count * dtype.itemsize), dtype)
                if len(data) != count:
                    raise EntryError("it was cut off while it was read")
                self._arrays[tensor.name] = data.astype(dtype.newbyteorder("="), copy=False).reshape(tensor.shape)
        self._at: dict[str, int] = {}
        if not np.array_equal(self.whole("sha256", "uint8"), digest(self._arrays)):
            raise EntryError("its content is not what was written")

    def whole(self, name: str, dtype: str, columns: int = 0) -> Array:
        """An array that stands by itself."""
        found = self._arrays.get(name)
        shape = (-1, columns) if columns else (-1,)
        if found is None or found.dtype.name != dtype or found.shape[1:] != shape[1:] or found.ndim != len(shape):
            raise EntryError(f"its {name!r} is missing, or of another type or shape")
        return found

    def take(self, purpose: str, dtype: Any, shape: Sequence[Any], allowed: frozenset[str]) -> Array:
        """Take the next array of a purpose and type."""
        if not isinstance(dtype, str) or dtype not in allowed or not all(map(is_size, shape)):
            raise EntryError(f"the {purpose} of a tensor have no type and length")
        name, size = f"{purpose}.{dtype}", 1
        for length in shape:
            size *= length
        at = self._at.get(name, 0)
        found = self._arrays.get(name)
        if found is None or found.ndim != 1 or at + size > len(found):
            raise EntryError(f"its {name!r} ends too early")
        self._at[name] = at + size
        return found[at : at + size].reshape(tuple(shape))

    def take_values(self, purpose: str, coding: Any, shape: Sequence[Any]) -> Array:
        """Take the next array of real numbers."""
        stored = CODINGS.get(coding) if isinstance(coding, str) else None
        return decoded(coding, self.take(purpose, stored, shape, TYPES))

    def check_end(self) -> None:
        """Make sure that nothing is left."""
        for name, found in self._arrays.items():
            if name not in BY_THEMSELVES and self._at.get(name, 0) != found.size:
                raise EntryError(f"its {name!r} has more than its tensors need")


def _read(header: Header) -> ModelSummary:
    arrays = _Arrays(header)
    try:
        content = json.loads(arrays.whole("index", "uint8").tobytes())
    except (ValueError, RecursionError) as error:
        raise EntryError(f"its index cannot be parsed ({str(error)[:200]})") from error
    index = Entry(content, "its index")
    modules = [_module(entry) for entry in index.entries("modules", "a module")]
    entries = index.entries("tensors", "a tensor")
    values, grids = arrays.whole("values", "float64", len(VALUES)), arrays.whole("grids", "float64", 2)
    if len(values) != len(entries):
        raise EntryError(f"it lists {len(entries):,} tensors and has the numbers of {len(values):,}")
    each_grid = iter(grids.tolist())
    tensors: dict[str, TensorSummary] = {}
    for entry, numbers in zip(entries, values.tolist(), strict=True):
        record = _record(entry, dict(zip(VALUES, numbers, strict=True)), arrays, each_grid)
        problem = "it is there twice" if record.name in tensors else problem_of(record)
        if problem:
            raise EntryError(f"the record of {displayable(record.name)!r} is wrong: {problem}")
        tensors[record.name] = record
    arrays.check_end()
    if next(each_grid, None) is not None:
        raise EntryError("its 'grids' has more than its tensors need")
    header.stamp.check()
    return ModelSummary(index.text("name"), tensors, {info.path: info for info in modules})


def _module(entry: Entry) -> ModuleInfo:
    given = Entry(entry.values.get("hyper", {}), "the hyperparameters of a module").values
    hyper = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    if not all(map(is_plain, hyper.values())):
        raise EntryError("the hyperparameters of a module are no plain values")
    return ModuleInfo(entry.text("path"), entry.text("kind"), hyper, entry.texts("bases"), entry.text("library"))


def _record(entry: Entry, numbers: Mapping[str, float], arrays: _Arrays, grids: Grids) -> TensorSummary:
    *counts, finite = entry.sizes("counts", len(COUNTS) + 1)
    return TensorSummary(
        name=entry.text("name"),
        shape=entry.sizes("shape"),
        dtype=entry.text("dtype"),
        kind=entry.text("kind"),
        role=entry.text("role"),
        **dict(zip(COUNTS, counts, strict=True)),
        min=numbers["min"],
        max=numbers["max"],
        argmin=entry.place("argmin"),
        argmax=entry.place("argmax"),
        moments=Moments(finite, **{key: numbers[key] for key in MOMENTS}),
        sketch=_sketch(entry, numbers, arrays, grids),
        row_norms=_array(entry, "row_norms", arrays, 1),
        column_norms=_array(entry, "column_norms", arrays, 1),
        thumbnail=_array(entry, "thumbnail", arrays, 2),
        shared_with=entry.text("shared_with") if "shared_with" in entry.values else None,
        error=entry.text("error"),
        part=entry.text("part"),
    )


def _sketch(entry: Entry, numbers: Mapping[str, float], arrays: _Arrays, grids: Grids) -> Sketch:
    parts = []
    for row in entry.rows("sketch"):
        grid = next(grids, None)
        if len(row) != 5 or not isinstance(row[0], bool) or not isinstance(row[1], bool) or grid is None:
            raise EntryError("the sketch of a tensor has no kind or no grid")
        exact, narrow, coding, count_type, length = row
        keys = arrays.take_values("keys", coding, [length]) if exact else arrays.take("keys", coding, [length], BINS)
        counts = arrays.take("counts", count_type, [length], TALLIES)
        parts.append(Component(exact, grid[0], grid[1], narrow, keys, counts))
    return Sketch(tuple(parts), numbers["low"], numbers["high"])


def _array(entry: Entry, key: str, arrays: _Arrays, axes: int) -> Array | None:
    if key not in entry.values:
        return None
    told = entry.values[key]
    if not isinstance(told, list) or len(told) != 1 + axes:
        raise EntryError(f"{key!r} of a tensor has no type and size")
    return arrays.take_values(PURPOSE[key], told[0], told[1:])
