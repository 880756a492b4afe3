"""Pictures of filters that an overview keeps: one of every filter of a convolution that it does not keep whole.

`js/src/panels/convfilters/local.ts` draws the filters from them where no kernel does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch

from weightwidget.anatomy.axes import Axes
from weightwidget.detail.filters import MOST_DRAWN, FilterLayout, as_float32, filter_norms, pictures
from weightwidget.sources.base import TensorRef
from weightwidget.summary.record import TensorSummary
from weightwidget.wire.answers.filters import layout_of
from weightwidget.wire.kept import to_bfloat16
from weightwidget.wire.protocol.filters import By

Shown: TypeAlias = Literal["all", "largest"]
"""What is kept of each filter: all its channels, or the one of largest norm."""

MOST_WEIGHTS = 24_000_000
"""Weights of all layers that are looked at together: about half a second of work."""

OVERHEAD = 360
"""Bytes that a layer costs besides its pictures: three lines in the header, its place in the index."""

# As js/src/panels/convfilters/state.ts has them.
_MOST_IN_CELL = 4096
_MOST_ROWS = 96
_FEW_FILTERS = 4


@dataclass(frozen=True)
class FilterPlan:
    """What is to be kept of a layer.

    Attributes
    ----------
    row
        Number of its tensor.
    by
        Side on which the view opens.
    shown
        What is kept of each filter.
    layout
        Where the filters of that side lie.
    """

    row: int
    by: By
    shown: Shown
    layout: FilterLayout

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        layout = self.layout
        each = 2 * math.prod(layout.kernel)
        if self.shown == "all":
            return layout.filters * layout.channels * each + OVERHEAD
        return layout.filters * (each + (2 if layout.channels <= 1 << 16 else 4) + 4) + OVERHEAD


@dataclass(frozen=True)
class FilterPictures:
    """What is kept of a layer.

    Attributes
    ----------
    plan
        What was wanted.
    values
        bfloat16 (filters, kernel); where all channels are kept (filters, channels, kernel).
    channels
        Number of the channel that is shown of each filter; None where all are.
    norms
        float32 (filters,), of whole filters; None where those follow from `values`.
    """

    plan: FilterPlan
    values: torch.Tensor
    channels: torch.Tensor | None
    norms: torch.Tensor | None


def plans(row: int, axes: Axes, shape: tuple[int, ...], dtype: str) -> list[FilterPlan]:
    """What could be kept of a tensor, the best first; nothing if it is no convolution, or one of single weights.

    Parameters
    ----------
    row
        Its number.
    axes, shape, dtype
        Of the tensor.
    """
    layout = layout_of(axes, shape)
    if layout is None or math.prod(shape) == 0 or math.prod(layout.kernel) == 1 or dtype.startswith("complex"):
        return []
    by: By = "input" if _opens_by_input(axes, layout) else "output"
    if by == "input":
        layout = layout.by_input
    largest = FilterPlan(row, by, "largest", layout)
    if not _shows_all(layout):
        return [largest]
    every = FilterPlan(row, by, "all", layout)
    return [every] if layout.channels == 1 else [every, largest]


def choose_layers(
    refs: Sequence[TensorRef], axes: Mapping[str, Axes], budget: int, skip: Iterable[int] = ()
) -> list[FilterPlan]:
    """Choose what is kept of which layers: in the model's order, whatever fits.

    Parameters
    ----------
    refs
        All tensors.
    axes
        What their axes mean, by name.
    budget
        Bytes for all of them together. Where there are several channels, all of them get no more than half of it.
    skip
        Numbers of tensors that need none.
    """
    skipped = set(skip)
    chosen: list[FilterPlan] = []
    weights = MOST_WEIGHTS
    half = budget // 2
    for row, ref in enumerate(refs):
        if row in skipped or ref.shared_with is not None or len(ref.shape) < 2 or ref.numel > weights:
            continue
        for plan in plans(row, axes[ref.name], ref.shape, ref.dtype):
            if plan.nbytes <= (half if plan.shown == "all" and plan.layout.channels > 1 else budget):
                if plan.shown == "all" and plan.layout.channels > 1:
                    half -= plan.nbytes
                budget -= plan.nbytes
                weights -= ref.numel
                chosen.append(plan)
                break
    return chosen


def draw(plan: FilterPlan, ref: TensorRef, record: TensorSummary) -> FilterPictures:
    """Read a layer and keep the pictures of its filters.

    Parameters
    ----------
    plan
        What is wanted.
    ref, record
        The tensor, and what is known of it.
    """
    layout = plan.layout
    size = math.prod(layout.kernel) * (layout.channels if plan.shown == "all" else 1)
    step = max(1, MOST_DRAWN // size)
    parts = [
        pictures(ref, layout, plan.shown, range(start, min(layout.filters, start + step)), (0, layout.channels))
        for start in range(0, layout.filters, step)
    ]
    values = to_bfloat16(torch.from_numpy(np.concatenate([drawn for drawn, _ in parts])))
    if plan.shown == "all":
        return FilterPictures(plan, values, None, None)
    chosen = np.concatenate([at for _, at in parts if at is not None])
    numbers = chosen.astype(np.uint16) if layout.channels <= 1 << 16 else chosen
    # The scan knows them where the filters are the rows of the matrix.
    rows = record.row_norms if layout.output == 0 and layout.filters == ref.shape[0] else None
    norms = as_float32(filter_norms(ref, layout).norms if rows is None else rows)
    return FilterPictures(plan, values, torch.from_numpy(numbers), torch.from_numpy(norms.copy()))


def as_arrays(kept: Iterable[FilterPictures]) -> Iterator[tuple[str, torch.Tensor]]:
    """Names in the blob, and arrays."""
    for layer in kept:
        name = f"filters.{layer.plan.row}"
        yield name, layer.values
        if layer.channels is not None:
            yield f"{name}.channels", layer.channels
        if layer.norms is not None:
            yield f"{name}.norms", layer.norms


def _opens_by_input(axes: Axes, layout: FilterLayout) -> bool:
    """Whether the view opens with what each input paints: suggestedSide of js/src/panels/convfilters/layer.ts."""
    assert axes.output is not None  # else there were no layout
    turned = layout.all_inputs and axes.names[axes.output] != "multiplier"
    turned = turned or (len(axes.names) > 2 and axes.names[-2:] == ("out", "in"))
    return turned and layout.filters <= _FEW_FILTERS and layout.channels > layout.filters


def _shows_all(layout: FilterLayout) -> bool:
    """Whether the view opens with all channels of each filter: showsOf of js/src/panels/convfilters/state.ts."""
    channels, kernel = layout.channels, layout.kernel
    if channels == 1:
        return True
    if len(kernel) == 1:
        return channels <= _MOST_ROWS and channels * kernel[0] <= _MOST_IN_CELL
    return channels == 3 and not (len(kernel) == 3 and kernel[0] > 1)
