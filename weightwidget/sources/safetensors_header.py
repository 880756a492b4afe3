"""The header of a safetensors file, checked: it may be truncated, damaged, or made to do harm."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

import torch

from weightwidget.sources.base import WeightFileError, displayable
from weightwidget.sources.filemap import FileStamp

LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the format's own library."""

_MOST_AXES = 64
_LARGEST = 2**63

DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
"""Types of the format by torch's names. Those with less than a byte an element (F4, F6_E2M3) are missing."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file.

    Attributes
    ----------
    name, shape, dtype
        As in `weightwidget.sources.base.TensorRef`.
    start
        Offset of its first byte in the file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    start: int


@dataclass(frozen=True)
class Header:
    """What a file holds.

    Attributes
    ----------
    stamp
        The file as it was when its header was read.
    tensors
        In the order of their data.
    metadata
        Free text by key.
    skipped
        Tensors of types that this version of torch does not know, with the reason.
    """

    stamp: FileStamp
    tensors: list[StoredTensor]
    metadata: dict[str, str]
    skipped: dict[str, str]


class _DuplicateKeyError(ValueError):
    """A name occurs twice."""


def read_header(path: Path) -> Header:
    """Read and check the header; the data is not touched.

    Parameters
    ----------
    path
        A ``.safetensors`` file.

    Raises
    ------
    WeightFileError
        If anything in it contradicts the format or the size of the file.
    """
    stamp = FileStamp.of(path)
    text = _header_bytes(path, stamp.size)
    header = _parse(path, text)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        _damaged(path, "its metadata is not a set of texts")
    data_start = 8 + len(text)
    data_size = stamp.size - data_start

    spans: list[tuple[int, int, str]] = []
    tensors: list[StoredTensor] = []
    skipped: dict[str, str] = {}
    for raw_name, entry in header.items():
        name = displayable(raw_name)
        shape, begin, end = _layout(path, name, entry)
        if end > data_size:
            missing = end - data_size
            raise WeightFileError(
                f"{path}: the file is truncated: {name!r} should end {missing:,} bytes after the end of the "
                f"file ({stamp.size:,} bytes). Download or copy it again."
            )
        spans.append((begin, end, name))
        reason = _unknown_type(entry["dtype"], shape)
        if reason:
            skipped[name] = reason
            continue
        dtype = DTYPES[entry["dtype"]]
        expected = math.prod(shape) * getattr(torch, dtype).itemsize
        if end - begin != expected:
            _damaged(
                path,
                f"{name!r} of shape {list(shape)} and type {entry['dtype']} needs {expected:,} bytes, "
                f"its header gives it {end - begin:,}",
            )
        tensors.append(StoredTensor(name, shape, dtype, data_start + begin))
    _check_cover(path, sorted(spans), data_size)
    if len({name for _, _, name in spans}) != len(spans):
        _damaged(path, "two of its tensors have the same name once invalid characters are replaced")
    tensors.sort(key=lambda tensor: tensor.start)
    texts = {str(key): value for key, value in metadata.items() if isinstance(value, str)}
    return Header(stamp, tensors, texts, skipped)


def _damaged(path: Path, what: str) -> NoReturn:
    raise WeightFileError(f"{path}: the file is damaged: {what}. Download or save it again.")


def _header_bytes(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise WeightFileError(
                    f"{path}: the file is truncated: a safetensors file starts with 8 bytes of length, this "
                    f"one has {size} in all. Download or copy it again."
                )
            length = int.from_bytes(prefix, "little")
            start = file.read(1)
            if length > LONGEST_HEADER or (start and start != b"{"):
                raise WeightFileError(
                    f"{path}: this is not a safetensors file, or its beginning is damaged: no header follows "
                    "its first 8 bytes. Download it again, or check what it is."
                )
            if 8 + length > size:
                raise WeightFileError(
                    f"{path}: the file is truncated: its header alone should have {length:,} bytes, the file "
                    f"has {size:,} in all. Download or copy it again."
                )
            return start + file.read(length - 1) if length else b""
    except OSError as error:
        raise WeightFileError(f"{path}: the file cannot be opened: {error.strerror}.") from error


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise _DuplicateKeyError(twice)
        return found

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except _DuplicateKeyError as error:
        _damaged(path, f"its header names {displayable(str(error))!r} twice")
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0] if isinstance(error, ValueError) else "nested too deeply"
        raise WeightFileError(
            f"{path}: the file is damaged: its header cannot be parsed ({reason}). Download or save it again."
        ) from error
    if not isinstance(header, dict):
        _damaged(path, "its header is not a list of named tensors")
    return header


def _layout(path: Path, name: str, entry: Any) -> tuple[tuple[int, ...], int, int]:
    """Shape and data offsets of a header's entry, as far as they can be right without its type."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("dtype"), str):
        _damaged(path, f"its header says no type for {name!r}")
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not _all_sizes(shape):
        _damaged(path, f"the shape of {name!r} is not a list of sizes")
    if not _all_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _damaged(path, f"the offsets of {name!r} are not a start and an end")
    # Torch computes strides even where another axis is empty, in 64 bits.
    if math.prod(size for size in shape if size) * 16 >= _LARGEST:
        _damaged(path, f"the shape of {name!r} is too large for any memory")
    return tuple(shape), offsets[0], offsets[1]


def _all_sizes(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < _LARGEST for value in values)


def _unknown_type(dtype: str, shape: tuple[int, ...]) -> str:
    if not isinstance(getattr(torch, DTYPES.get(dtype, "?"), None), torch.dtype):
        return f"type {displayable(dtype)[:40]}, which torch {torch.__version__} cannot read"
    if len(shape) > _MOST_AXES:
        return f"{len(shape)} axes: torch handles at most {_MOST_AXES}"
    return ""


def _check_cover(path: Path, spans: list[tuple[int, int, str]], data_size: int) -> None:
    """Refuse gaps and overlaps: tensors fill the file one after the other, or something went wrong."""
    at = 0
    before = ""
    for begin, end, name in spans:
        if begin < at:
            _damaged(path, f"{name!r} overlaps {before!r}")
        if begin > at:
            _damaged(path, f"{begin - at:,} bytes before {name!r} belong to no tensor")
        at, before = end, name
    if at != data_size:
        _damaged(path, f"its last {data_size - at:,} bytes belong to no tensor")
