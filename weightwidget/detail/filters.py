"""The filters of a convolution, whatever its layout: pictures of them, their norms, how alike they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.blocks import Block, check, numbers
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

Mode: TypeAlias = Literal["channel", "all", "mean", "norm", "largest"]
"""What is drawn of a filter: one input channel, all of them, their mean, their norm, or the one of largest norm."""

MOST_DRAWN = 1 << 22
"""Most elements of one request for pictures: 16 MB of float32."""

_CHUNK = 1 << 20
"""Elements that are worked on at once."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)

Floats: TypeAlias = npt.NDArray[np.float64]
IsCancelled: TypeAlias = Callable[[], bool] | None


@dataclass(frozen=True)
class FilterLayout:
    """Where the filters of a convolution lie in its tensor.

    Attributes
    ----------
    shape
        Of the tensor; where it is a matrix of flattened patches, unfolded: (out, kh, kw, in).
    output, input
        Axes of outputs and inputs.
    spatial
        Axes of the kernel, in order.
    groups
        Of the convolution.
    all_inputs
        Which of the two axes has the channels of all groups; the other one has those of a single group. False: the
        outputs (PyTorch's convolutions). True: the inputs (PyTorch's transposed ones, Keras's depthwise ones).
    """

    shape: tuple[int, ...]
    output: int
    input: int
    spatial: tuple[int, ...]
    groups: int = 1
    all_inputs: bool = False

    def __post_init__(self) -> None:
        axes = sorted((self.output, self.input, *self.spatial))
        if axes != list(range(len(self.shape))):
            raise ValueError(f"outputs, inputs and kernel must be the {len(self.shape)} axes, each once: {axes}")
        full = self.input if self.all_inputs else self.output
        if self.groups < 1 or self.shape[full] % self.groups:
            raise ValueError(f"{self.shape[full]} channels cannot be divided into {self.groups} groups")

    @property
    def filters(self) -> int:
        """Number of filters, one for each output channel."""
        return self.shape[self.output] * (self.groups if self.all_inputs else 1)

    @property
    def channels(self) -> int:
        """Number of input channels that each filter reads."""
        return self.shape[self.input] // (self.groups if self.all_inputs else 1)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Size of the kernel on each of its axes."""
        return tuple(self.shape[axis] for axis in self.spatial)

    @property
    def fan_in(self) -> int:
        """Number of weights of a filter."""
        return self.channels * math.prod(self.kernel)

    def group(self, number: int) -> int:
        """Group of a filter: it reads the channels from group * `channels` on."""
        return number // max(1, self.filters // self.groups)

    @property
    def by_input(self) -> FilterLayout:
        """The same with inputs and outputs exchanged: for each input the kernels of the outputs that read it."""
        return FilterLayout(self.shape, self.input, self.output, self.spatial, self.groups, not self.all_inputs)

    def read(self, ref: TensorRef, start: int, stop: int, channels: tuple[int, int] | None = None) -> torch.Tensor:
        """Read consecutive filters.

        Parameters
        ----------
        ref
            The tensor.
        start, stop
            First filter, and the one after the last.
        channels
            First of the input channels that each of them reads, and the one after the last; None for all.

        Returns
        -------
        torch.Tensor
            Shape (filters, channels, *kernel), a view where that is possible.
        """
        low, high = channels or (0, self.channels)
        order = (self.output, self.input, *self.spatial)
        index = [slice(None)] * len(self.shape)
        if len(ref.shape) != len(self.shape):
            # Rows are read, then unfolded.
            rows = slice(start, stop) if self.output == 0 else slice(low, high)
            part = ref.read((rows,)).reshape(-1, *self.shape[1:]).permute(order)
            return part[:, low:high] if self.output == 0 else part[start:stop]
        if not self.all_inputs or self.groups == 1:
            index[self.output] = slice(start, stop)
            index[self.input] = slice(low, high)
            return ref.read(tuple(index)).permute(order)
        each = self.shape[self.output]
        first, last = start // each, -(-stop // each)
        index[self.input] = slice(first * self.channels, last * self.channels)
        # (outputs of a group, groups, channels of a group, kernel) -> (groups * outputs of a group, ...)
        found = ref.read(tuple(index)).permute(order)
        found = found.reshape(each, last - first, self.channels, *self.kernel)
        found = found.transpose(0, 1)[:, :, low:high].flatten(0, 1)
        return found[start - first * each : stop - first * each]


@dataclass(frozen=True, eq=False)
class FilterNorms:
    """What tells strong filters from weak ones.

    Attributes
    ----------
    norms
        float64 (filters,), Euclidean norm of each; NaN and infinities left out.
    absmax
        float64 (filters,), largest finite magnitude.
    nonfinite
        int64 (filters,), number of NaN and infinities.
    mean_limit, norm_limit
        Largest magnitude of the mean over channels, and largest norm over channels, of any place of any kernel.
    """

    norms: Floats
    absmax: Floats
    nonfinite: npt.NDArray[np.int64]
    mean_limit: float
    norm_limit: float


