"""The pass over a tensor or a part of it: every element is looked at once, while it is in a core's cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from weightwidget.sources.base import TensorRef
from weightwidget.summary import fused
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.counted import CountedPass
from weightwidget.summary.parts import Box, Gathering, Measured, Part, Plan, cut, finish, sketch_of
from weightwidget.summary.summed import SummedPass, better_grid, grid_from_pilot, reach

Cancelled = Callable[[], bool]
Advance = Callable[[int], None]


def plan_of(ref: TensorRef, thumbnail: int, whole: torch.Tensor | None = None) -> Plan:
    """Look at a few thousand of a tensor's values, and fix what those who measure its parts must agree on.

    Parameters
    ----------
    ref
        The tensor.
    thumbnail
        Largest side of its picture, in cells.
    whole
        All of it, if reading that copies nothing.
    """
    plan = Plan(ref.shape, ref.dtype, thumbnail)
    if plan.counted or ref.numel == 0:
        return plan
    pilot = Blocks(ref, whole).pilot().to(torch.float64).numpy()
    return replace(plan, grid=grid_from_pilot(pilot))


def measure(
    ref: TensorRef, plan: Plan, box: Box, whole: torch.Tensor | None, cancelled: Cancelled, advance: Advance
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

    Raises
    ------
    Cancelled
        If `cancelled` said yes.
    """
    if fused.is_ready(plan) and (whole is None or whole.device.type == "cpu"):
        blocks = Blocks(ref, whole, fused.block_size(whole, plan), box, whole_rows=True)
        return fused.run(blocks, plan, cancelled, advance)
    run = CountedPass if plan.counted else SummedPass
    return run(Blocks(ref, whole, box=box), plan).run(cancelled, advance).part()


class Rounds:
    """The parts of one tensor, until they are all there, and once more if the sample of its values had misled.

    Parameters
    ----------
    plan
        The tensor.
    elements
        About how many of them a part has.
    """

    def __init__(self, plan: Plan, elements: int) -> None:
        self.plan = plan
        self.boxes = list(cut(plan.shape, elements))
        self._gathering = Gathering(plan, self.boxes)
        self._first: tuple[Plan, Part] | None = None

    def add(self, part: Part) -> bool:
        """Take a part of this round; tell whether it was the last."""
        self._gathering.add(part)
        return self._gathering.complete

    def result(self) -> Measured | None:
        """The statistics of all; None if all boxes must be measured once more, by another `plan`."""
        plan, part = self.plan, self._gathering.whole
        if self._first is not None:
            first_plan, first = self._first
            # With an outlier beyond float32, the first grid still suits all others.
            kept = reach(first_plan, first) * first_plan.grid.scale > 1e38
            return finish(plan, part, sketch_of(first_plan, first) if kept else None)
        better = None if plan.counted else better_grid(plan, part)
        if better is None:
            return finish(plan, part)
        # The sample misled: a freak of a tensor, which is worth a second pass.
        self._first = plan, part
        self.plan = replace(plan, grid=better)
        self._gathering = Gathering(self.plan, self.boxes)
        return None
