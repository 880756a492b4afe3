"""Mixtures of experts: layer by expert."""

from __future__ import annotations

import numpy as np

from weightwidget.detail import embeddings, experts
from weightwidget.detail.vectors import Table
from weightwidget.sources.base import TensorRef
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor

MOST = 1024
"""Experts of one request at most."""


def _router(weights: Weights, request: Request, job: Job) -> Answer:
    ref, axis = tensor(weights, field(request, "tensor")), field(request, "axis")
    count = Table(ref, axis).count
    if count > MOST:
        raise ValueError(f"{ref.name!r} has {count:,} rows: at most {MOST:,} are compared")
    norms = embeddings.norms(ref, axis, job.cancelled)
    found = embeddings.cosines(ref, axis, MOST, cancelled=job.cancelled)
    return {"experts": len(norms)}, [norms.tobytes(), found.values.tobytes()]


def _refs(weights: Weights, request: Request) -> list[TensorRef]:
    paths = field(request, "paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths) or len(paths) > MOST:
        raise ValueError(f"the request {request.get('kind')!r} takes a list of at most {MOST:,} paths")
    return [tensor(weights, path) for path in paths]


def _similarity(weights: Weights, request: Request, job: Job) -> Answer:
    refs = _refs(weights, request)
    found = experts.similarity(refs, job.cancelled, job.report)
    return {"experts": len(refs)}, [found.tobytes()]


def _noise(weights: Weights, request: Request, job: Job) -> Answer:
    refs = _refs(weights, request)
    found = np.empty(len(refs))
    for place, ref in enumerate(refs):
        job.check()
        found[place] = experts.noise_ratio(ref, job.cancelled)
        job.report((place + 1) / len(refs))
    return {"experts": len(refs)}, [found.tobytes()]


HANDLERS: dict[str, Handler] = {
    "experts.router": _router,
    "experts.similarity": _similarity,
    "experts.noise": _noise,
}

SLOW = ("experts.similarity", "experts.noise")