def filter_norms(ref: TensorRef, layout: FilterLayout, cancelled: IsCancelled = None) -> FilterNorms:
    """Norms of all filters of a layer, in one pass.

    Parameters
    ----------
    ref, layout
        The tensor, and where its filters lie.
    cancelled
        Asked now and then.

    Raises
    ------
    Cancelled
        When `cancelled` says so.
    """
    norms, absmax = np.zeros(layout.filters), np.zeros(layout.filters)
    nonfinite = np.zeros(layout.filters, np.int64)
    mean_limit = norm_limit = 0.0
    for start, stop, part in chunks(ref, layout, cancelled):
        wide = part.astype(np.float64)
        finite = np.isfinite(wide)
        if not finite.all():
            nonfinite[start:stop] = (~finite).sum(tuple(range(1, wide.ndim)))
            wide[~finite] = 0.0
        flat = wide.reshape(stop - start, -1)
        absmax[start:stop] = np.abs(flat).max(1, initial=0.0)
        norms[start:stop] = _norm(flat, absmax[start:stop, None])
        if layout.channels > 1 and wide.size:
            mean_limit = max(mean_limit, float(np.abs(wide.mean(1)).max()))
            # Scaled: squares of tiny and huge weights are beyond float64.
            scale = float(absmax[start:stop].max()) or 1.0
            wide /= scale
            norm_limit = max(norm_limit, scale * float(np.sqrt((wide * wide).sum(1)).max()))
    return FilterNorms(norms, absmax, nonfinite, mean_limit, norm_limit)


def channel_norms(ref: TensorRef, layout: FilterLayout, number: int) -> Floats:
    """Norm of a filter's kernel for each of the input channels that it reads, float64; non-finite ones left out."""
    wide = floats(layout.read(ref, number, number + 1))[0].astype(np.float64).reshape(layout.channels, -1)
    wide[~np.isfinite(wide)] = 0.0
    return _norm(wide, np.abs(wide).max(1, initial=0.0)[:, None])


