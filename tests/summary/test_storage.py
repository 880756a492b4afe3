"""Saved summaries: they come back to the last bit, and damaged files are refused with the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from tests.fixtures import HOSTILE_NAMES, edge_tensors, small_lstm
from tests.summary.test_merge import MAKERS, record
from weightwidget import ModelSummary, WeightFileError, open_weights, summarize
from weightwidget.sources.base import MissingWeightFileError, ModuleInfo
from weightwidget.sources.saved import SavedSource, WeightsNotSavedError
from weightwidget.summary import storage
from weightwidget.summary.moments import Moments
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import Component, Sketch

NAME = "x.summary.safetensors"


def content(value: Any) -> object:
    """A value so that equal ones compare equal, bit for bit."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, (TensorSummary, Moments, Sketch, Component)):
        return {field.name: content(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [content(one) for one in value]
    return value


def assert_same(a: ModelSummary, b: ModelSummary) -> None:
    assert (a.name, list(a), a.infos) == (b.name, list(b), b.infos)
    for name, one in a.items():
        assert content(one) == content(b[name]), name


def back(summary: ModelSummary, folder: Path) -> ModelSummary:
    summary.save(folder / NAME)
    return ModelSummary.load(folder / NAME)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("summaries")


names = st.text(st.characters(), max_size=12) | st.sampled_from([*HOSTILE_NAMES, "\ud800.w", "a\0b", ""])
plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5)
infos = st.dictionaries(
    names,
    st.builds(
        ModuleInfo,
        st.just("?"),
        names,
        st.dictionaries(st.text(max_size=5), plain | st.tuples(plain, plain), max_size=3),
        st.lists(names, max_size=2).map(tuple),
        names,
    ),
    max_size=3,
).map(lambda found: {path: replace(info, path=path) for path, info in found.items()})


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(names, st.sampled_from(sorted(MAKERS)), max_size=6), infos, names, st.data())
def test_it_comes_back_to_the_last_bit(folder: Path, kinds: Mapping[str, str], modules, title: str, data) -> None:
    text = st.text(max_size=6)
    records = {
        name: replace(record(kind, 0), name=name, kind=data.draw(text), shared_with=data.draw(st.none() | names))
        for name, kind in kinds.items()
    }
    records["bad"] = TensorSummary("bad", (2, 2**40), "complex999", count=2**41, nbytes=2**70, error="out of \ud800")
    summary = ModelSummary(title, records, modules)
    assert_same(back(summary, folder), summary)


def test_models_with_all_that_is_odd(tmp_path: Path) -> None:
    for obj in (small_lstm(), edge_tensors(), torch.ones(3)):
        summary = summarize(obj)
        assert_same(back(summary, tmp_path), summary)
        assert_same(summarize(str(tmp_path / NAME)), summary)
    first = (tmp_path / NAME).read_bytes()
    ModelSummary.load(tmp_path / NAME).save(tmp_path / "again.summary.safetensors")
    assert (tmp_path / "again.summary.safetensors").read_bytes() == first


