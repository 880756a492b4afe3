"""Tensors that are spread over several processes: the part that this one holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeGuard

import torch

from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.sources.memory import HeldTensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


@dataclass(frozen=True)
class Shard:
    """The part of a tensor that this process holds.

    Attributes
    ----------
    local
        The values, detached.
    offset
        Where it begins in the whole tensor, on each axis.
    shape
        Of the whole tensor.
    first
        Whether no other process before this one holds the same: weights that are replicated count once.
    """

    local: torch.Tensor
    offset: tuple[int, ...]
    shape: tuple[int, ...]
    first: bool

    def boxes(self) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Cut it where it is no rectangle of the default matrix (axis 0 against all others; a vector is one row).

        Yields
        ------
        tuple
            First row, first column, and the values, two-dimensional.
        """
        local = self.local
        if local.numel() == 0:
            return
        if local.ndim < 2:
            yield 0, self.offset[0] if local.ndim else 0, local.reshape(1, -1)
            return
        cut = [axis for axis in range(1, local.ndim) if local.shape[axis] < self.shape[axis]]
        last = cut[-1] if cut else 1
        inner = [math.prod(self.shape[axis + 1 :]) for axis in range(local.ndim)]
        for outer in product(*(range(local.shape[axis]) for axis in range(1, last))):
            place = [at + self.offset[axis] for axis, at in enumerate(outer, 1)] + [self.offset[last]]
            left = sum(at * inner[axis] for axis, at in enumerate(place, 1))
            index: tuple[int | slice, ...] = (slice(None), *(int(at) for at in outer))
            yield self.offset[0], left, local[index].reshape(local.shape[0], -1)


def is_spread(value: Any) -> TypeGuard[DTensor]:
    """Whether a tensor is a ``torch.distributed`` DTensor, as FSDP and tensor parallelism make them."""
    return any(kind.__name__ == "DTensor" for kind in type(value).__mro__)


def shard_of(ref: TensorRef) -> Shard | None:
    """The part of a tensor that this process holds; None if the tensor is not spread over several.

    Raises
    ------
    ValueError
        If each process holds only a summand of the values.
    """
    reader = ref.reader
    if not isinstance(reader, HeldTensor) or not is_spread(reader.tensor):
        return None
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    tensor = reader.tensor
    mesh, placements = tensor.device_mesh, tensor.placements
    if any(placement.is_partial() for placement in placements):
        raise ValueError(
            f"{ref.name!r} is a DTensor of which each process holds a summand: redistribute it to Shard or Replicate"
        )
    _, offset = compute_local_shape_and_global_offset(tensor.shape, mesh, placements)
    here = mesh.get_coordinate()
    first = here is not None and all(
        at == 0 for at, placement in zip(here, placements, strict=True) if placement.is_replicate()
    )
    local: torch.Tensor = tensor.to_local().detach()
    return Shard(local, tuple(int(at) for at in offset), tuple(tensor.shape), first)


def is_spread_out(source: WeightSource) -> bool:
    """Whether a source has tensors that are spread over several processes."""
    readers = (ref.reader for ref in source.tensors.values())
    return any(isinstance(reader, HeldTensor) and is_spread(reader.tensor) for reader in readers)
