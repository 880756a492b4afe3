"""Block paths name what slicing gives, whatever the index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import SEPARATOR, Axes, Split, equal_split, numbered
from weightwidget.anatomy.blocks import Blocks
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.anatomy.paths import HeadPlace, Place, resolve
from weightwidget.detail.histogram import count, histogram
from weightwidget.detail.selection import select
from weightwidget.detail.tiles import tile
from weightwidget.sources import open_weights

GATES = equal_split(0, "gate", ("i", "f", "g", "o"), 28)
HEADS = equal_split(0, "head", numbered("head", 3), 12)
QKV = equal_split(0, "qkv", ("q", "k", "v"), 36, (HEADS,))
GATE_UP = Split(1, "gate_up", ("gate", "up"), (4, 6))
EXPERTS = Split(0, "expert", numbered("expert", 5), (1,) * 5, ((GATE_UP,),) * 5)

AXES = {
    "lstm.weight": Axes(("(gate hidden)", "in"), "recurrent", True, splits=(GATES,)),
    "lstm.bias": Axes(("(gate hidden)",), "recurrent", True, splits=(GATES,)),
    "attn.qkv": Axes(("(qkv head head_dim)", "in"), "attention", True, splits=(QKV,)),
    "moe.w1": Axes(("expert", "(gate_up out)", "in"), "expert", True, splits=(EXPERTS,)),
}
SHAPES = {
    "lstm.weight": (28, 5),
    "lstm.bias": (28,),
    "attn.qkv": (36, 8),
    "moe.w1": (5, 10, 3),
    "gqa.q": (24, 8),
    "gqa.k": (8, 8),
    "gqa.v": (8, 8),
    "gqa.o": (8, 24),
    "lstm.weight › f": (2, 3),
}


def gqa(path: str = "gqa") -> AttentionLayer:
    """Six query heads of four, two heads for keys and values."""
    kv = [HeadBlocks(f"gqa.{name}", 0, 0, 4, 4, 2) for name in "kv"]
    out = HeadBlocks("gqa.o", 1, 0, 4, 4, 6)
    return AttentionLayer(path, 6, 2, 4, HeadBlocks("gqa.q", 0, 0, 4, 4, 6), *kv, out)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randn(*shape, generator=generator) for name, shape in SHAPES.items()}


def blocks_of(tensors: Mapping[str, torch.Tensor], *layers: AttentionLayer) -> Blocks:
    source = open_weights(dict(tensors))
    anatomy = Anatomy(source)
    anatomy._found = Found(axes=dict(AXES), attention=list(layers or (gqa(),)))
    return Blocks(source, anatomy)


@pytest.fixture(scope="module")
def blocks(tensors) -> Blocks:
    return blocks_of({name: tensor for name, tensor in tensors.items() if SEPARATOR not in name})


CASES = {
    "lstm.weight › f": lambda t: t["lstm.weight"][7:14],
    "lstm.bias › o": lambda t: t["lstm.bias"][21:],
    "attn.qkv › k": lambda t: t["attn.qkv"][12:24],
    "attn.qkv › k › head 2": lambda t: t["attn.qkv"][20:24],
    "moe.w1 › expert 3": lambda t: t["moe.w1"][3],
    "moe.w1 › expert 3 › up": lambda t: t["moe.w1"][3, 4:],
    "gqa › head 5 › query": lambda t: t["gqa.q"][20:24],
    "gqa › head 5 › key": lambda t: t["gqa.k"][4:8],
    "gqa › head 2 › value": lambda t: t["gqa.v"][:4],
    "gqa › head 5 › output": lambda t: t["gqa.o"][:, 20:24],
}


@pytest.mark.parametrize("path", CASES)
def test_a_block_is_the_slice(blocks, tensors, path):
    ref, expected = blocks.ref(path), CASES[path](tensors)
    assert ref.name == path
    assert (ref.shape, ref.dtype, ref.device) == (tuple(expected.shape), "float32", "cpu")
    assert torch.equal(ref.read(), expected)
    assert ref.read().untyped_storage().data_ptr() == tensors[blocks.find(path).tensor].untyped_storage().data_ptr()
    record = blocks.record(path)
    assert record.std == pytest.approx(expected.double().std(correction=0).item(), rel=1e-6)
    assert record.l2 == pytest.approx(expected.double().norm().item(), rel=1e-6)
    assert (record.name, record.shape, record.count) == (path, tuple(expected.shape), expected.numel())
    flat = expected.flatten()
    assert expected[record.argmax] == flat.max()
    assert expected[record.argmin] == flat.min()


def index_for(shape: tuple[int, ...]) -> st.SearchStrategy:
    """Every form of index that `TensorRef.read` takes for a tensor of that shape."""
    bound = st.none() | st.integers(-15, 15)
    parts = [
        st.builds(slice, bound, bound, st.none() | st.integers(1, 4)) | st.integers(-size, size - 1) for size in shape
    ]
    length = st.integers(0, len(shape))

    def build(draw: st.DrawFn) -> object:
        kept = draw(length)
        front = draw(st.integers(0, kept))
        tail = kept - front
        head = tuple(draw(part) for part in parts[:front])
        if tail == 0 and draw(st.booleans()):
            return head[0] if len(head) == 1 and draw(st.booleans()) else head
        return (*head, ..., *(draw(part) for part in parts[len(parts) - tail :]))

    return st.composite(build)()


@pytest.mark.parametrize("path", CASES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_index_reads_as_from_the_slice(blocks, tensors, path, data):
    expected = CASES[path](tensors)
    index = data.draw(index_for(tuple(expected.shape)))
    assert torch.equal(blocks.ref(path).read(index), expected[index])


@pytest.mark.parametrize("path", CASES)
def test_a_file_gives_the_same(tmp_path, tensors, path):
    plain = {name: tensor for name, tensor in tensors.items() if SEPARATOR not in name}
    save_file(plain, tmp_path / "model.safetensors")
    source = open_weights(tmp_path / "model.safetensors")
    anatomy = Anatomy(source)
    anatomy._found = Found(axes=dict(AXES), attention=[gqa()])
    found = Blocks(source, anatomy)
    expected = CASES[path](tensors)
    assert torch.equal(found.ref(path).read(), expected)
    assert torch.equal(found.ref(path).read((..., slice(1, None, 2))), expected[..., 1::2])
    assert found.record(path).mean == pytest.approx(expected.double().mean().item(), abs=1e-9)
    source.close()


def test_what_lies_outside_is_an_error(blocks):
    ref = blocks.ref("attn.qkv › k")
    for index in (12, -13, (0, 8), (0, 0, 0)):
        with pytest.raises(IndexError):
            ref.read(index)
    with pytest.raises(ValueError, match="positive"):
        ref.read(slice(None, None, -1))
    with pytest.raises(IndexError, match="ellipsis"):
        ref.read((..., ...))


def test_what_is_computed_of_tensors_is_computed_of_blocks(blocks, tensors):
    ref, expected = blocks.ref("attn.qkv › v"), tensors["attn.qkv"][24:]
    found = histogram(ref, 9, "value", (-1.0, 1.0))
    inside = expected[(expected >= -1) & (expected <= 1)]
    torch.testing.assert_close(torch.from_numpy(found.counts), torch.histc(inside, 9, -1, 1).double(), rtol=0, atol=0)
    assert count(ref, (0.5, 9.0)) == (int((expected >= 0.5).sum()), expected.numel())
    drawn = tile(ref, {"rows": [0], "cols": [1]}, [0, 0], [0, 0, 0, 0], "absmax")
    assert torch.equal(torch.from_numpy(drawn.values), expected)
    brushed = select(ref, (1.0, 4.0))
    assert torch.equal(brushed.values, expected[expected >= 1])
    assert torch.equal(expected[tuple(brushed.indices.T)], brushed.values)


def test_a_head_is_its_four_blocks_together(blocks, tensors):
    place = blocks.find("gqa › head 5")
    assert isinstance(place, HeadPlace)
    assert [part.path for part in place.parts] == [
        f"gqa › head 5 › {name}" for name in ("query", "key", "value", "output")
    ]
    assert blocks.ref("gqa › head 5") is None
    parts = [CASES[f"gqa › head 5 › {name}"](tensors) for name in ("query", "key", "output")]
    every = torch.cat([part.flatten() for part in (*parts, tensors["gqa.v"][4:8])]).double()
    record = blocks.record("gqa › head 5")
    assert record.count == every.numel() == 128
    assert record.std == pytest.approx(every.std(correction=0).item(), rel=1e-9)


def test_heads_that_read_the_same_keys_are_summarised_once(tensors, monkeypatch):
    import weightwidget.anatomy.blocks as module

    read: list[str] = []
    real = module.summarize_tensor
    monkeypatch.setattr(module, "summarize_tensor", lambda ref, *rest: read.append(ref.name) or real(ref, *rest))
    found = blocks_of(tensors)
    first, second = found.record("gqa › head 0 › key"), found.record("gqa › head 2 › key")
    assert (first.name, second.name) == ("gqa › head 0 › key", "gqa › head 2 › key")
    assert first.l2 == second.l2
    assert read == ["gqa › head 0 › key"]
    assert found.record("gqa › head 0 › key") is first


def test_records_do_not_pile_up(tensors, monkeypatch):
    import weightwidget.anatomy.blocks as module

    monkeypatch.setattr(module, "KEPT", 20_000)
    found = blocks_of(tensors)
    for head in range(6):
        found.record(f"gqa › head {head} › query")
    assert 1 <= len(found._records) < 6
    assert found._size <= 20_000
    assert found.record("gqa › head 0 › query").count == 32


def test_a_tensor_of_that_name_comes_first(tensors):
    found = blocks_of(tensors)
    assert found.find("lstm.weight › f") is None
    assert found.ref("lstm.weight › f") is None
    place = found.find("lstm.weight › g")
    assert isinstance(place, Place)
    assert place.tensor == "lstm.weight"


def test_a_layer_is_named_by_any_module_around_it_alone(tensors):
    deep = blocks_of(tensors, gqa("encoder.layer.3.attention.self"), gqa("encoder.layer.4.attention.self"))
    for path in ("encoder.layer.3", "encoder.layer.3.attention", "encoder.layer.3.attention.self"):
        assert deep.find(f"{path} › head 1 › key").path == "encoder.layer.3.attention.self › head 1 › key"
    assert deep.find("encoder › head 1") is None
    assert deep.find("encoder.layer.30 › head 1") is None
    assert "2 attention layers in 'encoder'" in deep.why_not("encoder › head 1")
    alone = blocks_of(tensors, gqa(""))
    for path in (" › head 1 › key", "head 1 › key"):
        assert alone.find(path).path == " › head 1 › key"
    assert alone.find("head 1").path == " › head 1"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("lstm.weight › q", "no block 'q' in 'lstm.weight'; there are 'i', 'f', 'g', 'o'"),
        ("attn.qkv › k › head 7", "did you mean 'head 2' or 'head 1' or 'head 0'?"),
        ("attn.qkv › k › head 1 › x", "it has none"),
        ("lstm.weigth › f", "no tensor or attention layer 'lstm.weigth'; did you mean 'lstm.weight'"),
        ("gqa › head 6", "it has heads 0 to 5"),
        ("gqa › head 1 › keys", "did you mean 'key'?"),
        ("gqa › head 1 › key › x", "it has none"),
        ("lstm.wieght", "did you mean 'lstm.weight'"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(blocks, path, why):
    assert blocks.find(path) is None
    assert blocks.ref(path) is None
    assert blocks.record(path) is None
    assert why in blocks.why_not(path)


def test_axes_that_do_not_fit_name_nothing(blocks, tensors):
    source = open_weights({"w": torch.zeros(4, 2)})
    anatomy = Anatomy(source)
    anatomy._found = Found(axes={"w": Axes(("out", "in"), "linear", splits=(GATES,))})
    with pytest.raises(KeyError, match="reaches beyond"):
        resolve(anatomy, source.tensors, "w › i")


SHARED = json.loads((Path(__file__).parents[1] / "protocol" / "blocks.json").read_text("utf-8"))
"""Cases that the front end follows too."""


def split_of(given: Mapping[str, Any]) -> Split:
    inner = tuple(tuple(split_of(one) for one in part) for part in given["inner"])
    return Split(given["axis"], given["name"], tuple(given["labels"]), tuple(given["sizes"]), inner)


@pytest.fixture(scope="module")
def shared() -> Blocks:
    def layer(given: Mapping[str, Any]) -> AttentionLayer:
        heads = {name: given[name] and HeadBlocks(**given[name]) for name in ("query", "key", "value", "output")}
        return AttentionLayer(given["path"], given["heads"], given["kv_heads"], given["head_dim"], **heads)

    source = open_weights({name: torch.zeros(shape) for name, shape in SHARED["tensors"].items()})
    anatomy = Anatomy(source)
    axes = {
        name: Axes(tuple(given["names"]), "other", splits=tuple(map(split_of, given["splits"])))
        for name, given in SHARED["axes"].items()
    }
    anatomy._found = Found(axes=axes, attention=[layer(given) for given in SHARED["attention"]])
    return Blocks(source, anatomy)


@pytest.mark.parametrize("case", SHARED["paths"], ids=lambda case: case["path"])
def test_shared_case(shared, case):
    place = shared.find(case["path"])
    if case.get("missing"):
        assert place is None
        return
    assert place.path == case.get("kept", case["path"])
    if "parts" in case:
        assert [part.path for part in place.parts] == case["parts"]
        return
    assert place.tensor == case["tensor"]
    assert [[part.start, part.stop] for part in place.box] == case["box"]
    assert shared.ref(case["path"]).shape == tuple(case["shape"])