def pictures(
    ref: TensorRef,
    layout: FilterLayout,
    mode: Mode,
    filters: Sequence[int],
    channels: tuple[int, int] = (0, 1),
    cancelled: IsCancelled = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32] | None]:
    """What is drawn of some filters.

    Parameters
    ----------
    ref, layout
        The tensor, and where its filters lie.
    mode
        ``"channel"`` draws the first of `channels`, ``"all"`` all of them (RGB, the channels of one filter),
        ``"mean"`` and ``"norm"`` what all input channels have at each place of the kernel, ``"largest"`` the channel
        whose kernel has the largest norm.
    filters
        Their numbers, in any order.
    channels
        First channel that is drawn, and the one after the last.
    cancelled
        Asked now and then.

    Returns
    -------
    tuple
        float32 of shape (filters, kernel), with ``"all"`` (filters, channels, kernel): the stored values, means
        and norms rounded from float64; finite values beyond float32 are its largest. NaN and infinities are kept.
        And with ``"largest"`` the channel of each filter, int32; else None.

    Raises
    ------
    ValueError
        If there is no such filter, channel or mode, or too much is asked for at once.
    Cancelled
        When `cancelled` says so.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"filters cannot be drawn as {mode!r}: choose one of {', '.join(get_args(Mode))}")
    wrong = next((number for number in filters if not 0 <= number < layout.filters), None)
    if wrong is not None:
        raise ValueError(f"there is no filter {wrong}: {ref.name!r} has {layout.filters}")
    low, high = channels
    if mode in ("channel", "all") and not 0 <= low < high <= layout.channels:
        raise ValueError(
            f"there are no channels {low} to {high - 1}: each filter of {ref.name!r} reads {layout.channels}"
        )
    shape = (len(filters), *((high - low,) if mode == "all" else ()), *layout.kernel)
    if math.prod(shape) > MOST_DRAWN:
        raise ValueError(f"{math.prod(shape)} weights at once are too many: ask for at most {MOST_DRAWN}")
    drawn = np.zeros(shape, np.float32)
    chosen = np.zeros(len(filters), np.int32) if mode == "largest" else None
    windows = {"channel": (low, low + 1), "all": (low, high)}
    window = windows.get(mode, (0, layout.channels))
    size = max(1, (window[1] - window[0]) * math.prod(layout.kernel))
    for run, start, stop in _runs(filters, max(1, _CHUNK // size)):
        if cancelled is not None and cancelled():
            raise Cancelled
        part = floats(layout.read(ref, start, stop, window))
        if mode == "channel":
            found = part[:, 0]
        elif mode == "all":
            found = part
        elif mode == "largest":
            assert chosen is not None
            at = _strongest(part)
            chosen[run] = at
            found = part[np.arange(stop - start), at]
        else:
            with np.errstate(invalid="ignore", over="ignore"):  # inf - inf is NaN, as it is to be
                wide = part.astype(np.float64)
                found = wide.mean(1) if mode == "mean" else np.sqrt((wide * wide).sum(1))
        drawn[run] = as_float32(found)
    return drawn, chosen


def cosines(ref: TensorRef, layout: FilterLayout, number: int, cancelled: IsCancelled = None) -> Floats:
    """Cosine between a filter and every filter of its layer.

    Filters of different groups read different channels: their cosine tells that they look alike only.

    Parameters
    ----------
    ref, layout
        The tensor, and where its filters lie.
    number
        Of the filter.
    cancelled
        Asked now and then.

    Returns
    -------
    numpy.ndarray
        float64 (filters,), 1 for the filter itself; NaN where either is zero or not finite.

    Raises
    ------
    ValueError
        If there is no such filter.
    Cancelled
        When `cancelled` says so.
    """
    if not 0 <= number < layout.filters:
        raise ValueError(f"there is no filter {number}: {ref.name!r} has {layout.filters}")
    own = unit_rows(floats(layout.read(ref, number, number + 1)))[0]
    found = np.empty(layout.filters)
    for start, stop, part in chunks(ref, layout, cancelled):
        found[start:stop] = unit_rows(part) @ own
    return found


def unit_rows(part: Block) -> Floats:
    """Filters as vectors of length 1, float64 (filters, weights); NaN where a filter is zero or not finite."""
    rows = part.reshape(len(part), -1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Divided by the largest first: squares of very small and very large weights are beyond float64.
        rows /= np.abs(rows).max(1, initial=0.0)[:, None]
        rows /= np.sqrt((rows * rows).sum(1))[:, None]
    return rows


def chunks(
    ref: TensorRef, layout: FilterLayout, cancelled: IsCancelled = None, size: int = _CHUNK
) -> Iterator[tuple[int, int, Block]]:
    """Yield all filters in stretches of at most `size` weights, if a filter is not larger itself.

    Yields
    ------
    tuple of int, int and numpy.ndarray
        First filter, the one after the last, and their weights (filters, channels, kernel).
    """
    step = max(1, size // max(1, layout.fan_in))
    for start in range(0, layout.filters, step):
        if cancelled is not None and cancelled():
            raise Cancelled
        stop = min(layout.filters, start + step)
        yield start, stop, floats(layout.read(ref, start, stop))


def floats(part: torch.Tensor) -> Block:
    """A part of a tensor as NumPy array: float32 where that holds its type exactly, else float64."""
    check(part)
    return numbers(part.cpu().reshape(-1)).reshape(tuple(part.shape))


def as_float32(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Round to float32; finite values beyond it become its largest ones, never infinities."""
    if values.dtype == np.float32:
        return values.astype(np.float32, copy=False)
    limited = np.where(np.isfinite(values), np.clip(values, -_FLOAT32_MAX, _FLOAT32_MAX), values)
    return limited.astype(np.float32)


def _norm(rows: Floats, largest: Floats) -> Floats:
    """Norms of rows, scaled by their largest magnitudes: squares of tiny or huge weights do not vanish or overflow."""
    scale = np.where(largest > 0, largest, 1.0)
    scaled = rows / scale
    found: Floats = np.sqrt((scaled * scaled).sum(1)) * scale[:, 0]
    return found


def _strongest(part: Block) -> npt.NDArray[np.int64]:
    """For each filter the channel of largest norm; one with a NaN or infinity before all."""
    flat = part.reshape(*part.shape[:2], -1).astype(np.float64)
    largest = np.abs(flat).max(2, initial=0.0)
    finite = np.isfinite(largest)
    top = np.where(finite, largest, 0.0).max(1, initial=0.0)
    flat /= np.where(top > 0, top, 1.0)[:, None, None]
    squares = np.where(finite, (flat * flat).sum(2), np.inf)
    at: npt.NDArray[np.int64] = squares.argmax(1)
    return at


def _runs(filters: Sequence[int], most: int) -> Iterator[tuple[npt.NDArray[np.int64], int, int]]:
    """Cut numbers into runs that lie one behind the other: their places in the list, first number, end."""
    if not len(filters):
        return
    wanted = np.asarray(filters, np.int64)
    order = np.argsort(wanted, kind="stable")
    in_order = wanted[order]
    breaks = np.flatnonzero(np.diff(in_order) != 1) + 1
    for low, high in pairwise([0, *breaks.tolist(), len(wanted)]):
        for start in range(low, high, most):
            stop = min(high, start + most)
            yield order[start:stop], int(in_order[start]), int(in_order[stop - 1]) + 1
