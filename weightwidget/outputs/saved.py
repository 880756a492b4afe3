"""What a stored copy of an explorer is made of: the overview, with as many weights as its reader is to have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightwidget.sources.base import TensorRef
from weightwidget.sources.parts import shown
from weightwidget.sources.saved import has_weights
from weightwidget.summary.model import ModelSummary
from weightwidget.wire.kept import Grid, at_level, choose_whole, kept_size, level_size, levels_for, whole
from weightwidget.wire.overview import KEPT_BUDGET, LADDER, OverviewPacker, is_read

FILE_BUDGET = 4_000_000
"""Bytes that a file stays under, if it can, where nobody asks for a certain detail."""

PAGE_SIZE = 400_000
"""Bytes of a file besides its weights: the packed script, the style sheet, the static copy."""

MOST_DETAIL = 20
"""Largest detail: at that, each tensor that fits any file is there with every weight."""

BASE64 = 4 / 3


@dataclass(frozen=True)
class Copied:
    """What a copy shows.

    Attributes
    ----------
    name
        Of the model.
    packer
        Packs its overview.
    summary
        Records of its tensors and modules.
    traits
        The traits that the front end knows, besides the overview, by name.
    """

    name: str
    packer: OverviewPacker
    summary: ModelSummary
    traits: Mapping[str, Any]


def overview_of(copied: Copied, detail: int | None = None, progress: Callable[[float], None] | None = None) -> bytes:
    """Pack the overview of a copy.

    Parameters
    ----------
    copied
        What it shows.
    detail
        How many levels of the heatmap it holds beyond the picture that the overview has of each tensor: each doubles
        the side, until every weight is there. None: as many as fit `FILE_BUDGET`.
    progress
        Takes the share that is done, 0 to 1. What it raises ends the work.

    Raises
    ------
    ValueError
        If the detail is negative or too large.
    """
    if detail is not None and not 0 <= detail <= MOST_DETAIL:
        raise ValueError(
            f"detail is how many levels of the heatmap are stored, 0 to {MOST_DETAIL}, or None for as many as fit "
            f"{FILE_BUDGET / 1e6:g} MB: it cannot be {detail}"
        )
    refs = list(copied.packer.source.tensors.values())
    readable = {
        row: shown(ref)
        for row, ref in enumerate(refs)
        if ref.shared_with is None and ref.numel and has_weights(ref) and is_read(copied.summary.tensors.get(ref.name))
    }
    bare = len(copied.packer.pack(copied.summary.tensors, copied.summary.modules, [], filters=False))
    bare += copied.packer.most_filters
    plan = _plan(readable, detail, int((FILE_BUDGET - PAGE_SIZE) / BASE64) - bare)
    total = sum(readable[row].numel for row in plan) or 1
    done = 0
    grids: list[Grid] = []
    for row, side in plan.items():
        grids.append(whole(row, readable[row]) if side is None else at_level(row, readable[row], side))
        done += readable[row].numel
        if progress is not None:
            progress(done / total)
    return copied.packer.pack(copied.summary.tensors, copied.summary.modules, grids)


def _plan(refs: Mapping[int, TensorRef], detail: int | None, room: int) -> dict[int, int | None]:
    """By the number of each tensor that is kept: the side of its level, or None if all of it is."""
    spare = KEPT_BUDGET
    if detail is None:
        detail = 0
        while detail < MOST_DETAIL and _size(refs, _levels(refs, detail + 1)) <= room:
            detail += 1
        # What is left goes to tensors that then are whole.
        spare = max(spare, room - _size(refs, _levels(refs, detail)))
    plan = _levels(refs, detail)
    rows = [row for row in refs if plan.get(row, 0) is not None]
    for at in choose_whole([refs[row] for row in rows], spare):
        plan[rows[at]] = None
    return dict(sorted(plan.items()))


def _levels(refs: Mapping[int, TensorRef], detail: int) -> dict[int, int | None]:
    side = LADDER[0].thumbnail << detail
    plan: dict[int, int | None] = {}
    for row, ref in refs.items() if detail else ():
        if levels_for(ref, side) != (0, 0):
            plan[row] = side
        elif kept_size(ref) > 0:  # else a level would round what it claims to have whole
            plan[row] = None
    return plan


def _size(refs: Mapping[int, TensorRef], plan: Mapping[int, int | None]) -> int:
    sizes: Sequence[int] = [
        kept_size(refs[row]) if side is None else level_size(refs[row], side) for row, side in plan.items()
    ]
    return sum(sizes)
