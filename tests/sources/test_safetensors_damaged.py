"""Safetensors files that are truncated, damaged, or made to do harm."""

from __future__ import annotations

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.fixtures import (
    truncated,
    write_safetensors,
)
from weightwidget.sources import open_weights
from weightwidget.sources.base import WeightFileError


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal bit for bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and a.numpy(force=True).tobytes() == b.numpy(force=True).tobytes()


@pytest.mark.parametrize("keep", [1, 7, 8, 9, 100])
def test_truncated_inside_the_header(cnn_file, keep):
    with pytest.raises(WeightFileError, match=r"_truncated.safetensors: the file is truncated.*copy it again"):
        open_weights(truncated(cnn_file, keep))


@pytest.mark.parametrize("lost", [1, 4, 1000])
def test_truncated_inside_the_data(cnn_file, lost):
    with pytest.raises(WeightFileError, match=r"truncated: '.*' should end .* bytes after the end of the file"):
        open_weights(truncated(cnn_file, cnn_file.stat().st_size - lost))


def entry(begin: int, end: int, shape: object = None, dtype: object = "U8") -> dict:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"\xff\xfe{}", b"", "not a safetensors file"),
        (b'{"a\xff": 1}', b"", "cannot be parsed"),
        (b'{"a": ', b"", "cannot be parsed"),
        (b'{"a":' * 100_000, b"", "nested too deeply|cannot be parsed"),
        (
            b'{"a": {"dtype": "U8", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 1]}}',
            b"",
            "cannot be parsed",
        ),
        (b"{}[]", b"", "cannot be parsed"),
        ({"__metadata__": []}, b"", "metadata is not"),
        ({"a": 3}, b"", "says no type for 'a'"),
        ({"a": {"dtype": 3}}, b"", "says no type for 'a'"),
        ({"a": entry(0, 1, [-1])}, b"\0", "shape of 'a' is not a list of sizes"),
        ({"a": entry(0, 1, [True])}, b"\0", "shape of 'a' is not a list of sizes"),
        ({"a": entry(0, 1, [1.0])}, b"\0", "shape of 'a' is not a list of sizes"),
        ({"a": entry(0, 1, "1")}, b"\0", "shape of 'a' is not a list of sizes"),
        ({"a": entry(0, 0, [0, 2**62, 2**62])}, b"", "too large for any memory"),
        ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1]}}, b"\0", "offsets of 'a' are not"),
        ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 0]}}, b"\0", "offsets of 'a' are not"),
        ({"a": {"dtype": "U8", "shape": [1]}}, b"\0", "offsets of 'a' are not"),
        ({"a": entry(0, 8, [3], "F32")}, b"\0" * 8, "needs 12 bytes, its header gives it 8"),
        ({"a": entry(0, 4), "b": entry(2, 6)}, b"\0" * 6, "'b' overlaps 'a'"),
        ({"a": entry(0, 2), "b": entry(4, 6)}, b"\0" * 6, "2 bytes before 'b' belong to no tensor"),
        ({"a": entry(0, 2)}, b"\0" * 6, "last 4 bytes belong to no tensor"),
        (b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, "a": {}}', b"\0", "names 'a' twice"),
        (
            b'{"\\ud800": {"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
            b'"\\ud801": {"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
            b"",
            "the same name once invalid characters",
        ),
        ({}, b"", "holds no tensors"),
        ({"__metadata__": {"format": "pt"}}, b"", "holds no tensors"),
        (
            {"a": entry(0, 1, [2], "F4")},
            b"\0",
            "no tensors that can be read .*type F4, which torch .* cannot read",
        ),
    ],
)
def test_damaged_headers(tmp_path, header, data, message):
    path = write_safetensors(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(WeightFileError, match=message) as caught:
        open_weights(path)
    assert str(path) in str(caught.value)


def test_header_longer_than_allowed(tmp_path):
    path = tmp_path / "long.safetensors"
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(WeightFileError, match="not a safetensors file"):
        open_weights(path)


def test_types_that_torch_does_not_know_are_listed(tmp_path):
    header = {"new": entry(0, 2, [4], "F4"), "weight": entry(2, 6)}
    source = open_weights(write_safetensors(tmp_path / "new.safetensors", header, b"\0" * 6))
    assert list(source.tensors) == ["weight"]
    assert "type F4" in source.skipped["new"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 120))
def test_no_bytes_do_harm(tmp_path_factory, junk, at):
    """Bytes overwritten anywhere: it opens, or it says what is wrong; reading what opened works."""
    path = tmp_path_factory.mktemp("junk") / "x.safetensors"
    save_file({"a.weight": torch.ones(2, 3), "b": torch.ones(4, dtype=torch.int8)}, path)
    content = bytearray(path.read_bytes())
    content[at : at + len(junk)] = junk
    path.write_bytes(content)
    try:
        source = open_weights(path)
    except WeightFileError as error:
        named = str(path) in str(error)
    else:
        named = all(ref.read().shape == ref.shape for ref in source.tensors.values())
    assert named
    path.unlink()
