"""What tiles and exact histograms cost, beside one-thread sums of the same memory: ``python -m benchmarks.tiles``.

A sum merely reads the memory, so a ratio of 1 would be as fast as memory allows. Parts:
``python -m benchmarks.tiles [tiles|minilm|counts]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import get_args

import torch
from safetensors.torch import save_file

from benchmarks.side_by_side import ROUNDS, Row, ratios, table, torch_threads, without_numba
from weightwidget import open_weights
from weightwidget.detail import reduction, sharing
from weightwidget.detail.histogram import KERNELS, count, histogram
from weightwidget.detail.pixels import Aggregate
from weightwidget.detail.pyramid import Pyramid
from weightwidget.detail.region import Region
from weightwidget.detail.tiles import profile, tile
from weightwidget.sources.base import TensorRef
from weightwidget.summary.compiling import compiled, want

HEIGHT, WIDTH = 4096, 11008

OVERVIEW = (4, 6, 0, 0)
"""All of the matrix as 256 x 172 pixels."""

WINDOW = (1, 1, 2, 3)
"""512 x 512 elements as 256 x 256 pixels."""

THREE = "overview: mean, min and max"
"""What is read once for three pictures."""


def engines() -> list[str]:
    """What can be measured: the compiled kernels, for which it waits, and NumPy and torch alone."""
    for kernels in (reduction.KERNELS, KERNELS):
        want(kernels)
    for _ in range(600):
        if compiled(reduction.KERNELS) and compiled(KERNELS):
            return ["numba", "plain"]
        time.sleep(0.1)
    return ["plain"]


def measured(
    of: str,
    works: Mapping[str, Callable[[], object]],
    total: Callable[[], object],
    targets: Mapping[str, str] | None = None,
    fastest: float = 1.0,
) -> list[Row]:
    """Ratios with the compiled kernels, which may have targets, and without."""
    rows, rounds = [], min(ROUNDS, 5)
    for engine in engines():
        if engine == "numba":
            rows += ratios(of, works, total, targets, rounds, fastest=fastest)
        else:
            with without_numba():
                rows += ratios(of, {f"{name}, torch only": work for name, work in works.items()}, total, None, rounds)
    return rows


def places(weights: torch.Tensor) -> Iterator[tuple[str, TensorRef]]:
    """The matrix in memory and in a mapped file."""
    yield "memory", open_weights({"w": weights}).tensors["w"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.safetensors"
        save_file({"w": weights}, path)
        source = open_weights(path)
        yield "file", source.tensors["w"]
        source.close()


def matrices() -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Name, weights, and memory of as many elements for the sum: in bfloat16 a sum takes longer than in float32."""
    weights = torch.empty(HEIGHT, WIDTH).normal_()
    yield "float32", weights, weights
    yield "bfloat16", weights.bfloat16(), weights


def tiles() -> list[Row]:
    """Overview and window with every aggregate, with shares, and from what is kept."""
    rows = []
    for dtype, weights, summed in matrices():
        # Several threads read, and bfloat16 is half of what the sum reads.
        fastest = weights.itemsize / summed.itemsize / min(sharing.MAX_THREADS, os.cpu_count() or 1)
        for place, ref in places(weights):
            kept = Pyramid()
            works: dict[str, Callable[[], object]] = {}
            for aggregate in get_args(Aggregate):
                works[f"overview {aggregate}"] = partial(tile, ref, None, None, OVERVIEW, aggregate)
            for aggregate in get_args(Aggregate):
                works[f"window {aggregate}"] = partial(tile, ref, None, None, WINDOW, aggregate)
            works["overview kept"] = partial(tile, ref, None, None, OVERVIEW, "std", pyramid=kept)
            works[THREE] = partial(three, ref)
            works[f"{THREE}, by one thread"] = partial(three, ref, 1)
            works["overview with shares"] = partial(tile, ref, None, None, OVERVIEW, value_range=(1, 2), pyramid=kept)
            works["profile"] = partial(profile, ref, None, None)
            rows += measured(f"{dtype}, from {place}", works, summed.sum, {THREE: "≤ 1.8"}, fastest)
    return rows


def three(ref: TensorRef, threads: int = sharing.MAX_THREADS) -> None:
    """Mean, smallest and largest of the whole matrix, reading it once where that can be."""
    kept, before = Pyramid(), sharing.MAX_THREADS
    sharing.MAX_THREADS = threads
    for aggregate in ("mean", "min", "max"):
        tile(ref, None, None, OVERVIEW, aggregate, pyramid=kept)
    sharing.MAX_THREADS = before


def minilm() -> list[Row]:
    """All matrices of the shapes of all-MiniLM-L6-v2, 22.6 million weights, at level 1, 1."""
    shapes = [(30522, 384), (512, 384)]
    shapes += 6 * [(384, 384), (384, 384), (384, 384), (384, 384), (1536, 384), (384, 1536)]
    refs = [open_weights({"w": torch.randn(shape)}).tensors["w"] for shape in shapes]
    memory = torch.randn(sum(ref.numel for ref in refs))

    def all_tiles() -> None:
        for ref in refs:
            for row in range(-(-ref.shape[0] // 512)):
                for col in range(-(-ref.shape[1] // 512)):
                    tile(ref, None, None, (1, 1, row, col))

    return measured("MiniLM's shapes", {"all tensors at 1, 1": all_tiles}, memory.sum)


def counts() -> list[Row]:
    """Exact histograms and counts."""
    rows = []
    for dtype, weights, summed in matrices():
        ref = open_weights({"w": weights}).tensors["w"]
        row = Region(ref, None, None, (17, 18), (0, WIDTH))
        column = Region(ref, None, None, (0, HEIGHT), (17, 18))
        works: dict[str, Callable[[], object]] = {
            "histogram": partial(histogram, ref, 200, "value", (-3, 3)),
            "histogram zoomed in": partial(histogram, ref, 200, "value", (0.5, 0.6)),
            "histogram log |w|": partial(histogram, ref, 200, "magnitude", (-3, 0.7)),
            "count": partial(count, ref, (0.5, 1)),
            "histogram of a row": partial(histogram, row, 200, "value", (-3, 3)),
            "histogram of a column": partial(histogram, column, 200, "value", (-3, 3)),
        }
        rows += measured(dtype, works, summed.sum)
    return rows


PARTS: dict[str, Callable[[], list[Row]]] = {"tiles": tiles, "minilm": minilm, "counts": counts}


def measure(*parts: str) -> list[Row]:
    """Ratios over a one-thread sum of as many float32."""
    with torch_threads(1):
        return [row for part in parts or PARTS for row in PARTS[part]()]


def main() -> None:
    """Print all rows."""
    print(f"A matrix of {HEIGHT} × {WIDTH}; times over a one-thread `torch.sum` of as many float32.\n")
    print(table(measure(*sys.argv[1:])))


if __name__ == "__main__":
    main()
