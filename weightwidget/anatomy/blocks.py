"""Blocks as tensors: their references and records, computed when somebody asks and kept for a while."""

from __future__ import annotations

import difflib
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TypeAlias

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.anatomy.paths import HeadPlace, Place, block_ref, resolve
from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.summary.record import TensorSummary, merge_records

KEPT = 64_000_000
"""Bytes of records that are kept, about. What was not asked for the longest goes first."""

THUMBNAIL = 64
"""Largest side of a block's picture, in cells."""

Key: TypeAlias = tuple[str, tuple[tuple[int, int], ...]]


class Blocks:
    """The blocks of one source.

    Parameters
    ----------
    source
        The weights.
    anatomy
        What their axes mean. Changes by hand are followed.
    """

    def __init__(self, source: WeightSource, anatomy: Anatomy) -> None:
        self._source, self._anatomy = source, anatomy
        self._records: OrderedDict[Key, TensorSummary] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def find(self, path: str) -> Place | HeadPlace | None:
        """Where the block of that path lies; None if the path names a tensor, a module or nothing."""
        if SEPARATOR not in path and not path.startswith("head "):
            return None
        if path in self._source.tensors or path in self._source.modules:
            return None
        try:
            return resolve(self._anatomy, self._source.tensors, path)
        except KeyError:
            return None

    def why_not(self, path: str) -> str:
        """Why nothing has that path, and what there is."""
        if SEPARATOR in path:
            try:
                resolve(self._anatomy, self._source.tensors, path)
            except KeyError as error:
                return str(error.args[0])
        near = difflib.get_close_matches(path, self._source.tensors, 3, 0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"there is no tensor or module {path!r} in {self._source.name}{hint}"

    def tensors(self, path: str) -> list[str]:
        """Names of the tensors in which the block of that path lies; empty if there is none."""
        found = self.find(path)
        if found is None:
            return []
        return [found.tensor] if isinstance(found, Place) else [part.tensor for part in found.parts]

    def ref(self, path: str) -> TensorRef | None:
        """The block of that path as a tensor; None if there is none, and for whole heads."""
        found = self.find(path)
        return block_ref(self._source.tensors[found.tensor], found) if isinstance(found, Place) else None

    def record(self, path: str) -> TensorSummary | None:
        """The record of a block, or of the blocks of a head together; None if there is none of that path.

        It is computed when it is first asked for, by reading the block once.
        """
        found = self.find(path)
        if found is None:
            return None
        if isinstance(found, HeadPlace):
            kind = self._kind(found.path.partition(SEPARATOR)[0])
            return merge_records([self._of(part) for part in found.parts], found.path, kind)
        return self._of(found)

    def _of(self, place: Place) -> TensorSummary:
        # Heads that read the same keys and values share their record.
        key = place.tensor, tuple((part.start, part.stop) for part in place.box)
        with self._lock:
            known = self._records.get(key)
            if known is not None:
                self._records.move_to_end(key)
        if known is not None:
            return known if known.name == place.path else replace(known, name=place.path)
        base = self._source.tensors[place.tensor]
        record = summarize_tensor(block_ref(base, place), self._kind(base.module), THUMBNAIL)
        with self._lock:
            if key not in self._records:
                self._records[key] = record
                self._size += _size(record)
            while self._size > KEPT and len(self._records) > 1:
                _, oldest = self._records.popitem(last=False)
                self._size -= _size(oldest)
        return record

    def _kind(self, module: str) -> str:
        info = self._source.modules.get(module)
        return info.kind if info else ""


def _size(record: TensorSummary) -> int:
    """Bytes of a record, about: its arrays, its sketch and what holds them together."""
    arrays = [record.row_norms, record.column_norms, record.thumbnail]
    arrays += [array for part in record.sketch.components for array in (part.keys, part.counts)]
    return 4000 + sum(array.nbytes for array in arrays if array is not None)
