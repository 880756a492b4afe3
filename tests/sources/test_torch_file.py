"""PyTorch's own files: mapped, restricted, and refused when they contain code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.fixtures import (
    edge_tensors,
    pickle_with_code,
    plain_pickle_with_code,
    sharded_folder,
    small_cnn,
    small_transformer,
    truncated,
)
from weightwidget.sources import open_weights
from weightwidget.sources.base import WeightFileError


@pytest.fixture
def gpt_file(tmp_path: Path) -> Path:
    """A transformer's state dict."""
    path = tmp_path / "gpt.pt"
    torch.save(small_transformer().state_dict(), path)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ""])
def test_state_dict(tmp_path, suffix):
    state = small_transformer().state_dict()
    path = tmp_path / f"gpt{suffix}"
    torch.save(state, path)
    source = open_weights(path)
    assert list(source.tensors) == list(state)
    assert source.name == f"gpt{suffix}"
    assert source.tensors["head.weight"].shared_with == "tok.weight"
    for name, ref in source.tensors.items():
        assert ref.device == "file"
        assert torch.equal(ref.read(), state[name])
        assert ref.read().data_ptr() == ref.read().data_ptr()


def test_legacy_format(tmp_path):
    state = small_transformer().state_dict()
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    source = open_weights(tmp_path / "old.pt")
    assert list(source.tensors) == list(state)
    assert source.tensors["head.weight"].shared_with == "tok.weight"
    assert torch.equal(source.tensors["ln_f.weight"].read(), state["ln_f.weight"])


def test_edge_tensors(tmp_path):
    state = edge_tensors()
    torch.save(state, tmp_path / "edge.pt")
    source = open_weights(tmp_path / "edge.pt")
    assert list(source.tensors) == list(state)
    for name, ref in source.tensors.items():
        assert ref.read().shape == state[name].shape
        assert ref.dtype == str(state[name].dtype).removeprefix("torch.")


def test_checkpoint_keeps_its_structure(tmp_path):
    torch.save({"state_dict": small_cnn().state_dict(), "epoch": 3, "opt": {"lr": 0.1}}, tmp_path / "run.ckpt")
    source = open_weights(tmp_path / "run.ckpt")
    assert "state_dict.conv1.weight" in source.tensors
    assert source.skipped == {"epoch": "int, not a tensor", "opt": "dict without tensors"}


def test_bare_tensor_and_list(tmp_path):
    torch.save(torch.ones(2, 3), tmp_path / "tensor.pt")
    torch.save([torch.ones(2, 3), nn.Parameter(torch.ones(4))], tmp_path / "list.pt")
    assert list(open_weights(tmp_path / "tensor.pt").tensors) == ["tensor"]
    assert [ref.shape for ref in open_weights(tmp_path / "list.pt").tensors.values()] == [(2, 3), (4,)]


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, 5, None])
def test_files_without_tensors(tmp_path, content):
    torch.save(content, tmp_path / "empty.pt")
    with pytest.raises(WeightFileError, match=r"empty.pt: there are no weights to show"):
        open_weights(tmp_path / "empty.pt")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".bin", ".weird"])
def test_pickles_with_code_are_refused_and_nothing_runs(tmp_path, legacy, suffix):
    marker = tmp_path / "marker"
    path = pickle_with_code(tmp_path / f"evil{suffix}", marker, legacy=legacy)
    with pytest.raises(
        WeightFileError, match=r"evil.*is refused.*needs getattr.*state_dict\(\).*if you trust"
    ) as caught:
        open_weights(path)
    assert not marker.exists()
    assert caught.value.__suppress_context__, "torch's own text, which advises the dangerous way, is not shown"
    torch.load(path, weights_only=False)
    assert marker.exists(), "the file is dangerous indeed"


def test_unsafe_loading_cannot_be_forced_from_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    marker = tmp_path / "marker"
    with pytest.raises(WeightFileError, match="refused"):
        open_weights(pickle_with_code(tmp_path / "evil.pt", marker))
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".unknown"])
def test_plain_pickles_are_refused(tmp_path, suffix):
    marker = tmp_path / "marker"
    path = plain_pickle_with_code(tmp_path / f"evil{suffix}", marker)
    with pytest.raises(WeightFileError, match=r"a plain pickle can run any code.*load it yourself"):
        open_weights(path)
    assert not marker.exists()


def test_plain_pickle_under_a_torch_name(tmp_path):
    marker = tmp_path / "marker"
    with pytest.raises(WeightFileError, match=r"evil.pt"):
        open_weights(plain_pickle_with_code(tmp_path / "evil.pt", marker))
    assert not marker.exists()
    (tmp_path / "numbers.pt").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(WeightFileError, match=r"numbers.pt"):
        open_weights(tmp_path / "numbers.pt")


