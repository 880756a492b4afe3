"""NumPy arrays as torch tensors, without copying them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from weightwidget.sources.base import Index


class _Alias:
    """The same memory, declared writable through NumPy's array interface; keeps the array alive."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def share(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """Torch tensor on the memory of an array.

    Read-only arrays are shared too: ``torch.from_numpy`` would warn about each, although nothing here writes.

    Raises
    ------
    TypeError, ValueError
        If torch cannot hold the array as it is (dtype, byte order, negative strides).
    """
    as_torch = _extension_dtype(array.dtype)
    if as_torch is not None:
        # ml_dtypes, which JAX uses: NumPy does not know the type, torch knows the bits.
        return share(array.view(f"i{array.dtype.itemsize}")).view(as_torch)
    if not array.flags.writeable:
        array = np.asarray(_Alias(array))
    return torch.from_numpy(array)


class ConvertedArray:
    """Reads slices of an array that torch cannot share, by copying each slice that is asked for.

    Parameters
    ----------
    array
        Of foreign byte order or with negative strides, and of a dtype that torch knows.
    """

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array: np.ndarray[Any, Any] | None = array

    def __call__(self, index: Index) -> torch.Tensor:
        """Read a slice."""
        if self.array is None:
            raise ValueError("the array cannot be read: its source was closed")
        part = np.asarray(self.array[index])
        return share(np.array(part, dtype=part.dtype.newbyteorder("="), order="C"))

    def release(self) -> None:
        """Let go of the array."""
        self.array = None


def torch_type(array: np.ndarray[Any, Any]) -> torch.dtype | None:
    """Dtype that torch gives an array's elements, None if it has none for them."""
    extension = _extension_dtype(array.dtype)
    if extension is not None:
        return extension
    try:
        return torch.from_numpy(np.empty(0, dtype=array.dtype.newbyteorder("="))).dtype
    except TypeError:
        return None


def _extension_dtype(dtype: np.dtype[Any]) -> torch.dtype | None:
    """Torch's dtype for one that an extension of NumPy defines (``bfloat16``, ``float8_e4m3fn``, ...)."""
    found = getattr(torch, dtype.name, None) if dtype.isbuiltin == 2 else None
    return found if isinstance(found, torch.dtype) and found.itemsize == dtype.itemsize else None
