"""What the panel lists of a kernel: sizes, kinds, and everything odd that a namespace may hold."""

from __future__ import annotations

import collections
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from weightwidget import WeightExplorer, open_weights
from weightwidget.outputs import listing
from weightwidget.sources.base import in_totals


def listed(**namespace):
    return json.loads(repr(listing.Listing(namespace)))


def one(value):
    (item,) = listed(value=value)["items"]
    return item


def names(result):
    return [item["name"] for item in result["items"]]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 30, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("positions", torch.arange(12))
        self.register_buffer("attention_mask", torch.ones(5, dtype=torch.bool))


def test_sizes_of_a_module_agree_with_the_explorer():
    model = Tied()
    item = one(model)
    refs = open_weights(model).tensors.values()
    assert item["kind"] == "module"
    assert item["type"] == "Tied"
    assert item["weights"] == sum(ref.numel for ref in refs if in_totals(ref))
    assert item["tensors"] == sum(ref.shared_with is None for ref in refs)
    assert item["bytes"] == sum(ref.nbytes for ref in refs if ref.shared_with is None)
    assert item["dtypes"][0] == "float32"
    assert not item["at_least"]


@pytest.mark.parametrize(
    "value",
    [
        Tied().state_dict(),
        {"model": Tied().state_dict(), "epoch": 3, "optimizer": {"state": {0: {"step": torch.tensor(4)}}}},
        {"a": np.zeros((3, 4)), "b": [np.zeros(2, np.float16), (torch.zeros(5),)]},
        collections.UserDict({"a": torch.zeros(2)}),
        types.MappingProxyType({"a": torch.zeros(2, 3)}),
        collections.OrderedDict(w=nn.Linear(2, 3)),
    ],
    ids=["state dict", "checkpoint", "arrays", "UserDict", "proxy", "modules"],
)
def test_sizes_of_mappings_agree_with_the_explorer(value):
    item = one(value)
    refs = open_weights(value).tensors.values()
    assert item["kind"] == "mapping"
    assert item["weights"] == sum(ref.numel for ref in refs if in_totals(ref))
    assert item["bytes"] == sum(ref.nbytes for ref in refs if ref.shared_with is None)


def test_arrays_explorers_and_sources():
    state = {"w": torch.zeros(3, 5, dtype=torch.bfloat16)}
    explorer = WeightExplorer(state, name="mine")
    try:
        result = listed(x=np.zeros((2, 3)), t=torch.zeros(4), explorer=explorer, source=open_weights(state))
        kinds = {item["name"]: (item["kind"], item["weights"], item["bytes"]) for item in result["items"]}
        assert kinds == {
            "x": ("array", 6, 48),
            "t": ("array", 4, 16),
            "explorer": ("explorer", 15, 30),
            "source": ("source", 15, 30),
        }
        assert result["items"][2]["label"] == "mine"
    finally:
        explorer.close()
    (closed,) = listed(explorer=explorer)["skipped"]
    assert closed["reason"] == "a closed explorer"


def test_names_of_one_object_are_listed_together():
    model = nn.Linear(2, 3)
    result = listed(net=model, other=nn.Linear(2, 3), model=model, _model=model)
    assert names(result) == ["net", "other"]
    assert result["items"][0]["aliases"] == ["model"]
    assert result["items"][0]["token"] != result["items"][1]["token"]


def test_paths(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"12345678")
    (tmp_path / "notes.txt").write_text("no weights")
    (tmp_path / "empty").mkdir()
    result = listed(
        path=weights,
        text=str(weights),
        folder=str(tmp_path),
        notes=str(tmp_path / "notes.txt"),
        gone=str(tmp_path / "gone.pt"),
        empty=tmp_path / "empty",
        url="https://example.org/model.safetensors",
        poem="a\nb.safetensors",
        endless="x" * 100_000 + ".pt",
        null="\0.pt",
    )
    assert [(item["name"], item["kind"], item["bytes"]) for item in result["items"]] == [
        ("path", "file", 8),
        ("text", "file", 8),
        ("folder", "folder", 8),
    ]
    assert result["items"][0]["label"] == str(weights)
    assert result["skipped"] == []


def test_nothing_else_is_listed():
    result = listed(
        a=1, b="text", c=[1, 2], d={"a": 1}, e=None, f=nn.Linear, g=torch, h=np.float32(3), i=np.array(["a"]), j=print
    )
    assert result["items"] == []
    assert result["skipped"] == []


class Raising:
    def __getattribute__(self, name):
        raise RuntimeError(f"{name} was asked for")

    def __eq__(self, other):
        raise RuntimeError("compared")

    __hash__ = None


class Liar:
    @property
    def __class__(self):
        return nn.Module


class Meta(type):
    @property
    def __module__(cls):
        raise RuntimeError("which module")

    def __getattribute__(cls, name):
        raise RuntimeError(f"{name} of the class")

    def __instancecheck__(cls, instance):
        raise RuntimeError("is it one")


class OddClass(metaclass=Meta):
    pass


class NeverInitialised(nn.Module):
    def __init__(self):
        pass


class OverriddenModule(nn.Module):
    """Everything that a listing might call runs the user's code."""

    def __init__(self):
        super().__init__()
        self.__dict__["_parameters"]["w"] = nn.Parameter(torch.zeros(3, 4))

    def parameters(self, recurse=True):
        raise RuntimeError("called")

    named_parameters = named_buffers = children = modules = state_dict = __len__ = __iter__ = __bool__ = parameters

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")


class OddDict(dict):
    def items(self):
        raise RuntimeError("called")

    values = keys = __iter__ = __len__ = __getitem__ = items


class OddTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError("called")


def test_odd_objects_do_not_lose_the_listing():
    result = listed(
        raising=Raising(),
        liar=Liar(),
        odd=OddClass(),
        overridden=OverriddenModule(),
        never=NeverInitialised(),
        odd_dict=OddDict(w=torch.zeros(2, 3)),
        odd_tensor=torch.zeros(4).as_subclass(OddTensor),
        loss=nn.CrossEntropyLoss(),
        model=nn.Linear(2, 3),
    )
    assert {item["name"]: item["weights"] for item in result["items"]} == {
        "overridden": 12,
        "odd_dict": 6,
        "odd_tensor": 4,
        "model": 9,
    }
    reasons = {entry["name"]: entry["reason"] for entry in result["skipped"]}
    assert set(reasons) == {"never", "loss"}
    assert "super().__init__()" in reasons["never"]
    assert reasons["loss"] == "it has neither parameters nor buffers"


def test_an_object_that_raises_is_listed_with_the_reason(monkeypatch):
    def fail(*_args):
        raise RuntimeError("no way to tell")

    monkeypatch.setattr(listing, "below_module", fail)
    result = listed(model=nn.Linear(2, 3), x=np.zeros(3))
    assert names(result) == ["x"]
    (skipped,) = result["skipped"]
    assert skipped == {
        "name": "model",
        "type": "Linear",
        "reason": "looking at it raised RuntimeError: no way to tell",
    }


@pytest.mark.filterwarnings("ignore")
def test_odd_tensors():
    with torch.device("meta"):
        meta = nn.Linear(100, 200)
    sparse = torch.eye(10).to_sparse()
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    with torch.inference_mode():
        inference = torch.zeros(7)
    result = listed(
        meta=meta,
        lazy=nn.LazyLinear(3),
        mixed={"sparse": sparse, "plain": torch.zeros(3)},
        nested={"n": nested},
        state={"inference": inference, "quantised": torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)},
    )
    found = {item["name"]: item for item in result["items"]}
    assert found["meta"]["weights"] == 20_200
    assert "not initialised yet" in found["lazy"]["note"]
    assert found["mixed"]["weights"] == 103
    assert "Tensor" in found["mixed"]["note"]
    assert "nested tensor" in found["nested"]["note"]
    assert found["state"]["weights"] == 11
    assert result["skipped"] == []


def test_a_scripted_model():
    item = one(torch.jit.script(nn.Sequential(nn.Linear(3, 4), nn.ReLU())))
    assert (item["kind"], item["weights"]) == ("module", 16)


def test_what_contains_itself_ends():
    state = {"w": torch.zeros(3)}
    state["self"] = state
    module = nn.Linear(2, 2)
    module.__dict__["_modules"]["me"] = module
    deep = torch.zeros(2)
    for _ in range(5000):
        deep = [deep]
    result = listed(state=state, module=module, deep={"deep": deep})
    assert [item["weights"] for item in result["items"]] == [3, 6, 2]


def test_counting_is_bounded(monkeypatch):
    monkeypatch.setattr(listing, "MOST_NODES", 1000)
    many = {str(i): torch.zeros(2) for i in range(5000)}
    result = listed(many=many, numbers={str(i): print for i in range(5000)}, model=nn.Linear(2, 3))
    first, last = result["items"]
    assert first["at_least"]
    assert 0 < first["weights"] < 10_000
    assert (last["weights"], last["at_least"]) == (9, False)
    assert [entry["name"] for entry in result["skipped"]] == ["numbers"]


def test_time_is_bounded():
    now = iter(range(10_000))
    result = json.loads(repr(listing.Listing({"a": nn.Linear(2, 3), "b": nn.Linear(2, 3)}, lambda: next(now))))
    assert all(entry["reason"] for entry in result["skipped"]) or all(item["at_least"] for item in result["items"])
    assert len(result["skipped"]) + len(result["items"]) == 2


def test_the_number_of_rows_is_bounded(monkeypatch):
    monkeypatch.setattr(listing, "MOST_ARRAYS", 3)
    namespace = {f"x{i}": torch.zeros(i + 1) for i in range(10)}
    result = listed(**namespace, model=nn.Linear(2, 3))
    assert names(result) == ["x0", "x1", "x2", "model"]
    assert result["left_out"] == 7


def test_hostile_names_survive_the_way():
    hostile = {"<img src=x onerror=alert(1)>": nn.Linear(2, 3), "\ud800": nn.Linear(2, 3), 'a"\n\\': nn.Linear(1, 1)}
    result = json.loads(repr(listing.Listing({**hostile, 3: nn.Linear(1, 1)})))
    assert names(result) == list(hostile)
    assert repr(listing.Listing(dict(hostile))).isascii()


def test_nothing_is_changed_or_copied():
    model = Tied().eval()
    model.embed.weight.requires_grad_(False)
    before = [(id(p), p._version, p.requires_grad, p.data_ptr()) for p in model.parameters()]
    listed(model=model)
    assert [(id(p), p._version, p.requires_grad, p.data_ptr()) for p in model.parameters()] == before
    assert not model.training


def test_it_stands_alone_and_imports_nothing():
    text = Path(listing.__file__).read_text("utf-8")
    script = f"""
import sys
namespace = {{"a": 1, "path": ".", "d": {{"x": 2}}, "exec": 1}}
own = {{"__name__": "weightwidget_listing"}}
exec({text!r}, own)
print(repr(own["Listing"](namespace)))
bad = [name for name in ("torch", "numpy", "weightwidget", "keras") if name in sys.modules]
assert not bad, bad
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"] == []
