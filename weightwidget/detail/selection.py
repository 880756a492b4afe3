"""The weights of a tensor whose values lie in an interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from weightwidget.detail.blocks import numbers, spans, split
from weightwidget.detail.histogram import Range, checked_range, within
from weightwidget.sources.base import TensorRef, torch_dtype
from weightwidget.summary.cancel import Cancelled


class Selection(NamedTuple):
    """Weights and where they are, in row-major order.

    ``tensor[tuple(selection.indices.T)]`` gives the values again.

    Attributes
    ----------
    indices
        int64 (k, ndim): position of each weight on every axis.
    values
        (k,): the weights, in the stored type.
    """

    indices: torch.Tensor
    values: torch.Tensor


def select(
    weights: TensorRef | torch.Tensor,
    value_range: Range,
    limit: int | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Selection:
    """Find the weights with low <= w <= high, compared exactly in float64; NaN is never among them.

    Parameters
    ----------
    weights
        A tensor of any real type, or a reference to one.
    value_range
        Lowest and highest value, both included; infinite ends are allowed.
    limit
        Stop after that many, the first in row-major order. None finds all: 8 bytes an axis for each of them.
    cancelled
        Asked every million elements or so.

    Returns
    -------
    Selection
        On the CPU.

    Raises
    ------
    ValueError
        If the range is upside down or NaN, or the limit negative.
    TypeError
        If the weights have no order (complex) or their type is not known.
    Cancelled
        Once `cancelled` says so.
    """
    low, high = checked_range(value_range)
    if limit is not None and limit < 0:
        raise ValueError(f"the limit is a number of weights, not {limit}")
    shape = tuple(weights.shape)
    dtype = torch_dtype(weights.dtype) if isinstance(weights, TensorRef) else weights.dtype
    positions: list[torch.Tensor] = [torch.empty(0, dtype=torch.int64)]
    values: list[torch.Tensor] = [torch.empty(0, dtype=dtype)]
    found = 0
    for begin, span in spans(weights):
        start = begin
        if cancelled():
            raise Cancelled
        if limit is not None and found >= limit:
            break
        for piece in split(span):
            at = torch.from_numpy(np.flatnonzero(within(numbers(piece), low, high)))
            positions.append(at + start)
            values.append(piece[at])
            found += len(at)
            start += len(piece)
    flat = torch.cat(positions)[:limit]
    indices = torch.empty((len(flat), len(shape)), dtype=torch.int64)
    if len(flat):
        for axis, column in enumerate(torch.unravel_index(flat, shape) if shape else ()):
            indices[:, axis] = column
    return Selection(indices, torch.cat(values)[:limit])
