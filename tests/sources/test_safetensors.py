"""Safetensors files: lazy, exact for every type and slice, and never trusted."""

from __future__ import annotations

import os
import pickle
import struct
import threading
import time
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
    truncated,
    write_safetensors,
)
from weightwidget.sources import open_weights
from weightwidget.sources.base import MissingWeightFileError, WeightFileError
from weightwidget.sources.filemap import FilePool, FileStamp
from weightwidget.sources.safetensors_file import natural_key


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal bit for bit, NaN included."""
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and a.numpy(force=True).tobytes() == b.numpy(force=True).tobytes()
    )


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """Bit patterns, of a type that NumPy knows."""
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return tensor.contiguous().view(whole) if tensor.ndim else tensor.reshape(1).view(whole)


@pytest.fixture
def cnn_file(tmp_path: Path) -> Path:
    """A small CNN in a folder with a telling name."""
    path = tmp_path / "my-cnn" / "model.safetensors"
    path.parent.mkdir()
    save_file(small_cnn().state_dict(), path)
    return path


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


@given(st.lists(st.text("ab.19٣²", max_size=6)))
def test_natural_key_orders_any_names(names):
    assert sorted(sorted(names), key=natural_key) == sorted(sorted(names, reverse=True), key=natural_key)


indices = st.integers(-9, 8) | st.slices(9) | st.just(...)


@settings(max_examples=150, deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    index=st.lists(indices, max_size=4)
    .filter(lambda parts: sum(part is ... for part in parts) < 2)
    .map(tuple),
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
    whole = (
        torch.from_numpy(data).view(torch_type).view(shape) if count else torch.empty(shape, dtype=torch_type)
    )
    header = {
        "before": {"dtype": "U8", "shape": [shift], "data_offsets": [0, shift]},
        "w": {"dtype": dtype, "shape": list(shape), "data_offsets": [shift, shift + len(data)]},
    }
    path = tmp_path_factory.mktemp("slices") / "x.safetensors"
    write_safetensors(path, header, b"\1" * shift + data.tobytes())
    ref = open_weights(path).tensors["w"]
    # Torch has no negative steps; NumPy's slices drawn here may have them.
    if any(isinstance(part, slice) and (part.step or 1) < 0 for part in index):
        with pytest.raises(ValueError, match="step must be greater than zero"):
            ref.read(index)
        return
    try:
        expected = whole[index]
    except IndexError:
        with pytest.raises(IndexError):
            ref.read(index)
    else:
        read = ref.read(index)
        assert (read.shape, read.dtype) == (expected.shape, expected.dtype)
        assert torch.equal(bits(read), bits(expected))
    path.unlink()


def test_opening_and_slicing_read_next_to_nothing(tmp_path):
    """A file of 64 GB: only the header and the pages of the slices are touched."""
    path = huge_safetensors(tmp_path / "huge.safetensors", gigabytes=64)
    tracemalloc.start()
    started = time.perf_counter()
    source = open_weights(path)
    ref = source.tensors["huge.weight"]
    assert ref.nbytes == 64 * 2**30
    assert ref.read((slice(-3, None), slice(7, 9))).tolist() == [[0, 0]] * 3
    assert ref.read().shape == ref.shape
    assert time.perf_counter() - started < 2
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
    with pytest.raises(WeightFileError, match="was closed. Open it again"):
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
    with pytest.raises(
        WeightFileError, match=rf"had {size:,} bytes when it was opened and has {size // 2:,} now"
    ):
        ref.read()
    save_file(small_cnn().state_dict(), cnn_file)
    os.utime(cnn_file, ns=(1, 1))
    with pytest.raises(WeightFileError, match="was changed after it was opened. Open it again"):
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


# --- damaged and hostile files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 7, 8, 9, 100])
def test_truncated_inside_the_header(cnn_file, keep):
    with pytest.raises(
        WeightFileError, match=r"_truncated.safetensors: the file is truncated.*copy it again"
    ):
        open_weights(truncated(cnn_file, keep))


@pytest.mark.parametrize("lost", [1, 4, 1000])
def test_truncated_inside_the_data(cnn_file, lost):
    with pytest.raises(
        WeightFileError, match=r"truncated: '.*' should end .* bytes after the end of the file"
    ):
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


# --- shards ------------------------------------------------------------------------------------------------------


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
    with pytest.raises(
        WeightFileError, match=r"'x.weight' is both in a.safetensors and in b.safetensors.*open one"
    ):
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
    assert same(open_weights(cnn_file).tensors["fc.weight"].read(), small_cnn().fc.weight.detach())