def test_whole_module_is_refused_with_the_remedy(tmp_path):
    torch.save(small_cnn(), tmp_path / "module.pt")
    with pytest.raises(WeightFileError, match=r"needs tests.fixtures.SmallCNN.*pass the model"):
        open_weights(tmp_path / "module.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_the_remedy(tmp_path):
    torch.jit.save(torch.jit.trace(nn.Linear(4, 3), torch.zeros(1, 4)), tmp_path / "script.pt")
    with pytest.raises(WeightFileError, match=r"TorchScript program.*torch.jit.load"):
        open_weights(tmp_path / "script.pt")


@pytest.mark.parametrize("keep", [3, 10, 1000, -1, -200])
def test_truncated(gpt_file, keep):
    with pytest.raises(WeightFileError, match=r"gpt_truncated.pt: .*(truncated|damaged)"):
        open_weights(truncated(gpt_file, keep))


def test_truncated_legacy(tmp_path):
    torch.save(small_cnn().state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for keep in (20, 300, -1):
        with pytest.raises(WeightFileError, match=r"old_truncated.pt: .*damaged"):
            open_weights(truncated(tmp_path / "old.pt", keep))


def test_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.pt", "w") as archive:
        archive.writestr("cat.txt", "meow")
    with pytest.raises(WeightFileError, match=r"photos.pt: .*damaged"):
        open_weights(tmp_path / "photos.pt")


def test_storage_cut_out_of_the_archive(tmp_path, gpt_file):
    """The pickle promises more than the archive holds."""
    path = tmp_path / "cut.pt"
    with zipfile.ZipFile(gpt_file) as old, zipfile.ZipFile(path, "w") as new:
        for item in old.namelist():
            data = old.read(item)
            new.writestr(item, data[:4] if item.endswith("/data/0") else data)
    try:
        source = open_weights(path)
    except WeightFileError as error:
        assert "cut.pt" in str(error)  # noqa: PT017
    else:
        assert source.tensors["tok.weight"].read().shape == (30, 12)


def test_changed_after_opening(gpt_file):
    ref = open_weights(gpt_file).tensors["tok.weight"]
    with gpt_file.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(WeightFileError, match="has 100 now"):
        ref.read()


def test_close(gpt_file):
    source = open_weights(gpt_file)
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.tensors["tok.weight"].read()


def test_sharded_bin(tmp_path):
    state = small_cnn().state_dict()
    index = sharded_folder(tmp_path / "old-cnn", state, suffix=".bin")
    for path in (index, index.parent):
        source = open_weights(path)
        assert source.name == "old-cnn"
        assert {name: tuple(t.shape) for name, t in state.items()} == {n: r.shape for n, r in source.tensors.items()}
        assert torch.equal(source.tensors["fc.weight"].read(), state["fc.weight"])


def test_files_larger_than_memory_are_mapped_here(gpt_file, monkeypatch):
    """Linux refuses torch's kind of mapping for them; only the places of the tensors are then loaded."""
    real = torch.load

    def refusing(path, **options):
        if options.get("mmap"):
            raise RuntimeError(f"unable to mmap 99 bytes from file <{path}>: Cannot allocate memory (12)")
        return real(path, **options)

    monkeypatch.setattr(torch, "load", refusing)
    state = {
        **small_transformer().state_dict(),
        "view": torch.arange(12.0).view(3, 4).T[1:],
        "half": torch.ones(3).half(),
    }
    torch.save({"model": state, "step": 3, "empty": torch.empty(0, 3)}, gpt_file)
    source = open_weights(gpt_file)
    assert source.skipped == {"step": "int, not a tensor"}
    assert source.tensors["model.head.weight"].shared_with == "model.tok.weight"
    assert source.tensors["empty"].read().shape == (0, 3)
    for name, tensor in state.items():
        ref = source.tensors[f"model.{name}"]
        assert type(ref.read()) is torch.Tensor
        assert torch.equal(ref.read(), tensor)
        if tensor.ndim == 2:
            assert torch.equal(ref.read((slice(1, 3), 0)), tensor[1:3, 0])
    source.close()
    with pytest.raises(WeightFileError, match="closed"):
        source.tensors["empty"].read()
    refused = pickle_with_code(gpt_file.with_name("evil.pt"), gpt_file.with_name("marker"))
    with pytest.raises(WeightFileError, match="refused"):
        open_weights(refused)
