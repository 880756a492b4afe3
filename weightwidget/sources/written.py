"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def writable(path: str | os.PathLike[str], example: str) -> Path:
    """Path of a file to be written, ``~`` expanded.

    Parameters
    ----------
    path
        What a person gave.
    example
        Name of a file, for the message.

    Raises
    ------
    OSError
        If it is a folder, or lies in none that exists.
    """
    target = Path(path).expanduser()
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: give the name of the file too, {target / example} say")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} into: make it first")
    return target


def replace_file(target: Path, content: bytes) -> None:
    """Write a file beside its place and rename it: nothing half written is ever found there.

    Raises
    ------
    OSError
        If it cannot be written. What was there before is then still there.
    """
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
