"""Checks that a built wheel holds the front end: ``python tests/check_wheel.py dist/*.whl``."""

from __future__ import annotations

import sys
import zipfile

NEEDED = ("weightwidget/static/widget.js", "weightwidget/static/widget.css", "weightwidget/py.typed")


def missing(wheel: str) -> list[str]:
    """Files that the wheel lacks, or has empty."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    return [name for name in NEEDED if not sizes.get(name)]


if __name__ == "__main__":
    for path in sys.argv[1:]:
        lacking = missing(path)
        if lacking:
            raise SystemExit(f"{path} lacks {', '.join(lacking)}")
        print(f"{path}: complete")
