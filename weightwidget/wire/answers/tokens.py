"""The vectors of an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.detail import embeddings, nearest
from weightwidget.detail.vectors import Table
from weightwidget.sources.vocabulary import Vocabulary, resolve
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor

MOST_TEXTS = 2000
"""Strings of one request at most."""

MOST_NEAR = 500
"""Neighbours of one request at most."""

SLACK = 64
"""So many more strings than rows may there be: tokens that were added and never got a vector."""


def _table(weights: Weights, request: Request) -> Table:
    return Table(tensor(weights, field(request, "tensor")), field(request, "axis"))


def _strings(weights: Weights, count: int) -> tuple[Vocabulary | None, str]:
    """The strings of a table of that many entries; why there are none, if some were found."""
    vocabulary = weights.strings.vocabulary()
    if vocabulary is None:
        return None, weights.strings.problem
    if len(vocabulary) > 1.05 * count + SLACK:
        return None, f"{vocabulary.origin} has {len(vocabulary):,} strings: not for a table of {count:,} entries"
    return vocabulary, ""


def _texts(vocabulary: Vocabulary | None, entries: npt.NDArray[np.int64] | list[int]) -> list[str]:
    return [(vocabulary.text(int(entry)) or "") if vocabulary else "" for entry in entries]


def _norms(weights: Weights, request: Request, job: Job) -> Answer:
    table = _table(weights, request)
    vocabulary, problem = _strings(weights, table.count)
    found = embeddings.norms(table.ref, field(request, "axis"), job.cancelled)
    reply = {
        "count": table.count,
        "size": table.size,
        "strings": vocabulary.origin if vocabulary else "",
        "known": len(vocabulary) if vocabulary else 0,
        "problem": problem,
    }
    return reply, [_bytes(found, np.float32)]


def _map(weights: Weights, request: Request, job: Job) -> Answer:
    table = _table(weights, request)
    found = nearest.nearest(table.ref, field(request, "axis"), request.get("limit"), job.cancelled, job.report)
    buffers = [
        _bytes(found.entries, np.int32),
        *(_bytes(found.nearest, np.int32), _bytes(found.nearest_cosine, np.float32)),
        *(_bytes(found.second, np.int32), _bytes(found.second_cosine, np.float32)),
    ]
    return {"search_error": found.error}, buffers


def _near(weights: Weights, request: Request, job: Job) -> Answer:
    table = _table(weights, request)
    count = min(MOST_NEAR, int(field(request, "count")))
    found = embeddings.neighbours_of(
        table.ref, field(request, "entry"), field(request, "measure"), count, field(request, "axis"), job.cancelled
    )
    vocabulary, _ = _strings(weights, table.count)
    reply = {"entries": found.entries.tolist(), "texts": _texts(vocabulary, found.entries)}
    return reply, [_bytes(found.values, np.float64)]


def _texts_of(weights: Weights, request: Request, _job: Job) -> Answer:
    table = _table(weights, request)
    entries = table.check(field(request, "entries"))
    if len(entries) > MOST_TEXTS:
        raise ValueError(f"the request 'tokens.texts' takes at most {MOST_TEXTS:,} entries")
    vocabulary, _ = _strings(weights, table.count)
    return {"texts": _texts(vocabulary, entries)}, []


def _find(weights: Weights, request: Request, _job: Job) -> Answer:
    table = _table(weights, request)
    text, limit = str(field(request, "text")), int(field(request, "limit"))
    vocabulary, _ = _strings(weights, table.count)
    entries, total = vocabulary.find(text, limit + 1) if vocabulary else ([], 0)
    entries = [entry for entry in entries if entry < table.count]
    number = text.strip().removeprefix("#")
    if number.isdecimal() and len(number) < 12 and int(number) < table.count:
        # A number is an entry first, and a part of strings then.
        total += int(number) not in entries
        entries = [int(number), *(entry for entry in entries if entry != int(number))]
    entries = entries[: max(0, limit)]
    return {"entries": entries, "texts": _texts(vocabulary, entries), "total": total}, []


def _reference(weights: Weights, request: Request, job: Job) -> Answer:
    table = _table(weights, request)
    vocabulary, _ = _strings(weights, table.count)
    entries = resolve(str(field(request, "text")), table.count, vocabulary)
    found = embeddings.against_mean(table.ref, entries, field(request, "axis"), job.cancelled)
    buffers = [_bytes(entries, np.int32), _bytes(found.cosine, np.float32), _bytes(found.distance, np.float32)]
    return {"norm": found.norm}, buffers


def _groups(weights: Weights, request: Request, _job: Job) -> Answer:
    table = _table(weights, request)
    entries, threshold = field(request, "entries"), float(field(request, "threshold"))
    return {"groups": embeddings.clusters(table.ref, entries, threshold, field(request, "axis")).tolist()}, []


def _cosines(weights: Weights, request: Request, job: Job) -> Answer:
    table = _table(weights, request)
    centred = bool(field(request, "centred"))
    found = embeddings.cosines(table.ref, field(request, "axis"), centred=centred, cancelled=job.cancelled)
    return {"size": len(found.values), "step": found.step}, [_bytes(found.values, np.float32)]


def _bytes(values: Any, dtype: type) -> bytes:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype).tobytes()


HANDLERS: dict[str, Handler] = {
    "tokens.norms": _norms,
    "tokens.map": _map,
    "tokens.near": _near,
    "tokens.texts": _texts_of,
    "tokens.find": _find,
    "tokens.reference": _reference,
    "tokens.groups": _groups,
    "tokens.cosines": _cosines,
}

SLOW = ("tokens.map",)
