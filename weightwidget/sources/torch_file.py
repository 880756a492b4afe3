"""Weights in PyTorch's own files. A pickle that wants to run code is refused, never run."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from weightwidget.sources.base import ModuleInfo, TensorRef, WeightFileError, displayable, dtype_name
from weightwidget.sources.filemap import FilePool, FileSlice, FileStamp, contiguous_stride
from weightwidget.sources.hub import name_of_path, root_module
from weightwidget.sources.memory import Listing, list_entries
from weightwidget.sources.safetensors_file import refuse_duplicates
from weightwidget.sources.sniff import first_bytes
from weightwidget.sources.source import ListedSource
from weightwidget.sources.state_dict import Flattened, no_tensors


@dataclass(frozen=True)
class _Loaded:
    """The tensors of one file, and what they hold."""

    refs: list[TensorRef]
    skipped: dict[str, str]
    listing: Listing


def open_torch_files(paths: Sequence[Path], name: str | None = None, origin: Path | None = None) -> ListedSource:
    """Open a ``.pt``, ``.pth`` or ``.bin`` file, or the shards of one model.

    The tensors stay in the file and are mapped; files in the format before PyTorch 1.6 have to be read whole.

    Parameters
    ----------
    paths
        The files, in order.
    name
        What to call the model; by default by the name of `origin`.
    origin
        What the person gave: the file, the folder or the index.

    Raises
    ------
    WeightFileError
        If a file is damaged, refused because it contains code, or without tensors.
    """
    origin = origin or paths[0]
    pool = FilePool()
    files = [(path, _load(path, pool)) for path in paths]
    refuse_duplicates(origin, ((path, [ref.name for ref in file.refs]) for path, file in files))
    refs = [ref for _, file in files for ref in file.refs]
    skipped = {key: reason for _, file in files for key, reason in file.skipped.items()}
    if not refs:
        raise WeightFileError(f"{origin}: there are no weights to show: {no_tensors(skipped)}.")

    def close() -> None:
        pool.close()
        for _, file in files:
            file.listing.release()

    folder = origin if origin.is_dir() else origin.parent
    modules: dict[str, ModuleInfo] = root_module(folder)
    return ListedSource(name or name_of_path(origin), refs, modules, skipped, close)


def _load(path: Path, pool: FilePool) -> _Loaded:
    stamp = FileStamp.of(path)
    zipped = first_bytes(path).startswith(b"PK\x03\x04")
    try:
        content = _read(path, mmap=zipped)
    except pickle.UnpicklingError as error:
        # Without torch's own text, which advises weights_only=False.
        raise _refusal(path, str(error)) from None
    except Exception as error:
        if "unable to mmap" in str(error) and "Cannot allocate memory" in str(error):
            return _load_larger_than_memory(path, stamp, pool, error)
        raise _damage(path, error) from error
    tree = Flattened(content)
    guard = stamp.check if zipped else None
    listing = list_entries(tree.entries, guard=guard, device="file" if zipped else None)
    return _Loaded(listing.refs, {**tree.skipped, **listing.skipped}, listing)


def _load_larger_than_memory(path: Path, stamp: FileStamp, pool: FilePool, error: Exception) -> _Loaded:
    """Take the places of the tensors from the file, and map it ourselves.

    ``torch.load(mmap=True)`` maps in a way that Linux refuses when the file is larger than RAM and swap.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with FakeTensorMode():
            content = _read(path, mmap=False)
    except pickle.UnpicklingError as refused:
        raise _refusal(path, str(refused)) from None
    except Exception as damage:
        raise _damage(path, damage) from damage
    tree = Flattened(content)
    refs: list[TensorRef] = []
    skipped = dict(tree.skipped)
    first: dict[Any, str] = {}
    for entry in tree.entries:
        tensor = entry.value
        if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided or tensor.is_quantized:
            skipped[entry.name] = "of a kind that cannot be mapped from a file that is larger than memory"
            continue
        offset = getattr(tensor.untyped_storage(), "_checkpoint_offset", None)
        if offset is None:
            raise WeightFileError(
                f"{path}: the file is larger than memory, and torch {torch.__version__} cannot tell where "
                "its tensors lie. Update torch, or save the weights as safetensors."
            ) from error
        name, dtype = displayable(entry.name), dtype_name(tensor.dtype)
        shape, stride = tuple(map(int, tensor.shape)), tuple(map(int, tensor.stride()))
        start = int(offset) + int(tensor.storage_offset()) * tensor.dtype.itemsize
        owner = first.setdefault((start, shape, stride, dtype), name) if tensor.numel() else name
        in_order = stride == contiguous_stride(shape)
        reader = FileSlice(pool, stamp, start, shape, dtype, None if in_order else stride)
        refs.append(TensorRef(name, shape, dtype, entry.role, reader, owner if owner != name else None, "file"))
    return _Loaded(refs, skipped, Listing([], {}))


def _read(path: Path, *, mmap: bool) -> Any:
    """Load tensors and plain containers, nothing else."""
    with warnings.catch_warnings():
        # Torch comments on old pickle protocols and on TorchScript; what matters of it comes as an error.
        warnings.simplefilter("ignore")
        return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mmap)


def _refusal(path: Path, reason: str) -> WeightFileError:
    """Say why the restricted unpickler stopped: because of code, or because the file is no valid pickle."""
    missing = re.search(r"``?([\w.]+)``? must be imported to load (\w+)", reason)
    if missing is not None:
        return WeightFileError(f"{path}: the file holds {missing[2]}: `import {missing[1]}` first, then open it again.")
    needed = re.search(r"GLOBAL (\S+)", reason)
    if needed is None and "but got" not in reason:
        last_line = next((line for line in reversed(_lines(reason)) if "documentation" not in line), "no pickle")
        return WeightFileError(
            f"{path}: the file is damaged or was not made by torch.save ({last_line[:200]}). Download or "
            "save it again. If it is another kind of pickle and you trust it, load it and pass its tensors."
        )
    what = needed[1] if needed else "something other than tensors"
    return WeightFileError(
        f"{path}: the file is refused: it is a pickle that needs {what}, and running that could do anything. "
        "Nothing of it was run. Save the weights alone with torch.save(model.state_dict(), path), or, if you "
        "trust the file, load it yourself with torch.load(path, weights_only=False) and pass the model or "
        "the state dict."
    )


def _damage(path: Path, error: Exception) -> WeightFileError:
    if "TorchScript" in str(error):
        return WeightFileError(
            f"{path}: this is a TorchScript program, which contains code. If you trust it, load it with "
            "torch.jit.load(path) and pass the module."
        )
    if isinstance(error, MemoryError):
        return WeightFileError(f"{path}: not enough memory to read it. Save it as safetensors, which is mapped.")
    text = next(iter(_lines(str(error))), "")
    return WeightFileError(
        f"{path}: the file is truncated or damaged ({type(error).__name__}: {text[:200]}). Download or save it again."
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
