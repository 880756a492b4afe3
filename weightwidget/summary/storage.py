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
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save as save_safetensors

from weightwidget.sources.base import ModuleInfo
from weightwidget.sources.written import replace_file, writable
from weightwidget.summary.checks import COUNTS, problem_of
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary

FORMAT = "weightwidget.summary"
"""In the metadata of every such file, under ``format``, with the version after a space."""

VERSION = 1
"""Of the format. A file with a larger one is refused; smaller ones stay readable."""

MOMENTS = ("mean", "m2", "m3", "m4", "l1", "scale")
VALUES = ("min", "max", "low", "high", *MOMENTS)
"""Columns of ``values``."""

CODINGS = {"float16": "float16", "bfloat16": "uint16", "float32": "float32", "float64": "float64"}
"""Types of the arrays that hold real numbers, by the name of the coding: those of 16 bits are stored as such."""

BY_THEMSELVES = frozenset({"index", "values", "grids", "sha256"})
"""Arrays that are no pools."""

TYPES = frozenset(CODINGS.values())
BINS = frozenset({"uint16"})
TALLIES = frozenset({"uint8", "uint16", "uint32", "uint64", "int64"})

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
    return save_safetensors(arrays | {"sha256": digest(arrays)}, {"format": f"{FORMAT} {VERSION}"})


def digest(arrays: Mapping[str, Array]) -> Array:
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

    def put_values(self, purpose: str, array: Array) -> str:
        """Take an array of real numbers, and give the name of its coding: values of 16 bits take no more."""
        coding, stored = _coded(array)
        self.put(purpose, stored)
        return coding

    def arrays(self) -> dict[str, Array]:
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


def _describe(record: TensorSummary, pools: _Pools) -> dict[str, Any]:
    sketch = []
    for part in record.sketch.components:
        coding = pools.put_values("keys", part.keys) if part.exact else pools.put("keys", part.keys)
        sketch.append([part.exact, part.narrow, coding, pools.put("counts", part.counts), len(part.keys)])
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
            key: None if array is None else [pools.put_values(PURPOSE[key], array), *array.shape]
            for key, array in arrays.items()
        },
    }
    return {key: value for key, value in told.items() if value is not None}


def _coded(values: Array) -> tuple[str, Array]:
    """Real numbers as they are stored, to the last bit, and the name of the coding: see `CODINGS`."""
    if values.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if (half == values).all():
            return "float16", half
        bits = np.ascontiguousarray(values).view(np.uint32)
        if not (bits & 0xFFFF).any():
            return "bfloat16", (bits >> 16).astype(np.uint16)
    return values.dtype.name, values


def decoded(coding: str, keys: Array) -> Array:
    """Give the values that are stored in a coding."""
    if coding == "bfloat16":
        return (keys.astype(np.uint32) << 16).view(np.float32)
    return keys.astype(np.float32) if coding == "float16" else keys


PURPOSE = {"row_norms": "norms", "column_norms": "norms", "thumbnail": "picture"}
"""Purpose of the arrays of a record."""


def _values(record: TensorSummary) -> list[float]:
    ends = [record.min, record.max, record.sketch.low, record.sketch.high]
    return [*ends, *(getattr(record.moments, key) for key in MOMENTS)]


def _describe_module(path: str, info: ModuleInfo) -> dict[str, Any]:
    # What is no plain value gives no axis a meaning.
    hyper = {key: value for key, value in info.hyper.items() if is_plain(value)}
    return {"path": path, "kind": info.kind, "hyper": hyper, "bases": info.bases, "library": info.library}


def is_plain(value: Any) -> bool:
    """Whether a hyperparameter can be stored: a number, a text, a truth value, or several of them."""
    if isinstance(value, (tuple, list)):
        return all(is_plain(one) and not isinstance(one, (tuple, list)) for one in value)
    return value is None or isinstance(value, (bool, str, float)) or (isinstance(value, int) and abs(value) < 2**64)
