"""A source made of tensors in memory, without the package's own sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from weightwidget.sources.base import Index, ModuleInfo, TensorRef, dtype_name
from weightwidget.summary.record import TensorSummary


def ref_of(
    tensor: torch.Tensor,
    name: str = "layer.weight",
    *,
    device: str | None = None,
    shared_with: str | None = None,
    before_read: Callable[[Index], None] = lambda index: None,
) -> TensorRef:
    def read(index: Index) -> torch.Tensor:
        before_read(index)
        # Sparse tensors cannot even be indexed by an ellipsis.
        return tensor.detach() if index is ... else tensor.detach()[index]

    return TensorRef(
        name,
        tuple(tensor.shape),
        dtype_name(tensor.dtype),
        "weight",
        read,
        shared_with=shared_with,
        device=str(tensor.device) if device is None else device,
    )


class StubSource:
    """Implements `WeightSource`."""

    def __init__(self, refs: Mapping[str, TensorRef] | list[TensorRef], modules: Mapping[str, str] = {}) -> None:
        self.name = "stub"
        self.tensors = refs if isinstance(refs, Mapping) else {ref.name: ref for ref in refs}
        self.modules = {path: ModuleInfo(path, kind) for path, kind in modules.items()}
        self.skipped: dict[str, str] = {}
        self.closed = False

    def close(self) -> None:
        self.closed = True


def source_of(**tensors: torch.Tensor) -> StubSource:
    return StubSource([ref_of(tensor, name.replace("__", ".")) for name, tensor in tensors.items()])


def counts_of(record: TensorSummary) -> dict[str, int]:
    return {key: getattr(record, key) for key in ("count", "nan", "posinf", "neginf", "zeros")}
