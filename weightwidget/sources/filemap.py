"""Files mapped into memory: only the pages that are looked at are read, and none is written back."""

from __future__ import annotations

import mmap
import os
import platform
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weightwidget.sources.arrays import share
from weightwidget.sources.base import Index, MissingWeightFileError, WeightFileError, torch_dtype

# Without this flag Linux refuses to map privately what is larger than RAM and swap. Python before 3.13 has no
# name for it; the value holds for these machines.
_NORESERVE: int = getattr(
    mmap,
    "MAP_NORESERVE",
    0x4000 if sys.platform == "linux" and platform.machine() in {"x86_64", "aarch64"} else 0,
)


@dataclass(frozen=True)
class FileStamp:
    """A file as it was when it was opened.

    Attributes
    ----------
    path
        Where it lies.
    size
        Bytes.
    mtime_ns
        Time of its last change, nanoseconds since 1970.
    inode
        Tells a file apart from another one put in its place.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path | str) -> FileStamp:
        """Stamp of the file that lies there now.

        Raises
        ------
        WeightFileError
            If there is no file, or if it cannot be looked at.
        """
        try:
            status = os.stat(path)  # noqa: PTH116 (called before each read: a Path costs as much as the call)
        except FileNotFoundError:
            raise MissingWeightFileError(f"{path}: there is no such file.") from None
        except OSError as error:
            raise WeightFileError(f"{path}: the file cannot be opened: {error.strerror}.") from error
        return cls(str(path), status.st_size, status.st_mtime_ns, status.st_ino)

    def check(self) -> None:
        """Make sure that the file is still what it was.

        Touching a mapped page that was cut off a file ends the process, so this is asked before each read.

        Raises
        ------
        WeightFileError
            If it is gone or was changed.
        """
        try:
            now = FileStamp.of(self.path)
        except MissingWeightFileError:
            raise MissingWeightFileError(
                f"{self.path}: the file was removed after it was opened. Open it where it is now."
            ) from None
        if now.size != self.size:
            raise WeightFileError(
                f"{self.path}: the file had {self.size:,} bytes when it was opened and has {now.size:,} now. "
                "If it is still being written, wait for the end; then open it again."
            )
        if now != self:
            raise WeightFileError(f"{self.path}: the file was changed after it was opened. Open it again.")


class FilePool:
    """Maps files when they are first read, and keeps the last few mapped. Safe to use from several threads.

    Parameters
    ----------
    limit
        Mappings kept at most. A tensor that was read keeps its own mapping alive, whatever the pool drops.
    """

    def __init__(self, limit: int = 16) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._mapped: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._closed = False

    def bytes_of(self, stamp: FileStamp) -> torch.Tensor:
        """All bytes of a file as a uint8 tensor, none of them read yet.

        Raises
        ------
        WeightFileError
            If the pool is closed, or if the file was changed since it was stamped.
        """
        stamp.check()
        with self._lock:
            if self._closed:
                raise WeightFileError(f"{stamp.path}: the file was closed. Open it again.")
            mapped = self._mapped.get(stamp.path)
            if mapped is None:
                mapped = self._mapped[stamp.path] = _map(stamp)
                while len(self._mapped) > self._limit:
                    self._mapped.popitem(last=False)
            else:
                self._mapped.move_to_end(stamp.path)
            return mapped

    @property
    def closed(self) -> bool:
        """Whether it lets nothing be read any more."""
        return self._closed

    def close(self) -> None:
        """Let go of all files."""
        with self._lock:
            self._closed = True
            self._mapped.clear()

    def __len__(self) -> int:
        return len(self._mapped)

    def __getstate__(self) -> dict[str, Any]:
        # Refs travel to the workers of a cluster: each maps the files anew.
        return {"_limit": self._limit, "_closed": self._closed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_limit"])  # type: ignore[misc]
        self._closed = state["_closed"]


@dataclass(frozen=True)
class FileSlice:
    """Reads slices of a tensor that lies in a file, as views of the mapped file.

    Attributes
    ----------
    pool
        Maps the file.
    stamp
        The file.
    start
        Offset of the first element, in bytes.
    shape, dtype
        As in `weightwidget.sources.base.TensorRef`.
    stride
        Elements from one entry to the next on each axis; None if they lie in C order.
    """

    pool: FilePool
    stamp: FileStamp
    start: int
    shape: tuple[int, ...]
    dtype: str
    stride: tuple[int, ...] | None = None

    def __call__(self, index: Index) -> torch.Tensor:
        """Read a slice."""
        dtype = torch_dtype(self.dtype)
        raw = self.pool.bytes_of(self.stamp)
        if 0 in self.shape:
            return torch.empty(self.shape, dtype=dtype, device="cpu")[index]
        stride = contiguous_stride(self.shape) if self.stride is None else self.stride
        extent = 1 + sum((size - 1) * step for size, step in zip(self.shape, stride, strict=True))
        raw = raw[self.start : self.start + extent * dtype.itemsize]
        if self.start % dtype.itemsize == 0:
            return torch.as_strided(raw.view(dtype), self.shape, stride)[index]
        # Elements that lie across their natural boundaries: gather the bytes of those asked for.
        axes = (*self.shape, dtype.itemsize)
        single_bytes = torch.as_strided(raw, axes, (*(step * dtype.itemsize for step in stride), 1))
        parts = index if isinstance(index, tuple) else (index,)
        if not any(part is ... for part in parts):
            parts = (*parts, ...)
        return single_bytes[(*parts, slice(None))].clone(memory_format=torch.contiguous_format).view(dtype).squeeze(-1)

    @contextmanager
    def stream(self, first: int, count: int) -> Iterator[Callable[[memoryview], None]]:
        """Read elements one after the other into memory that the caller has, without mapping the file.

        The system is told what comes, and reads ahead.

        Parameters
        ----------
        first, count
            The elements, in C order.

        Yields
        ------
        callable
            Fills a buffer of bytes with the next ones.

        Raises
        ------
        WeightFileError
            If the file was changed or cannot be read.
        """
        self.stamp.check()
        if self.pool.closed:
            raise WeightFileError(f"{self.stamp.path}: the file was closed. Open it again.")
        size = torch_dtype(self.dtype).itemsize
        at, end = self.start + first * size, self.start + (first + count) * size
        try:
            with Path(self.stamp.path).open("rb", buffering=0) as file:
                _read_ahead(file.fileno(), at, end - at)
                file.seek(at)

                def fill(buffer: memoryview) -> None:
                    filled = 0
                    while filled < len(buffer):
                        step = file.readinto(buffer[filled:])
                        if not step:
                            raise WeightFileError(f"{self.stamp.path}: the file was cut short while it was read.")
                        filled += step

                yield fill
        except OSError as error:
            raise WeightFileError(f"{self.stamp.path}: the file cannot be read: {error.strerror}.") from error

    def expect(self, first: int, count: int) -> None:
        """Tell the system that elements will be read soon."""
        size = torch_dtype(self.dtype).itemsize
        with suppress(OSError), Path(self.stamp.path).open("rb", buffering=0) as file:
            _read_ahead(file.fileno(), self.start + first * size, count * size)


def _read_ahead(descriptor: int, start: int, length: int) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_WILLNEED)


def contiguous_stride(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements from one entry to the next on each axis, in C order."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps)) if shape else ()


def _map(stamp: FileStamp) -> torch.Tensor:
    """Map a file privately: a caller who writes to a view by mistake changes neither the file nor crashes."""
    try:
        with Path(stamp.path).open("rb") as file:
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mtime_ns, status.st_ino) != (
                stamp.size,
                stamp.mtime_ns,
                stamp.inode,
            ):
                raise WeightFileError(f"{stamp.path}: the file was changed after it was opened. Open it again.")
            try:
                if sys.platform == "win32":
                    return _as_bytes(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
                flags = mmap.MAP_PRIVATE | _NORESERVE
                return _as_bytes(mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE))
            except OSError:
                # A system that commits memory strictly counts private pages in advance, read-only ones never.
                return _as_bytes(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise WeightFileError(
            f"{stamp.path}: the file cannot be mapped into memory: {error.strerror}. "
            "If the disk is remote, copy the file to a local one."
        ) from error


def _as_bytes(mapped: mmap.mmap) -> torch.Tensor:
    return share(np.frombuffer(mapped, dtype=np.uint8))
