"""Numbers of single channels: norms of the slices that carry them, and how these compare with all other channels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.boxes import GRAIN
from weightwidget.detail.matrix import Matrix
from weightwidget.sources.base import TensorRef
from weightwidget.summary.record import TensorSummary

Floats = npt.NDArray[np.float64]
IsCancelled = Callable[[], bool] | None

MAD_TO_STD = 1.482602218505602
"""A normal distribution's standard deviation over its median absolute deviation."""

OFF = 1e-3
"""A gain below this share of the layer's median gain has switched its channel off."""

OUTLIER = 6.0
"""Robust deviations from the median beyond which a channel is marked."""


def axis_squares(
    ref: TensorRef, axis: int, groups: int = 1, across: int | None = None, cancelled: IsCancelled = None
) -> Floats:
    """Sums of the squares of the elements at each position of an axis; non-finite elements are left out.

    Parameters
    ----------
    ref
        The tensor, of one axis at least.
    axis
        The axis.
    groups, across
        With groups the axis `across` is divided into that many equal parts, each summed on its own.
    cancelled
        Asked between bands of the tensor.

    Returns
    -------
    numpy.ndarray
        float64, as long as the axis; with groups that many times as long, the first group first.

    Raises
    ------
    ValueError
        If the axes do not fit the tensor, or its type cannot be read as numbers.
    Cancelled
        When `cancelled` says so.
    """
    others = [other for other in range(len(ref.shape)) if other != axis]
    if groups > 1:
        if across is None or across == axis or ref.shape[across] % groups:
            raise ValueError(f"axis {across} of {ref.name!r} of shape {ref.shape} has no {groups} equal parts")
        others = [across, *(other for other in others if other != across)]
    matrix = Matrix(ref, {"rows": [axis], "cols": others})
    sums = np.zeros((groups, matrix.height))
    if not matrix.height or not matrix.width:
        return sums.reshape(-1)
    # Along the tensor's own order, so that what is read at once lies together.
    flipped = matrix.runs_along_columns
    drawn = matrix.transposed if flipped else matrix
    part = matrix.width // groups
    totals = torch.from_numpy(sums)
    for top, left, band in drawn.bands((0, drawn.height, 0, drawn.width), (1, 1), cancelled):
        block = band.T if flipped else band
        row, col = (left, top) if flipped else (top, left)
        step = max(1, GRAIN // max(1, block.shape[0]))
        for group in range(col // part, (col + block.shape[1] - 1) // part + 1):
            low, high = max(col, group * part), min(col + block.shape[1], (group + 1) * part)
            for start in range(low, high, step):
                piece = block[:, start - col : min(start + step, high) - col]
                square = piece.to(torch.float64).square()  # of float32 they neither overflow nor vanish in it
                if not math.isfinite(float(square.sum())):
                    square = torch.where(piece.isfinite(), piece, 0.0).to(torch.float64).square()
                totals[group, row : row + block.shape[0]] += square.sum(1)
    return sums.reshape(-1)


def recorded_squares(record: TensorSummary | None, shape: tuple[int, ...], axis: int) -> Floats | None:
    """The same from a tensor's record, which holds the norms of its default matrix; None if it does not.

    Parameters
    ----------
    record
        Of the tensor.
    shape
        Of the tensor.
    axis
        The axis.
    """
    if record is None or len(shape) < 2:
        return None
    if axis == 0:
        norms = record.row_norms
        return norms.astype(np.float64) ** 2 if norms is not None and len(norms) == shape[0] else None
    norms = record.column_norms
    if norms is None or len(norms) != math.prod(shape[1:]):
        return None
    squares = (norms.astype(np.float64) ** 2).reshape(shape[1:])
    others = tuple(other for other in range(len(shape) - 1) if other != axis - 1)
    summed: Floats = squares.sum(axis=others)
    return summed


def values_at(ref: TensorRef) -> Floats:
    """The elements of a vector.

    Raises
    ------
    ValueError
        If it is none, or its type cannot be read as numbers.
    """
    if len(ref.shape) != 1:
        raise ValueError(f"{ref.name!r} of shape {ref.shape} is no vector")
    if ref.numel == 0:
        return np.zeros(0)
    matrix = Matrix(ref)
    pieces = [band.to(torch.float64).reshape(-1) for _, _, band in matrix.bands((0, 1, 0, matrix.width), (1, 1))]
    found: Floats = torch.cat(pieces).numpy().copy()
    return found


def per_channel(
    squares: Floats, channels: npt.NDArray[np.int32] | None, size: int, values: Floats | None = None
) -> Floats:
    """Norms of the slices that carry each channel; of vectors with one element a channel the element itself.

    Parameters
    ----------
    squares
        At each position; see `axis_squares`.
    channels
        Which channel each position carries, -1 for none; None if position and channel are the same.
    size
        Number of channels.
    values
        The elements of a vector, at each position.

    Returns
    -------
    numpy.ndarray
        float64, shape (size,); NaN for channels that no position carries.
    """
    if channels is None:
        channels = np.arange(len(squares), dtype=np.int32)
    carried = (channels >= 0) & (channels < size)
    at = channels[carried]
    times = np.bincount(at, minlength=size)
    if values is not None and times.max(initial=0) <= 1:
        found = np.full(size, np.nan)
        found[at] = values[carried]
        return found
    norms = np.sqrt(np.bincount(at, weights=squares[carried], minlength=size))
    return np.where(times > 0, norms, np.nan)


@dataclass(frozen=True)
class Spread:
    """How a number is distributed over the channels; NaN of none.

    Attributes
    ----------
    median, mad
        Median, and median absolute deviation from it.
    low, high
        Smallest and largest.
    q05, q95
        Quantiles.
    """

    median: float
    mad: float
    low: float
    high: float
    q05: float
    q95: float


def spread(values: Floats) -> Spread:
    """The spread of the finite ones of these values."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Spread(*(math.nan,) * 6)
    median = float(np.median(finite))
    q05, q95 = np.quantile(finite, (0.05, 0.95))
    mad = float(np.median(np.abs(finite - median)))
    return Spread(median, mad, float(finite.min()), float(finite.max()), float(q05), float(q95))


def deviations(values: Floats) -> Floats:
    """How far each value lies from the median, in robust standard deviations (1.4826 MAD).

    Where more than half of the values are equal, the standard deviation stands in; where all are, there are none.
    NaN stays.
    """
    around = spread(values)
    finite = values[np.isfinite(values)]
    unit = MAD_TO_STD * around.mad or (float(finite.std()) if len(finite) else 0.0)
    if not unit > 0 or not math.isfinite(unit):
        return np.where(np.isnan(values), np.nan, 0.0)
    found: Floats = (values - around.median) / unit
    return found


@dataclass(frozen=True)
class Standing:
    """How one channel's number compares with those of all channels.

    Attributes
    ----------
    value
        The number.
    rank
        1 for the largest; of equal ones the best.
    of
        How many channels have the number.
    below
        Share of the other channels whose number is smaller; halves of equal ones.
    deviation
        See `deviations`.
    """

    value: float
    rank: int
    of: int
    below: float
    deviation: float


def standing(values: Floats, channel: int, away: Floats | None = None) -> Standing:
    """How a channel stands among all.

    Parameters
    ----------
    values
        Of all channels.
    channel
        The channel.
    away
        The deviations of all, if known.

    Raises
    ------
    IndexError
        If there is no such channel.
    """
    if not 0 <= channel < len(values):
        raise IndexError(f"there is no channel {channel}: there are {len(values)}")
    value = float(values[channel])
    known = values[~np.isnan(values)]
    if math.isnan(value):
        return Standing(value, 0, len(known), math.nan, math.nan)
    larger, smaller = int((known > value).sum()), int((known < value).sum())
    others = len(known) - 1
    equal = others - larger - smaller
    below = (smaller + equal / 2) / others if others else math.nan
    all_away = deviations(values) if away is None else away
    return Standing(value, larger + 1, len(known), below, float(all_away[channel]))


def switched_off(gains: Floats) -> npt.NDArray[np.int64]:
    """Channels whose gain is less than `OFF` times the median gain: a norm has switched them off."""
    sizes = np.abs(gains)
    finite = sizes[np.isfinite(sizes)]
    median = float(np.median(finite)) if len(finite) else 0.0
    return np.flatnonzero(sizes < OFF * median)


def outlying(away: Floats, limit: float = OUTLIER) -> npt.NDArray[np.int64]:
    """Channels that lie more than `limit` robust deviations from the median, the farthest first."""
    far = np.flatnonzero(np.abs(np.nan_to_num(away, nan=0.0)) > limit)
    found: npt.NDArray[np.int64] = far[np.argsort(-np.abs(away[far]), kind="stable")]
    return found


def pooled(values: Floats, bins: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], int]:
    """Smallest and largest of each run of channels, so that at most `bins` runs remain; NaN where all are.

    Returns
    -------
    low, high
        float32. Finite values beyond float32 become its largest ones.
    step
        Channels in a run.
    """
    step = max(1, -(-len(values) // bins))
    edges = np.arange(0, len(values), step)
    top = float(np.finfo(np.float32).max)
    finite = np.clip(values, -top, top)
    low = np.fmin.reduceat(finite, edges).astype(np.float32)
    high = np.fmax.reduceat(finite, edges).astype(np.float32)
    return low, high, step
