"""A checkpoint of a 7-billion-weight model on disk: ``python -m benchmarks.files``.

Shapes of Llama 2 7B in bfloat16, a file a layer, 13.5 GB of random weights. They are written under ``build/`` (or the
folder that ``BENCH_FOLDER`` names), read again and again, and removed. The files are dropped from the system's cache
before a "cold" run, as far as the system does so when it is asked.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.models import Shapes, layer_shapes
from benchmarks.scanning import KERNELS, THREADS, scan
from benchmarks.side_by_side import (
    ROUNDS,
    SMALL,
    SUM,
    Row,
    in_turn,
    ratio_row,
    ratios,
    resident,
    row_of,
    table,
    timed,
    torch_threads,
)
from weightwidget import WeightExplorer, open_weights
from weightwidget.summary import fused

LAYERS = 32

SPARE = 200
"""Megabytes that a limited process may take beyond what it has after its imports."""


def write_shard(path: Path, shapes: Shapes, data: memoryview) -> None:
    """Write a safetensors file of bfloat16 with these bytes, and have it on disk before returning."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.write(data[:at])
        file.flush()
        os.fsync(file.fileno())


def write_model(folder: Path, layers: int) -> list[Path]:
    """Write a model, the same bytes for each layer; give the files."""
    shapes = layer_shapes(512, 1376) if SMALL else layer_shapes()
    width = shapes["input_layernorm.weight"][0]
    size = sum(torch.Size(shape).numel() for shape in shapes.values())
    weights = (0.02 * torch.randn(max(size, 64000 * width + width))).to(torch.bfloat16)
    data = weights.view(torch.uint8).numpy().data
    shards = [{f"model.layers.{k}.{name}": shape for name, shape in shapes.items()} for k in range(layers)]
    shards.append(dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), (32000, width)))
    shards[-1]["model.norm.weight"] = (width,)
    files = [folder / f"model-{k + 1:05}-of-{len(shards):05}.safetensors" for k in range(len(shards))]
    for path, shard in zip(files, shards, strict=True):
        write_shard(path, shard, data)
    write_index(folder, {name: path.name for path, shard in zip(files, shards, strict=True) for name in shard})
    return files


def write_index(folder: Path, places: dict[str, str]) -> None:
    """Write which file holds which tensor."""
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def drop(files: list[Path]) -> None:
    """Have the system forget what it keeps of files that nobody has mapped."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def scan_folder(folder: Path) -> None:
    """Open, scan and close a checkpoint."""
    with closing(open_weights(folder)) as source:
        scan(source)


def cat(files: list[Path]) -> None:
    """Read files and do nothing with them."""
    with Path(os.devnull).open("wb") as sink:
        subprocess.run(["cat", *map(str, files)], stdout=sink, check=True)


def read_from_disk() -> int:
    """Bytes that this process and those that it waited for had read from storage so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def opening(folder: Path, files: list[Path], of: str) -> Row:
    """Seconds until there is a tree."""
    WeightExplorer({"w": torch.randn(40, 30)}).wait().close()
    times = []
    for _ in range(ROUNDS):
        drop(files)
        start = time.perf_counter()
        explorer = WeightExplorer(folder, patience=0)
        times.append(time.perf_counter() - start)
        explorer.close()
    return row_of(of, "opened, cold: tree without statistics", times, "s", "≤ 1")


def cold(folder: Path, files: list[Path], of: str) -> Row:
    """Scan and `cat` in turn, nothing in the system's cache."""
    shares: list[float] = []
    size = sum(path.stat().st_size for path in files)
    times: dict[str, list[float]] = {"cat": [], "scan": []}
    for _ in range(min(ROUNDS, 3)):
        for name, work in (("cat", partial(cat, files)), ("scan", partial(scan_folder, folder))):
            drop(files)
            before = read_from_disk()
            times[name].append(timed(work))
            shares.append((read_from_disk() - before) / size)
    row = ratio_row(of, "scan, cold cache, over `cat`", times["scan"], times["cat"], "cat", "≤ 1.5")
    return replace(row, note=f"{row.note}; {min(shares):.0%} at least came from disk")


