"""Summaries in files: a safetensors file with a JSON index and the arrays of all records; no weights, no pickle.

The index is JSON as uint8, under ``index``: it lists modules and tensors. ``values`` has a row of float64 for each
tensor, see `VALUES`; ``grids`` shift and scale of each set of counts in the sketches. All other arrays of one purpose
and type lie one after the other in one: ``keys.uint16``, ``counts.uint8``, ``norms.float32``, ``picture.float32``. The
index tells their types and lengths, in the same order. Texts are any that Python can hold.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save as save_safetensors

from weightwidget.sources.base import ModuleInfo, WeightFileError, displayable
from weightwidget.sources.hub import name_of_path
from weightwidget.sources.safetensors_header import Header, read_header
from weightwidget.sources.saved import DEVICE, OPENERS, NotSaved, SavedRef, SavedSource
from weightwidget.sources.written import replace_file, writable
from weightwidget.summary.checks import COUNTS, problem_of
from weightwidget.summary.entries import Entry, EntryError, is_size
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.moments import Moments
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import Component, Sketch

FORMAT = "weightwidget.summary"
"""In the metadata of every such file, under ``format``, with the version after a space."""

VERSION = 1
"""Of the format. A file with a larger one is refused; smaller ones stay readable."""

MOMENTS = ("mean", "m2", "m3", "m4", "l1", "scale")
VALUES = ("min", "max", "low", "high", *MOMENTS)
"""Columns of ``values``."""

CODINGS = {"float16": "float16", "bfloat16": "uint16", "float32": "float32", "float64": "float64"}
"""Types of the arrays that hold values of a sketch, by the name of the coding."""

_BY_THEMSELVES = frozenset({"index", "values", "grids", "sha256"})

KEYS = frozenset({"uint16", "float16", "float32", "float64"})
TALLIES = frozenset({"uint8", "uint16", "uint32", "uint64", "int64"})
REALS = frozenset({"float32", "float64"})

Array = npt.NDArray[Any]


def save_summary(summary: ModelSummary, path: str | os.PathLike[str]) -> None:
    """Write a summary: see `ModelSummary.save`."""
    target = writable(path, "model.summary.safetensors")
    replace_file(target, to_bytes(summary))


def to_bytes(summary: ModelSummary) -> bytes:
    """Content of the file of a summary.

    Raises
    ------
    ValueError
        If a record is none of a tensor, such as that of a module: it could not be read back.
    """
    pools = _Pools()
    tensors = []
    for name, record in summary.tensors.items():
        problem = "it has another name" if name != record.name else problem_of(record)
        if problem:
            raise ValueError(f"the record of {name!r} is no record of a tensor ({problem}): it cannot be saved")
        tensors.append(_describe(record, pools))
    modules = [_describe_module(path, info) for path, info in summary.infos.items()]
    index = {"name": summary.name, "modules": modules, "tensors": tensors}
    # Escapes keep lone surrogates, which no UTF-8 holds.
    text = json.dumps(index, ensure_ascii=True, separators=(",", ":"))
    values = [_values(record) for record in summary.tensors.values()]
    grids = [(part.shift, part.scale) for record in summary.values() for part in record.sketch.components]
    arrays: dict[str, Array] = {
        "index": np.frombuffer(text.encode(), np.uint8),
        "values": np.array(values, np.float64).reshape(-1, len(VALUES)),
        "grids": np.array(grids, np.float64).reshape(-1, 2),
        **pools.arrays(),
    }
    # One entry alone: the library writes several in an order of its own, and equal summaries would differ as files.
    return save_safetensors(arrays | {"sha256": _digest(arrays)}, {"format": f"{FORMAT} {VERSION}"})


def _digest(arrays: Mapping[str, Array]) -> Array:
    """Tells a file in which something changed: nothing else would tell a wrong digit from a right one."""
    found = hashlib.sha256()
    for name in sorted(arrays.keys() - {"sha256"}):
        found.update(f"{name} {arrays[name].dtype.name} {arrays[name].shape} ".encode())
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return np.frombuffer(found.digest(), np.uint8)


class _Pools:
    """Arrays of one purpose and type, one after the other."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Array]] = {}

    def put(self, purpose: str, array: Array) -> str:
        """Take an array, and give the name of its type."""
        self._parts.setdefault(f"{purpose}.{array.dtype.name}", []).append(array.ravel())
        return array.dtype.name

    def arrays(self) -> dict[str, Array]:
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


def _describe(record: TensorSummary, pools: _Pools) -> dict[str, Any]:
    sketch = []
    for part in record.sketch.components:
        coding, keys = _coded(part)
        pools.put("keys", keys)
        sketch.append([part.exact, part.narrow, coding, pools.put("counts", part.counts), len(keys)])
    arrays = {
        "row_norms": record.row_norms,
        "column_norms": record.column_norms,
        "thumbnail": record.thumbnail,
    }
    told = {
        "name": record.name,
        "shape": record.shape,
        "dtype": record.dtype,
        "kind": record.kind,
        "role": record.role,
        "counts": [*(getattr(record, key) for key in COUNTS), record.moments.n],
        "argmin": record.argmin,
        "argmax": record.argmax,
        "sketch": sketch or None,
        "shared_with": record.shared_with,
        "error": record.error,
        "part": record.part or None,
        **{
            key: None if array is None else [pools.put(_PURPOSE[key], array), *array.shape]
            for key, array in arrays.items()
        },
    }
    return {key: value for key, value in told.items() if value is not None}


