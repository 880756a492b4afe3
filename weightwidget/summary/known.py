"""Which records of an earlier scan still hold."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.summary.record import TensorSummary, with_name

Stamps = Mapping[str, Hashable | None]


def still_known(
    source: WeightSource,
    records: Mapping[str, TensorSummary],
    before: Stamps,
    now: Stamps,
    written: Callable[[TensorRef], bool] = lambda _ref: False,
) -> dict[str, TensorSummary]:
    """Records that need not be made again: the same objects, so that what was computed of them holds, too.

    Parameters
    ----------
    source
        The weights as they are now.
    records
        Of the earlier scan. Those with an error are left out: what was wrong may be mended.
    before, now
        Marks of the tensors, taken before the earlier scan and now (see `weightwidget.sources.versions.stamp`). Where
        one is None or missing, or they differ, the tensor is not known.
    written
        Whether a tensor is known to have been written to, whatever its marks say.

    Returns
    -------
    dict
        By name. Of tied tensors all or none: a write may be counted under one of the names only.
    """
    groups: dict[str, list[TensorRef]] = {}
    for ref in source.tensors.values():
        shared = ref.shared_with
        groups.setdefault(shared if shared is not None and shared in source.tensors else ref.name, []).append(ref)
    known: dict[str, TensorSummary] = {}
    for first, refs in groups.items():
        record = records.get(first)
        if record is None or not all(_same(before, now, ref.name) and not written(ref) for ref in refs):
            continue
        if record.error or not _describes(record, source.tensors[first], _kind(source, source.tensors[first])):
            continue
        for ref in refs:
            own, kind = records.get(ref.name), _kind(source, ref)
            if own is None or not _describes(own, ref, kind):
                own = with_name(record, ref.name, kind, ref.role, first)
            known[ref.name] = own
    return known


def _same(before: Stamps, now: Stamps, name: str) -> bool:
    mark = now.get(name)
    return mark is not None and before.get(name) == mark


def _describes(record: TensorSummary, ref: TensorRef, kind: str) -> bool:
    """Whether all that a record says apart from the values is still so."""
    said = record.name, record.shape, record.dtype, record.kind, record.role, record.shared_with
    return said == (ref.name, ref.shape, ref.dtype, kind, ref.role, ref.shared_with)


def _kind(source: WeightSource, ref: TensorRef) -> str:
    info = source.modules.get(ref.module)
    return info.kind if info else ""
