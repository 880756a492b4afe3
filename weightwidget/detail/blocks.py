"""The elements of a tensor, block by block, whatever its type, layout and place: never copied as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import Index, TensorRef, dtype_name

BLOCK = 16384
"""Elements of a block: some 64 KB, which stay in a core's cache, and few enough that torch starts no threads."""

SPAN = 1 << 20
"""Elements of a span: what one thread takes, and what is fetched at once from a file or another device."""

Block: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_NARROW = {torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8, torch.int8, torch.int16}
_WIDE = {torch.float64, torch.int32, torch.int64} | {
    getattr(torch, name) for name in ("uint16", "uint32", "uint64") if hasattr(torch, name)
}
_FLOAT8 = {dtype for name in dir(torch) if name.startswith("float8_") for dtype in [getattr(torch, name)]}


def blocks(weights: TensorRef | torch.Tensor, size: int = BLOCK) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the elements in row-major order as float64.

    Parameters
    ----------
    weights
        A tensor of any real type and layout in memory, or a reference to one anywhere.
    size
        Largest number of elements of a block.

    Yields
    ------
    numpy.ndarray
        One-dimensional, float64. Integers beyond 2**53 are rounded to the nearest float64.

    Raises
    ------
    TypeError
        If the type has no order (complex) or is not known, or the layout is sparse or quantised.
    """
    for _, span in spans(weights):
        for piece in split(span, size):
            yield numbers(piece).astype(np.float64, copy=False)


def spans(
    weights: TensorRef | torch.Tensor, size: int = SPAN, *, ordered: bool = True
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield consecutive parts of a tensor in row-major order, with the flat position where each starts.

    What lies in memory is not copied. From files and other devices one part at a time is read.

    Parameters
    ----------
    weights
        A tensor, or a reference to one.
    size
        Largest number of elements of a part.
    ordered
        Whether the order matters. Where it does not, elements come as they lie in memory, which is several
        times faster for transposed tensors; the positions then mean nothing.

    Yields
    ------
    tuple of int and torch.Tensor
        Flat position of the first element, and the elements in the CPU's memory; not to be written to.

    Raises
    ------
    TypeError
        As `blocks` does.
    """
    source: Callable[[Index], torch.Tensor]
    if isinstance(weights, TensorRef) and weights.device != "cpu":
        source, shape = weights.read, weights.shape
    else:
        tensor = weights.read() if isinstance(weights, TensorRef) else weights.detach()
        check(tensor)
        if not ordered:
            tensor = tensor.permute(sorted(range(tensor.ndim), key=tensor.stride, reverse=True))
        source, shape = tensor.__getitem__, tuple(tensor.shape)
        if tensor.device.type == "cpu" and tensor.is_contiguous():
            flat = tensor.view(-1)
            for start in range(0, flat.numel(), size):
                yield start, flat[start : start + size]
            return
    for start, index in _slabs(shape, size):
        part = source(index)
        check(part)
        yield start, part.cpu()


def split(span: torch.Tensor, size: int = BLOCK) -> Iterator[torch.Tensor]:
    """Yield the elements of a tensor in row-major order as flat tensors of at most `size` elements.

    A part is copied where its elements do not lie one behind the other, and only then.
    """
    if span.is_contiguous():
        flat = span.view(-1)
        for start in range(0, flat.numel(), size):
            yield flat[start : start + size]
        return
    for _, index in _slabs(tuple(span.shape), size):
        yield span[index].reshape(-1)


def check(tensor: torch.Tensor) -> None:
    """Refuse what cannot be put in order element by element.

    Raises
    ------
    TypeError
        Says what it is and what to do.
    """
    dtype = tensor.dtype
    if dtype.is_complex:
        raise TypeError(f"{dtype_name(dtype)} weights have no order: look at .real, .imag or .abs() of them")
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError("sparse and quantised tensors are read after .to_dense() or .dequantize()")
    if tensor.device.type == "meta":
        raise TypeError("the tensor is on the meta device: it has a shape but no values")
    if dtype not in _NARROW | _WIDE | _FLOAT8:
        raise TypeError(f"weights of type {dtype_name(dtype)} cannot be read as numbers")


def numbers(piece: torch.Tensor) -> Block:
    """Give the elements of a flat CPU tensor as float32 where that holds its type exactly, else as float64.

    Float32 and float64 come without a copy: not to be written to.
    """
    dtype = piece.dtype
    if piece.is_neg():  # a lazy minus sign, which NumPy does not know
        piece = piece.resolve_neg()
    if dtype in _FLOAT8:
        decoded: Block = _float8_table(dtype)[piece.view(torch.uint8).numpy()]
        return decoded
    if dtype in (torch.float16, torch.bfloat16):
        piece = piece.float()
    array: npt.NDArray[Any] = piece.numpy()
    if dtype in _NARROW:
        return array.astype(np.float32, copy=False)
    return array.astype(np.float64, copy=False)


@cache
def _float8_table(dtype: torch.dtype) -> npt.NDArray[np.float32]:
    """Give the values of all 256 patterns. The CPU lacks most arithmetic for these types."""
    table: npt.NDArray[np.float32] = torch.arange(256, dtype=torch.uint8).view(dtype).float().numpy()
    return table


def _slabs(shape: tuple[int, ...], size: int) -> Iterator[tuple[int, tuple[int | slice, ...]]]:
    """Cut an array into row-major runs of at most `size` elements: where each starts, and its index."""
    tails = [1]
    for length in reversed(shape):
        tails.append(tails[-1] * length)
    strides = tails[-2::-1]  # elements that a step along each axis passes over
    if 0 in shape:
        return
    # The first axis along which one step is small enough: the axes before it are stepped through one by one.
    axis = next((axis for axis, stride in enumerate(strides) if stride <= size), 0)
    if not shape:
        yield 0, ()
        return
    step = max(1, size // strides[axis])
    cuts = [*range(0, shape[axis], step), shape[axis]]
    for outer, at in enumerate(np.ndindex(*shape[:axis])):
        base = outer * strides[axis] * shape[axis]
        for low, high in pairwise(cuts):
            yield base + low * strides[axis], (*at, slice(low, high))