def _coded(part: Component) -> tuple[str, Array]:
    """Keys as they are stored, and the name of the coding: values of 16 bits take no more."""
    keys = part.keys
    if part.exact and keys.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = keys.astype(np.float16)
        if (half == keys).all():
            return "float16", half
        bits = keys.view(np.uint32)
        if not (bits & 0xFFFF).any():
            return "bfloat16", (bits >> 16).astype(np.uint16)
    return keys.dtype.name, keys


def _decoded(coding: str, keys: Array) -> Array:
    if coding == "bfloat16":
        return (keys.astype(np.uint32) << 16).view(np.float32)
    return keys.astype(np.float32) if coding == "float16" else keys


_PURPOSE = {"row_norms": "norms", "column_norms": "norms", "thumbnail": "picture"}


def _values(record: TensorSummary) -> list[float]:
    ends = [record.min, record.max, record.sketch.low, record.sketch.high]
    return [*ends, *(getattr(record.moments, key) for key in MOMENTS)]


def _describe_module(path: str, info: ModuleInfo) -> dict[str, Any]:
    # What is no plain value gives no axis a meaning.
    hyper = {key: value for key, value in info.hyper.items() if _is_plain(value)}
    return {"path": path, "kind": info.kind, "hyper": hyper, "bases": info.bases, "library": info.library}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(one) and not isinstance(one, (tuple, list)) for one in value)
    return value is None or isinstance(value, (bool, str, float)) or (isinstance(value, int) and abs(value) < 2**64)


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
                if tensor.dtype not in KEYS | TALLIES:
                    raise EntryError(f"{tensor.name!r} is of type {tensor.dtype}, which no summary has")
                file.seek(tensor.start)
                dtype = np.dtype(tensor.dtype).newbyteorder("<")
                count = int(np.prod(tensor.shape, dtype=object))
                data = np.frombuffer(file.read(count * dtype.itemsize), dtype)
                if len(data) != count:
                    raise EntryError("it was cut off while it was read")
                self._arrays[tensor.name] = data.astype(dtype.newbyteorder("="), copy=False).reshape(tensor.shape)
        self._at: dict[str, int] = {}
        if not np.array_equal(self.whole("sha256", "uint8"), _digest(self._arrays)):
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

    def check_end(self) -> None:
        """Make sure that nothing is left."""
        for name, found in self._arrays.items():
            if name not in _BY_THEMSELVES and self._at.get(name, 0) != found.size:
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
    if not all(map(_is_plain, hyper.values())):
        raise EntryError("the hyperparameters of a module are no plain values")
    return ModuleInfo(entry.text("path"), entry.text("kind"), hyper, entry.texts("bases"), entry.text("library"))


def _record(entry: Entry, numbers: Mapping[str, float], arrays: _Arrays, grids: Any) -> TensorSummary:
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


def _sketch(entry: Entry, numbers: Mapping[str, float], arrays: _Arrays, grids: Any) -> Sketch:
    parts = []
    for row in entry.rows("sketch"):
        grid = next(grids, None)
        if len(row) != 5 or not isinstance(row[0], bool) or not isinstance(row[1], bool) or grid is None:
            raise EntryError("the sketch of a tensor has no kind or no grid")
        exact, narrow, coding, count_type, length = row
        stored = CODINGS.get(coding, "") if exact and isinstance(coding, str) else coding
        keys = arrays.take("keys", stored, [length], KEYS if exact else frozenset({"uint16"}))
        counts = arrays.take("counts", count_type, [length], TALLIES)
        parts.append(Component(exact, grid[0], grid[1], narrow, _decoded(coding, keys) if exact else keys, counts))
    return Sketch(tuple(parts), numbers["low"], numbers["high"])


def _array(entry: Entry, key: str, arrays: _Arrays, axes: int) -> Array | None:
    if key not in entry.values:
        return None
    told = entry.values[key]
    if not isinstance(told, list) or len(told) != 1 + axes:
        raise EntryError(f"{key!r} of a tensor has no type and size")
    return arrays.take(_PURPOSE[key], told[0], told[1:], REALS)


# -- as weights -------------------------------------------------------------------------------------------------------


def as_source(summary: ModelSummary, name: str | None = None) -> SavedSource:
    """Give a summary as a source of weights: see `ModelSummary.as_source`.

    Raises
    ------
    ValueError
        If it has no tensors.
    """
    if not summary.tensors:
        raise ValueError("the summary has no tensors: there is nothing to show")
    summary = _presentable(summary)
    reader = NotSaved(name or summary.name)
    refs = [
        SavedRef(
            record.name,
            record.shape,
            record.dtype,
            record.role,
            reader,
            record.shared_with if record.shared_with in summary.tensors else None,
            DEVICE,
            record.nbytes,
        )
        for record in summary.values()
    ]
    return SavedSource(name or summary.name or "summary", refs, summary.infos, summary)


def _presentable(summary: ModelSummary) -> ModelSummary:
    """The summary with names that can be sent, as all sources have them."""
    fit = all(name == displayable(name) for name in chain(summary.tensors, summary.infos) if name)
    if fit and "" not in summary.tensors:
        return summary
    tensors = {}
    for record in summary.values():
        first = None if record.shared_with is None else displayable(record.shared_with)
        known = replace(record, name=displayable(record.name), shared_with=first)
        if known.name in tensors:
            raise ValueError(f"two tensors are called {known.name!r} once invalid characters are replaced. Rename one.")
        tensors[known.name] = known
    infos = {displayable(path) if path else path: info for path, info in summary.infos.items()}
    return ModelSummary(summary.name, tensors, infos)


def _open(path: Path, name: str | None) -> SavedSource:
    summary = load_summary(path)
    if not summary.tensors:
        raise WeightFileError(f"{path}: the summary has no tensors: there is nothing to show.")
    return as_source(summary, name or summary.name or name_of_path(path))


OPENERS[FORMAT] = _open
