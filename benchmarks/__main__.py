"""Runs all benchmarks and writes ``benchmarks/RESULTS.md``: ``python -m benchmarks [part ...]``.

Each part runs in a process of its own, so that memory and kernels of one do not meet the other, and with a time limit.
With names of parts, only these are run, and the results are printed, not written.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.side_by_side import ROUNDS, SMALL

RESULTS = Path(__file__).parent / "RESULTS.md"

LIMIT = 300
"""Seconds that a part may take."""

PARTS = {
    "scanning": "Scanning, beside a sum",
    "peers": "Scanning, beside other tools",
    "memory": "Memory beside the model",
    "files": "A checkpoint on disk",
    "first_paint": "First paint in JupyterLab",
    "first_look": "Many tensors, and the size of overviews",
    "tiles": "Tiles and exact histograms",
    "display": "Display without the widget",
    "watching": "Watching a training",
}


def run(part: str) -> str:
    """Markdown of a part; of one that failed, what it said at the end."""
    print(f"{part} …", file=sys.stderr, end=" ", flush=True)
    start = time.monotonic()
    # In a session of its own: what it started, such as a server, is to end with it.
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{part}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    try:
        out, errors = process.communicate(timeout=LIMIT)
        failure = "" if process.returncode == 0 else f"failed: it ended with {process.returncode}."
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
        failure = f"failed: it took longer than {LIMIT} seconds."
    finally:
        if process.poll() is None:  # an interrupt, which does not reach other sessions
            os.killpg(process.pid, signal.SIGKILL)
    print(f"{time.monotonic() - start:.0f} s {failure}", file=sys.stderr)
    return f"**{failure}**\n\n```\n{errors[-2000:]}\n```" if failure else out.strip()


def facts() -> list[str]:
    """What the numbers depend on."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("torch", "numpy", "numba", "safetensors", "weightwidget")
    )
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        f"CPU: {cpu()}, {os.cpu_count()} cores; {memory() / 2**30:.0f} GiB of memory",
        f"System: {system()}; Python {platform.python_version()}; {versions}",
        f"Date: {time.strftime('%Y-%m-%d', time.gmtime())}; load average at the start (1, 5, 15 minutes): {load}",
        f"Rounds: {ROUNDS}" + ("; models of some gigabytes are made a tenth as large" if SMALL else ""),
    ]


def cpu() -> str:
    """Model of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def memory() -> int:
    """Bytes of memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def system() -> str:
    """Name and version of the operating system."""
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.machine()}"
    except OSError:
        return f"{platform.system()}, {platform.machine()}"


def main() -> None:
    """Run what was asked for."""
    asked = sys.argv[1:]
    unknown = [part for part in asked if part not in PARTS]
    if unknown:
        raise SystemExit(f"there is no benchmark {unknown[0]!r}: choose from {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else what runs would go on alone
    given = facts()
    sections = {part: run(part) for part in asked or PARTS}
    missed = sum(text.count("| **missed** |") for text in sections.values())
    met = sum(text.count("| met |") for text in sections.values())
    unjudged = sum(text.count("| not judged") for text in sections.values())
    failed = [part for part, text in sections.items() if text.startswith("**failed")]
    lines = [
        "# Results of the benchmarks",
        "",
        "Written by `make bench`. Times are taken in turn in one run, and ratios are those of times of the same",
        "round: median and range over the rounds. Targets are for a quiet machine with two cores; they are judged by",
        "the median, and not at all where the times vary so much that other work must have been in the way.",
        "",
        *(f"- {fact}" for fact in given),
        f"- Targets: {met} met, {missed} missed" + (f", {unjudged} not judged" if unjudged else ""),
        *([f"- Failed: {', '.join(failed)}"] if failed else []),
    ]
    for part, text in sections.items():
        lines += ["", f"## {PARTS[part]}", "", f"`python -m benchmarks.{part}`", "", text]
    text = "\n".join(lines) + "\n"
    if asked:
        print(text)
    else:
        RESULTS.write_text(text)
        print(f"written to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
