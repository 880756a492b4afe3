"""What watching costs a training: ``python -m benchmarks.watching [every [layers]]``.

A stack of linear layers in the shapes of all-MiniLM-L6-v2 is trained on the CPU, in turns with and without a watch, so
that whatever else the machine does meets both. Printed are the median times of a step, of a refresh, and the share of
the training's time that watching took.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.side_by_side import Row, row_of, table
from weightwidget import WeightExplorer

ROUNDS = 3
"""Turns of each kind."""


class Block(nn.Module):
    """The matrices of an encoder's layer, one after the other."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.attention = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pass the values on."""
        for part in self.attention:
            x = x + part(x)
        return x + self.down(torch.relu(self.up(self.norm(x))))


def make_model(layers: int = 6, width: int = 384, inner: int = 1536, words: int = 30522) -> nn.Module:
    """Embedding, layers, head: 22 million weights."""
    blocks = (Block(width, inner) for _ in range(layers))
    return nn.Sequential(nn.Embedding(words, width), *blocks, nn.Linear(width, 7))


@dataclass(frozen=True)
class Measured:
    """Seconds of a step without and with a watch (refreshes included), of a refresh; the share that it took; ratios."""

    plain: float
    watched: float
    refresh: float
    share: float
    every: int
    refreshes: int
    ratios: list[float]


def train(model: nn.Module, tokens: torch.Tensor, every: int = 100, rounds: int = ROUNDS) -> Measured:
    """Train in turns with and without a watch.

    Parameters
    ----------
    model
        Takes the tokens; its weights are trained.
    tokens
        A batch, shape (sequences, words).
    every
        Steps from one refresh to the next; also the steps of each turn.
    rounds
        Turns of each kind.
    """
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)

    def turn() -> float:
        start = time.perf_counter()
        for _ in range(every):
            optimizer.zero_grad()
            model(tokens).square().mean().backward()
            optimizer.step()
        return (time.perf_counter() - start) / every

    turn()
    explorer = WeightExplorer(model).wait()
    plain, watched, refreshes, seconds, training, now = [], [], 0, 0.0, 0.0, every
    for _ in range(rounds):
        plain.append(turn())
        watch = explorer.watch(optimizer, every)
        watched.append(turn())
        watch.stop()
        refreshes += watch.cost.refreshes
        seconds += watch.cost.seconds
        training += watch.cost.training
        now = watch.every
        explorer.wait()  # what is sent beside the training belongs to the turn with a watch, not to the next
    explorer.close()
    return Measured(
        statistics.median(plain),
        statistics.median(watched),
        seconds / max(refreshes, 1),
        seconds / (seconds + training),
        now,
        refreshes,
        [one / other for one, other in zip(watched, plain, strict=True)],
    )


def measure(every: int = 20, layers: int = 6) -> list[Row]:
    """Rows of what watching costs."""
    torch.manual_seed(0)
    model, tokens = make_model(layers=layers), torch.randint(30522, (8, 32))
    found = train(model, tokens, every)
    of = f"{layers} layers in the shapes of all-MiniLM-L6-v2, watched every {every} steps"
    note = f"{1000 * found.plain:.1f} ms without, {1000 * found.watched:.1f} ms with a watch"
    return [
        row_of(of, "step with a watch over step without", found.ratios, note=note),
        row_of(of, "refresh", [1000 * found.refresh], "ms", note=f"mean of {found.refreshes}"),
        row_of(of, "share of the training's time", [100 * found.share], "%",
               note=f"the watch would go on with every {found.every} steps"),
    ]  # fmt: skip


def main() -> None:
    """Print what watching costs."""
    print(table(measure(*map(int, sys.argv[1:3]))))


if __name__ == "__main__":
    main()
