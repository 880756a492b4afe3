"""Checks that a built wheel holds the front end: ``python tests/check_wheel.py dist/*.whl``.

Also that JupyterLab will find its extension there: the script that the extension's package.json names is in place.
"""

from __future__ import annotations

import json
import sys
import zipfile

EXTENSION = ".data/data/share/jupyter/labextensions/weightwidget"

STATIC = ("widget.js", "widget.css", "page.js", "page-loader.js", "page.css")

NEEDED = ("weightwidget/py.typed", *(f"weightwidget/static/{name}" for name in STATIC))


def missing(wheel: str) -> list[str]:
    """Files that the wheel lacks, or has empty."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        place = next((name for name in sizes if name.endswith(f"{EXTENSION}/package.json")), None)
        package = {} if place is None else json.loads(archive.read(place))
    needed = list(NEEDED)
    if place is None:
        needed.append(f"{EXTENSION}/package.json")
    else:
        folder = place.removesuffix("package.json")
        needed += [f"{folder}install.json", folder + package["jupyterlab"]["_build"]["load"]]
    return [name for name in needed if not sizes.get(name)]


if __name__ == "__main__":
    for path in sys.argv[1:]:
        lacking = missing(path)
        if lacking:
            raise SystemExit(f"{path} lacks {', '.join(lacking)}")
        print(f"{path}: complete")
