"""Models in several safetensors files."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from tests.fixtures import (
    sharded_folder,
    small_cnn,
)
from weightwidget.sources import open_weights
from weightwidget.sources.base import WeightFileError


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal bit for bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and a.numpy(force=True).tobytes() == b.numpy(force=True).tobytes()


def test_shards_by_folder_and_by_index(tmp_path):
    state = small_cnn().state_dict()
    index = sharded_folder(tmp_path / "sharded-cnn", state)
    for path in (index, index.parent, str(index.parent) + "/"):
        source = open_weights(path)
        assert source.name == "sharded-cnn"
        assert set(source.tensors) == set(state)
        assert all(torch.equal(ref.read(), state[name]) for name, ref in source.tensors.items())
        assert not source.skipped


def test_folder_without_an_index(tmp_path):
    index = sharded_folder(tmp_path, small_cnn().state_dict())
    index.unlink()
    assert set(open_weights(tmp_path).tensors) == set(small_cnn().state_dict())


def test_missing_shards_are_named(tmp_path):
    index = sharded_folder(tmp_path, small_cnn().state_dict())
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(WeightFileError, match=r"1 of 3 shards are missing: model-00002-of-00003.safetensors"):
        open_weights(index)


def test_damaged_shard_is_named(tmp_path):
    sharded_folder(tmp_path, small_cnn().state_dict())
    shard = tmp_path / "model-00003-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(WeightFileError, match=r"model-00003-of-00003.safetensors: the file is truncated"):
        open_weights(tmp_path)


def test_duplicates_are_named(tmp_path):
    save_file({"x.weight": torch.ones(2, 3)}, tmp_path / "a.safetensors")
    save_file({"x.weight": torch.ones(3, 2)}, tmp_path / "b.safetensors")
    with pytest.raises(WeightFileError, match=r"'x.weight' is both in a.safetensors and in b.safetensors.*open one"):
        open_weights(tmp_path)


def test_tensors_that_only_the_index_knows_are_listed(tmp_path):
    index = sharded_folder(tmp_path, small_cnn().state_dict())
    index.write_text(index.read_text().replace('"fc.bias"', '"fc.lost"'))
    source = open_weights(index)
    assert "fc.bias" in source.tensors
    assert "it is in no shard" in source.skipped["fc.lost"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"hidden_size": 4}', "not an index of shards"),
        ("[1]", "not an index of shards"),
        ('{"weight_map": {}}', "not an index of shards"),
        ('{"weight_map": {"a": 3}}', "not an index of shards"),
        ('{"weight_map": {"a": "../secret.safetensors"}}', "points outside its folder"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "points outside its folder"),
        ('{"weight_map": {"a": ""}}', "points outside its folder"),
        ("{", "cannot be parsed"),
        ("[" * 200_000, "cannot be parsed"),
    ],
)
def test_bad_indexes(tmp_path, text, message):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(WeightFileError, match=message):
        open_weights(path)
