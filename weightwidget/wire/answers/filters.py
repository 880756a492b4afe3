"""The filters of a convolution."""

from __future__ import annotations

import re
from typing import get_args

import numpy as np
import torch

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.rules.convolution import patch_size
from weightwidget.detail.filters import FilterLayout, channel_norms, cosines, filter_norms, floats, pictures
from weightwidget.detail.frequency import frequencies
from weightwidget.detail.similarity import similarity
from weightwidget.sources.base import TensorRef
from weightwidget.wire.answers.base import Answer, Handler, Job, Request, Weights, field, tensor
from weightwidget.wire.protocol.filters import By


def layout_of(axes: Axes, shape: tuple[int, ...]) -> FilterLayout | None:
    """Where the filters lie in a tensor with these axes; None if it is no convolution's kernel.

    Mirrored by `js/src/panels/convfilters/layout.ts`; both are held to tests/protocol/filters.json.

    Parameters
    ----------
    axes, shape
        Of the tensor.
    """
    if axes.what != "conv" or axes.output is None or axes.input is None or len(axes.names) != len(shape):
        return None
    if axes.names == ("out", "(kh kw in)"):
        patch = patch_size(shape[1])
        return None if patch is None else FilterLayout((shape[0], patch[0], *patch), 0, 3, (1, 2))
    full = {axes.output, axes.input, *axes.spatial} == set(range(len(shape)))
    if not full or axes.output == axes.input or not axes.spatial:
        return None
    # The channels of all groups lie along the first axis in PyTorch's layouts, along the inputs of depthwise kernels.
    all_inputs = axes.input == 0 or axes.names[axes.output] == "multiplier"
    if shape[axes.input if all_inputs else axes.output] % axes.groups:
        return None
    return FilterLayout(shape, axes.output, axes.input, axes.spatial, axes.groups, all_inputs)


def _layer(weights: Weights, request: Request) -> tuple[TensorRef, FilterLayout]:
    path = field(request, "tensor")
    ref = tensor(weights, path)
    layout = layout_of(weights.anatomy[path], ref.shape)
    if layout is None:
        raise ValueError(f"{path!r} is not known as a convolution's kernel: its axes are {weights.anatomy[path]}")
    by = field(request, "by")
    if by not in get_args(By):
        raise ValueError(f"there are filters by output and by input, not by {by!r}")
    return ref, layout if by == "output" else layout.by_input


def _filters(weights: Weights, request: Request, job: Job) -> Answer:
    ref, layout = _layer(weights, request)
    low, high = (int(channel) for channel in field(request, "channels"))
    numbers = [int(number) for number in field(request, "filters")]
    drawn, chosen = pictures(ref, layout, field(request, "mode"), numbers, (low, high), job.cancelled)
    return {"shape": list(drawn.shape)}, [drawn.tobytes(), *([] if chosen is None else [chosen.tobytes()])]


def _filter_norms(weights: Weights, request: Request, job: Job) -> Answer:
    ref, layout = _layer(weights, request)
    found = filter_norms(ref, layout, job.cancelled)
    biases = _biases(weights, ref.name, layout.filters) if request["by"] == "output" else np.empty(0)
    arrays = (found.norms, found.absmax, found.nonfinite.astype(np.float64), biases)
    limits = np.array([found.mean_limit, found.norm_limit])
    return {}, [*(array.tobytes() for array in arrays), limits.tobytes()]


def _biases(weights: Weights, kernel: str, filters: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The biases of a kernel's layer; empty if it has none."""
    module = re.sub(r"\.?parametrizations\.weight$", "", kernel.rpartition(".")[0])
    ref = weights.ref(f"{module}.bias" if module else "bias")
    if ref is None or ref.shape != (filters,) or ref.dtype.startswith("complex"):
        return np.empty(0)
    found: torch.Tensor = ref.read()
    return floats(found).astype(np.float64)


def _filter_frequencies(weights: Weights, request: Request, job: Job) -> Answer:
    ref, layout = _layer(weights, request)
    found = frequencies(ref, layout, job.cancelled, job.report)
    arrays = (found.frequency, found.orientation, found.coherence, np.array([found.neighbours]))
    return {}, [array.tobytes() for array in arrays]


def _filter_similarity(weights: Weights, request: Request, job: Job) -> Answer:
    ref, layout = _layer(weights, request)
    found = similarity(ref, layout, job.cancelled, job.report)
    return {}, [found.copy_of.tobytes(), found.copy_cosine.tobytes(), found.order.tobytes()]


def _filter(weights: Weights, request: Request, job: Job) -> Answer:
    ref, layout = _layer(weights, request)
    number = int(field(request, "filter"))
    alike = cosines(ref, layout, number, job.cancelled)
    return {}, [channel_norms(ref, layout, number).tobytes(), alike.tobytes()]


HANDLERS: dict[str, Handler] = {
    "filters": _filters,
    "filter_norms": _filter_norms,
    "filter_frequencies": _filter_frequencies,
    "filter_similarity": _filter_similarity,
    "filter": _filter,
}

SLOW = ("filter_frequencies", "filter_similarity")
