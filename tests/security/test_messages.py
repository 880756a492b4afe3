"""What is said of hostile files and models without any page: it can be printed, sent and written."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from weightwidget import WeightExplorer, open_weights
from weightwidget.sources.base import WeightFileError
from weightwidget.wire.handlers import message_of

NAME = "\x1b]0;owned\x07\u202e{0}%s</title>"


def test_errors_cannot_control_a_terminal(tmp_path):
    path = tmp_path / f"{NAME.replace('/', '')}.safetensors"
    path.write_bytes(b"no weights at all")
    with pytest.raises(WeightFileError) as refused:
        open_weights(path)
    assert str(refused.value).isprintable()
    assert "\\x1b]0;owned\\x07\\u202e{0}%s" in str(refused.value)
    for nothing in ({NAME: 1, "\n": "text"}, {NAME: {NAME: 2}}):
        with pytest.raises(ValueError, match="no tensors") as empty:
            open_weights(nothing, name=NAME)
        assert str(empty.value).isprintable()


def test_a_name_of_bytes_that_are_no_text(tmp_path):
    """Linux has such files; Python names them by lone surrogates, which no page and no message can hold."""
    path = tmp_path / os.fsdecode(b"\xff\xfe.safetensors")
    save_file({"a": torch.ones(2, 3)}, tmp_path / "plain.safetensors")
    try:
        (tmp_path / "plain.safetensors").rename(path)
    except OSError:
        pytest.skip("this file system takes no such names")
    explorer = WeightExplorer(path).wait()
    saved = explorer.save_html(tmp_path / "report.html")
    saved.path.read_text("utf-8")
    json.dumps(explorer._repr_mimebundle_()[0], ensure_ascii=False).encode()
    json.dumps(explorer.snapshot()._repr_mimebundle_(), ensure_ascii=False).encode()
    repr(explorer).encode()
    message_of(ValueError(f"{path} is gone")).encode()
    explorer.close()
