"""Singular values of a matrix."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.initialiser import Initialiser, initialiser
from weightwidget.anatomy.paths import Place, resolve
from weightwidget.detail import marchenko
from weightwidget.detail.matrix import Matrix
from weightwidget.detail.nulls import can_shuffle, initial_values, shuffled_values
from weightwidget.detail.singular import GRAM_SIDE, seconds
from weightwidget.detail.spectrum import spectrum
from weightwidget.detail.topvalues import Profile, profile_of, top_values
from weightwidget.sources.base import TensorRef
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor
from weightwidget.wire.protocol.spectrum import NUMBERS

SLOW = ("spectrum", "spectrum.shuffled")

VECTORS = 6
"""How many singular vectors are sent."""

LAW_STEPS = 256

PAUSE = 0.1
"""Seconds between two reports of progress."""


def _matrix(weights: Weights, request: Request) -> Matrix:
    ref = tensor(weights, field(request, "tensor"))
    if len(ref.shape) < 2:
        raise ValueError(f"a spectrum is that of a matrix; {ref.name} has shape {list(ref.shape)}")
    return Matrix(ref, request.get("axes"), request.get("index"))


def _axes(weights: Weights, ref: TensorRef) -> tuple[Axes, bool]:
    """Axes of the tensor, or of the one in which the block lies; and whether it is a whole tensor."""
    if ref.name in weights.anatomy:
        return weights.anatomy[ref.name], True
    place = resolve(weights.anatomy, weights.anatomy.source.tensors, ref.name)
    if not isinstance(place, Place):
        raise ValueError(f"{ref.name} is several matrices: choose one of them")
    return weights.anatomy[place.tensor], False


def _initialiser(weights: Weights, ref: TensorRef) -> Initialiser | None:
    source = weights.anatomy.source
    axes, whole = _axes(weights, ref)
    if whole:
        return initialiser(source, ref, axes)
    place = resolve(weights.anatomy, source.tensors, ref.name)
    found = initialiser(source, source.tensors[place.tensor], axes) if isinstance(place, Place) else None
    # Elements of a block are drawn as all others are; but a block of an orthogonal matrix is not orthogonal.
    return None if found is None or found.law == "orthogonal" else found


def _steadily(job: Job) -> Callable[[float], None]:
    """Report progress, but not more often than somebody can see."""
    last = -PAUSE

    def report(share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PAUSE:
            last = now
            job.report(share)

    return report


def _top(weights: Weights, request: Request, job: Job) -> Answer:
    matrix = _matrix(weights, request)
    rows, cols = matrix.height, matrix.width
    found = top_values(matrix, VECTORS, cancelled=job.cancelled, progress=_steadily(job))
    init = _initialiser(weights, matrix.ref)
    ranks, sizes = np.zeros(0), np.zeros(0)
    if init is not None:
        ranks, sizes = initial_values(init.law, init.size, init.std, rows, cols)
    sides = [[profile_of(vector) for vector in vectors.T] for vectors in (found.left, found.right)]
    refused = min(rows, cols) > GRAM_SIDE
    reply = {
        "rows": rows,
        "cols": cols,
        "frobenius": found.frobenius_norm,
        "steps": [len(profiles[0].low) if profiles else 0 for profiles in sides],
        "seconds": None if refused else seconds(rows, cols),
        "why_not": f"all singular values are computed up to {GRAM_SIDE} on the smaller side" if refused else "",
        "shuffles": can_shuffle(rows, cols),
        "init": None
        if init is None or not len(ranks)
        else {"text": str(init), "certain": init.certain, "std": None if np.isnan(init.std) else init.std},
    }
    participation = np.array([[profile.participation for profile in profiles] for profiles in sides], np.float64)
    buffers = [found.values, found.errors, participation]
    buffers += [_profiles(profiles) for profiles in sides]
    buffers += [np.array([profile.places for profile in profiles], np.int32) for profiles in sides]
    buffers += [np.array([profile.elements for profile in profiles], np.float32) for profiles in sides]
    return reply, [np.ascontiguousarray(array).tobytes() for array in (*buffers, ranks, sizes)]


def _profiles(profiles: list[Profile]) -> np.ndarray:
    """Lowest and highest elements, (2, vectors, steps)."""
    return np.array([[profile.low for profile in profiles], [profile.high for profile in profiles]], np.float32)


def _spectrum(weights: Weights, request: Request, job: Job) -> Answer:
    matrix = _matrix(weights, request)
    axes, _ = _axes(weights, matrix.ref)
    spatial = axes.spatial if axes.what == "conv" and len(axes.names) == len(matrix.ref.shape) else ()
    found = spectrum(
        matrix.ref,
        matrix.axes,
        matrix.index,
        spatial=spatial if axes.known else None,
        progress=_steadily(job),
        cancelled=job.cancelled,
    )
    law = found.power_law
    reply = {
        "rows": matrix.height,
        "cols": matrix.width,
        "method": found.method,
        "places": found.places,
        "rank": found.numerical_rank,
        "rank_is_limited": found.rank_is_limited,
        "condition_is_limited": found.condition_is_limited,
        "spikes": found.spikes,
        "tail": law.tail,
    }
    told = {"alpha_error": law.error, "xmin": law.xmin}
    numbers = np.array([told[name] if name in told else getattr(found, name) for name in NUMBERS], np.float64)
    pooled = found.eigenvalues if found.places > 1 else np.zeros(0)
    return reply, [array.tobytes() for array in (found.singular_values, numbers, pooled, _law(*found.shape))]


def _law(rows: int, cols: int) -> np.ndarray:
    small, large = sorted((rows, cols))
    if small < marchenko.LEAST_SIDE:
        return np.zeros(0)
    law = marchenko.unit_law(small / large, LAW_STEPS)
    return np.stack([law.x, law.density_of_log, law.below])


def _shuffled(weights: Weights, request: Request, job: Job) -> Answer:
    return {}, [shuffled_values(_matrix(weights, request), job.cancelled).tobytes()]


HANDLERS: dict[str, Handler] = {"spectrum.top": _top, "spectrum": _spectrum, "spectrum.shuffled": _shuffled}
