"""What a summary on a GPU costs, beside its sum and beside a copy to the host: ``python benchmarks/accelerator.py``."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch

from weightwidget import open_weights
from weightwidget.summary.scan import Scan

ELEMENTS = 1_000_000_000
ROUNDS = 5


def seconds(work: Callable[[], object]) -> list[float]:
    """Times of several runs, each waited for; after one that is not counted."""
    times = []
    for _ in range(ROUNDS + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return times[1:]


def measure(dtype: torch.dtype) -> dict[str, list[float]]:
    """Seconds of a sum, of the scan, and of a copy of the same tensor to the host."""
    weights = torch.randn(ELEMENTS // 8192, 8192, device="cuda").to(dtype)
    source = open_weights({"w": weights})
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    found = {
        "torch.sum on the GPU": seconds(weights.sum),
        "scan on the GPU": seconds(lambda: Scan(source).start().wait()),
    }
    print(f"extra memory on the GPU: {(torch.cuda.max_memory_allocated() - before) / 1e6:.0f} MB")
    found["copy to the host"] = seconds(weights.cpu)
    return found


def main() -> None:
    """Print the times of float32 and bfloat16."""
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here")
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    for dtype in (torch.float32, torch.bfloat16):
        print(f"{ELEMENTS:,} weights, {dtype}")
        for name, times in measure(dtype).items():
            ms = [1000 * t for t in times]
            print(f"  {name:22} {statistics.median(ms):8.1f} ms ({min(ms):.1f} … {max(ms):.1f})")


if __name__ == "__main__":
    main()
