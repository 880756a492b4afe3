"""The kernel proper: one pass over a tensor's blocks, everything taken from each while it is in cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from weightwidget.summary.blocks import Blocks
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.counted import CountedPass
from weightwidget.summary.passes import Measured
from weightwidget.summary.summed import Grid, SummedPass

__all__ = ["Cancelled", "Measured", "stream"]


def stream(blocks: Blocks, size: int, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Measured:
    """Measure a tensor in one pass.

    Parameters
    ----------
    blocks
        The tensor.
    size
        Side of the thumbnail.
    cancelled
        Asked before every block.
    advance
        Told the number of elements after every block.

    Raises
    ------
    Cancelled
        If `cancelled` said yes.
    """
    pilot = blocks.pilot()
    if pilot.dtype.itemsize <= 2:
        return CountedPass(blocks, size, pilot.dtype).run(cancelled, advance).measured()
    values = pilot.to(torch.float64).numpy()
    grid = Grid.from_pilot(values)
    done = SummedPass(blocks, size, pilot.dtype, grid).run(cancelled, advance)
    better = done.better_grid()
    if better is None:
        return done.measured()
    # The sample misled: a freak of a tensor, which is worth a second pass.
    again = SummedPass(blocks, size, pilot.dtype, better).run(cancelled, lambda _: None)
    found = again.measured()
    # With an outlier beyond float32, the first grid still suits all others.
    return replace(found, sketch=done.sketch()) if done.reach * done.grid.scale > 1e38 else found
