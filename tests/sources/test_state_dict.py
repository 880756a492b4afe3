"""Mappings of tensors, nested as people nest them."""

from __future__ import annotations

import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.fixtures import HOSTILE_NAMES, edge_tensors, moe_state_dict, small_cnn, small_transformer
from weightwidget.sources import open_weights
from weightwidget.sources.base import displayable


def test_state_dict_in_order_without_copies():
    state = small_cnn().state_dict()
    source = open_weights(state)
    assert list(source.tensors) == list(state)
    assert all(source.tensors[name].read().data_ptr() == tensor.data_ptr() for name, tensor in state.items())
    assert source.name == "state dict"
    assert open_weights(state, name="mine").name == "mine"


def test_ties_survive_the_state_dict():
    source = open_weights(small_transformer().state_dict())
    assert {name for name, ref in source.tensors.items() if ref.shared_with} == {"head.weight"}


def test_checkpoint_is_flattened_and_what_is_no_tensor_is_listed():
    model = small_cnn()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [{"loss": 0.5}, {"loss": 0.25}],
        "extra": (torch.ones(2, 3), None, "text"),
    }
    source = open_weights(checkpoint)
    assert "model.conv1.weight" in source.tensors
    assert source.tensors["optimizer.state.0.exp_avg"].role == "buffer"
    assert source.tensors["extra.0"].shape == (2, 3)
    assert source.skipped == {
        "epoch": "int, not a tensor",
        "history": "list without tensors",
        "optimizer.param_groups": "list without tensors",
        "extra.1": "None, not a tensor",
        "extra.2": "str, not a tensor",
    }


def test_modules_inside_a_mapping():
    source = open_weights({"generator": nn.Linear(4, 3), "critic": OrderedDict(head=nn.Linear(3, 1))})
    assert list(source.tensors) == [
        "generator.weight",
        "generator.bias",
        "critic.head.weight",
        "critic.head.bias",
    ]
    assert source.modules["critic.head"].kind == "Linear"


def test_single_tensor_and_array():
    assert open_weights(torch.ones(2, 3)).tensors["tensor"].shape == (2, 3)
    assert open_weights(np.ones((3, 2))).tensors["tensor"].dtype == "float64"


def test_names_that_fall_together_are_refused():
    with pytest.raises(ValueError, match=r"two tensors are called 'a\.b'.*Rename one"):
        open_weights({"a": {"b": torch.ones(2)}, "a.b": torch.ones(3)})
    with pytest.raises(ValueError, match="two tensors are called '1'"):
        open_weights({1: torch.ones(2), "1": torch.ones(3)})


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "it is empty"),
        (
            {"lr": 0.1, "betas": [0.9, 0.99]},
            "no tensors .*lr: float, not a tensor; betas: list without tensors",
        ),
        ({"names": np.array(["a", "b"])}, "NumPy array of <U1"),
    ],
)
def test_mappings_without_tensors(mapping, message):
    with pytest.raises(ValueError, match=f"has no weights to show: .*{message}"):
        open_weights(mapping)


def test_nesting_without_end():
    loop: dict = {"weight": torch.ones(2)}
    loop["self"] = loop
    assert open_weights(loop).skipped == {"self": "contains itself"}
    deep: dict = {}
    bottom = deep
    for _ in range(500):
        bottom["x"] = {}
        bottom = bottom["x"]
    bottom["weight"] = torch.ones(1)
    source = open_weights({"weight": torch.ones(2), "deep": deep})
    assert list(source.tensors) == ["weight"]
    assert any("levels deep" in reason for reason in source.skipped.values())


def test_names_come_through_as_they_are():
    state = {name: torch.full((2, 3), at) for at, name in enumerate(HOSTILE_NAMES)}
    source = open_weights(state)
    assert list(source.tensors) == list(HOSTILE_NAMES)
    assert source.tensors[HOSTILE_NAMES[3]].read()[0, 0] == 3


