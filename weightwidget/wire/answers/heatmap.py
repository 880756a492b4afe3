"""Tiles, norms and cells of the drawn matrix."""

from __future__ import annotations

from weightwidget.detail.tiles import extreme, profile, tile
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor, value_range


def _tile(weights: Weights, request: Request, job: Job) -> Answer:
    drawn = tile(
        tensor(weights, field(request, "tensor"), magnitudes=True),
        field(request, "axes"),
        field(request, "index"),
        field(request, "tile"),
        field(request, "aggregate"),
        value_range=value_range(request),
        cancelled=job.cancelled,
        pyramid=job.pyramid,
    )
    height, width = drawn.values.shape
    buffers = [drawn.values.tobytes()]
    if drawn.shares is not None:
        buffers.append(drawn.shares.tobytes())
    return {"height": height, "width": width}, buffers


def _profile(weights: Weights, request: Request, job: Job) -> Answer:
    ref = tensor(weights, field(request, "tensor"), magnitudes=True)
    norms = profile(ref, field(request, "axes"), field(request, "index"), cancelled=job.cancelled)
    reply = {"row_step": norms.row_step, "col_step": norms.col_step}
    return reply, [norms.rows.tobytes(), norms.cols.tobytes()]


def _cell(weights: Weights, request: Request, job: Job) -> Answer:
    ref = tensor(weights, field(request, "tensor"), magnitudes=True)
    found = extreme(ref, field(request, "axes"), field(request, "index"), field(request, "window"), job.cancelled)
    return {"value": found.value, "row": found.row, "col": found.col, "position": list(found.position)}, []


HANDLERS: dict[str, Handler] = {"tile": _tile, "profile": _profile, "cell": _cell}
