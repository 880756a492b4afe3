"""Complex tensors as real ones: their magnitudes, their real and their imaginary part, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from weightwidget.sources.base import Index, TensorRef
from weightwidget.sources.saved import has_weights

PARTS = ("real", "imaginary")
"""The parts of a complex number, in the order in which they are stored."""

_REAL = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}


def is_complex(tensor: TensorRef) -> bool:
    """Whether a tensor holds complex numbers."""
    return tensor.dtype in _REAL


def magnitude(ref: TensorRef) -> TensorRef:
    """Magnitudes |w| of a complex tensor, as float64.

    In float32 the magnitude of a large finite complex64 may be infinite.

    Parameters
    ----------
    ref
        A complex tensor.

    Returns
    -------
    TensorRef
        Of the same name and shape. It is read in runs like a file, and computes what is asked for: NaN where either
        part is, infinite where a part is and none is NaN.
    """
    device = ref.device if ref.device == "meta" else "file"
    return replace(_plain(ref), dtype="float64", reader=_Magnitude(ref.reader), device=device)


def is_magnitude(ref: TensorRef) -> bool:
    """Whether a tensor was made by `magnitude`."""
    return isinstance(ref.reader, _Magnitude)


def as_real(ref: TensorRef) -> TensorRef:
    """A complex tensor with one more axis of length 2, the last: real and imaginary part. Views where that is possible.

    Parameters
    ----------
    ref
        A complex tensor.
    """
    reader = _AsReal(ref.reader, len(ref.shape))
    return replace(_plain(ref), shape=(*ref.shape, 2), dtype=_REAL[ref.dtype], reader=reader)


def shown(ref: TensorRef) -> TensorRef:
    """What is drawn and counted of a tensor: its values, of complex ones the magnitudes."""
    return magnitude(ref) if is_complex(ref) and has_weights(ref) else ref


def _plain(ref: TensorRef) -> TensorRef:
    return TensorRef(ref.name, ref.shape, ref.dtype, ref.role, ref.reader, ref.shared_with, ref.device)


@dataclass(frozen=True)
class _Magnitude:
    read: Callable[[Index], torch.Tensor]

    def __call__(self, index: Index) -> torch.Tensor:
        values = _strided(self.read(index)).to(torch.complex128)
        real, imaginary = torch.view_as_real(values).unbind(-1)
        found = torch.hypot(real, imaginary)
        # Of an infinite part and one that is NaN, hypot makes infinity.
        return found.masked_fill_(real.isnan() | imaginary.isnan(), torch.nan)


@dataclass(frozen=True)
class _AsReal:
    read: Callable[[Index], torch.Tensor]
    ndim: int

    def __call__(self, index: Index) -> torch.Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        if len(parts) == self.ndim + 1 and ... not in parts:
            return torch.view_as_real(_strided(self.read(parts[:-1])))[..., parts[-1]]
        return torch.view_as_real(_strided(self.read(...)))[index]


def _strided(values: torch.Tensor) -> torch.Tensor:
    if values.layout != torch.strided:
        raise TypeError("sparse weights are read after .to_dense()")
    return values.resolve_conj().resolve_neg()
