"""What opening a model costs: ``python benchmarks/first_look.py [matrix|many|memory]``.

matrix
    Tiles of a 4096 x 11008 float32 matrix: milliseconds each.
many
    20,000 tensors of 16 x 16, as a mixture of experts has: seconds and megabytes.
memory
    Peak extra memory while a model of 1 GB is scanned, from memory and from a file.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from weightwidget import WeightExplorer, open_weights
from weightwidget.detail.tiles import profile, tile


def milliseconds(work: Callable[[], object], repeats: int = 15) -> str:
    """Median, minimum and maximum of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return f"{statistics.median(times):7.1f} ms  ({min(times):.1f} … {max(times):.1f})"


def matrix() -> None:
    """Print what tiles of a large matrix cost."""
    weights = torch.randn(4096, 11008)
    ref = open_weights({"w": weights}).tensors["w"]
    print(f"torch.sum             {milliseconds(weights.sum)}")
    for level in (4, 3, 2, 1, 0):
        print(f"tile at level {level}       {milliseconds(lambda: tile(ref, None, None, [level, level, 0, 0]))}")  # noqa: B023
    print(f"with shares, level 3  {milliseconds(lambda: tile(ref, None, None, [3, 3, 0, 0], value_range=(1, 2)))}")
    print(f"profile               {milliseconds(lambda: profile(ref, None, None), 5)}")


def many() -> None:
    """Print what a model of very many small tensors costs."""
    state = {
        f"model.layers.{layer}.mlp.experts.{expert}.{part}.weight": torch.randn(16, 16)
        for layer in range(26)
        for expert in range(256)
        for part in ("gate_proj", "up_proj", "down_proj")
    }
    state |= {f"model.layers.{k % 26}.extra.{k}.weight": torch.randn(16, 16) for k in range(20_000 - len(state))}
    start = time.perf_counter()
    explorer = WeightExplorer(state, patience=0)
    opened = time.perf_counter() - start
    index = len(explorer._overview)
    explorer.wait()
    print(f"{len(state)} tensors: constructor {opened:.2f} s, scan {time.perf_counter() - start:.2f} s")
    print(f"overview: {index / 1e6:.2f} MB at first, {len(explorer._overview) / 1e6:.2f} MB when complete")


def anonymous() -> int:
    """Bytes of memory that belong to this process alone; mapped files are not among them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status has no RssAnon: this measurement needs Linux")


def memory(kind: str = "") -> None:
    """Print the peak of extra memory during a scan; each case in a fresh process."""
    if not kind:
        for case in ("float32", "bfloat16", "file"):
            subprocess.run([sys.executable, __file__, "memory", case], check=True)
        return
    dtype = torch.bfloat16 if kind == "bfloat16" else torch.float32
    columns = 1 << (15 if kind == "bfloat16" else 14)
    state = {f"layer.{k}.weight": torch.empty(1024, columns, dtype=dtype).normal_() for k in range(15)}
    state["layer.15.weight"] = torch.empty(1024, columns, dtype=dtype).normal_()
    size = sum(tensor.nbytes for tensor in state.values())
    with tempfile.TemporaryDirectory() as folder:
        what: object = state
        if kind == "file":
            what = Path(folder) / "model.safetensors"
            save_file(state, what)
            del state
        WeightExplorer({"warm": torch.randn(64, 64)}).close()
        before, peak, done = anonymous(), [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.002):
                peak[0] = max(peak[0], anonymous())

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        explorer = WeightExplorer(what).wait()
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
        print(f"{kind:9s} {size / 1e9:.2f} GB: {(peak[0] - before) / 1e6:6.1f} MB extra, {seconds:.2f} s")
        explorer.close()


if __name__ == "__main__":
    which = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, run in {"matrix": matrix, "many": many, "memory": memory}.items():
        if which in ("", name):
            print(f"-- {name}, {os.cpu_count()} cores, torch {torch.__version__}")
            run(*sys.argv[2:3]) if name == "memory" else run()  # type: ignore[operator]
