"""Peak memory beside a model of 2 GB while it is scanned: ``python -m benchmarks.memory``.

What belongs to the process alone is counted; pages of mapped files do not, which the system may drop. Each case is
measured in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.scanning import KERNELS, THREADS, scan
from benchmarks.side_by_side import ROUNDS, SMALL, Peak, Row, row_of, table, without_numba
from weightwidget import open_weights
from weightwidget.summary import fused

CASES = [f"{dtype} {place} {engine}" for dtype in ("float32", "bfloat16") for place in ("memory", "file")
         for engine in ("compiled", "torch")]  # fmt: skip


def peaks(case: str) -> tuple[float, list[float]]:
    """Gigabytes of the model, and megabytes beside it in several scans by this process."""
    dtype, place, engine = case.split()
    if engine == "torch":
        with without_numba():
            return scanned(getattr(torch, dtype), place)
    fused.KERNELS.load(KERNELS)
    return scanned(getattr(torch, dtype), place)


def scanned(dtype: torch.dtype, place: str) -> tuple[float, list[float]]:
    """See `peaks`."""
    columns = (3 if SMALL else 30) * 1024 * 4 // dtype.itemsize
    one = torch.randn(1024, columns).to(dtype)
    state = {f"layer.{k}.weight": one * (k + 1) for k in range(16)}
    size = sum(tensor.nbytes for tensor in state.values())
    # What imports and buffers take is not counted.
    scan(open_weights({"w": torch.randn(900, 700).to(dtype)}))
    with tempfile.TemporaryDirectory() as folder:
        if place == "file":
            path = Path(folder) / "model.safetensors"
            save_file(state, path)
            state.clear()
            source = open_weights(path)
        else:
            source = open_weights(state)
        found = []
        for _ in range(min(ROUNDS, 3)):
            with Peak() as peak:
                scan(source)
            found.append(peak.extra / 1e6)
        source.close()
    return size / 1e9, found


def measure() -> list[Row]:
    """Rows of the peaks."""
    rows = []
    for case in CASES:
        command = [sys.executable, "-m", "benchmarks.memory", case]
        size, extra = json.loads(subprocess.check_output(command, text=True, timeout=120))
        dtype, place, engine = case.split()
        of = f"{size:.2f} GB of {dtype}, from {place}"
        what = f"{'compiled kernels' if engine == 'compiled' else 'torch only'}, {THREADS} threads"
        rows.append(row_of(of, what, extra, "MB", f"≤ {16 + THREADS} MB"))
    return rows


def main() -> None:
    """Print all rows, or the numbers of one case."""
    if len(sys.argv) > 1:
        print(json.dumps(peaks(sys.argv[1])))
        return
    print(table(measure()))


if __name__ == "__main__":
    main()
