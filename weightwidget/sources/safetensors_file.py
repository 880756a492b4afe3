"""Weights in safetensors files, one or many shards. Opening reads headers only; slices are mapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from weightwidget.sources.base import TensorRef, WeightFileError, role_of
from weightwidget.sources.filemap import FilePool, FileSlice
from weightwidget.sources.hub import name_of_path, root_module
from weightwidget.sources.names import natural_key
from weightwidget.sources.safetensors_header import Header, StoredTensor, read_header
from weightwidget.sources.saved import SUFFIX, opener_for
from weightwidget.sources.source import ListedSource


def open_safetensors(paths: Sequence[Path], name: str | None = None, origin: Path | None = None) -> ListedSource:
    """Open one file, or the shards of one model. A single file may hold a summary of weights instead.

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
        If a file is damaged, if two hold a tensor of the same name, or if there is no tensor at all.
    """
    origin = origin or paths[0]
    pool = FilePool()
    headers = [read_header(path) for path in paths]
    opener = opener_for(headers[0].metadata) if len(headers) == 1 else None
    if opener is not None:
        return opener(paths[0], name)
    for path, header in zip(paths, headers, strict=True):
        if opener_for(header.metadata) is not None:
            raise WeightFileError(
                f"{path}: the file holds a summary, no weights, so it is no shard of a model. Open it by itself, or "
                f"end its name with {SUFFIX}: it then may lie beside the shards."
            )
    refuse_duplicates(origin, ((Path(h.stamp.path), [*(t.name for t in h.tensors), *h.skipped]) for h in headers))
    stored = [(header, tensor) for header in headers for tensor in header.tensors]
    if all(_order_says_nothing(header.tensors) for header in headers):
        stored.sort(key=lambda pair: natural_key(pair[1].name))
    refs = [
        TensorRef(
            name=tensor.name,
            shape=tensor.shape,
            dtype=tensor.dtype,
            role=role_of(tensor.name, len(tensor.shape)),
            reader=FileSlice(pool, header.stamp, tensor.start, tensor.shape, tensor.dtype),
            device="file",
        )
        for header, tensor in stored
    ]
    skipped = {key: reason for header in headers for key, reason in header.skipped.items()}
    if not refs:
        why = "; ".join(f"{key}: {reason}" for key, reason in list(skipped.items())[:3])
        raise WeightFileError(f"{origin}: the file holds no tensors{f' that can be read ({why})' if why else ''}.")
    refs = _with_removed_ties(refs, headers)
    folder = origin if origin.is_dir() else origin.parent
    return ListedSource(name or name_of_path(origin), refs, root_module(folder), skipped, pool.close)


def refuse_duplicates(origin: Path, names: Iterable[tuple[Path, Iterable[str]]]) -> None:
    """Raise if a name occurs in two files.

    Parameters
    ----------
    origin
        What the person gave.
    names
        Tensor names by file.
    """
    owner: dict[str, Path] = {}
    for path, found in names:
        for name in found:
            if name in owner:
                raise WeightFileError(
                    f"{origin}: {name!r} is both in {owner[name].name} and in {path.name}. If these are "
                    "separate models or checkpoints, open one of the files; if they are shards, one is left "
                    "over from an older save."
                )
            owner[name] = path


def _order_says_nothing(tensors: Sequence[StoredTensor]) -> bool:
    """Whether the data lies as the format's library sorts it: by type, then by name as text."""
    last: dict[str, str] = {}
    for tensor in tensors:
        if last.get(tensor.dtype, "") > tensor.name:
            return False
        last[tensor.dtype] = tensor.name
    return True


def _with_removed_ties(refs: list[TensorRef], headers: Sequence[Header]) -> list[TensorRef]:
    """Add the names of tied tensors that ``safetensors.torch.save_model`` stored once.

    It notes them in the metadata, as removed name -> kept name.
    """
    kept = {ref.name: ref for ref in refs}
    for header in headers:
        for removed, name in header.metadata.items():
            tied = kept.get(name)
            if tied is not None and removed and removed not in kept:
                role = role_of(removed, len(tied.shape))
                refs.append(TensorRef(removed, tied.shape, tied.dtype, role, tied.reader, name, "file"))
    return refs