def warm(folder: Path, files: list[Path], of: str) -> list[Row]:
    """Scan what the system has in its cache, and the same from memory."""
    part = files[: len(files) * 3 // 7]
    size = sum(path.stat().st_size for path in part)
    inside = folder / "warm"
    inside.mkdir()
    for path in part:
        os.link(path, inside / path.name)
    # Copies, for what was loaded may still be pages of the files.
    states = [{name: tensor.clone() for name, tensor in load_file(path).items()} for path in part]
    write_index(inside, {name: path.name for path, state in zip(part, states, strict=True) for name in state})
    state = {name: tensor for held in states for name, tensor in held.items()}
    del states
    source = open_weights(state)
    cat(part)
    of += f", {size / 1e9:.1f} GB of it"
    works: dict[str, Callable[[], object]] = {"scan, warm cache, over scan from memory": partial(scan_folder, inside)}
    rows = ratios(of, works, partial(scan, source), rounds=min(ROUNDS, 5), by="from memory")
    times = in_turn({SUM: lambda: [tensor.sum() for tensor in state.values()], "scan": partial(scan_folder, inside)}, 3)
    what = "scan, warm cache, over `torch.sum` of the same in memory"
    return [*rows, ratio_row(of, what, times["scan"], times[SUM], SUM)]


def limited(folder: str) -> None:
    """In a process of its own: scan under a limit of memory, and print megabytes (limit, peak) and seconds."""
    fused.KERNELS.load(KERNELS)
    scan(open_weights({"w": torch.randn(900, 700), "b": torch.randn(900, 700).bfloat16()}))
    limit = resident("VmData") + (SPARE << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    before = resident()
    seconds = timed(partial(scan_folder, Path(folder)))
    print(json.dumps([limit / 1e6, resident("VmHWM") / 1e6, before / 1e6, seconds]))


def within_limit(folder: Path, files: list[Path], of: str) -> Row:
    """Peak of the memory of a process that may not have as much as the checkpoint takes."""
    command = [sys.executable, "-m", "benchmarks.files", "--limited", str(folder)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    limit, peak, before, seconds = json.loads(found)
    size = sum(path.stat().st_size for path in files) / 1e6
    note = f"RLIMIT_DATA {limit:,.0f} MB, {before:,.0f} MB of its own before, {seconds:.3g} s"
    what = "scan under a limit of memory: peak RSS of the process, with torch"
    return row_of(of, what, [peak], "MB", f"≤ {size:.0f} MB", note)


def measure() -> list[Row]:
    """Rows of one checkpoint on disk."""
    fused.KERNELS.load(KERNELS)
    place = Path(os.environ.get("BENCH_FOLDER", "build"))
    place.mkdir(parents=True, exist_ok=True)
    layer = 2 * sum(torch.Size(shape).numel() for shape in layer_shapes().values())
    layers = min(LAYERS, int(0.8 * shutil.disk_usage(place).free / layer) - 2)
    if layers < 1:
        raise SystemExit(f"{place} has no room for a checkpoint: name another folder in BENCH_FOLDER")
    with tempfile.TemporaryDirectory(dir=place) as name, torch_threads(THREADS):
        folder = Path(name)
        start = time.perf_counter()
        files = write_model(folder, layers)
        size = sum(path.stat().st_size for path in files)
        of = f"Llama 2 7B's shapes, {size / 1e9:.1f} GB"
        written = row_of(of, "written (for scale)", [time.perf_counter() - start], "s")
        rows = [written, opening(folder, files, of), cold(folder, files, of), within_limit(folder, files, of)]
        return rows + warm(folder, files, of)


def main() -> None:
    """Print all rows."""
    if sys.argv[1:2] == ["--limited"]:
        limited(sys.argv[2])
        return
    print(table(measure()))


if __name__ == "__main__":
    main()
