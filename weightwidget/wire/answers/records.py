"""Records of blocks, and of all else that has one."""

from __future__ import annotations

import time
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.table import statistic_columns
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field
from weightwidget.wire.histograms import local_histogram, local_log_histogram
from weightwidget.wire.overview import LADDER, pool_largest
from weightwidget.wire.protocol.records import RecordDetail

Array = npt.NDArray[Any]

MOST = 1024
"""Paths of one request at most."""

TOLD_EVERY = 0.1
"""Seconds between reports of the progress."""

BEST = LADDER[0]


def _records(weights: Weights, request: Request, job: Job) -> Answer:
    paths, detail = field(request, "paths"), request.get("detail", "numbers")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths) or len(paths) > MOST:
        raise ValueError(f"the request 'records' takes a list of at most {MOST:,} paths")
    if detail not in get_args(RecordDetail):
        raise ValueError(f"the detail of records is one of {', '.join(get_args(RecordDetail))}, not {detail!r}")
    errors: dict[str, str] = {}
    records: list[TensorSummary] = []
    told = time.monotonic()
    for place, path in enumerate(paths):
        job.check()
        record, error = _one(weights, path)
        if error:
            errors[str(place)] = error
        records.append(record)
        if time.monotonic() - told > TOLD_EVERY:
            job.report((place + 1) / len(paths))
            told = time.monotonic()
    columns = statistic_columns(records)
    for key in ("argmin", "argmax"):
        columns[key] = np.array([_flat(record, key) for record in records], np.float64)
    for column in columns.values():
        column[[int(place) for place in errors]] = np.nan
    reply: dict[str, Any] = {
        "columns": list(columns),
        "shapes": [list(record.shape) for record in records],
        "errors": errors,
    }
    buffers = [_bytes(np.column_stack(list(columns.values())), np.float64)]
    if detail != "numbers":
        reply |= {"bins": BEST.bins, "log_bins": BEST.log_bins}
        buffers.append(_bytes(_stack([local_histogram(record, BEST.bins) for record in records]), np.float64))
        buffers.append(_bytes(_stack([local_log_histogram(record, BEST.log_bins) for record in records]), np.float64))
    if detail == "all":
        pictures = [_picture(record) for record in records]
        norms = [_norms(record) for record in records]
        reply["thumbnails"] = [list(picture.shape) for picture in pictures]
        reply["profiles"] = [[len(rows), len(cols)] for rows, cols in norms]
        buffers.append(_bytes(_chain(pictures), np.float32))
        buffers.append(_bytes(_chain([part for pair in norms for part in pair]), np.float32))
    return reply, buffers


def _one(weights: Weights, path: str) -> tuple[TensorSummary, str]:
    """A record, and why there is none: then it is an empty one."""
    try:
        record = weights.record(path)
    except Cancelled:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other paths have their records
        return TensorSummary(path), str(error) or type(error).__name__
    if record is not None:
        return record, record.error
    missing = SEPARATOR in path and weights.ref(path) is None
    return TensorSummary(path), f"there is no block {path!r}" if missing else f"{path!r} is not summarised yet"


def _flat(record: TensorSummary, key: str) -> float:
    at = getattr(record, key)
    if at is None:
        return np.nan
    return float(np.ravel_multi_index(at, record.shape)) if record.shape else 0.0


def _picture(record: TensorSummary) -> Array:
    return np.empty((0, 0)) if record.thumbnail is None else record.thumbnail


def _norms(record: TensorSummary) -> tuple[Array, Array]:
    if record.row_norms is None or record.column_norms is None:
        return np.empty(0), np.empty(0)
    return pool_largest(record.row_norms, BEST.profile), pool_largest(record.column_norms, BEST.profile)


def _stack(rows: list[Array]) -> Array:
    return np.stack(rows) if rows else np.empty((0, 0))


def _chain(parts: list[Array]) -> Array:
    return np.concatenate([part.ravel() for part in parts]) if parts else np.empty(0)


def _bytes(values: Array, dtype: type) -> bytes:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype).tobytes()


HANDLERS: dict[str, Handler] = {"records": _records}
