"""The pass over a tensor or a part of it: every element is looked at once, while it is in a core's cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from weightwidget.sources.base import TensorRef
from weightwidget.summary import device, fused
from weightwidget.summary.blocks import Blocks, pilot_steps
from weightwidget.summary.counted import CountedPass
from weightwidget.summary.finishing import finish
from weightwidget.summary.parts import Box, Measured, Part, Plan, sketch_of
from weightwidget.summary.summed import USUAL, SummedPass, better_grid, grid_from_pilot, reach

Cancelled = Callable[[], bool]
Advance = Callable[[int], None]


def plan_of(ref: TensorRef, thumbnail: int, whole: torch.Tensor | None = None, norms: bool = True) -> Plan:
    """Look at a thousand of a tensor's values, and fix what those who measure its parts must agree on.

    Parameters
    ----------
    ref
        The tensor.
    thumbnail
        Largest side of its picture, in cells.
    whole
        All of it, if reading that copies nothing.
    norms
        Whether those of rows and columns are wanted.
    """
    plan = Plan(ref.shape, ref.dtype, thumbnail, norms=norms)
    if plan.counted or ref.numel == 0:
        return plan
    blocks = Blocks(ref, whole)
    if blocks.matrix is not None and fused.is_usual(blocks.matrix, *pilot_steps(*blocks.matrix.shape), *USUAL):
        return plan
    return replace(plan, grid=grid_from_pilot(blocks.pilot().to(torch.float64).numpy()))


def measure(
    ref: TensorRef,
    plan: Plan,
    box: Box,
    whole: torch.Tensor | None,
    cancelled: Cancelled = lambda: False,
    advance: Advance = lambda _elements: None,
    values: torch.Tensor | None = None,
) -> Part:
    """Measure a box of a tensor in one pass.

    Parameters
    ----------
    ref, plan
        The tensor.
    box
        Whole rows of its default matrix, or a part of one.
    whole
        All of the tensor, if reading that copies nothing.
    cancelled
        Asked before every block.
    advance
        Told the number of elements after every block.
    values
        The box itself, two-dimensional, where nobody has all of the tensor.

    Raises
    ------
    Cancelled
        If `cancelled` said yes.
    """
    held = whole if values is None else values
    if on_device(held):
        blocks = Blocks(ref, whole, device.DEVICE_BLOCK, box, values)
        return device.DevicePass(blocks, plan).run(cancelled, advance)
    if fused.is_ready(plan):
        blocks = Blocks(ref, whole, fused.block_size(held, plan), box, values)
        return fused.run(blocks, plan, cancelled, advance)
    run = CountedPass if plan.counted else SummedPass
    return run(Blocks(ref, whole, box=box, values=values), plan).run(cancelled, advance).part()


def on_device(held: torch.Tensor | None) -> bool:
    """Whether a tensor lies on an accelerator."""
    return held is not None and held.device.type != "cpu"


class Rounds:
    """Judges what was found in a tensor: whether it is good, or must be measured once more, as the sample had misled.

    Parameters
    ----------
    plan
        The tensor.

    Attributes
    ----------
    plan
        What holds for the next round.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._first: tuple[Plan, Part] | None = None

    def judge(self, part: Part) -> Measured | None:
        """Give the statistics of all parts together; None if they must be measured once more, by the new `plan`."""
        plan = self.plan
        if self._first is not None:
            first_plan, first = self._first
            # With an outlier beyond float32, the first grid still suits all others.
            kept = reach(first_plan, first) * first_plan.grid.scale > 1e38
            return finish(plan, part, sketch_of(first_plan, first) if kept else None)
        better = None if plan.counted else better_grid(plan, part)
        if better is None:
            return finish(plan, part)
        # A freak of a tensor, which is worth a second pass.
        self._first = plan, part
        self.plan = replace(plan, grid=better)
        return None
