"""What the tests of the sources share."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.fixtures import small_cnn


@pytest.fixture
def cnn_file(tmp_path: Path) -> Path:
    """A small CNN in a folder with a telling name."""
    path = tmp_path / "my-cnn" / "model.safetensors"
    path.parent.mkdir()
    save_file(small_cnn().state_dict(), path)
    return path
