"""Histograms and counts."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np

from weightwidget.detail.histogram import count, histogram
from weightwidget.detail.region import Region
from weightwidget.sources.saved import has_weights
from weightwidget.summary.record import TensorSummary
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor
from weightwidget.wire.answers.base import record as record_of
from weightwidget.wire.answers.base import value_range as range_of
from weightwidget.wire.histograms import log_range


def _histogram(weights: Weights, request: Request, job: Job) -> Answer:
    path, bins, scale = field(request, "path"), int(field(request, "bins")), field(request, "scale")
    if not 1 <= bins <= 4096:
        raise ValueError(f"a histogram has 1 to 4096 bins, not {bins}")
    value_range = range_of(request)
    ref = weights.ref(path)
    if value_range is None:
        record = record_of(weights, path)
        value_range = record.robust_range() if scale == "value" else log_range(record)
    part = _region(weights, request)
    if ref is not None and has_weights(ref):
        exact = histogram(part or ref, bins, scale, value_range, cancelled=job.cancelled)
        reply = {
            "range": list(exact.range),
            "below": exact.below,
            "above": exact.above,
            "zeros": exact.zeros,
            "nan": exact.nan,
            "posinf": exact.posinf,
            "neginf": exact.neginf,
            "exact": True,
            "relative_error": 0.0,
        }
        return reply, [exact.counts.astype(np.float64).tobytes()]
    record = record_of(weights, path)
    return _sketched_histogram(record, bins, scale, value_range)


def _region(weights: Weights, request: Request) -> Region | None:
    """The part of the tensor that a request is about; None if it is about all of it."""
    given = request.get("region")
    if given is None:
        return None
    ref = tensor(weights, field(request, "path"))
    if not isinstance(given, Mapping) or not all(_is_pair(given.get(side)) for side in ("rows", "cols")):
        raise ValueError(f"a region is its rows and cols, first and last (exclusive) of each, not {given!r}")
    return Region(ref, field(request, "axes"), field(request, "index"), given["rows"], given["cols"])


def _is_pair(ends: object) -> bool:
    return isinstance(ends, (list, tuple)) and len(ends) == 2


def _sketched_histogram(record: TensorSummary, bins: int, scale: str, value_range: tuple[float, float]) -> Answer:
    finite = record.finite
    if scale == "value":
        counts, _ = record.histogram(bins, value_range)
        below = record.sketch.count_between(-np.inf, np.nextafter(value_range[0], -np.inf))
        outside = finite - counts.sum()
    else:
        counts, _ = record.log_magnitude_histogram(bins, value_range)
        small = 10.0 ** min(value_range[0], sys.float_info.max_10_exp)
        below = record.sketch.count_between(-small, small) - record.zeros
        outside = finite - record.zeros - counts.sum()
    below = round(float(min(max(below, 0), max(outside, 0))))
    reply = {
        "range": list(value_range),
        "below": below,
        "above": max(0, round(float(outside)) - below),
        "zeros": record.zeros,
        "nan": record.nan,
        "posinf": record.posinf,
        "neginf": record.neginf,
        "exact": record.sketch.exact,
        "relative_error": record.sketch.relative_error,
    }
    return reply, [np.ascontiguousarray(counts, np.float64).tobytes()]


def _count(weights: Weights, request: Request, job: Job) -> Answer:
    value_range = range_of(request)
    if value_range is None:
        raise ValueError("the request 'count' needs a range [low, high]")
    ref = weights.ref(field(request, "path"))
    part = _region(weights, request)
    if ref is not None and has_weights(ref):
        found, total = count(part or ref, value_range, cancelled=job.cancelled)
        return {"count": found, "total": total, "exact": True}, []
    record = record_of(weights, field(request, "path"))
    between = round(float(record.sketch.count_between(*value_range)))
    return {"count": between, "total": record.count, "exact": record.sketch.exact}, []


HANDLERS: dict[str, Handler] = {"histogram": _histogram, "count": _count}
