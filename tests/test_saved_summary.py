"""An explorer of a saved summary: what is in it is shown, and what takes the weights says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from tests.fixtures import edge_tensors, small_cnn, small_lstm, small_transformer
from weightwidget import ModelSummary, WeightExplorer, WeightFileError, open_weights, spectrum, summarize
from weightwidget.cli import main
from weightwidget.sources.base import ModuleInfo
from weightwidget.sources.saved import WeightsNotSavedError
from weightwidget.summary.finished import picture_side
from weightwidget.summary.scan import Scan
from weightwidget.wire.handlers import answer

NAME = "x.summary.safetensors"


@pytest.fixture
def summary() -> ModelSummary:
    return summarize(torch.nn.ModuleDict({"net": small_transformer(), "lstm": small_lstm(), "cnn": small_cnn()}))


def overview(explorer: WeightExplorer) -> dict[str, torch.Tensor]:
    return load(explorer._overview)


def test_it_is_ready_at_once_and_shows_what_the_weights_showed(summary: ModelSummary, tmp_path: Path) -> None:
    summary.save(tmp_path / NAME)
    model = torch.nn.ModuleDict({"net": small_transformer(), "lstm": small_lstm(), "cnn": small_cnn()})
    live = WeightExplorer(model).wait()
    for obj in (summary, tmp_path / NAME, str(tmp_path / NAME)):
        saved = WeightExplorer(obj, patience=0).wait(10)
        assert (saved.status, saved.progress) == ("ready", 1.0)
        assert list(saved.summary) == list(summary)
        assert list(saved.visible) == list(live.visible)
        assert saved.selected == live.selected
        for key, values in overview(live).items():
            if not key.startswith(("kept.", "filters.", "index")):
                assert torch.equal(overview(saved)[key].nan_to_num(9e9), values.nan_to_num(9e9)), key
        assert not [key for key in overview(saved) if key.startswith(("kept.", "filters."))]
        assert b'"weights":false' in bytes(overview(saved)["index"].numpy())
        assert b'"weights"' not in bytes(overview(live)["index"].numpy())
        assert [str(saved.anatomy[name]) for name in saved.anatomy] == [
            str(live.anatomy[name]) for name in live.anatomy
        ]
        assert saved.anatomy.attention == live.anatomy.attention
        assert saved.anatomy.recurrent == live.anatomy.recurrent
        saved.close()
    live.close()


def test_what_takes_the_weights_says_so(summary: ModelSummary) -> None:
    explorer = WeightExplorer(summary)
    explorer.selected = "lstm.lstm.weight_ih_l0"
    explorer.value_range = (0.0, 1.0)
    ref = explorer.ref(explorer.selected)
    assert ref is not None
    for ask in (
        lambda: explorer.selection,
        lambda: explorer.record("lstm.lstm.weight_ih_l0 › f"),
        lambda: spectrum(ref),
        lambda: ref.read(),
    ):
        with pytest.raises(WeightsNotSavedError, match=r"only the summary of ModuleDict was opened.*open the weights"):
            ask()
    with pytest.raises(WeightsNotSavedError):
        answer(
            explorer,
            {"kind": "tile", "tensor": ref.name, "axes": {"rows": [0], "cols": [1]}, "index": [0, 0]}
            | {"tile": [0, 0, 0, 0], "aggregate": "absmax"},
        )
    explorer.close()


@pytest.mark.parametrize("path", ["lstm.lstm.weight_ih_l0", "lstm", ""])
def test_histograms_and_counts_are_those_of_the_sketch(summary: ModelSummary, path: str) -> None:
    explorer = WeightExplorer(summary)
    record = summary.tensors.get(path) or summary.modules[path]
    for scale in ("value", "magnitude"):
        reply, buffers = answer(
            explorer, {"kind": "histogram", "path": path, "bins": 16, "scale": scale, "range": None}
        )
        counts = np.frombuffer(buffers[0])
        shown = record.finite - (record.zeros if scale == "magnitude" else 0)
        assert len(counts) == 16
        assert counts.sum() + reply["below"] + reply["above"] == pytest.approx(shown, abs=1)
        assert (reply["exact"], reply["relative_error"]) == (record.sketch.exact, record.sketch.relative_error)
    reply, _ = answer(explorer, {"kind": "count", "path": path, "range": [0.0, 1e9]})
    assert reply["total"] == record.count
    assert reply["count"] == round(record.sketch.count_between(0.0, 1e9))
    explorer.close()


def test_every_way_out_works(summary: ModelSummary, tmp_path: Path) -> None:
    explorer = WeightExplorer(summary, selected="lstm.lstm.weight_ih_l0 › f")
    data, _ = explorer._repr_mimebundle_()
    assert "ModuleDict" in data["text/plain"]
    page = explorer.save_html(tmp_path / "x.html")
    assert page.size > 10_000
    assert explorer.snapshot().size > 1000
    assert list(explorer.to_frame().index) == list(summary)
    assert "ready" in repr(explorer)
    explorer.query = "kind:LSTM"
    assert explorer.visible == [name for name in summary if name.startswith("lstm.lstm.")]
    explorer.close()


def test_reading_again_reads_the_file_again(tmp_path: Path) -> None:
    summarize({"a": torch.ones(3, 4)}).save(tmp_path / NAME)
    explorer = WeightExplorer(tmp_path / NAME)
    assert explorer.summary["a"].max == 1
    summarize({"a": torch.full((3, 4), 2.0), "b": torch.ones(2)}).save(tmp_path / NAME)
    assert explorer.refresh().summary["a"].max == 2
    assert list(explorer.source.tensors) == ["a", "b"]
    (tmp_path / NAME).write_bytes(b"")
    with pytest.raises(WeightFileError, match="is empty"):
        explorer.refresh()
    assert explorer.summary["a"].max == 2
    explorer.close()


def test_names_given_by_the_caller(summary: ModelSummary, tmp_path: Path) -> None:
    summary.save(tmp_path / NAME)
    for obj in (summary, tmp_path / NAME, open_weights(summary)):
        explorer = WeightExplorer(obj, name="mine")
        assert explorer.source.name == "mine"
        assert list(explorer.summary) == list(summary)
        explorer.close()


def test_tensors_of_every_kind() -> None:
    summary = summarize(edge_tensors())
    explorer = WeightExplorer(summary)
    assert explorer.status == "ready"
    assert set(explorer.summary.errors) == set(summary.errors)
    explorer.close()


def test_texts_from_elsewhere(tmp_path: Path) -> None:
    """Types that this torch does not know, and names that want to do harm: they are shown, and do nothing."""
    record = summarize(torch.randn(8, 4, 3, 3))["tensor"]
    evil = "<img src=x onerror=alert(1)>"
    records = {
        name: replace(record, name=name, dtype=dtype, kind=evil, role=evil, error=error)
        for name, dtype, error in (
            (f"{evil}.weight", evil, ""),
            ("conv.weight", "float4_of_tomorrow", ""),
            ("bad", "complex64", f"{evil}\x1b[2J"),
            ("__proto__.constructor", "", ""),
        )
    }
    infos = {evil: ModuleInfo(evil, evil, {evil: evil}), "conv": ModuleInfo("conv", "Conv2d", {"groups": 2**60})}
    ModelSummary(evil, records, infos).save(tmp_path / NAME)
    explorer = WeightExplorer(tmp_path / NAME)
    assert explorer.status == "ready"
    for name in records:
        explorer.selected = name
        assert explorer.to_frame().loc[name, "kind"] == evil
    assert evil not in explorer.save_html(tmp_path / "x.html").path.read_text().split("weightwidget-view")[0]
    explorer.close()


def test_parts_of_a_model_that_were_merged() -> None:
    parts = [summarize({f"layer.{k}.weight": torch.randn(70, 90), f"layer.{k}.bias": torch.zeros(70)}) for k in (0, 1)]
    explorer = WeightExplorer(parts[0].merge(parts[1]))
    assert list(explorer.summary) == ["layer.0.weight", "layer.0.bias", "layer.1.weight", "layer.1.bias"]
    assert explorer.summary.modules["layer"].count == 2 * (70 * 90 + 70)
    explorer.close()


@pytest.mark.parametrize(("made", "wish", "side"), [(16, 64, 16), (64, 32, 32), (0, 64, 0), (64, 256, 64)])
def test_pictures_are_no_larger_than_those_in_the_summary(made: int, wish: int, side: int) -> None:
    tensors = {"m": torch.randn(300, 200), "v": torch.randn(5000), "small": torch.randn(3, 5), "s": torch.tensor(1.0)}
    scan = Scan(open_weights(tensors), thumbnail=made).start()
    assert scan.wait(60)
    summary = scan.summary()
    assert picture_side(open_weights(summary), wish) == side
    explorer = WeightExplorer(summary, detail=wish)
    assert explorer.status == "ready"
    thumbs = overview(explorer).get("thumb", torch.empty(0))
    assert len(thumbs) == (side * side + min(5000, 8 * side) + min(side, 3) * min(side, 5) + min(side, 1))
    explorer.close()


# -- the command line -------------------------------------------------------------------------------------------------


def test_a_summary_from_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a.weight": torch.randn(30, 40), "a.bias": torch.zeros(30)}, tmp_path / "m.pt")
    target = tmp_path / "m.summary.safetensors"
    assert main([str(tmp_path / "m.pt"), "-o", str(target), "-q"]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: ")
    for more in ([], ["--json"], ["--filter", "std>0"], ["--sort", "std"]):
        main([str(tmp_path / "m.pt"), *more])
        live = capsys.readouterr().out
        assert main([str(target), *more]) == 0
        assert capsys.readouterr().out == live
    assert main([str(target), "-o", str(tmp_path / "m.html"), "-q"]) == 0
    assert (tmp_path / "m.html").stat().st_size > 10_000
    assert main([str(target), "-o", str(tmp_path / "again.summary.safetensors"), "-q"]) == 0
    assert (tmp_path / "again.summary.safetensors").read_bytes() == target.read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "x.summary.safetensors", "--detail", "2"], "--detail is for pages"),
        (["-o", "x.safetensors"], "the name of a summary ends with .summary.safetensors"),
        (["-o", "x.summary.safetensors", "--filter", "a"], "--filter is for the table"),
    ],
)
def test_wrong_usage(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["m.pt", *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_damaged_summary_in_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summarize(torch.ones(3)).save(tmp_path / NAME)
    (tmp_path / NAME).write_bytes((tmp_path / NAME).read_bytes()[:-1])
    assert main([str(tmp_path / NAME)]) == 1
    assert "truncated" in capsys.readouterr().err
