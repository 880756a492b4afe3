"""Paths: what is missing, ambiguous, foreign, or not what its name says."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from tests.fixtures import small_cnn
from weightwidget.sources import open_weights
from weightwidget.sources.base import WeightFileError

STATE = {"weight": torch.ones(2, 3)}


def test_missing_path_names_it_and_what_is_near(tmp_path):
    save_file(STATE, tmp_path / "resnet50.safetensors")
    save_file(STATE, tmp_path / "other.safetensors")
    with pytest.raises(WeightFileError, match=r"resnet5.safetensors: there is no such file") as caught:
        open_weights(tmp_path / "resnet5.safetensors")
    assert isinstance(caught.value, FileNotFoundError)
    assert "'resnet50.safetensors'" in str(caught.value)
    assert "other" not in str(caught.value)


def test_missing_folder_says_how_far_the_path_goes(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"exists as far as {tmp_path}\."):
        open_weights(tmp_path / "no" / "such" / "model.pt")


def test_hub_names_and_addresses():
    with pytest.raises(WeightFileError, match="snapshot_download"):
        open_weights("sentence-transformers/all-MiniLM-L6-v2")
    with pytest.raises(WeightFileError, match="Download the file first"):
        open_weights("https://example.org/model.safetensors")


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_file(STATE, tmp_path / "x.safetensors")
    assert list(open_weights("~/x.safetensors").tensors) == ["weight"]


def test_paths_that_are_no_paths():
    for text in ("a\0b", "x" * 10_000):
        with pytest.raises(WeightFileError):
            open_weights(text)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_neither_file_nor_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(WeightFileError, match="neither a file nor a folder"):
        open_weights(tmp_path / "pipe.pt")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    path = tmp_path / "locked.safetensors"
    save_file(STATE, path)
    path.chmod(0)
    with pytest.raises(WeightFileError, match="cannot be opened: Permission denied"):
        open_weights(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"", "the file is empty"),
        ("a.pt", b"", "the file is empty"),
        (
            "a.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "Git LFS pointer.*git lfs pull",
        ),
        (
            "a.bin",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "Git LFS pointer.*git lfs pull",
        ),
        ("a.pt", b"<!DOCTYPE html><html>", "web page, not weights"),
        ("a.bin", b"GGUF\x03\0\0\0", "this is a GGUF file"),
        ("a.gguf", b"GGUF\x03\0\0\0", r"\.gguf files are not supported yet. Meanwhile"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", r"\.h5 files are not supported yet. Meanwhile load it with Keras"),
        ("a.bin", b"\x89HDF\r\n\x1a\n", "this is an HDF5 file"),
        ("a.keras", b"PK\x03\x04", ".keras files are not supported yet"),
        ("a.onnx", b"\x08\x07", ".onnx files are not supported yet"),
        ("a.npz", b"PK\x03\x04", r"pass dict\(numpy.load\(path\)\)"),
        ("a.txt", b"hello there, this is text", "not a kind of file that can be opened.*Supported"),
        ("noname", b"\0\1\2", "no suffix"),
        ("notes.json", b'{"a": 1}', "not an index of shards"),
    ],
)
def test_foreign_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightFileError, match=message) as caught:
        open_weights(tmp_path / name)
    assert name in str(caught.value)


def test_wrong_suffixes_are_told(tmp_path):
    torch.save(STATE, tmp_path / "a.safetensors")
    save_file(STATE, tmp_path / "b.pt")
    with pytest.raises(WeightFileError, match=r"PyTorch file, not safetensors\. Rename it to end in \.pt"):
        open_weights(tmp_path / "a.safetensors")
    with pytest.raises(WeightFileError, match=r"safetensors file\. Rename it"):
        open_weights(tmp_path / "b.pt")


def test_safetensors_without_a_suffix(tmp_path):
    """As in the blobs of Hugging Face's cache."""
    save_file(STATE, tmp_path / "0f3a")
    assert list(open_weights(tmp_path / "0f3a").tensors) == ["weight"]


def test_folder_with_nothing_to_open(tmp_path):
    with pytest.raises(WeightFileError, match=r"Looked for .*\*\.safetensors.*found no files"):
        open_weights(tmp_path)
    (tmp_path / "readme.md").write_text("x")
    with pytest.raises(WeightFileError, match=r"found readme.md"):
        open_weights(tmp_path)
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(WeightFileError, match="load it with Keras"):
        open_weights(tmp_path)
    (tmp_path / "unet").mkdir()
    save_file(STATE, tmp_path / "unet" / "model.safetensors")
    with pytest.raises(WeightFileError, match="folders unet hold weights: open one"):
        open_weights(tmp_path)


def test_folder_prefers_what_is_safe(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"never touched")
    save_file(STATE, tmp_path / "model.safetensors")
    assert list(open_weights(tmp_path).tensors) == ["weight"]


def test_folder_of_a_single_pickle(tmp_path):
    torch.save(small_cnn().state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "training_args.bin").write_bytes(b"a pickle that transformers leaves here")
    source = open_weights(tmp_path)
    assert "conv1.weight" in source.tensors
    assert source.name == tmp_path.name


def test_folder_of_several_checkpoints(tmp_path):
    for step in (1, 2):
        torch.save(STATE, tmp_path / f"step{step}.pt")
    with pytest.raises(WeightFileError, match=r"several models: step1.pt, step2.pt. Open one"):
        open_weights(tmp_path)


def test_folder_of_several_indexes(tmp_path):
    save_file(STATE, tmp_path / "s.safetensors")
    text = json.dumps({"weight_map": {"weight": "s.safetensors"}})
    for variant in ("fp16", "fp32"):
        (tmp_path / f"model.{variant}.safetensors.index.json").write_text(text)
    with pytest.raises(WeightFileError, match="several models"):
        open_weights(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(text)
    assert list(open_weights(tmp_path).tensors) == ["weight"]
