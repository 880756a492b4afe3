"""Tensors on accelerators: the kernel for them without float64, and what a real GPU makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import weightwidget
from tests.summary.stub import ref_of, source_of
from tests.summary.test_many_machines import assert_same
from weightwidget.detail.histogram import histogram
from weightwidget.detail.tiles import tile
from weightwidget.summary import device
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.finishing import finish
from weightwidget.summary.kernel import record_of, summarize_tensor
from weightwidget.summary.scan import Scan
from weightwidget.summary.streaming import plan_of

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int16], ids=str)
@pytest.mark.parametrize("shape", [(1200, 700), (90000,), (3, 40000)])
def test_device_without_float64(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """What MPS has: sums in float32 are cut short enough."""
    torch.manual_seed(1)
    weights = (torch.randn(shape) * 30 + 2).to(dtype)
    ref = ref_of(weights)
    plan = plan_of(ref, 64, weights)
    blocks = Blocks(ref, weights, 1 << 15)
    part = device.DevicePass(blocks, plan, double=False).run(lambda: False, lambda n: None)
    # A skewness near zero is good to 1e-6 of what it would be for a lopsided distribution.
    assert_same({"w": record_of(ref, "", finish(plan, part))}, {"w": summarize_tensor(ref)}, absolute=1e-6)


def awkward() -> dict[str, torch.Tensor]:
    """Tensors of many types, some with NaN, infinities, constants, a mean far from zero."""
    torch.manual_seed(2)
    found = {
        str(dtype).removeprefix("torch."): (torch.randn(1500, 1301) * 20).to(dtype)
        for dtype in (
            *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
            *(torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool),
        )
    }
    for name in ("float32", "float64", "float16", "bfloat16"):
        found[name][3, 5], found[name][700, 9], found[name][1499, 1300] = torch.nan, torch.inf, -torch.inf
    found |= {
        "far": torch.randn(900, 1100) + 5000,
        "constant": torch.full((700, 900), 0.25),
        "sparse": torch.randn(800, 900) * (torch.rand(800, 900) > 0.9),
        "outlier": torch.randn(600, 1000).index_fill_(0, torch.tensor([5]), 1e6),
        "vector": torch.randn(9_000_001),
        "wide": torch.randn(3, 5_000_001),
        "kernels": torch.randn(64, 32, 7, 5),
        "turned": torch.randn(701, 900).T,
        "small": torch.randn(30, 20),
    }
    return found


@needs_cuda
def test_a_gpu_gives_the_numbers_of_the_cpu() -> None:
    weights = awkward()
    there = source_of(**{name: tensor.cuda() for name, tensor in weights.items()})
    scan = Scan(there).start()
    assert scan.wait(120)
    assert_same(scan.results, {name: summarize_tensor(ref_of(weights[name], name)) for name in scan.results})


@needs_cuda
def test_large_tensors_stay_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[int] = []
    copy = torch.Tensor.cpu

    def watch(tensor, *arguments, **options):
        moved.append(tensor.numel())
        return copy(tensor, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "cpu", watch)
    weights = torch.randn(8000, 5000, device="cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    record = summarize_tensor(ref_of(weights))
    assert record.std == pytest.approx(1.0, rel=1e-3)
    assert sum(moved) < 200_000, "counts, sums, norms, thumbnail"
    assert torch.cuda.max_memory_allocated() - before < 600e6


@needs_cuda
def test_explorer_of_a_model_on_a_gpu() -> None:
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(700, 900), torch.nn.Conv2d(3, 16, 5))
    here = weightwidget.summarize(model)
    model.cpu_copy = {name: value.detach().clone() for name, value in model.named_parameters()}
    model.to("cuda", torch.float32)
    explorer = weightwidget.WeightExplorer(model).wait()
    assert_same(explorer.summary, here)
    explorer.selected = "0.weight"
    explorer.value_range = (0.0, 0.01)
    assert len(explorer.selection.values) == int(((model[0].weight >= 0) & (model[0].weight <= 0.01)).sum())
    for name in ("0.weight", "1.weight"):
        ref, reference = explorer.ref(name), model.cpu_copy[name]
        drawn = tile(ref, None, None, [1, 2, 0, 0])
        expected = tile(ref_of(reference), None, None, [1, 2, 0, 0])
        np.testing.assert_array_equal(drawn.values, expected.values)
        counted, known = (histogram(given, 50, range=(-0.03, 0.03)) for given in (ref, reference))
        np.testing.assert_array_equal(counted.counts, known.counts)
    assert all(parameter.device.type == "cuda" for parameter in model.parameters())
    with torch.no_grad():
        model[0].weight[5, 7] = 3.0
    assert explorer.refresh().summary["0.weight"].max == 3.0
    explorer.close()
    assert np.isfinite(here["0.weight"].std)
