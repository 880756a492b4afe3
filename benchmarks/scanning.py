"""What a scan costs beside ``torch.sum`` of the same tensors by as many threads: ``python -m benchmarks.scanning``.

A sum merely reads the memory, so a ratio of 1 would be as fast as memory allows. "Bins counted" is what no histogram
can do without, see `benchmarks.counting`. "Kernel alone" is one matrix, its boxes measured by as many threads, without
thumbnail and norms of rows and columns; the other rows are whole lists of tensors by `Scan`, with both as the explorer
scans them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch

from benchmarks.counting import codes_of, count, count_by_torch, tables
from benchmarks.models import State, billion, gpt2, minilm
from benchmarks.side_by_side import ROUNDS, SMALL, Row, ratios, table, torch_threads, without_numba
from weightwidget import open_weights
from weightwidget.sources.base import WeightSource
from weightwidget.summary import fused
from weightwidget.summary.kernel import Work
from weightwidget.summary.scan import Scan
from weightwidget.summary.threads import one_thread

THREADS = 2

COUNT = "bins counted, nothing else"
KERNEL = "kernel alone"
LIST = "list, without thumbnails and norms"
EXPLORER = "list, as the explorer scans it"
PLAIN = ", torch only"

KERNELS = [
    *(*fused.ENDS, "usual float32", "infinite", "float32", "moved float32", "bfloat16", "float64"),
    *(f"{kind} {name}" for kind in ("bare", "batch") for name in fused.PLAIN),
]


def scan(source: WeightSource, thumbnail: int = 64, norms: bool = True) -> None:
    """Scan all of a source."""
    scanned = Scan(source, workers=THREADS, thumbnail=thumbnail, norms=norms).start()
    scanned.wait()
    assert scanned.status == "ready", scanned.status


def kernel(source: WeightSource, pool: ThreadPoolExecutor) -> None:
    """Measure the only tensor of a source, its boxes in several threads."""
    (ref,) = source.tensors.values()
    work = Work(ref, thumbnail=0, norms=False)

    for part in pool.map(lambda box: work.measure(box, lambda: False, lambda _: None), work.boxes):
        work.take(part)
    assert work.record is not None, "measured in one round"


def count_all(weights: torch.Tensor, pool: ThreadPoolExecutor) -> None:
    """Count the bins of a tensor, an equal part in each thread."""
    parts = codes_of(weights).reshape(THREADS, -1)
    list(pool.map(count, parts, [tables() for _ in parts]))


def count_all_by_torch(weights: torch.Tensor, pool: ThreadPoolExecutor) -> None:
    """The same by torch's own operations."""
    list(pool.map(count_by_torch, codes_of(weights).reshape(THREADS, -1)))


def alone() -> None:
    """Keep torch from starting threads for the calling thread, for good."""
    with one_thread(restore=False):
        pass


def sum_all(state: State) -> None:
    """Sum every tensor."""
    for tensor in state.values():
        tensor.sum()


def by_engine(
    of: str, works: Mapping[str, Callable[[], object]], state: State, most: dict[str, str], rounds: int = ROUNDS
) -> list[Row]:
    """Ratios with the compiled kernels, then by torch alone.

    Torch takes longer to sum bfloat16 than as many bytes of float32: these have rows of ratios to both.
    """
    total = partial(sum_all, state)
    rows = ratios(of, works, total, most, rounds)
    if all(tensor.dtype == torch.bfloat16 for tensor in state.values()):
        as_float32 = {name: tensor.view(torch.float32) for name, tensor in state.items()}
        beside = {f"{name}, over the bytes summed as float32": work for name, work in works.items()}
        rows += ratios(of, beside, partial(sum_all, as_float32), rounds=rounds)
    with without_numba():
        plain = {name + PLAIN: work for name, work in works.items()}
        return rows + ratios(of, plain, total, most, min(rounds, 5))


def matrices() -> list[Row]:
    """One matrix, 4096 × 11008."""
    rows: list[Row] = []
    for dtype, limit, plain in ((torch.float32, 2.5, 15), (torch.bfloat16, 4, 7)):
        state = {"w": (0.02 * torch.randn(4096, 11008)).to(dtype)}
        most = {KERNEL: f"≤ {limit}", KERNEL + PLAIN: f"≤ {plain}"}
        with ThreadPoolExecutor(THREADS, initializer=alone) as pool:
            of = f"4096 × 11008 {str(dtype)[6:]}"
            works: dict[str, Callable[[], object]] = {KERNEL: partial(kernel, open_weights(state), pool)}
            counts = {
                COUNT: partial(count_all, state["w"], pool),
                COUNT + PLAIN: partial(count_all_by_torch, state["w"], pool),
            }
            rows += ratios(of, counts, partial(sum_all, state))
            rows += by_engine(of, works, state, most)
    return rows


def lists() -> Iterator[tuple[str, Callable[[], State], float, int]]:
    """Name, weights, and how many sums the list may take with compiled kernels and by torch alone."""
    yield "GPT-2 small, float32", gpt2, 4, 15
    yield "GPT-2 small, bfloat16", partial(gpt2, torch.bfloat16), 4, 7
    yield "150 tensors, 10⁹ bfloat16" + (" / 10" if SMALL else ""), billion, 4, 7
    if (state := minilm()) is not None:
        yield "all-MiniLM-L6-v2", lambda: state, 4, 15


def models() -> list[Row]:
    """Whole lists of tensors."""
    rows: list[Row] = []
    for of, make, limit, plain in lists():
        state = make()
        source = open_weights(state)
        works = {LIST: partial(scan, source, 0, norms=False), EXPLORER: partial(scan, source)}
        most = {LIST: f"≤ {limit}", EXPLORER: "≤ 6", LIST + PLAIN: f"≤ {plain}"}
        rows += by_engine(of, works, state, most)
    return rows


PARTS: dict[str, Callable[[], list[Row]]] = {"matrices": matrices, "models": models}


def measure(*parts: str) -> list[Row]:
    """Ratios over sums by `THREADS` threads of torch."""
    if not fused.KERNELS.load(KERNELS):
        raise SystemExit("the kernels could not be compiled: is Numba installed, and WEIGHTWIDGET_NO_NUMBA not set?")
    with torch_threads(THREADS):
        return [row for part in parts or PARTS for row in PARTS[part]()]


def main() -> None:
    """Print all rows."""
    print(f"Times over those of `torch.sum` of the same tensors, {THREADS} threads each.\n")
    print(table(measure(*sys.argv[1:])))


if __name__ == "__main__":
    main()
