"""Whether a tensor may have changed since it was read: told without reading all of it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from weightwidget.sources.base import Index, TensorRef, WeightSource
from weightwidget.sources.filemap import FileSlice, FileStamp
from weightwidget.sources.memory import HeldTensor
from weightwidget.sources.source import ListedSource

log = logging.getLogger(__name__)

SMALL = 1 << 14
"""Elements up to which all of a tensor are looked at."""

LONGEST = 1 << 20
"""Elements that are looked at at most: those of a matrix with a million rows or columns."""

SETTLED = 2_000_000_000
"""Nanoseconds after which the time of a file's last change tells versions apart. File systems keep it in ticks, some
of two seconds: two writes within one tick look the same."""


def stamp(ref: TensorRef) -> Hashable | None:
    """Mark of a tensor's present version: while its values are the same, so is the mark.

    A tensor in memory is told by the object, its place, shape and strides, by torch's version counter, and by a sample
    of its values: all of a vector or a small tensor, else one of every row and one of every column. A tensor in a file
    is told by the file's size, time of change and inode.

    The sample is there because much that writes does not count. With torch 2.13, ``optimizer.step()`` counts for every
    optimizer of torch unless it is fused (``fused=True``); fused ones do not, nor does batch normalisation for its
    running statistics, nor a write through ``.data``, a NumPy view (``.detach().numpy()``) or an array from which the
    tensor was made. Writes through ``.detach()``, DLPack and under ``torch.inference_mode`` do. What is missed: a
    write that does not count, to a few elements of a large matrix, in no row and column that was sampled there.

    Parameters
    ----------
    ref
        The tensor. Take the mark before it is read: what is written meanwhile is then found the next time.

    Returns
    -------
    Hashable or None
        To be compared as long as the source is held that `ref` is of (a later tensor may get the same place). None if
        nothing tells: NumPy arrays and inference tensors have no counter, a file may just have been written.
    """
    reader = ref.reader
    if isinstance(reader, FileSlice):
        return _file_stamp(reader.stamp, ref, reader.start, reader.stride)
    if not isinstance(reader, HeldTensor):
        return None
    file = getattr(reader.guard, "__self__", None)
    if isinstance(file, FileStamp):
        return _file_stamp(file, ref)
    tensor = reader.tensor
    if tensor is None or not reader.counted or tensor.is_inference():
        return None
    try:
        place = tensor.data_ptr(), tensor.storage_offset(), tuple(tensor.stride())
        return "memory", id(tensor), tensor._version, place, tuple(tensor.shape), tensor.dtype, _sample(tensor)
    except Exception:  # a subclass may raise anything; what cannot be told is read again
        log.debug("the version of %s cannot be told", ref.name, exc_info=True)
        return None


def stamps(refs: Iterable[TensorRef]) -> dict[str, Hashable | None]:
    """Marks of several tensors by name."""
    return {ref.name: stamp(ref) for ref in refs}


def marking(source: WeightSource, marks: dict[str, Hashable | None]) -> ListedSource:
    """A source whose tensors are marked when they are first read, just before.

    A mark looks at values all over a tensor. Of a large model that is not in memory yet, this would read half the file
    before anything is shown; so it is done in the threads that go on to read all of it.

    Parameters
    ----------
    source
        Stays open, and is the one to close.
    marks
        Filled by name; what is in it already stays. Tied tensors are marked together.
    """
    groups: dict[str, list[TensorRef]] = {}
    for ref in source.tensors.values():
        groups.setdefault(_first_name(ref, source), []).append(ref)
    locks = {first: threading.Lock() for first in groups}
    refs = []
    for ref in source.tensors.values():
        first = _first_name(ref, source)
        if isinstance(ref.reader, FileSlice):  # nothing is read for its mark, and it can be streamed
            marks.setdefault(ref.name, stamp(ref))
            refs.append(ref)
            continue
        refs.append(replace(ref, reader=_MarkedFirst(ref.reader, tuple(groups[first]), marks, locks[first])))
    return ListedSource(source.name, refs, source.modules, source.skipped)


def _first_name(ref: TensorRef, source: WeightSource) -> str:
    shared = ref.shared_with
    return shared if shared is not None and shared in source.tensors else ref.name


@dataclass(frozen=True)
class _MarkedFirst:
    """Reads slices; marks the tensor and those tied to it before the first."""

    reader: Callable[[Index], torch.Tensor]
    tied: tuple[TensorRef, ...]
    marks: dict[str, Hashable | None]
    lock: threading.Lock

    def __call__(self, index: Index) -> torch.Tensor:
        """Read a slice."""
        with self.lock:  # a second thread may not mark what the first has begun to read
            for ref in self.tied:
                if ref.name not in self.marks:
                    self.marks[ref.name] = stamp(ref)
        return self.reader(index)


def storages(optimizer: torch.optim.Optimizer) -> frozenset[int]:
    """Where the memory begins of all tensors that an optimizer may write."""
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    return frozenset(_storage(parameter) for parameter in parameters if parameter.requires_grad)


def lies_in(ref: TensorRef, memory: frozenset[int]) -> bool:
    """Whether a tensor lies in one of those pieces of memory, as its whole or as a part."""
    tensor = ref.reader.tensor if isinstance(ref.reader, HeldTensor) else None
    return tensor is not None and _storage(tensor) in memory


def _storage(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse and other tensors without one memory
        return 0


def _file_stamp(file: FileStamp, ref: TensorRef, *where: Hashable) -> Hashable | None:
    if abs(time.time_ns() - file.mtime_ns) < SETTLED:
        return None
    return "file", file, ref.name, ref.shape, ref.dtype, where


def _sample(tensor: torch.Tensor) -> bytes:
    """Digest of some values: of all, or of one in every row and one in every column of the default matrix."""
    values = tensor.detach()
    if tensor.numel() > SMALL:
        rows = tensor.shape[0] if tensor.ndim > 1 else 1
        columns = tensor.numel() // rows
        count = min(max(rows, columns), LONGEST)
        # Evenly spread where there are more than are looked at.
        at = np.arange(count, dtype=np.int64) * max(rows, columns) // count
        inner = tensor.shape[1:] if tensor.ndim > 1 else tensor.shape
        index = [*([at % rows] if tensor.ndim > 1 else []), *np.unravel_index(at % columns, tuple(inner))]
        values = values[tuple(torch.from_numpy(np.ascontiguousarray(part)).to(tensor.device) for part in index)]
    plain = values.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return hashlib.blake2b(plain.view(torch.uint8).numpy().tobytes(), digest_size=16).digest()
