"""The gates of a recurrent layer: what each is made of, and the eigenvalues of its recurrent weights."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.anatomy.layers import RecurrentLayer
from weightwidget.detail.gates import bias_time_scales, eigenvalues
from weightwidget.detail.tiles import TILE_SIZE, tile
from weightwidget.sources.base import TensorRef
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.summary.record import TensorSummary
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor

Floats = npt.NDArray[np.float64]

BINS = 40
"""Bins of the small histograms."""

PICTURE = 128
"""Largest side of the picture of a block, in pixels."""

REACH = 1.5
"""How many times the largest 1 % to 99 % range of a block colours and histograms reach, as in the heatmap."""

KEEPERS = {"LSTM": "f", "GRU": "z"}
"""The gate whose opening is the share of the state that is kept."""


def block_path(layer: RecurrentLayer, name: str, gate: str) -> str:
    """Path of a gate's block in one of the layer's tensors; a plain RNN's only block is the tensor."""
    return name if len(layer.gates) == 1 else f"{name}{SEPARATOR}{gate}"


def _layer(weights: Weights, recurrent: str) -> RecurrentLayer:
    for layer in weights.anatomy.recurrent:
        if layer.recurrent == recurrent:
            return layer
    raise KeyError(f"there is no recurrent layer with the weights {recurrent!r}")


def _gates(weights: Weights, request: Request, job: Job) -> Answer:
    layer = _layer(weights, field(request, "recurrent"))
    paths = [block_path(layer, name, gate) for name in (layer.input, layer.recurrent) for gate in layer.gates]
    records, pictures = [], []
    for path in paths:
        job.check()
        records.append(_record(weights, path))
        pictures.append(_picture(tensor(weights, path), job))
    limit = _limit(records)
    biases = _biases(weights, layer)
    keeper = KEEPERS.get(layer.kind)
    scales = bias_time_scales(_sum(layer, biases)[layer.gates.index(keeper)]) if keeper else np.empty(0)
    projected = np.empty(0)
    if layer.projection is not None:
        projected = _norms(_record(weights, layer.projection), 1)
    reply = {
        "gates": list(layer.gates),
        "units": layer.hidden,
        "bins": BINS,
        "limit": limit,
        "pictures": [list(pictures[0].shape), list(pictures[len(layer.gates)].shape)],
        "separate": _separate(layer),
        "keeper": keeper,
    }
    arrays: list[Floats] = [
        np.array([_statistics(record) for record in records]),
        np.array([_histogram(record, limit) for record in records]),
        _unit_norms(layer, records),
        biases,
        scales,
        projected,
    ]
    return reply, [array.astype("<f8").tobytes() for array in arrays] + [drawn.tobytes() for drawn in pictures]


def _record(weights: Weights, path: str) -> TensorSummary:
    """The record of a tensor or block; of a tensor that the scan has not come to yet, one made now."""
    return weights.record(path) or summarize_tensor(tensor(weights, path))


def _picture(ref: TensorRef, job: Job) -> npt.NDArray[np.float32]:
    levels = [max(0, math.ceil(math.log2(max(size, 1) / PICTURE))) for size in ref.shape]
    assert PICTURE <= TILE_SIZE  # one tile holds all
    return tile(ref, None, None, [*levels, 0, 0], cancelled=job.cancelled).values


def _statistics(record: TensorSummary) -> list[float]:
    low, high = record.quantiles[0], record.quantiles[-1]
    bad = record.nan + record.posinf + record.neginf
    return [record.mean, record.std, record.l2, record.min, record.max, low, high, float(bad)]


def _limit(records: list[TensorSummary]) -> float:
    """Magnitude that colours and histograms of all blocks reach: the same, so that blocks can be compared."""
    there = [record for record in records if record.finite]
    most = max((max(abs(record.min), abs(record.max)) for record in there), default=0.0)
    inner = max((max(abs(record.quantiles[0]), abs(record.quantiles[-1])) for record in there), default=0.0)
    return min(most, REACH * inner) or most or 1.0


def _histogram(record: TensorSummary, limit: float) -> Floats:
    if not record.finite:
        return np.zeros(BINS + 2)
    ends = min(record.min, -limit) - limit, max(record.max, limit) + limit
    counts, _ = record.histogram(np.concatenate([ends[:1], np.linspace(-limit, limit, BINS + 1), ends[1:]]))
    return counts


def _norms(record: TensorSummary, axis: int) -> Floats:
    """Norm of each slice along an axis: of rows (0) or columns (1)."""
    norms = record.row_norms if axis == 0 else record.column_norms
    if norms is None:  # a matrix of which nothing could be read
        return np.full(record.shape[axis], np.nan)
    return norms.astype(np.float64)


def _unit_norms(layer: RecurrentLayer, records: list[TensorSummary]) -> Floats:
    units, count = (0 if layer.layout == "torch" else 1), len(layer.gates)
    reads_input = [_norms(record, units) for record in records[:count]]
    reads_state = [_norms(record, units) for record in records[count:]]
    if layer.projection is None:
        is_read = [_norms(record, 1 - units) for record in records[count:]]
    else:
        is_read = [np.full(layer.hidden, np.nan)] * count
    return np.array([reads_input, reads_state, is_read])


def _biases(weights: Weights, layer: RecurrentLayer) -> Floats:
    """(2, gates, units): on the input's side, and on the state's; NaN where there is none."""
    shape = len(layer.gates), layer.hidden
    found = np.full((2, *shape), np.nan)
    for side, name in enumerate((layer.input_bias, layer.recurrent_bias)):
        if name is None:
            continue
        values = tensor(weights, name).read().detach().cpu().double().numpy()
        if values.ndim == 2:  # Keras's GRU with reset_after holds both in one tensor
            values = values[side]
        found[side] = values.reshape(shape)
    return found


def _sum(layer: RecurrentLayer, biases: Floats) -> Floats:
    """What is added to each gate where inputs and state are zero: a bias that there is not adds nothing."""
    sides = (layer.input_bias, layer.recurrent_bias)
    total = np.zeros(biases.shape[1:])
    for side, name in enumerate(sides):
        if name is not None:
            total += biases[side]
    return total


def _separate(layer: RecurrentLayer) -> list[str]:
    """The candidate of a GRU, whose reset gate scales the recurrent bias, too: n = tanh(a + r (W h + b))."""
    return [layer.gates[-1]] if layer.kind == "GRU" and layer.recurrent_bias is not None else []


def _eigenvalues(weights: Weights, request: Request, job: Job) -> Answer:
    layer, gate = _layer(weights, field(request, "recurrent")), field(request, "gate")
    if gate not in layer.gates:
        raise KeyError(f"there is no gate {gate!r} in {layer.recurrent!r}; there: {', '.join(layer.gates)}")
    job.check()
    projection = tensor(weights, layer.projection) if layer.projection is not None else None
    found = eigenvalues(tensor(weights, block_path(layer, layer.recurrent, gate)), projection)
    parts = np.stack([found.values.real, found.values.imag], axis=1).astype("<f8")
    return {"zeros": found.zeros}, [parts.tobytes()]


HANDLERS: dict[str, Handler] = {"gates": _gates, "eigenvalues": _eigenvalues}

SLOW = ("eigenvalues",)
