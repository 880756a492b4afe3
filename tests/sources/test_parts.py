"""Complex tensors: magnitudes and parts, read slice by slice."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from traitlets import TraitError

from tests.summary.stub import ref_of
from weightwidget import ModelSummary, WeightExplorer, open_weights, summarize
from weightwidget.anatomy.axes import equal_split
from weightwidget.sources.parts import as_real, is_complex, magnitude
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.wire.handlers import answer

WEIGHTS = torch.randn(70, 90, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
ODD = torch.tensor(
    [
        complex(3e38, 3e38),
        complex(math.nan, 0),
        complex(math.inf, math.nan),
        complex(0, math.nan),
        complex(-math.inf, 1),
        complex(0, -math.inf),
        complex(1e-30, 1e-30),
        0,
        -0.0,
        complex(-3, 4),
    ],
    dtype=torch.complex64,
)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("index", [..., 3, (slice(2, 9), slice(None, None, 3)), (slice(4, 4),)])
def test_magnitudes_are_numpys(dtype: torch.dtype, index) -> None:
    weights = WEIGHTS.to(dtype)
    found = magnitude(ref_of(weights)).read(index)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), np.abs(weights.to(torch.complex128)[index].numpy()), rtol=1e-15)


def test_what_is_not_finite() -> None:
    found = magnitude(ref_of(ODD)).read().tolist()
    assert found[0] == pytest.approx(math.sqrt(2) * 3e38)
    assert all(math.isnan(value) for value in found[1:4])
    assert found[4:6] == [math.inf, math.inf]
    assert found[6:] == pytest.approx([math.sqrt(2) * 1e-30, 0, 0, 5], rel=1e-6)


@pytest.mark.parametrize("change", [lambda w: w, lambda w: w.conj(), lambda w: w.t(), lambda w: w[::2, ::3]])
def test_parts_are_those_of_torch(change) -> None:
    weights = change(WEIGHTS)
    ref = as_real(ref_of(weights))
    assert (ref.shape, ref.dtype) == ((*weights.shape, 2), "float32")
    for number, part in enumerate((weights.real, weights.imag)):
        assert torch.equal(ref.read((slice(1, 5), 2, number)), part[1:5, 2])
        assert torch.equal(ref.read((..., number)), part)
    assert torch.equal(ref.read(3), torch.view_as_real(weights.resolve_conj())[3])


def test_reading_parts_copies_nothing() -> None:
    part = as_real(ref_of(WEIGHTS)).read((slice(None), slice(None), 1))
    assert part.untyped_storage().data_ptr() == WEIGHTS.untyped_storage().data_ptr()


def test_magnitudes_are_computed_run_by_run() -> None:
    weights = torch.randn(3000, 1200, dtype=torch.complex64)
    largest = 0

    def note(index) -> None:
        nonlocal largest
        largest = max(largest, weights[index].numel())

    record = summarize_tensor(ref_of(weights, before_read=note))
    assert record.count == weights.numel()
    assert largest < weights.numel() / 2


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 200), st.integers(1, 90), st.integers(0, 9), st.booleans())
def test_the_record_is_that_of_the_magnitudes(rows: int, columns: int, seed: int, conjugate: bool) -> None:
    weights = torch.randn(rows, columns, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))
    if weights.numel() > 10:
        weights.view(-1)[:10] = ODD
    record = summarize_tensor(ref_of(weights.conj() if conjugate else weights), "Linear")
    expected = summarize_tensor(magnitude(ref_of(weights)), "Linear")
    assert (record.dtype, record.part, record.nbytes) == ("complex64", "magnitude", 8 * weights.numel())
    for key in ("count", "nan", "posinf", "neginf", "zeros", "argmin", "argmax", "kind", "shape", "moments"):
        assert repr(getattr(record, key)) == repr(getattr(expected, key)), key
    assert np.array_equal(record.row_norms, expected.row_norms, equal_nan=True)


def test_totals_say_what_they_are_of() -> None:
    summary = summarize({"a.w": WEIGHTS, "a.v": WEIGHTS[0], "b.w": WEIGHTS.real.contiguous()})
    assert [summary.modules[path].part for path in ("", "a", "b")] == ["mixed", "magnitude", ""]
    assert summary["a.w"].l2 == pytest.approx(float(torch.linalg.norm(WEIGHTS)))


@pytest.fixture(params=["safetensors", "pt", "memory"])
def source(request: pytest.FixtureRequest, tmp_path: Path):
    tensors = {"a.weight": WEIGHTS, "b.weight": WEIGHTS.real.contiguous()}
    if request.param == "memory":
        return tensors
    path = tmp_path / f"c.{request.param}"
    (save_file if request.param == "safetensors" else torch.save)(tensors, path)
    return path


def test_an_explorer_of_complex_weights(source, tmp_path: Path) -> None:
    explorer = WeightExplorer(source, selected="a.weight")
    assert explorer.summary.errors == {}
    assert explorer.anatomy["a.weight"].splits[-1].labels == ("real", "imaginary")
    assert "real" not in explorer.anatomy["a.weight"].blocks
    expected = {"a.weight": WEIGHTS.abs(), "a.weight › real": WEIGHTS.real, "a.weight › imaginary": WEIGHTS.imag}
    for path, weights in expected.items():
        explorer.selected = path
        assert explorer.selected == path
        record, ref = explorer.record(path), explorer.ref(path)
        assert record is not None
        assert ref is not None
        assert ref.shape == (70, 90)
        assert not is_complex(ref)
        assert record.mean == pytest.approx(float(weights.double().mean()), rel=1e-6)
        assert record.part == ("magnitude" if path == "a.weight" else "")
        explorer.value_range = (0.5, 0.7)
        inside = (weights >= 0.5) & (weights <= 0.7)
        assert abs(len(explorer.selection.values) - int(inside.sum())) <= 1  # of abs() in float32
    assert explorer.save_html(tmp_path / "page.html").size > 0
    with pytest.raises(TraitError, match="there are 'real', 'imaginary'"):
        explorer.selected = "a.weight › phase"
    explorer.close()


def test_answers_about_complex_weights() -> None:
    explorer = WeightExplorer({"w": WEIGHTS})
    drawn = {"axes": {"rows": [0], "cols": [1]}, "index": [0, 0]}
    for path, weights in (("w", WEIGHTS.abs()), ("w › imaginary", WEIGHTS.imag)):
        reply, _ = answer(explorer, {"kind": "cell", "tensor": path, "window": [3, 4, 5, 6], **drawn})
        assert float(reply["value"]) == pytest.approx(float(weights[3, 5]), rel=1e-6)
        reply, buffers = answer(
            explorer, {"kind": "histogram", "path": path, "bins": 7, "scale": "value", "range": None}
        )
        assert reply["exact"]
        counted = np.frombuffer(buffers[0]).sum() + reply["below"] + reply["above"]
        assert counted == 6300
    # What is no question about magnitudes is not answered with them.
    with pytest.raises(ValueError, match="'w' is complex: choose its real or imaginary part, 'w › real'"):
        answer(explorer, {"kind": "spectrum.top", "tensor": "w", **drawn})
    answer(explorer, {"kind": "spectrum.top", "tensor": "w › real", **drawn})
    explorer.close()


def test_axes_set_by_hand_keep_the_parts() -> None:
    explorer = WeightExplorer({"w": WEIGHTS})
    explorer.anatomy["w"] = "out in"
    assert explorer.anatomy["w"].names == ("out", "in")
    explorer.anatomy["w"] = explorer.anatomy["w"]
    assert [split.name for split in explorer.anatomy["w"].splits] == ["part"]
    explorer.anatomy.set("w", "(gate hidden) in", gate="i f")
    assert [split.name for split in explorer.anatomy["w"].splits] == ["gate", "part"]
    record = explorer.record("w › f")
    assert record is not None
    assert (record.dtype, record.part, record.shape) == ("complex64", "magnitude", (35, 90))
    assert equal_split(0, "gate", ("i", "f"), 70) == explorer.anatomy["w"].splits[0]
    explorer.close()


def test_a_saved_summary_of_complex_weights(tmp_path: Path) -> None:
    summarize({"w": WEIGHTS}).save(tmp_path / "x.summary.safetensors")
    loaded = ModelSummary.load(tmp_path / "x.summary.safetensors")
    assert (loaded["w"].part, loaded["w"].dtype) == ("magnitude", "complex64")
    assert "magnitude" in str(loaded.to_frame().loc["w", "part"])
    explorer = WeightExplorer(loaded)
    assert explorer.status == "ready"
    explorer.close()


def test_what_cannot_be_read() -> None:
    explorer = WeightExplorer({"m": torch.empty(2, 3, dtype=torch.complex64, device="meta"), "w": torch.ones(2)})
    assert "meta device" in explorer.summary.errors["m"]
    explorer.close()
    sparse = open_weights({"s": torch.eye(3, dtype=torch.complex64).to_sparse()})
    assert "to_dense" in summarize(sparse).errors["s"]