def test_module_totals_and_statistics_are_as_before(tmp_path: Path) -> None:
    summary = summarize(small_lstm())
    loaded = back(summary, tmp_path)
    assert list(loaded.modules) == list(summary.modules)
    for path, total in summary.modules.items():
        assert content(total) == content(loaded.modules[path])
    assert loaded.modules["lstm"].kind == "LSTM"


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = summarize(torch.ones(3))
    summary.save(tmp_path / NAME)
    before = (tmp_path / NAME).read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        summarize(torch.ones(4)).save(tmp_path / NAME)
    assert [file.name for file in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == before


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    summarize(torch.ones(3)).save("~/" + NAME)
    assert list(ModelSummary.load("~/" + NAME)) == ["tensor"]
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        summarize(torch.ones(3)).save(tmp_path / "missing" / NAME)
    with pytest.raises(IsADirectoryError, match="give the name of the file"):
        summarize(torch.ones(3)).save(tmp_path)
    with pytest.raises(MissingWeightFileError, match="no such file"):
        ModelSummary.load(tmp_path / "other.safetensors")
    with pytest.raises(WeightFileError, match="a folder"):
        ModelSummary.load(tmp_path)


def test_a_record_of_a_module_is_not_saved(tmp_path: Path) -> None:
    total = summarize(small_lstm()).modules["lstm"]
    with pytest.raises(ValueError, match="no record of a tensor"):
        ModelSummary("x", {"lstm": total}).save(tmp_path / NAME)


# -- files that are no such thing -------------------------------------------------------------------------------------


def test_a_file_of_weights_is_none(tmp_path: Path) -> None:
    save_file({"w": np.ones((3, 4), np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightFileError, match=r"w\.safetensors: this is no saved summary but a file of weights.*Open"):
        ModelSummary.load(tmp_path / "w.safetensors")
    (tmp_path / "w.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(WeightFileError, match="not a safetensors file"):
        ModelSummary.load(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("version", "said"), [("2", "newer weightwidget.*pip install"), ("?", "version is"), ("", "version")]
)
def test_versions(tmp_path: Path, version: str, said: str) -> None:
    save_file({"index": np.zeros(3, np.uint8)}, tmp_path / NAME, {"format": f"{storage.FORMAT} {version}"})
    with pytest.raises(WeightFileError, match=said):
        ModelSummary.load(tmp_path / NAME)


def rewritten(path: Path, change: Callable[[dict[str, np.ndarray], dict[str, Any]], None], seal: bool = True) -> None:
    """Change the content of a file, with a digest that fits it as somebody would who means harm."""
    arrays = load_file(path)
    index = json.loads(arrays["index"].tobytes())
    change(arrays, index)
    if not arrays.pop("keep", False):
        arrays["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
    if seal:
        arrays["sha256"] = storage.digest(arrays)
    save_file(arrays, path, {"format": f"{storage.FORMAT} {storage.VERSION}"})


def set_index(text: bytes) -> Callable[[dict[str, Any], Any], None]:
    return lambda arrays, index: arrays.update(index=np.frombuffer(text, np.uint8), keep=True)


def set_tensor(**values: Any) -> Callable[[Any, dict[str, Any]], None]:
    return lambda arrays, index: index["tensors"][0].update(values)


def set_count(place: int, value: Any) -> Callable[[Any, dict[str, Any]], None]:
    return lambda arrays, index: index["tensors"][0]["counts"].__setitem__(place, value)


def set_value(column: int, value: float) -> Callable[[dict[str, Any], Any], None]:
    def change(arrays: dict[str, Any], _index: Any) -> None:
        arrays["values"] = arrays["values"].copy()
        arrays["values"][0, column] = value

    return change


def set_array(name: str, make: Callable[[Any], Any]) -> Callable[[dict[str, Any], Any], None]:
    return lambda arrays, index: arrays.update({name: make(arrays[name].copy())})


def dropped(name: str) -> Callable[[dict[str, Any], Any], None]:
    return lambda arrays, index: arrays.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_index(b"{"), "index cannot be parsed"),
        (set_index(b"[" * 100_000), "index cannot be parsed"),
        (set_index(b"[]"), "its index is no set of named values"),
        (set_index(b'{"tensors": 3}'), "'tensors' of its index is no list"),
        (set_index(b'{"tensors": [3]}'), "a tensor is no set"),
        (set_index(b'{"tensors": [], "modules": [{"hyper": 3}]}'), "hyperparameters of a module is no set"),
        (set_index(b'{"tensors": [], "modules": [{"hyper": {"a": {}}}]}'), "hyperparameters .* no plain values"),
        (set_index(b'{"tensors": []}'), "it lists 0 tensors and has the numbers of 1"),
        (dropped("values"), "'values' is missing"),
        (dropped("grids"), "'grids' is missing"),
        (dropped("keys.uint16"), "'keys.uint16' ends too early"),
        (lambda arrays, index: arrays.update(extra=np.zeros(3)), "'extra' has more"),
        (lambda arrays, index: arrays.update(extra=np.zeros(3, np.int8)), "is of type int8"),
        (set_array("grids", lambda a: np.concatenate([a, a])), "'grids' has more"),
        (set_array("grids", lambda a: a[:0]), "no grid"),
        (set_array("grids", lambda a: a * np.nan), "grid of its sketch is no grid"),
        (set_array("values", lambda a: a[:, :3]), "'values' is missing, or of another type or shape"),
        (set_array("picture.float32", lambda a: a[:-1]), "'picture.float32' ends too early"),
        (set_array("norms.float32", lambda a: a[:-1]), "'norms.float32' ends too early"),
        (set_array("norms.float32", lambda a: -a), "norms that are no norms"),
        (set_array("counts.uint8", lambda a: a * 0), "count that is not positive"),
        (set_array("counts.uint8", lambda a: a + 1), "its sketch counts"),
        (set_array("keys.uint16", lambda a: a[::-1].copy()), "values of its sketch are not in order"),
        (set_tensor(name=3), "'name' of a tensor is no text"),
        (set_tensor(shape=[-90, 71]), "'shape' of a tensor is no list of whole numbers"),
        (set_tensor(shape=[90.0, 71]), "'shape' of a tensor"),
        (set_tensor(shape=[91, 71]), r"counts 6,390 weights, its shape \[91, 71\] has 6,461"),
        (set_tensor(shape="90"), "'shape' of a tensor is no list"),
        (set_tensor(shape=[2**62, 0]), "too large for any memory"),
        (set_tensor(shape=[1] * 65), "too large for any memory"),
        (set_tensor(counts=[6390]), "'counts' of a tensor is no list of 7"),
        (set_tensor(argmax=[90, 0]), "no place"),
        (set_tensor(argmax=[0]), "no place"),
        (set_tensor(error=["x"]), "'error' of a tensor is no text"),
        (set_tensor(shared_with=None), "'shared_with' of a tensor is no text"),
        (set_tensor(thumbnail=["float32", 64]), "'thumbnail' of a tensor has no type and size"),
        (set_tensor(thumbnail=["float32", 2**70, 2**70]), "ends too early"),
        (set_tensor(thumbnail=["float32", -1, 64]), "no type and length"),
        (set_tensor(thumbnail=["float32", 0, 64]), "has more than its tensors need"),
        (set_tensor(thumbnail=["uint8", 6, 6]), "no type and length"),
        (set_tensor(thumbnail=[["float32"], 64, 64]), "no type and length"),
        (set_tensor(row_norms=["float32", 71], column_norms=["float32", 90]), "has 71 norms for 90"),
        (set_tensor(sketch=[3]), "no list of lists"),
        (set_tensor(sketch=[[False, False, "uint16", "uint8"]]), "no kind"),
        (set_tensor(sketch=[[1, False, "uint16", "uint8", 3]]), "no kind"),
        (set_tensor(sketch=[[True, False, "uint16", "uint8", 3]]), "no type and length"),
        (set_tensor(sketch=[[False, False, "float32", "uint8", 3]]), "no type and length"),
        (set_tensor(sketch=[]), "its sketch counts 0"),
        (set_count(0, -6390), "'counts' of a tensor"),
        (set_count(0, True), "'counts' of a tensor"),
        (set_count(2, 5), "counts do not add up"),
        (set_count(5, 6391), "counts do not add up"),
        (set_count(6, 6389), "counts do not add up"),
        (set_value(0, math.nan), "smallest and largest"),
        (set_value(0, 9.0), "smallest and largest"),
        (set_value(3, math.inf), "smallest and largest"),
        (set_value(4, math.nan), "moments are no numbers"),
        (set_value(5, -1.0), "moments are no numbers"),
        (set_value(9, 0.0), "scale of its moments"),
        (lambda arrays, index: index["tensors"].append(index["tensors"][0]), "it lists 2 tensors"),
    ],
)
def test_hostile_files(tmp_path: Path, change, said: str) -> None:
    ModelSummary("x", {"normal": record("normal", 0)}).save(tmp_path / NAME)
    rewritten(tmp_path / NAME, lambda arrays, index: None)
    assert len(ModelSummary.load(tmp_path / NAME)) == 1
    rewritten(tmp_path / NAME, change)
    with pytest.raises(WeightFileError, match=said) as raised:
        ModelSummary.load(tmp_path / NAME)
    assert str(raised.value).startswith(f"{tmp_path / NAME}: the file is damaged: ")
    assert str(raised.value).endswith("Copy or save the summary again.")


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    records = {name: replace(record("small", 0), name=name) for name in ("a", "b")}
    ModelSummary("x", records).save(tmp_path / NAME)
    rewritten(tmp_path / NAME, lambda arrays, index: index["tensors"][1].update(name="a"))
    with pytest.raises(WeightFileError, match="'a' is wrong: it is there twice"):
        ModelSummary.load(tmp_path / NAME)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_changed_byte_is_noticed(folder: Path, data) -> None:
    path = folder / "changed.summary.safetensors"
    ModelSummary("x", {"normal": record("normal", 0), "half": replace(record("half", 0), name="half")}).save(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        loaded = ModelSummary.load(path)
    except WeightFileError:
        return
    # White space between the parts of the header says nothing.
    path.write_bytes(content)
    assert list(loaded) == ["normal", "half"]
    assert place < 8 + int.from_bytes(content[:8], "little")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated(tmp_path: Path, keep: int) -> None:
    summarize(torch.ones(3)).save(tmp_path / NAME)
    (tmp_path / NAME).write_bytes((tmp_path / NAME).read_bytes()[:keep])
    with pytest.raises(WeightFileError, match="truncated"):
        ModelSummary.load(tmp_path / NAME)


# -- as a source ------------------------------------------------------------------------------------------------------


def test_it_opens_like_weights(tmp_path: Path) -> None:
    model = small_lstm()
    summary = summarize(model)
    summary.save(tmp_path / NAME)
    live = open_weights(model)
    for obj in (summary, str(tmp_path / NAME), tmp_path / NAME, tmp_path):
        source = open_weights(obj)
        assert isinstance(source, SavedSource)
        assert source.name == "SmallLSTM"
        assert list(source.tensors) == list(live.tensors)
        assert source.modules == live.modules
        for name, ref in source.tensors.items():
            told = live.tensors[name]
            assert (ref.shape, ref.dtype, ref.role, ref.shared_with) == (
                told.shape,
                told.dtype,
                told.role,
                told.shared_with,
            )
            assert (ref.device, ref.nbytes) == ("summary", told.nbytes)
            with pytest.raises(
                WeightsNotSavedError, match=r"only the summary of SmallLSTM was opened.*open the weights"
            ):
                ref.read((slice(0, 1),))
        assert_same(source.summary, summary)
        assert_same(summarize(source), summary)
    assert open_weights(summary, name="mine").name == "mine"
    assert open_weights(tmp_path / NAME, name="mine").name == "mine"


def test_beside_weights_it_is_no_shard(tmp_path: Path) -> None:
    save_file({"w": np.ones((3, 4), np.float32)}, tmp_path / "model.safetensors")
    summarize(tmp_path).save(tmp_path / "model.summary.safetensors")
    assert open_weights(tmp_path).tensors["w"].device == "file"
    summarize(tmp_path).save(tmp_path / "other.safetensors")
    with pytest.raises(WeightFileError, match=r"other\.safetensors: the file holds a summary.*no shard"):
        open_weights(tmp_path)


def test_names_are_made_fit_to_be_sent(tmp_path: Path) -> None:
    tied = replace(record("small", 0), name="tied", shared_with="\ud800.w")
    records = {
        "\ud800.w": replace(record("small", 0), name="\ud800.w"),
        "": replace(record("zeros", 0), name=""),
        "tied": tied,
    }
    source = open_weights(ModelSummary("\ud800", records))
    assert list(source.tensors) == list(source.summary) == ["\ufffd.w", "(unnamed)", "tied"]
    assert source.tensors["tied"].shared_with == source.summary["tied"].shared_with == "\ufffd.w"
    with pytest.raises(ValueError, match="two tensors are called"):
        open_weights(ModelSummary("x", {name: replace(record("small", 0), name=name) for name in ("\ud800", "\ud801")}))


def test_a_tie_to_what_is_not_there() -> None:
    lonely = ModelSummary("x", {"w": replace(record("small", 0), name="w", shared_with="elsewhere")})
    assert open_weights(lonely).tensors["w"].shared_with is None


def test_a_summary_of_nothing(tmp_path: Path) -> None:
    assert_same(back(ModelSummary("x", {}), tmp_path), ModelSummary("x", {}))
    with pytest.raises(ValueError, match="no tensors"):
        open_weights(ModelSummary("x", {}))
    with pytest.raises(WeightFileError, match="no tensors"):
        open_weights(tmp_path / NAME)
