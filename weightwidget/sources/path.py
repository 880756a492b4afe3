"""Weights at a path: a file, a folder, or an index of shards."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from weightwidget.sources.base import MissingWeightFileError, WeightFileError, displayable
from weightwidget.sources.safetensors_file import open_safetensors
from weightwidget.sources.saved import SUFFIX
from weightwidget.sources.sniff import TORCH_SUFFIXES, kind_of_file
from weightwidget.sources.source import ListedSource
from weightwidget.sources.torch_file import open_torch_files

_LOOKED_FOR = "*.index.json, *.safetensors, then *.pt, *.pth, *.bin, *.ckpt"

_LARGEST_INDEX = 1 << 28


def open_path(path: Path | str, name: str | None = None) -> ListedSource:
    """Open what lies at a path.

    Parameters
    ----------
    path
        File, folder or index. ``~`` is expanded.
    name
        What to call the model.

    Raises
    ------
    WeightFileError
        If there is nothing, or nothing that can be opened; with the reason and the remedy.
    """
    text = str(path)
    if re.match(r"[a-z][a-z0-9+]+://", text):
        raise WeightFileError(f"{text}: addresses are not opened. Download the file first and pass its path.")
    path = Path(path).expanduser()
    try:
        if not path.exists():
            raise MissingWeightFileError(_missing(path))
        if path.is_dir():
            return _open_folder(path, name)
        if not path.is_file():
            raise WeightFileError(f"{path}: this is neither a file nor a folder.")
    except (OSError, ValueError) as error:
        if isinstance(error, WeightFileError):
            raise
        # A null character, a name that is too long, a folder that may not be looked into.
        raise WeightFileError(f"{displayable(text)!r}: the path cannot be opened: {error}.") from error
    kind = kind_of_file(path)
    if kind == "index":
        return _open_index(path, name, path)
    return (open_safetensors if kind == "safetensors" else open_torch_files)([path], name, path)


def _missing(path: Path) -> str:
    parent = path.parent
    message = f"{path}: there is no such file or folder."
    if parent.is_dir():
        # Stems are compared: that both end in .safetensors makes no two names alike.
        stems = {entry.stem.lower(): entry.name for entry in sorted(parent.iterdir(), reverse=True)}
        close = difflib.get_close_matches(path.stem.lower(), stems, n=3, cutoff=0.6)
        if close:
            names = ", ".join(repr(stems[stem]) for stem in close)
            message += f" In {parent.absolute()} there is {names}."
    else:
        reached = next((above for above in path.parents if above.is_dir()), Path())
        message += f" The path exists as far as {reached.absolute()}."
    looks_like_file = path.suffix.lower() in {".safetensors", *TORCH_SUFFIXES}
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)) and not looks_like_file:
        message += " For a model on the Hugging Face Hub, run huggingface_hub.snapshot_download first."
    return message


def _open_folder(folder: Path, name: str | None) -> ListedSource:
    files = sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    indexes = [file for file in files if file.name.endswith(".index.json")]
    shards = [file for file in files if file.suffix.lower() == ".safetensors"]
    # They may lie beside the weights that they are of.
    summaries = [file for file in shards if file.name.endswith(SUFFIX)]
    shards = [file for file in shards if file not in summaries]
    pickles = [file for file in files if file.suffix.lower() in TORCH_SUFFIXES]

    # What is safe and lazy first: many repositories hold the same weights in several formats.
    safe = [index for index in indexes if ".safetensors" in index.name]
    for group, usual in ((safe, "model.safetensors.index.json"), (indexes, "pytorch_model.bin.index.json")):
        if group is indexes and shards:
            continue
        chosen = _choose(folder, group, usual)
        if chosen is not None:
            return _open_index(chosen, name, folder)
    if shards:
        for shard in shards:
            kind_of_file(shard)
        return open_safetensors(shards, name, folder)
    # `training_args.bin` is a pickle that transformers leaves beside the weights.
    pickles = [file for file in pickles if file.name != "training_args.bin"] or pickles
    chosen = _choose(folder, pickles, "pytorch_model.bin")
    if chosen is not None:
        kind_of_file(chosen)
        return open_torch_files([chosen], name, folder)
    chosen = _choose(folder, summaries, f"model{SUFFIX}")
    if chosen is not None:
        return open_safetensors([chosen], name)
    raise WeightFileError(_nothing_in(folder, files))


def _choose(folder: Path, files: Sequence[Path], usual: str) -> Path | None:
    """Take the only file, or the one with the usual name."""
    if len(files) <= 1:
        return files[0] if files else None
    for file in files:
        if file.name == usual:
            return file
    raise WeightFileError(f"{folder}: the folder holds several models: {_some(files)}. Open one of these files.")


def _nothing_in(folder: Path, files: Sequence[Path]) -> str:
    message = f"{folder}: nothing in this folder can be opened. Looked for {_LOOKED_FOR}; found "
    message += f"{_some(files)}." if files else "no files."
    wanted = {".safetensors", *TORCH_SUFFIXES}
    inside = [
        child
        for child in sorted(folder.iterdir())
        if child.is_dir() and any(entry.suffix.lower() in wanted for entry in child.iterdir())
    ]
    if inside:
        message += f" Its folders {_some(inside)} hold weights: open one of them."
    else:
        foreign = next((file for file in files if file.suffix.lower() in {".h5", ".keras", ".gguf", ".index"}), None)
        if foreign is not None:
            try:
                kind_of_file(foreign)
            except WeightFileError as error:
                message += " " + str(error).removeprefix(f"{foreign}: ")
    return message


def _some(paths: Sequence[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:6])
    return shown + (f" and {len(paths) - 6} more" if len(paths) > 6 else "")


def _open_index(index: Path, name: str | None, origin: Path) -> ListedSource:
    """Open the shards that an index names.

    Raises
    ------
    WeightFileError
        If the index is no index, or if shards are missing.
    """
    owner = _read_index(index)
    shards = [index.parent / shard for shard in dict.fromkeys(owner.values())]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        raise WeightFileError(
            f"{index}: {len(missing)} of {len(shards)} shards are missing: {_some(missing)}. "
            "Download them into the same folder."
        )
    kinds = {kind_of_file(shard) for shard in shards}
    if kinds == {"safetensors"}:
        source = open_safetensors(shards, name, origin)
    elif kinds == {"torch"}:
        source = open_torch_files(shards, name, origin)
    else:
        raise WeightFileError(f"{index}: its shards are not of one format: {_some(shards)}.")
    lost = {
        tensor: f"{index.name} says that it is in {shard}, but it is in no shard"
        for tensor, shard in owner.items()
        if tensor not in source.tensors and tensor not in source.skipped
    }
    source.skipped = {**source.skipped, **lost}
    return source


def _read_index(index: Path) -> dict[str, str]:
    """Shard of each tensor."""
    try:
        if index.stat().st_size > _LARGEST_INDEX:
            raise WeightFileError(f"{index}: the file is far too large for an index of shards.")
        content = json.loads(index.read_text("utf-8"))
    except OSError as error:
        raise WeightFileError(f"{index}: the file cannot be opened: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, WeightFileError):
            raise
        raise WeightFileError(f"{index}: the index cannot be parsed: {error}. Download it again.") from error
    owner = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(owner, dict) or not owner or not all(isinstance(shard, str) for shard in owner.values()):
        raise WeightFileError(
            f'{index}: this is not an index of shards: it has no "weight_map" of tensor to file names. Pass '
            "the .index.json, the folder, or a file of weights."
        )
    for shard in owner.values():
        if not shard or Path(shard).name != shard or "\\" in shard or "\0" in shard:
            raise WeightFileError(
                f"{index}: the index points outside its folder: {displayable(shard)!r}. Not followed."
            )
    return {displayable(tensor): shard for tensor, shard in owner.items()}