def test_names_that_cannot_be_sent():
    assert displayable("") == "(unnamed)"
    assert displayable("a\ud800b") == "a\ufffdb"
    assert displayable("läyer 😀") == "läyer 😀"
    source = open_weights({"": torch.ones(2), "a": {"": torch.ones(3)}, "\udfff": torch.ones(4)})
    assert list(source.tensors) == ["(unnamed)", "a.(unnamed)", "\ufffd"]


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i1", "i4", "u1", "u2", "u4", "?", "c8"])
def test_numpy_arrays_are_shared(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    ref = open_weights({"weight": array}).tensors["weight"]
    assert ref.read().data_ptr() == array.ctypes.data
    assert np.array_equal(ref.read((slice(None), 1)).numpy(), array[:, 1])


def test_read_only_arrays_are_shared_without_a_warning(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    array.flags.writeable = False
    np.save(tmp_path / "x.npy", array)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = open_weights({"frozen": array, "mapped": mapped, "broadcast": np.broadcast_to(array[0], (4, 3))})
        assert source.tensors["frozen"].read().data_ptr() == array.ctypes.data
        assert source.tensors["mapped"].read(1).tolist() == [3, 4, 5]
        assert source.tensors["broadcast"].read()[3].tolist() == [0, 1, 2]
    del array, mapped
    assert source.tensors["frozen"].read(0).tolist() == [0, 1, 2]


def test_arrays_that_torch_cannot_share_are_converted_slice_by_slice():
    big_endian = np.arange(6, dtype=">f4").reshape(2, 3)
    reversed_rows = np.arange(6.0)[::-1].reshape(3, 2)
    source = open_weights({"big": big_endian, "reversed": reversed_rows, "scalar": np.array(2, dtype=">i4")})
    assert (source.tensors["big"].dtype, source.tensors["big"].shape) == ("float32", (2, 3))
    assert source.tensors["big"].read((1, slice(1, 3))).tolist() == [4, 5]
    assert source.tensors["big"].read((1, 2)).item() == 5
    assert source.tensors["reversed"].read(0).tolist() == [5, 4]
    assert source.tensors["scalar"].read().item() == 2
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.tensors["big"].read()


def test_arrays_of_ml_dtypes_are_shared():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3)
    ref = open_weights({"weight": array}).tensors["weight"]
    assert ref.dtype == "bfloat16"
    assert ref.read(1).tolist() == [3, 4, 5]


def test_arrays_without_numbers_are_skipped():
    source = open_weights(
        {
            "weight": torch.ones(2),
            "objects": np.array([object()]),
            "long": np.ones(2, dtype=np.longdouble),
            "masked": np.ma.masked_array([1.0, 2.0], mask=[0, 1]),
        }
    )
    assert list(source.tensors) == ["weight"]
    assert set(source.skipped) == {"objects", "long", "masked"}


def test_gradients_and_views_are_read_as_they_lie():
    weight = torch.randn(4, 6, requires_grad=True)
    state = {"product": weight * 2, "transposed": weight.detach().T, "every_second": weight.detach()[:, ::2]}
    source = open_weights(state)
    assert not source.tensors["product"].read().requires_grad
    for name, tensor in state.items():
        assert torch.equal(source.tensors[name].read(), tensor)


def test_edge_tensors():
    state = edge_tensors()
    source = open_weights(state)
    assert list(source.tensors) == list(state)
    for name, ref in source.tensors.items():
        assert ref.read().shape == ref.shape == state[name].shape
        assert ref.nbytes == state[name].nbytes


def test_many_tensors():
    state = moe_state_dict(3000)
    assert len(state) == 3000
    assert list(open_weights(state).tensors) == list(state)


def test_a_source_passes_through():
    source = open_weights({"weight": torch.ones(2)})
    assert open_weights(source) is source


@pytest.mark.parametrize("obj", [42, None, 1.5, [torch.ones(2)], object(), nn.Linear, b"bytes"])
def test_other_objects_are_refused_with_what_is_accepted(obj):
    with pytest.raises(TypeError, match=r"cannot be opened from .*torch.nn.Module, a state dict .*\.safetensors"):
        open_weights(obj)


leaves = st.integers(0, 3).map(lambda n: torch.zeros(n, 2)) | st.none() | st.integers() | st.text(max_size=3)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def count_tensors(tree) -> int:
    if isinstance(tree, dict | list):
        return sum(count_tensors(item) for item in (tree.values() if isinstance(tree, dict) else tree))
    return int(isinstance(tree, torch.Tensor))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("ab.", max_size=2), trees, max_size=4))
def test_no_tensor_is_ever_lost(tree):
    expected = count_tensors(tree)
    try:
        source = open_weights(tree)
    except ValueError as error:
        message = str(error)
    else:
        assert len(source.tensors) == expected > 0
        return
    assert expected == 0 or "two tensors are called" in message
