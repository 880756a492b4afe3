"""Tensors that lie in memory: what can be read of them, and which of them are the same weights."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from weightwidget.sources.arrays import ConvertedArray, share, torch_type
from weightwidget.sources.base import Index, TensorRef, displayable, dtype_name

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Entry:
    """A tensor found in a model or a mapping, before it is known whether it can be listed."""

    name: str
    value: torch.Tensor | Array
    role: str


class HeldTensor:
    """Reads slices of a tensor in memory, as views.

    Parameters
    ----------
    name
        Full name, for messages.
    tensor
        Never changed.
    guard
        Called before each read; raises if the memory must not be touched any more.
    counted
        Whether torch's version counter is told of changes: not of an array's.
    """

    __slots__ = ("counted", "dtype", "guard", "name", "shape", "tensor")

    def __init__(
        self, name: str, tensor: torch.Tensor, guard: Callable[[], None] | None = None, counted: bool = True
    ) -> None:
        self.name = name
        self.tensor: torch.Tensor | None = tensor
        self.shape, self.dtype = tensor.shape, tensor.dtype
        self.guard = guard
        self.counted = counted

    def __call__(self, index: Index) -> torch.Tensor:
        """Read a slice."""
        tensor = self.tensor
        if tensor is None:
            raise ValueError(f"{self.name!r} cannot be read: its source was closed")
        reason = _unreadable(tensor)
        if reason:
            raise ValueError(f"{self.name!r} cannot be read: {reason}")
        if tensor.shape != self.shape or tensor.dtype != self.dtype:
            # What was listed of it is no longer true, and would be shown beside its new values.
            raise ValueError(
                f"{self.name!r} was {_type_of(self.shape, self.dtype)} when it was opened and is "
                f"{_type_of(tensor.shape, tensor.dtype)} now: open the model again, or refresh() the explorer"
            )
        if self.guard is not None:
            self.guard()
        plain = tensor.detach()
        return (plain if type(plain) is torch.Tensor else plain.as_subclass(torch.Tensor))[index]

    def release(self) -> None:
        """Let go of the tensor."""
        self.tensor = None


@dataclass(frozen=True)
class Listing:
    """Entries turned into refs.

    Attributes
    ----------
    refs
        In the order of the entries.
    skipped
        Names that got no ref, with the reason.
    """

    refs: list[TensorRef]
    skipped: dict[str, str]

    def release(self) -> None:
        """Let go of all tensors: reading becomes an error."""
        for ref in self.refs:
            if isinstance(ref.reader, HeldTensor | ConvertedArray):
                ref.reader.release()


def list_entries(
    entries: Iterable[Entry], *, guard: Callable[[], None] | None = None, device: str | None = None
) -> Listing:
    """Refs of tensors in memory; ties among them are found.

    Parameters
    ----------
    entries
        In the model's order.
    guard
        Called before each read.
    device
        Overrides the device that refs report: ``"file"`` for tensors mapped from one.
    """
    refs: list[TensorRef] = []
    skipped: dict[str, str] = {}
    first: dict[Hashable, str] = {}
    for entry in entries:
        name = displayable(entry.name)
        value = entry.value
        if isinstance(value, np.ndarray):
            shared = _shared_array(value)
            if isinstance(shared, str):
                skipped[name] = shared
                continue
            if shared is None:
                refs.append(_converted_ref(name, value, entry.role))
                continue
            value = shared
        reason = _unlistable(value)
        if reason:
            skipped[name] = reason
            continue
        tied = [name_of for key in _identities(value) if (name_of := first.setdefault(key, name)) != name]
        refs.append(
            TensorRef(
                name=name,
                shape=tuple(value.shape),
                dtype=dtype_name(value.dtype),
                role=entry.role,
                reader=HeldTensor(name, value, guard, counted=value is entry.value),
                shared_with=tied[0] if tied else None,
                device=device or str(value.device),
            )
        )
    return Listing(refs, skipped)


def _shared_array(array: Array) -> torch.Tensor | str | None:
    """Give a tensor on the same memory, None if slices must be converted, else why the array is left out."""
    if isinstance(array, np.ma.MaskedArray):
        return "a masked array: fill it (.filled()) or pass its .data"
    if torch_type(array) is None:
        return f"a NumPy array of {array.dtype}, which torch has no numbers for"
    try:
        return share(np.asarray(array))
    except (TypeError, ValueError):
        return None


def _converted_ref(name: str, array: Array, role: str) -> TensorRef:
    dtype = torch_type(array)
    assert dtype is not None, "arrays without a torch dtype are skipped before"
    return TensorRef(name, tuple(array.shape), dtype_name(dtype), role, ConvertedArray(np.asarray(array)))


def _unlistable(tensor: torch.Tensor) -> str:
    """Why a tensor has no shape that could be listed, empty if it has one."""
    if is_lazy(tensor):
        return "not initialised yet (a lazy module): run one batch through the model first"
    if tensor.is_nested:
        return "a nested tensor has no single shape: pass its parts (.unbind())"
    return ""


def _unreadable(tensor: torch.Tensor) -> str:
    """Why a tensor's values cannot be read, with the remedy; empty if they can."""
    if tensor.is_meta:
        return "it lies on the meta device and has no values yet; load the weights into the model first"
    if type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        kind = type(tensor).__name__
        if kind == "DTensor":
            return (
                "it is a DTensor, spread over several processes; call weightwidget.summarize(model) in each of them "
                "and open what that gives, or pass .full_tensor() of it"
            )
        return f"it is a {kind}, which does not hold plain values; convert it (.dequantize(), .to_dense()) first"
    if tensor.is_quantized:
        return f"it is quantised ({dtype_name(tensor.dtype)}); pass .dequantize() or .int_repr() of it"
    if tensor.layout is not torch.strided:
        return f"its layout is {str(tensor.layout).removeprefix('torch.')}; pass .to_dense() of it"
    if tensor.numel() > 0 and tensor.untyped_storage().nbytes() == 0:
        # Torch itself would crash.
        return "its memory was let go of, as FSDP and offloading do between steps; gather the weights first"
    return ""


def _type_of(shape: Sequence[int], dtype: torch.dtype) -> str:
    return f"{dtype_name(dtype)} {tuple(shape)}"


def _identities(tensor: torch.Tensor) -> Sequence[Hashable]:
    """Tell what makes two names the same weights: the same object, or the same view of the same memory."""
    same_object = ("object", id(tensor))
    if _unreadable(tensor) or tensor.numel() == 0:
        return (same_object,)
    place = (tensor.device, tensor.untyped_storage().data_ptr(), tensor.storage_offset())
    return (same_object, ("memory", *place, tensor.dtype, tuple(tensor.shape), tensor.stride()))
