"""Stamps of the files with compiled kernels: ``python -m tests.kernel_stamps`` brings them up to date.

Numba keeps machine code on disk as long as the content of the file that it was compiled from is the same. What that
file takes from others is in there, too: so it holds a stamp, `BUILT_ON`, of these.
"""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "weightwidget"

STAMPED = [
    PACKAGE / name
    for name in (
        "summary/compiled_ends.py",
        "summary/compiled_add.py",
        "summary/compiled_bare.py",
        "summary/compiled_batch.py",
        "detail/compiled_tiles.py",
    )
]
"""A file comes after those that it takes from."""

_LINE = re.compile(r'^BUILT_ON = "(\w*)"$', re.MULTILINE)


def compiled_from(path: Path) -> list[Path]:
    """The project's files that a file with kernels imports, and those that these import."""
    found: list[Path] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("weightwidget."):
            other = PACKAGE.parent.joinpath(*node.module.split(".")).with_suffix(".py")
            found += [other, *compiled_from(other)]
    return sorted(set(found))


def wanted(path: Path) -> str:
    """The stamp that a file should hold."""
    content = b"".join(other.read_bytes() for other in compiled_from(path))
    return hashlib.sha256(content).hexdigest()[:16]


def held(path: Path) -> str:
    """The stamp that a file holds."""
    found = _LINE.search(path.read_text("utf-8"))
    assert found is not None, f"{path} has no BUILT_ON"
    return found[1]


def main() -> None:
    """Write all stamps."""
    for path in STAMPED:
        text = path.read_text("utf-8")
        path.write_text(_LINE.sub(f'BUILT_ON = "{wanted(path)}"', text), "utf-8")


if __name__ == "__main__":
    main()
