"""What a source of weights looks like to everything above it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch

from weightwidget.sources.names import visible

Index: TypeAlias = EllipsisType | int | slice | tuple[int | slice | EllipsisType, ...]
"""What `TensorRef.read` takes: basic indexing only, so that a read never copies more than asked for."""


class WeightFileError(ValueError):
    """A file of weights that cannot be read.

    The message names the file, says what is wrong with it and what to do.

    Parameters
    ----------
    message
        May quote the file's path and whatever stands in the file: it is made fit for terminals.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


class MissingWeightFileError(WeightFileError, FileNotFoundError):
    """A path where nothing lies. Caught by ``except FileNotFoundError`` too."""


@dataclass(frozen=True)
class ModuleInfo:
    """A module of the network.

    Attributes
    ----------
    path
        Full name, parts joined by dots; empty for the root.
    kind
        Class name, ``"Conv2d"`` say; empty where it is not known (bare state dicts).
    hyper
        The hyperparameters that give the axes of its tensors a meaning (``groups``, ``num_heads``, ...).
    bases
        Names of the classes of ``torch.nn`` that its class is made from, nearest first: ``("Linear",)``.
    library
        Package that defines its class: ``"torch"``, ``"transformers"``, ``"__main__"``; empty where it is not known.
    """

    path: str
    kind: str
    hyper: Mapping[str, Any] = field(default_factory=dict)
    bases: tuple[str, ...] = ()
    library: str = ""


@runtime_checkable
class StreamReader(Protocol):
    """A reader of elements that lie in a file one after the other.

    Attributes
    ----------
    stride
        None if they do lie so, in C order; only then the methods may be called.
    """

    stride: tuple[int, ...] | None

    def stream(self, first: int, count: int) -> AbstractContextManager[Callable[[memoryview], None]]:
        """Give a function that fills a buffer with the next bytes of some elements."""
        ...

    def expect(self, first: int, count: int) -> None:
        """Say that elements will be read soon."""
        ...


@dataclass(frozen=True)
class TensorRef:
    """A tensor that can be read, wherever it lies.

    Attributes
    ----------
    name
        Full name, parts joined by dots.
    shape
        Size of each axis, in elements.
    dtype
        Stored type as torch spells it without the prefix: ``"float32"``, ``"bfloat16"``, ``"int64"``, ...
    role
        ``"weight"``, ``"bias"``, ``"gain"``, ``"buffer"``, ``"mask"``, ...
    shared_with
        The first name of a tied tensor, for its further names; None for the first. Tied weights count once.
    device
        Where the data lies: ``"cpu"``, ``"cuda:0"``, ``"meta"``, ``"file"``.
    reader
        Gives the slice for an index. Called by `read` only.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    reader: Callable[[Index], torch.Tensor] = field(repr=False, compare=False)
    shared_with: str | None = None
    device: str = "cpu"

    def read(self, index: Index = ...) -> torch.Tensor:
        """Read a slice, a view of the data where that is possible.

        Parameters
        ----------
        index
            Basic index (integers, slices, an ellipsis). The default reads everything.

        Returns
        -------
        torch.Tensor
            Detached, in the stored dtype and on the device where it lies. Not to be written to.
        """
        return self.reader(index)

    @property
    def stream(self) -> StreamReader | None:
        """Reads the elements one after the other from their file; None if they do not lie so, or in no file."""
        if self.device != "file":
            return None
        reader: object = self.reader
        return reader if isinstance(reader, StreamReader) and reader.stride is None else None

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Stored size in bytes."""
        return self.numel * torch_dtype(self.dtype).itemsize

    @property
    def module(self) -> str:
        """Path of the module that owns the tensor; empty for the root."""
        return self.name.rpartition(".")[0]


@runtime_checkable
class WeightSource(Protocol):
    """Where weights come from: one implementation a format.

    Attributes
    ----------
    name
        What a person calls it: a class name, a file's name.
    tensors
        The tensors by name, in the model's own order.
    modules
        The modules by path. Paths that only appear inside tensor names may be missing.
    skipped
        What was found but is not among the tensors, by name, with the reason.
    """

    name: str
    tensors: Mapping[str, TensorRef]
    modules: Mapping[str, ModuleInfo]
    skipped: Mapping[str, str]

    def close(self) -> None:
        """Let go of files. Reading afterwards is an error."""
        ...


class Described(Protocol):
    """What a reference to a tensor and the record of one have in common."""

    @property
    def role(self) -> str:
        """As of `TensorRef`."""

    @property
    def dtype(self) -> str:
        """As of `TensorRef`."""

    @property
    def shared_with(self) -> str | None:
        """As of `TensorRef`."""


def in_totals(tensor: Described) -> bool:
    """Whether a tensor's values are among the weights of its module and of the model.

    The further names of tied weights are not, for those count once; nor are buffers of integers, such as step
    counters and tables of positions: their values are no weights, and would drown those.
    """
    is_counter = tensor.role == "buffer" and tensor.dtype.startswith(("int", "uint", "bool"))
    return tensor.shared_with is None and not is_counter


def torch_dtype(name: str) -> torch.dtype:
    """Torch's dtype for its name without the prefix.

    Raises
    ------
    ValueError
        If this version of torch has no such dtype.
    """
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"torch {torch.__version__} has no dtype {name!r}: a newer torch may read it")
    return dtype


def dtype_name(dtype: torch.dtype) -> str:
    """Name of a torch dtype without the prefix: ``"float32"``."""
    return str(dtype).removeprefix("torch.")


_BUFFERS = frozenset({"running_mean", "running_var", "num_batches_tracked", "position_ids", "inv_freq"})

# What optimizers keep beside the weights: it has their shapes, but it is no weight.
_OPTIMIZER_STATE = frozenset(
    {
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
        "momentum_buffer",
        "square_avg",
        "grad_avg",
        "acc_delta",
        "step",
    }
)


def role_of(name: str, ndim: int) -> str:
    """Role of a parameter by the last part of its name and its rank, where no module class tells.

    Parameters
    ----------
    name
        Full name.
    ndim
        Number of axes.
    """
    parts = name.lower().split(".")
    leaf = parts[-1]
    if leaf.startswith("original") and len(parts) > 2 and parts[-3] == "parametrizations":
        leaf = parts[-2]
    leaf = leaf.removesuffix("_orig")
    if leaf.endswith("_mask") or leaf == "mask":
        return "mask"
    if leaf in _BUFFERS or leaf in _OPTIMIZER_STATE:
        return "buffer"
    if leaf.startswith("bias") or leaf.endswith(("bias", "_b", "beta")):
        return "bias"
    if leaf == "weight_g" or (ndim == 1 and leaf in {"weight", "gamma", "scale", "g"}):
        return "gain"
    return "weight"


def displayable(name: str) -> str:
    """Name of a tensor made safe to send: never empty, and valid Unicode.

    Lone surrogates, which JSON may smuggle in and UTF-8 cannot hold, become U+FFFD. Everything else stays:
    names are shown as plain text only.
    """
    if not name:
        return "(unnamed)"
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
