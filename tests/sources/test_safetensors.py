"""Safetensors files: lazy, exact for every type and slice, and never trusted."""

from __future__ import annotations

import os
import pickle
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file, save_model

from tests.fixtures import (
    HOSTILE_NAMES,
    edge_tensors,
    huge_safetensors,
    moe_state_dict,
    sharded_folder,
    small_cnn,
    small_transformer,
    write_safetensors,
)
from weightwidget.sources import open_weights
from weightwidget.sources.base import MissingWeightFileError, WeightFileError
from weightwidget.sources.filemap import FilePool, FileStamp


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal bit for bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and a.numpy(force=True).tobytes() == b.numpy(force=True).tobytes()


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """Bit patterns, of a type that NumPy knows."""
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return tensor.contiguous().view(whole) if tensor.ndim else tensor.reshape(1).view(whole)


def test_every_type_and_shape(tmp_path):
    state = edge_tensors()
    save_file(state, tmp_path / "edge.safetensors")
    source = open_weights(tmp_path / "edge.safetensors")
    assert set(source.tensors) == set(state)
    assert source.name == "edge.safetensors"
    for name, ref in source.tensors.items():
        read = ref.read()
        assert ref.dtype == str(state[name].dtype).removeprefix("torch.")
        assert ref.device == "file"
        assert read.dtype == state[name].dtype
        assert torch.equal(bits(read), bits(state[name])), name


def test_model_order_roles_and_name(cnn_file):
    source = open_weights(str(cnn_file))
    assert source.name == "my-cnn"
    names = list(source.tensors)
    assert names[:5] == [
        "bn1.weight",
        "bn1.bias",
        "bn1.num_batches_tracked",
        "bn1.running_mean",
        "bn1.running_var",
    ]
    assert source.tensors["bn1.weight"].role == "gain"
    assert source.tensors["bn1.running_var"].role == "buffer"
    assert source.tensors["fc.bias"].role == "bias"


def test_natural_order_unless_the_file_has_its_own(tmp_path):
    names = [f"layers.{layer}.{leaf}" for layer in range(12) for leaf in ("weight", "bias")]
    save_file({name: torch.ones(2, 3) for name in reversed(names)}, tmp_path / "sorted.safetensors")
    assert list(open_weights(tmp_path / "sorted.safetensors").tensors) == names

    own = ["stem", "layers.10", "layers.9", "head"]
    header = {n: {"dtype": "U8", "shape": [1], "data_offsets": [at, at + 1]} for at, n in enumerate(own)}
    path = write_safetensors(tmp_path / "own.safetensors", header, b"\0" * 4)
    assert list(open_weights(path).tensors) == own


indices = st.integers(-9, 8) | st.slices(9) | st.just(...)


@settings(max_examples=150, deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    index=st.lists(indices, max_size=4).filter(lambda parts: sum(part is ... for part in parts) < 2).map(tuple),
    dtype=st.sampled_from(["F32", "BF16", "F16", "F64", "I64", "U8", "BOOL", "F8_E4M3"]),
    shift=st.integers(0, 7),
)
def test_slices_are_those_of_the_whole(tmp_path_factory, shape, index, dtype, shift):
    """Any basic index, any type, data aligned or not."""
    from weightwidget.sources.base import torch_dtype
    from weightwidget.sources.safetensors_header import DTYPES

    torch_type = torch_dtype(DTYPES[dtype])
    count = int(np.prod(shape, dtype=np.int64))
    data = np.random.default_rng(0).integers(0, 2, count * torch_type.itemsize, dtype=np.uint8)
    whole = torch.from_numpy(data).view(torch_type).view(shape) if count else torch.empty(shape, dtype=torch_type)
    header = {
        "before": {"dtype": "U8", "shape": [shift], "data_offsets": [0, shift]},
        "w": {"dtype": dtype, "shape": list(shape), "data_offsets": [shift, shift + len(data)]},
    }
    path = tmp_path_factory.mktemp("slices") / "x.safetensors"
    write_safetensors(path, header, b"\1" * shift + data.tobytes())
    ref = open_weights(path).tensors["w"]
    try:
        expected = whole[index]
    except (IndexError, ValueError):  # out of range; torch has no negative steps
        with pytest.raises((IndexError, ValueError)):
            ref.read(index)
    else:
        read = ref.read(index)
        assert (read.shape, read.dtype) == (expected.shape, expected.dtype)
        assert torch.equal(bits(read), bits(expected))
    path.unlink()


@pytest.mark.timeout(60)  # reading all of it would take minutes
def test_opening_and_slicing_read_next_to_nothing(tmp_path):
    """A file of 64 GB: only the header and the pages of the slices are touched."""
    path = huge_safetensors(tmp_path / "huge.safetensors", gigabytes=64)
    tracemalloc.start()
    source = open_weights(path)
    ref = source.tensors["huge.weight"]
    assert ref.nbytes == 64 * 2**30
    assert ref.read((slice(-3, None), slice(7, 9))).tolist() == [[0, 0]] * 3
    assert ref.read().shape == ref.shape
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert not open_weights(path).tensors["huge.weight"].reader.pool  # nothing is mapped on opening


