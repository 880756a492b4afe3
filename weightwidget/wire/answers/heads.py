"""The heads of attention layers."""

from __future__ import annotations

import numpy as np

from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.anatomy.layers import PROJECTIONS, AttentionLayer
from weightwidget.detail.heads import (
    CIRCUITS,
    NORMS,
    Head,
    HeadReader,
    Projection,
    circuits_of,
    norms_of,
    similarities,
    strip,
)
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor

SLOW = ("heads", "head_similarity")

CIRCUIT_PARTS = {"qk": ("query", "key"), "ov": ("value", "output")}

LARGEST_PICTURE = 4096


def _heads(weights: Weights, request: Request, job: Job) -> Answer:
    layer, what = _layer(weights, request), field(request, "what")
    if what not in ("norms", "circuits"):
        raise ValueError(f"of heads there are 'norms' and 'circuits', not {what!r}")
    measures = NORMS if what == "norms" else CIRCUITS
    found = np.full((len(measures), layer.heads), np.nan)
    reader = HeadReader()
    for head in range(layer.heads):
        job.check()
        matrices = reader.matrices(_head_of(weights, layer, head))
        values = norms_of(matrices) if what == "norms" else circuits_of(matrices).measures()
        found[:, head] = [values[name] for name in measures]
        job.report((head + 1) / layer.heads)
    return {"measures": list(measures), "heads": layer.heads}, [found.tobytes()]


def _similarity(weights: Weights, request: Request, job: Job) -> Answer:
    layer, part = _layer(weights, request), field(request, "part")
    names = CIRCUIT_PARTS.get(part, (part,))
    if not set(names) <= set(PROJECTIONS):
        raise ValueError(f"heads are compared by {', '.join((*PROJECTIONS, *CIRCUIT_PARTS))}, not by {part!r}")
    missing = [name for name in names if layer.projection(name) is None]
    if missing:
        raise ValueError(f"{layer.path!r} has no {' and no '.join(missing)} projection")
    # Of keys and values alone, each is compared once, however many query heads read it.
    step = layer.heads // layer.kv_heads if part in ("key", "value") else 1
    heads = [_head_of(weights, layer, head) for head in range(0, layer.heads, step)]

    def tick(share: float) -> None:
        job.check()
        job.report(share)

    parts = [[projection for name in names if (projection := getattr(head, name))] for head in heads]
    found = similarities(parts, outputs="output" in names and len(names) > 1, tick=tick)
    return {"heads": len(heads)}, [found.tobytes()]


def _head(weights: Weights, request: Request, job: Job) -> Answer:
    layer, head = _layer(weights, request), int(field(request, "head"))
    size = [min(LARGEST_PICTURE, max(1, int(field(request, name)))) for name in ("height", "width")]
    matrices = HeadReader().matrices(_head_of(weights, layer, head))
    pictures, shapes, buffers = [], [], []
    for name in PROJECTIONS:
        matrix = matrices[name]
        if matrix is None:
            pictures.append([0, 0])
            shapes.append([0, 0])
            buffers.append(b"")
            continue
        across = matrix.T if name == "output" else matrix
        picture = strip(across, size[0], size[1])
        pictures.append(list(picture.shape))
        shapes.append(list(across.shape))
        buffers.append(picture.tobytes())
    job.check()
    circuits = circuits_of(matrices)
    buffers.extend(b"" if values is None else values.tobytes() for values in (circuits.qk, circuits.ov))
    eigenvalues = circuits.eigenvalues
    parts = b"" if eigenvalues is None else np.stack([eigenvalues.real, eigenvalues.imag]).tobytes()
    measures = norms_of(matrices) | circuits.measures()
    reply = {
        "pictures": pictures,
        "shapes": shapes,
        "measures": list(measures),
        "square": circuits.ov is None or eigenvalues is not None,
        "finite": all(matrix is None or bool(np.isfinite(matrix).all()) for matrix in matrices.values()),
    }
    return reply, [*buffers, parts, np.array(list(measures.values()), np.float64).tobytes()]


def _set_heads(weights: Weights, request: Request, _job: Job) -> Answer:
    weights.anatomy.set_heads(field(request, "heads"), field(request, "path"), field(request, "kv_heads"))
    return {"layers": len(weights.anatomy.attention)}, []


def _layer(weights: Weights, request: Request) -> AttentionLayer:
    path = field(request, "layer")
    for layer in weights.anatomy.attention:
        if layer.path == path:
            return layer
    raise KeyError(f"there is no attention layer {path!r}")


def _head_of(weights: Weights, layer: AttentionLayer, head: int) -> Head:
    """The projections of a head, not read yet."""
    if not 0 <= head < layer.heads:
        raise IndexError(f"there is no head {head}: {layer.path!r} has heads 0 to {layer.heads - 1}")
    found: dict[str, Projection] = {}
    for name in PROJECTIONS:
        blocks = layer.projection(name)
        if blocks is not None:
            # Heads that share keys and values name them alike, so that they are read once.
            number = head if blocks.count == layer.heads else layer.kv_head(head) * layer.heads // layer.kv_heads
            ref = tensor(weights, f"{layer.path}{SEPARATOR}head {number}{SEPARATOR}{name}")
            found[name] = Projection(ref, blocks.transposed)
    return Head(**found)


HANDLERS: dict[str, Handler] = {
    "heads": _heads,
    "head_similarity": _similarity,
    "head": _head,
    "set_heads": _set_heads,
}
