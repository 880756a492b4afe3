"""What other tools take for the same models, over what a scan takes: ``python -m benchmarks.peers``.

The scan is that of the explorer, thumbnails and norms included. The tools do their own thing with their defaults,
torch's threads included, so their results differ: see the table's notes.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from functools import partial

import lovely_tensors
import matplotlib as mpl
import numpy as np
import torch
import treescope
from torch.utils.tensorboard import SummaryWriter

from benchmarks.models import State, gpt2, minilm
from benchmarks.scanning import KERNELS, THREADS, scan
from benchmarks.side_by_side import ROUNDS, Row, in_turn, ratio_row, table
from weightwidget import open_weights
from weightwidget.summary import fused

mpl.use("Agg")

OURS = "weightwidget"


def naive(state: State) -> None:
    """A dozen and more calls for each tensor, as one would write them down."""
    for tensor in state.values():
        mean, std = tensor.mean(), tensor.std()
        tensor.min(), tensor.max(), tensor.norm(1), tensor.norm(2)
        tensor.isnan().sum(), tensor.isinf().sum(), (tensor == 0).sum()
        torch.histc(tensor, 100)
        scores = (tensor - mean) / std
        (scores**3).mean(), (scores**4).mean() - 3


def lovely(state: State) -> None:
    """One line of text for each tensor."""
    for tensor in state.values():
        str(lovely_tensors.lovely(tensor))


def tensorboard(state: State) -> None:
    """A histogram of each tensor, written to a log."""
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        for name, tensor in state.items():
            writer.add_histogram(name, tensor, 0)


def treescope_html(state: State) -> None:
    """A page with a picture of each array. Version 0.1.10 fails on tensors of torch 2.13, so it gets NumPy's."""
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    with treescope.active_autovisualizer.set_scoped(treescope.ArrayAutovisualizer()):
        treescope.render_to_html(arrays)


def figures(state: State) -> None:
    """A figure for each tensor with its heatmap and histogram, drawn and saved."""
    import matplotlib.pyplot as plt

    for name, tensor in state.items():
        weights = tensor.numpy()
        figure, (left, right) = plt.subplots(1, 2)
        left.imshow(np.atleast_2d(weights), aspect="auto")
        right.hist(weights.ravel(), bins=100)
        figure.suptitle(name)
        figure.savefig(io.BytesIO())
        plt.close(figure)


PEERS: dict[str, tuple[Callable[[State], None], str]] = {
    "naive torch": (naive, "≥ 25"),
    "lovely-tensors": (lovely, "≥ 13"),
    "TensorBoard add_histogram": (tensorboard, "≥ 12"),
    "Treescope": (treescope_html, ""),
    "Matplotlib imshow and hist": (figures, ""),
}


def compare(of: str, state: State) -> list[Row]:
    """Time all in turn; how many times as long as the scan each takes."""
    source = open_weights(state)
    scan(source)
    works = {OURS: partial(scan, source), **{name: partial(run, state) for name, (run, _) in PEERS.items()}}
    times = in_turn(works, min(ROUNDS, 5))
    return [ratio_row(of, name, times[name], times[OURS], OURS, target=target) for name, (_, target) in PEERS.items()]


def measure() -> list[Row]:
    """Times of the tools over those of a scan of the same weights."""
    fused.KERNELS.load(KERNELS)
    torch.set_num_threads(THREADS)
    small = {"w": torch.randn(90, 50), "b": torch.randn(50)}
    for run, _ in PEERS.values():
        run(small)
    rows = compare("GPT-2 small, float32", gpt2())
    if (state := minilm()) is not None:
        # Position ids are integers, of which most tools make nothing.
        rows += compare("all-MiniLM-L6-v2", {k: t for k, t in state.items() if t.is_floating_point()})
    return rows


def main() -> None:
    """Print all rows."""
    print("Times over those of the explorer's scan of the same weights: how many times as fast it is.\n")
    print(table(measure()))


if __name__ == "__main__":
    main()