def test_views_of_the_file_share_its_pages(cnn_file):
    ref = open_weights(cnn_file).tensors["conv1.weight"]
    first, second = ref.read(), ref.read((slice(2, 5),))
    assert second.data_ptr() == first[2:5].data_ptr()


def test_writing_to_a_view_by_mistake_leaves_the_file_alone(cnn_file):
    before = cnn_file.read_bytes()
    open_weights(cnn_file).tensors["fc.weight"].read().fill_(7)
    assert cnn_file.read_bytes() == before


def test_reading_from_many_threads(tmp_path):
    state = moe_state_dict(400)
    source = open_weights(sharded_folder(tmp_path, state, shards=40).parent)
    with ThreadPoolExecutor(8) as executor:
        read = list(executor.map(lambda name: source.tensors[name].read(), list(state) * 3))
    assert all(torch.equal(tensor, state[name]) for tensor, name in zip(read, list(state) * 3, strict=True))
    assert len(next(iter(source.tensors.values())).reader.pool) == 16


def test_refs_travel_to_other_processes(cnn_file):
    source = open_weights(cnn_file)
    source.tensors["fc.bias"].read()
    ref = pickle.loads(pickle.dumps(source.tensors["fc.weight"]))
    assert torch.equal(ref.read(), small_cnn().fc.weight)


def test_close(cnn_file):
    source = open_weights(cnn_file)
    held = source.tensors["fc.weight"].read()
    source.close()
    source.close()
    assert torch.equal(held, small_cnn().fc.weight)
    with pytest.raises(WeightFileError, match=r"was closed\. Open it again"):
        source.tensors["fc.weight"].read()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_open_files_are_bounded(tmp_path):
    state = moe_state_dict(120)
    source = open_weights(sharded_folder(tmp_path, state, shards=60).parent)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for ref in source.tensors.values():
        ref.read()
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 17
    source.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_file_changed_after_opening(cnn_file):
    ref = open_weights(cnn_file).tensors["fc.weight"]
    ref.read()
    size = cnn_file.stat().st_size
    with cnn_file.open("r+b") as file:
        file.truncate(size // 2)
    with pytest.raises(WeightFileError, match=rf"had {size:,} bytes when it was opened and has {size // 2:,} now"):
        ref.read()
    save_file(small_cnn().state_dict(), cnn_file)
    os.utime(cnn_file, ns=(1, 1))
    with pytest.raises(WeightFileError, match=r"was changed after it was opened\. Open it again"):
        ref.read()
    cnn_file.unlink()
    with pytest.raises(MissingWeightFileError, match="was removed after it was opened"):
        ref.read()


def test_ties_that_save_model_noted(tmp_path):
    model = small_transformer()
    save_model(model, str(tmp_path / "gpt.safetensors"))
    source = open_weights(tmp_path / "gpt.safetensors")
    shared = {name: ref.shared_with for name, ref in source.tensors.items() if ref.shared_with}
    assert shared in ({"head.weight": "tok.weight"}, {"tok.weight": "head.weight"})
    assert torch.equal(source.tensors["head.weight"].read(), source.tensors["tok.weight"].read())


def test_hostile_names_come_through(tmp_path):
    path = tmp_path / "hostile.safetensors"
    save_file({name: torch.full((2,), at) for at, name in enumerate(HOSTILE_NAMES)}, path)
    source = open_weights(path)
    assert set(source.tensors) == set(HOSTILE_NAMES)
    assert source.tensors[HOSTILE_NAMES[2]].read()[0] == 2


def test_config_beside_the_file_gives_sizes(cnn_file):
    config = cnn_file.with_name("config.json")
    config.write_text('{"model_type": "bert", "architectures": ["BertModel"], "num_attention_heads": 12}')
    root = open_weights(cnn_file).modules[""]
    assert (root.kind, root.hyper["num_attention_heads"]) == ("BertModel", 12)
    for useless in ("[" * 100_000, "{}", "[]", '{"model_type": 1, "architectures": 3}', "not json"):
        config.write_text(useless)
        assert open_weights(cnn_file).tensors


def test_pool_maps_each_file_once(cnn_file):
    pool, stamp = FilePool(), FileStamp.of(cnn_file)
    barrier = threading.Barrier(8)

    def pointer(_: int) -> int:
        barrier.wait()
        return pool.bytes_of(stamp).data_ptr()

    with ThreadPoolExecutor(8) as executor:
        assert len(set(executor.map(pointer, range(8)))) == 1


def test_fallback_where_memory_is_committed_strictly(cnn_file, monkeypatch):
    """A system may refuse private writable mappings; reading must work, and without a warning."""
    import mmap

    real = mmap.mmap

    def strict(fileno: int, length: int, **options: int):
        if options.get("access") != mmap.ACCESS_READ:
            raise OSError(12, "Cannot allocate memory")
        return real(fileno, length, **options)

    monkeypatch.setattr("weightwidget.sources.filemap.mmap.mmap", strict)
    assert torch.equal(open_weights(cnn_file).tensors["fc.weight"].read(), small_cnn().fc.weight)
