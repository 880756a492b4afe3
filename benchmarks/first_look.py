"""What opening a model of very many tensors costs, and how large overviews are: ``python -m benchmarks.first_look``."""

from __future__ import annotations

import time

import torch

from benchmarks.models import experts, gpt2, minilm
from benchmarks.scanning import KERNELS
from benchmarks.side_by_side import ROUNDS, SMALL, Row, row_of, table
from weightwidget import WeightExplorer, open_weights
from weightwidget.summary import fused
from weightwidget.summary.scan import Scan


def per_tensor() -> list[Row]:
    """Microseconds that one thread takes for small tensors, where calls are what costs."""
    rows = []
    count = 2_000 if SMALL else 20_000
    for shape in ((384,), (16, 16), (64, 64), (100, 100)):
        source = open_weights({f"layer.{k}.weight": torch.randn(shape) for k in range(count // 10)})
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            Scan(source, workers=1).start().wait()
            times.append(1e6 * (time.perf_counter() - start) / len(source.tensors))
        rows.append(row_of(f"{' × '.join(map(str, shape))} float32", "scanned, one thread, a tensor", times, "µs"))
    return rows


def many() -> list[Row]:
    """Seconds for 20,000 tensors of 16 x 16."""
    state = experts(20_000)
    opened, scanned = [], []
    for _ in range(min(ROUNDS, 3)):
        start = time.perf_counter()
        explorer = WeightExplorer(state, patience=0)
        opened.append(time.perf_counter() - start)
        explorer.wait()
        scanned.append(time.perf_counter() - start)
        explorer.close()
    of = f"{len(state):,} tensors of 16 × 16"
    return [
        row_of(of, "opened: tree without statistics", opened, "s"),
        row_of(of, "complete, overview sent", scanned, "s"),
    ]


def overviews() -> list[Row]:
    """Megabytes that a view gets, before the scan and after."""
    models = {"GPT-2 small": gpt2(), "20,000 tensors": experts(20_000)}
    if (state := minilm()) is not None:
        models["all-MiniLM-L6-v2"] = state
    rows = []
    for of, state in models.items():
        explorer = WeightExplorer(state, patience=0)
        first = len(explorer._overview) / 1e6
        explorer.wait()
        complete = len(explorer._overview) / 1e6
        explorer.close()
        rows.append(row_of(of, "overview, complete", [complete], "MB", "≤ 4 MB", f"{first:.2f} MB before the scan"))
    return rows


def measure() -> list[Row]:
    """All rows."""
    fused.KERNELS.load(KERNELS)
    return [*per_tensor(), *many(), *overviews()]


def main() -> None:
    """Print all rows."""
    print(table(measure()))


if __name__ == "__main__":
    main()
