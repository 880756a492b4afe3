"""Summaries of models that are spread over several processes: each measures what it holds, and all put it together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.sources.shards import Shard, shard_of
from weightwidget.summary import fused
from weightwidget.summary.blocks import pilot_steps
from weightwidget.summary.kernel import record_of, summarize_tensor, unreadable
from weightwidget.summary.parts import PIECE, Box, Part, Plan, Total, cut, matrix_shape
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.remote import entries_of
from weightwidget.summary.sketch import SMALL
from weightwidget.summary.small import measure_small
from weightwidget.summary.streaming import Rounds, measure
from weightwidget.summary.summed import grid_from_pilot
from weightwidget.summary.threads import one_thread

TOGETHER = 32
"""Tensors whose parts are exchanged at a time."""

THUMBNAIL = 64
"""Largest side of the tensors' pictures, in cells."""


@dataclass
class _Spread:
    """A tensor that is spread over the processes, and the part of it that this one holds."""

    ref: TensorRef
    kind: str
    shard: Shard
    rounds: Rounds | None = None

    def boxes(self) -> list[tuple[Box, torch.Tensor]]:
        """What this process is to measure."""
        if not self.shard.first:
            return []
        found = []
        step = PIECE // self.shard.local.element_size()
        for top, left, values in self.shard.boxes():
            for piece in cut(tuple(values.shape), step):
                part = values[piece.top :, piece.left :][: piece.height, : piece.width]
                found.append((Box(top + piece.top, left + piece.left, piece.height, piece.width), part))
        return found

    def pilot(self) -> list[Any]:
        """Its share, in this process, of the values from which all choose the same grid."""
        if self.ref.numel <= SMALL:
            return self.boxes()
        if self.shard.local.element_size() <= 2:
            return []
        down, right = pilot_steps(*matrix_shape(self.ref.shape))
        return [
            values[-box.top % down :: down, -box.left % right :: right].reshape(-1).to("cpu", torch.float64).numpy()
            for box, values in self.boxes()
        ]

    def measure(self) -> Part:
        assert self.rounds is not None, "plans are made first"
        plan, total = self.rounds.plan, Total(self.rounds.plan)
        for box, values in self.boxes():
            total.add(measure(self.ref, plan, box, None, values=values))
        return total.part


def summarize_shards(
    source: WeightSource, progress: Callable[[float], None] | None, norms: bool = True
) -> dict[str, TensorSummary]:
    """Summarise a source of which each process holds a part. All processes of the default group must call this.

    Only counts and sums are exchanged, and the values of tensors of a few thousand elements.

    Parameters
    ----------
    source
        The same model in each process.
    progress
        Called with the share of the tensors that is done.
    norms
        Whether those of rows and columns are wanted; the same in each process.

    Returns
    -------
    dict
        Records by name, the same in each process, and the same as of one process that holds everything.

    Raises
    ------
    RuntimeError
        If ``torch.distributed`` is not running.
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError(
            "the model is spread over several processes, but torch.distributed does not run here: call "
            "torch.distributed.init_process_group() first, and summarize() in every process"
        )
    entries = entries_of(source)
    fused.want_types(ref.dtype for ref, _ in entries)
    found: dict[str, TensorSummary] = {}
    whole: list[tuple[TensorRef, str]] = []
    spread: list[_Spread] = []
    for ref, kind in entries:
        try:
            shard = shard_of(ref)
        except ValueError as error:
            found[ref.name] = unreadable(ref, kind, str(error))
            continue
        if shard is None:
            whole.append((ref, kind))
        else:
            spread.append(_Spread(ref, kind, shard))
    # What every process has, each summarises a share of.
    mine = islice(whole, dist.get_rank(), None, dist.get_world_size())
    for theirs in _exchange({ref.name: summarize_tensor(ref, kind, THUMBNAIL, norms=norms) for ref, kind in mine}):
        found.update(theirs)
    with one_thread():
        for first in range(0, len(spread), TOGETHER):
            found.update(_summarize_together(spread[first : first + TOGETHER], norms))
            if progress is not None:
                progress(len(found) / len(entries))
    return found


def _summarize_together(tensors: list[_Spread], norms: bool) -> dict[str, TensorSummary]:
    found = {}
    pilots = _exchange([tensor.pilot() for tensor in tensors])
    todo = []
    for number, tensor in enumerate(tensors):
        pieces = [piece for theirs in pilots for piece in theirs[number]]
        if tensor.ref.numel <= SMALL:
            small = measure_small(_joined(tensor.ref, pieces), THUMBNAIL, norms)
            found[tensor.ref.name] = record_of(tensor.ref, tensor.kind, small)
            continue
        plan = Plan(tensor.ref.shape, tensor.ref.dtype, THUMBNAIL, norms=norms)
        if not plan.counted:
            plan = replace(plan, grid=grid_from_pilot(np.concatenate(pieces)))
        tensor.rounds = Rounds(plan)
        todo.append(tensor)
    while todo:
        parts = _exchange([tensor.measure() for tensor in todo])
        again = []
        for number, tensor in enumerate(todo):
            assert tensor.rounds is not None, "made above"
            total = Total(tensor.rounds.plan)
            for theirs in parts:
                total.add(theirs[number])
            measured = tensor.rounds.judge(total.part)
            if measured is None:
                again.append(tensor)
            else:
                found[tensor.ref.name] = record_of(tensor.ref, tensor.kind, measured)
        todo = again
    return found


def _joined(ref: TensorRef, pieces: list[tuple[Box, torch.Tensor]]) -> torch.Tensor:
    """A small tensor, of the boxes that the processes hold."""
    matrix = torch.empty(matrix_shape(ref.shape), dtype=pieces[0][1].dtype)
    for box, values in pieces:
        matrix[box.top : box.top + box.height, box.left : box.left + box.width] = values.cpu()
    return matrix.reshape(ref.shape)


def _exchange(mine: Any) -> list[Any]:
    """What each process has, in the order of their ranks."""
    everybody: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everybody, mine)
    return everybody
