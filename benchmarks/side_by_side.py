"""Times that are taken in turn in one run, and their ratios as Markdown: whatever else the machine does meets all."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from weightwidget.summary.compiling import SWITCH

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
"""Rounds of every comparison; the environment variable of that name sets another number."""

SMALL = os.environ.get("BENCH_SMALL", "0") not in ("", "0")
"""Whether models of some gigabytes are made a tenth as large, to try the scripts out."""

PATIENCE = 20.0
"""Seconds that one piece of work gets over all rounds: what is slower takes part in the first two rounds only."""

SETTLE = 0.03
"""Seconds before each piece of work. Torch's threads turn for some ten milliseconds after a sum, waiting for another,
and would take a core from whatever comes next."""

SPELL = 0.1
"""Seconds for which short work is repeated, so that its first run after a rest does not speak for all."""

SUM = "sum"
"""What is mostly divided by: what it takes to read the memory."""

STEADY = 1.5
"""Median over smallest time up to which a measurement counts as undisturbed."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """A measured value.

    Attributes
    ----------
    of, what
        The model or matrix, and what was done to it.
    middle, least, most
        Median, smallest and largest over the rounds.
    unit
        Of these; a ratio has ``"×"``.
    target
        Sign and number, as ``"≤ 2.5"``; empty for none.
    rounds
        How many there were.
    note
        A few words, such as the time in milliseconds.
    steady
        Whether the machine was quiet enough to judge: a sum in several threads suffers most from other work, and
        ratios to it would flatter.
    """

    of: str
    what: str
    middle: float
    least: float
    most: float
    unit: str = "×"
    target: str = ""
    rounds: int = 1
    note: str = ""
    steady: bool = True

    @property
    def verdict(self) -> str:
        """Whether the median is within the target; empty without one."""
        if not self.target:
            return ""
        if not self.steady:
            return "not judged: the machine was busy"
        sign, limit = self.target.split(" ")[:2]
        met = self.middle <= float(limit) if sign == "≤" else self.middle >= float(limit)
        return "met" if met else "**missed**"


def row_of(of: str, what: str, values: Sequence[float], unit: str = "×", target: str = "", note: str = "") -> Row:
    """Row of what was measured in several rounds."""
    return Row(of, what, statistics.median(values), min(values), max(values), unit, target, len(values), note)


def ratio_row(
    of: str, what: str, times: Sequence[float], base: Sequence[float], by: str, target: str = "", fastest: float = 1.0
) -> Row:
    """Row of ratios, round by round: a work that took part in the first rounds only is compared in these.

    Parameters
    ----------
    of, what
        See `Row`.
    times, base
        Seconds of the work, and of what it is divided by.
    by
        What that is called.
    target
        See `Row`.
    fastest
        Ratio to a sum below which somebody must have been in the sum's way.
    """
    found = [one / other for one, other in zip(times, base, strict=False)]
    steady = all(statistics.median(series) <= STEADY * min(series) for series in (times, base))
    if by == SUM:
        steady = steady and statistics.median(found) >= fastest
    note = f"{duration(times)}, {by} {duration(base)}"
    return replace(row_of(of, what, found, target=target, note=note), steady=steady)


def timed(work: Work) -> float:
    """Seconds of one run: the median of as many as fit a `SPELL`, at least one, after a rest."""
    rested = time.perf_counter() + SETTLE
    while time.perf_counter() < rested:  # awake: a core that slept gets the next work's threads all to itself
        pass
    taken: list[float] = []
    while not taken or sum(taken) + taken[-1] <= SPELL:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def in_turn(works: Mapping[str, Work], rounds: int = ROUNDS, patience: float = PATIENCE) -> dict[str, list[float]]:
    """Time all works in turn, round after round; see `timed`.

    Parameters
    ----------
    works
        By name. What needs a warm-up has had it.
    rounds
        How many; a work takes part in the first ones only if it would use up its patience.
    patience
        Seconds for each work over all rounds.

    Returns
    -------
    dict of list of float
        Seconds by name, one a round.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken = times[name]
            if len(taken) < 2 or sum(taken) + taken[-1] <= patience:
                taken.append(timed(work))
    return times


def ratios(
    of: str,
    works: Mapping[str, Work],
    total: Work,
    targets: Mapping[str, str] | None = None,
    rounds: int = ROUNDS,
    by: str = SUM,
    fastest: float = 1.0,
) -> list[Row]:
    """Time works in turn, each after a run to warm up, and divide by the total of the same round.

    Parameters
    ----------
    of
        What they work on.
    works
        By name.
    total
        What they are divided by: a sum of the same memory.
    targets
        By name of the work.
    rounds
        See `in_turn`.
    by
        What the total is called.
    fastest
        See `ratio_row`: 1 for what looks at the same weights in one thread.
    """
    for work in (*works.values(), total):
        work()
    times = in_turn({by: total, **works}, rounds)
    goals = targets or {}
    return [ratio_row(of, name, times[name], times[by], by, goals.get(name, ""), fastest) for name in works]


def duration(times: Sequence[float]) -> str:
    """The median, as text."""
    middle = statistics.median(times)
    return f"{middle:.3g} s" if middle >= 1 else f"{1000 * middle:.3g} ms"


def number(value: float) -> str:
    """Three digits or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def table(rows: Iterable[Row]) -> str:
    """Rows as a table in Markdown."""
    lines = ["| of | what | median | min … max | rounds | target | | |", "|---|---|--:|--:|--:|--:|---|---|"]
    for row in rows:
        unit = row.unit if row.unit == "×" else f" {row.unit}"
        of, what = (text.replace("|", "\\|") for text in (row.of, row.what))
        lines.append(
            f"| {of} | {what} | {number(row.middle)}{unit} | {number(row.least)} … {number(row.most)} "
            f"| {row.rounds} | {row.target} | {row.verdict} | {row.note} |"
        )
    return "\n".join(lines)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch work in so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def without_numba() -> Iterator[None]:
    """Let torch and NumPy do all."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def resident(kind: str = "RssAnon") -> int:
    """Bytes of memory that this process has; by default without mapped files, which the system may drop.

    Parameters
    ----------
    kind
        A line of ``/proc/self/status``: ``VmHWM`` is the largest that it ever had, files included.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status has no RssAnon: this measurement needs Linux")


class Peak:
    """Watches, in a thread, the memory of its own that this process takes while the context lasts.

    Attributes
    ----------
    extra
        Bytes at most beyond those at the start.
    """

    def __init__(self) -> None:
        self.extra = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._before = resident()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.extra = max(self.extra, resident() - self._before)
