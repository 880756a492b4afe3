"""Machine code on disk is never older than what it was compiled from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel_stamps import PACKAGE, STAMPED, compiled_from, held, wanted


@pytest.mark.parametrize("path", STAMPED, ids=lambda path: path.stem)
def test_stamps_are_up_to_date(path: Path) -> None:
    assert held(path) == wanted(path), "run: python -m tests.kernel_stamps"


def test_no_file_is_forgotten() -> None:
    cached = {
        path
        for path in PACKAGE.rglob("*.py")
        if "cache" in path.read_text("utf-8") and "@njit" in path.read_text("utf-8")
    }
    assert {path for path in cached if compiled_from(path)} == set(STAMPED)
    for place, path in enumerate(STAMPED):
        assert not set(compiled_from(path)) & set(STAMPED[place:]), "a file comes after those that it takes from"
