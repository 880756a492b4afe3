"""Rectangles: a run of flattened rows as slices of the axes that make them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

GRAIN = 1 << 14
"""Elements that one torch call works on. From 32768 on torch's reductions start threads of their own, and on a
busy machine those wait for each other a hundred times longer than they work. So few stay in a core's cache too."""


@dataclass(frozen=True)
class Box:
    """A run of consecutive rows (or columns) that is a rectangle on the axes that make them."""

    start: int
    """First row of the run."""
    slices: tuple[slice, ...]
    """One slice for each axis, in the order in which they are flattened."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Size on each axis."""
        return tuple(s.stop - s.start for s in self.slices)

    @property
    def size(self) -> int:
        """Number of rows in the run."""
        return math.prod(self.sizes)


def boxes(sizes: Sequence[int], start: int, stop: int) -> list[Box]:
    """Cut the flat range [start, stop) over axes of these sizes into rectangles, in order."""
    if not sizes:
        return [Box(0, ())]
    if len(sizes) == 1:
        return [Box(start, (slice(start, stop),))]
    inner = math.prod(sizes[1:])
    first, last = start // inner, (stop - 1) // inner

    def within(outer: int, low: int, high: int) -> list[Box]:
        base = outer * inner
        return [
            Box(base + box.start, (slice(outer, outer + 1), *box.slices))
            for box in boxes(sizes[1:], low - base, high - base)
        ]

    if first == last and (start, stop) != (first * inner, (first + 1) * inner):
        return within(first, start, stop)
    runs: list[Box] = []
    if start % inner:
        runs += within(first, start, (first + 1) * inner)
        first += 1
    whole = stop // inner
    if whole > first:
        every = tuple(slice(0, size) for size in sizes[1:])
        runs.append(Box(first * inner, (slice(first, whole), *every)))
    if stop % inner:
        runs += within(whole, whole * inner, stop)
    return runs


def copy(target: torch.Tensor, source: torch.Tensor) -> None:
    """Copy (and convert) in parts that are too small for torch to start threads for."""
    if target.numel() <= GRAIN or source.device.type != "cpu":
        target.copy_(source)
        return
    axis = next(axis for axis, size in enumerate(target.shape) if size > 1)
    step = max(1, target.shape[axis] * GRAIN // target.numel())
    for start in range(0, target.shape[axis], step):
        size = min(step, target.shape[axis] - start)
        copy(target.narrow(axis, start, size), source.narrow(axis, start, size))
