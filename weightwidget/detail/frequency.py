"""Which spatial frequency the filters of a convolution answer to, and how smooth they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightwidget.detail.filters import FilterLayout, Floats, IsCancelled, chunks
from weightwidget.sources.base import TensorRef

GRID = 64
"""Side to which kernels are padded before their transform; larger ones are not."""

_CHUNK = 1 << 17
"""Weights that are worked on at once ..."""

_BATCH = 256
"""... and filters: padded and complex they take many times their room."""


_ROUNDING = 1e-12
"""What is left of a constant kernel, scaled to 1, when its mean is subtracted."""


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Spatial frequency of each filter, float64 (filters,) each; NaN where there is none.

    Attributes
    ----------
    frequency
        Where the power spectrum is largest, in cycles per pixel, 0 to about .71 (.5 in one dimension). Each kernel's
        mean is subtracted, the power of all its input channels summed.
    orientation
        Direction of the stripes of that frequency in degrees, counted anticlockwise from horizontal, 0 to 180: 90 is
        a vertical edge. NaN in one dimension.
    coherence
        ``|sum S exp(2i theta)| / sum S`` over the power S at the directions theta: 1 if all power lies in one
        direction, 0 if it is spread evenly. NaN in one dimension. Fresh layers have about .14.
    neighbours
        Of the whole layer: correlation of weights that lie side by side in a kernel, each kernel's mean
        subtracted. About 0 in fresh layers; well-trained ones may have that, too.
    """

    frequency: Floats
    orientation: Floats
    coherence: Floats
    neighbours: float


def frequencies(
    ref: TensorRef,
    layout: FilterLayout,
    cancelled: IsCancelled = None,
    report: Callable[[float], None] | None = None,
) -> Frequencies:
    """Spatial frequencies of all filters of a layer.

    Only kernel axes longer than 1 count. Of kernels in three dimensions the slices along the first axis are taken as
    further channels. Non-finite weights make their filter NaN.

    Parameters
    ----------
    ref, layout
        The tensor, and where its filters lie.
    cancelled
        Asked now and then.
    report
        Takes the share that is done.

    Raises
    ------
    Cancelled
        When `cancelled` says so.
    """
    count = layout.filters
    frequency, orientation, coherence = (np.full(count, math.nan) for _ in range(3))
    long = [size for size in layout.kernel if size > 1][-2:]
    if not long:
        return Frequencies(frequency, orientation, coherence, math.nan)
    products = np.zeros(3)
    grid = _Grid(tuple(long))
    for start, stop, part in chunks(ref, layout, cancelled, min(_CHUNK, _BATCH * layout.fan_in)):
        kernels = part.reshape(stop - start, -1, *long).astype(np.float64)
        # All scaled alike, so that neither tiny nor huge weights leave float64 when they are squared.
        scale = np.abs(kernels).max(tuple(range(1, kernels.ndim)), initial=0.0, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            kernels /= np.where(scale > 0, scale, 1.0)
            within = tuple(range(2, kernels.ndim))
            kernels -= kernels.mean(within, keepdims=True)
        kernels[np.abs(kernels) < _ROUNDING] = 0.0
        frequency[start:stop], orientation[start:stop], coherence[start:stop] = grid.describe(kernels)
        sound = np.isfinite(kernels).all(tuple(range(1, kernels.ndim)))
        products += _neighbours(kernels[sound] * scale[sound])
        if report is not None:
            report(stop / count)
    both = math.sqrt(products[1]) * math.sqrt(products[2])
    return Frequencies(frequency, orientation, coherence, float(products[0] / both) if both else math.nan)


class _Grid:
    """Frequencies of the padded transform, for kernels of one size in one or two dimensions."""

    def __init__(self, kernel: tuple[int, ...]) -> None:
        self.kernel = kernel
        self.sides = tuple(max(GRID, size) for size in kernel)
        axes = np.meshgrid(*(np.fft.fftfreq(side) for side in self.sides), indexing="ij")
        self.length = np.sqrt(sum(axis * axis for axis in axes)).ravel()
        if len(kernel) == 2:
            down, right = axes
            angle = np.arctan2(down, right)
            self.turned = np.exp(2j * angle).ravel()
            # Rows go down on the screen, angles up; stripes lie across the direction in which they change.
            self.stripes = np.mod(np.degrees(-angle) + 90.0, 180.0).ravel()
            self.half = ((right > 0) | ((right == 0) & (down > 0)) | (right == -0.5)).ravel()
        else:
            self.half = np.abs(axes[0]).ravel() > 0
        self.half &= self.length > 0

    def describe(self, kernels: Floats) -> tuple[Floats, Floats, Floats]:
        """Frequency, orientation and coherence of filters (filters, channels, *kernel), means subtracted."""
        power = self.power(kernels).reshape(len(kernels), -1)
        total = power.sum(1)
        none = ~(total > 0)
        peak = np.where(self.half, power, -1.0).argmax(1)
        frequency = self.length[peak]
        frequency[none] = math.nan
        if len(self.kernel) == 1:
            unknown = np.full(len(kernels), math.nan)
            return frequency, unknown, unknown
        orientation = self.stripes[peak]
        orientation[none] = math.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            coherence = np.abs(power @ self.turned) / total
        coherence[none] = math.nan
        return frequency, orientation, coherence

    def power(self, kernels: Floats) -> Floats:
        """Power spectrum on the padded grid, summed over channels.

        That of the summed autocorrelations, which are as small as the kernels: one large transform for each filter
        instead of one for each of its channels.
        """
        axes = tuple(range(2, kernels.ndim))
        sizes = tuple(2 * size - 1 for size in self.kernel)
        small = np.fft.rfftn(kernels, sizes, axes)
        lags = np.fft.irfftn((small.real**2 + small.imag**2).sum(1), sizes, tuple(range(1, kernels.ndim - 1)))
        padded = np.zeros((len(kernels), *self.sides))
        # Lag -1 is stored last; longer ones than half the grid fall on those that they cannot be told from.
        places = [
            np.concatenate([np.arange(size), np.arange(1 - size, 0)]) % side
            for size, side in zip(self.kernel, self.sides, strict=True)
        ]
        everywhere: Any = (slice(None), *np.ix_(*places))
        np.add.at(padded, everywhere, lags)
        power: Floats = np.fft.fftn(padded, axes=tuple(range(1, padded.ndim))).real
        # Rounding leaves the least of them a little below zero, and the mean was subtracted.
        power[power < 1e-12 * power.max(tuple(range(1, power.ndim)), keepdims=True)] = 0.0
        return power


def _neighbours(kernels: Floats) -> Floats:
    """Sums over all pairs of neighbours: products, squares of the first, squares of the second."""
    sums = np.zeros(3)
    for axis in range(2, kernels.ndim):
        size = kernels.shape[axis]
        first = kernels.take(range(size - 1), axis)
        second = kernels.take(range(1, size), axis)
        sums += [(first * second).sum(), (first * first).sum(), (second * second).sum()]
    return sums
