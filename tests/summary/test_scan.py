"""The scan: complete, in order of need, stoppable, and it leaves the user's process as it was."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.summary.stub import StubSource, ref_of, source_of
from weightwidget.summary import kernel as kernel_module
from weightwidget.summary.compiling import SWITCH
from weightwidget.summary.kernel import Work
from weightwidget.summary.parts import PIECE
from weightwidget.summary.scan import Scan
from weightwidget.summary.summarize import summarize


def gated(gate: threading.Event, reached: threading.Event):
    """A reader's hook that waits: the scan stands still at that tensor."""

    def wait(_) -> None:
        reached.set()
        assert gate.wait(10)

    return wait


def test_complete() -> None:
    progress: list[float] = []
    source = source_of(a__w=torch.randn(500, 300), a__b=torch.randn(3), c=torch.randn(40, 30))
    scan = Scan(source, progress.append)
    assert scan.status == "scanning"
    assert scan.progress == 0.0
    assert scan.results == {}
    assert scan.start() is scan
    assert scan.wait(30)
    assert scan.status == "ready"
    assert scan.progress == 1.0
    assert list(scan.summary()) == ["a.w", "a.b", "c"]
    deadline = time.monotonic() + 5
    while not (progress and progress[-1] == 1.0) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_nothing_to_do() -> None:
    scan = Scan(StubSource([])).start()
    assert scan.wait(5)
    assert scan.status == "ready"
    assert scan.progress == 1.0
    assert scan.summary().modules[""].count == 0


def test_results_show_while_it_runs() -> None:
    gate, reached = threading.Event(), threading.Event()
    source = StubSource([ref_of(torch.randn(5), "a"), ref_of(torch.randn(5), "b", before_read=gated(gate, reached))])
    scan = Scan(source, workers=1).start()
    assert reached.wait(5)
    assert list(scan.results) == ["a"]
    assert not scan.wait(0)
    assert 0 < scan.progress < 1
    gate.set()
    assert scan.wait(5)
    assert list(scan.results) == ["a", "b"]


@pytest.mark.parametrize("path", ["last.weight", "last", "tied.weight"])
def test_prioritise(path: str) -> None:
    gate, reached = threading.Event(), threading.Event()
    order: list[str] = []

    def ref(name: str, hook=lambda index: None, **options):
        return ref_of(torch.randn(5), name, before_read=lambda i: (order.append(name), hook(i)), **options)

    source = StubSource(
        [
            ref("first", gated(gate, reached)),
            *(ref(f"middle.{k}") for k in range(5)),
            ref("last.weight"),
            ref("tied.weight", shared_with="last.weight"),
        ]
    )
    scan = Scan(source, workers=1).start()
    assert reached.wait(5)
    scan.prioritise(path)
    scan.prioritise("no such tensor")
    gate.set()
    assert scan.wait(5)
    assert order[:2] == ["first", "last.weight"]
    assert len(order) == 7
    assert list(scan.summary()) == list(source.tensors)


def test_tied_tensors_are_read_once() -> None:
    reads: list[object] = []
    weights = torch.randn(30, 40)
    source = StubSource(
        [
            ref_of(weights, "head.weight", shared_with="embed.weight", before_read=reads.append),
            ref_of(weights, "embed.weight", before_read=reads.append),
        ],
        {"head": "Linear", "embed": "Embedding"},
    )
    scan = Scan(source).start()
    scan.wait()
    head, embed = scan.results["head.weight"], scan.results["embed.weight"]
    assert len(reads) == 1
    assert head.moments is embed.moments
    assert head.name == "head.weight"
    assert (head.kind, embed.kind, head.shared_with) == ("Linear", "Embedding", "embed.weight")


def test_a_large_tensor_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads measure boxes of one tensor at a time, and the result is that of one thread."""
    together, threads = threading.Barrier(2, timeout=20), set()

    def measure(self, box, cancelled, advance):
        if threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            together.wait()
        return measured(self, box, cancelled, advance)

    monkeypatch.setenv(SWITCH, "1")  # else a kernel may become ready in between, which rounds otherwise
    measured = Work.measure
    weights = torch.randn(9 * PIECE // 4 // 1000, 1000)
    alone = Scan(source_of(a=weights), workers=1).start()
    assert alone.wait(60)
    monkeypatch.setattr(Work, "measure", measure)
    shared = Scan(source_of(a=weights), workers=2).start()
    assert shared.wait(60)
    assert len(threads) == 2
    ours, theirs = shared.results["a"], alone.results["a"]
    assert ours.moments == theirs.moments
    np.testing.assert_array_equal(ours.column_norms, theirs.column_norms)
    np.testing.assert_array_equal(ours.sketch.components[0].counts, theirs.sketch.components[0].counts)
    assert ours.argmin == theirs.argmin


def test_boxes_that_fail_end_their_tensor_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_module, "PIECE", 4000)

    def fail(index) -> None:
        raise OSError("disk on fire")

    good = torch.randn(50, 90)
    source = StubSource([ref_of(good, "good"), ref_of(good, "bad", device="file", before_read=fail), ref_of(good, "c")])
    scan = Scan(source, workers=2).start()
    assert scan.wait(20)
    assert scan.status == "ready"
    assert scan.progress == 1.0
    assert "disk on fire" in scan.results["bad"].error
    assert scan.results["c"].std == pytest.approx(float(good.std(correction=0)), rel=1e-6)


def test_what_is_known_is_not_read() -> None:
    reads: list[str] = []

    def ref(name: str, **options):
        return ref_of(torch.randn(50, 90), name, before_read=lambda i: reads.append(name), **options)

    source = StubSource([ref("a"), ref("b"), ref("tied", shared_with="a")])
    first = Scan(source).start()
    assert first.wait(20)
    reads.clear()
    again = Scan(source, known={"a": first.results["a"]}).start()
    assert again.wait(20)
    assert set(reads) == {"b"}
    assert list(again.summary()) == ["a", "b", "tied"]
    assert again.results["a"] is first.results["a"]
    assert again.results["tied"].shared_with == "a"
    everything = Scan(source, known=first.results).start()
    assert everything.wait(20)
    assert everything.status == "ready"


def test_rate_and_time_left() -> None:
    gate, reached = threading.Event(), threading.Event()
    source = StubSource(
        [ref_of(torch.randn(700, 900), "a"), ref_of(torch.randn(700, 900), "b", before_read=gated(gate, reached))]
    )
    scan = Scan(source, workers=1)
    assert scan.rate == 0.0
    assert scan.remaining is None
    scan.start()
    assert reached.wait(5)
    assert scan.done_bytes == scan.total_bytes // 2
    assert scan.rate > 0
    assert scan.remaining == pytest.approx(scan.done_bytes / scan.rate)
    gate.set()
    assert scan.wait(5)
    assert scan.remaining == 0.0
    assert scan.done_bytes == scan.total_bytes


@pytest.mark.parametrize("error", [RuntimeError("disk on fire"), MemoryError(), KeyError("w")])
def test_a_tensor_that_cannot_be_read_does_not_end_the_scan(error: Exception) -> None:
    def fail(_) -> None:
        raise error

    source = StubSource([ref_of(torch.randn(5, 3), "bad", before_read=fail), ref_of(torch.randn(5), "good")])
    scan = Scan(source).start()
    assert scan.wait(5)
    assert scan.status == "ready"
    bad = scan.results["bad"]
    assert bad.error.startswith(type(error).__name__)
    assert bad.count == 15
    assert scan.results["good"].error == ""
    assert scan.progress == 1.0


def test_a_failing_callback_does_not_end_the_scan() -> None:
    def fail(share: float) -> None:
        raise RuntimeError("no")

    scan = Scan(source_of(a=torch.randn(5), b=torch.randn(5)), fail).start()
    assert scan.wait(5)
    assert scan.status == "ready"


def test_cancel_within_a_tensor() -> None:
    # Expanded: three billion elements that take no memory, a good while to go through.
    endless = torch.randn(1, 1000).expand(3_000_000, 1000)
    scan = Scan(source_of(small=torch.randn(5), endless=endless), workers=2).start()
    deadline = time.monotonic() + 10
    while scan.progress == 0.0 and time.monotonic() < deadline:
        time.sleep(0.005)
    scan.cancel()
    assert scan.wait(5)
    assert scan.status == "cancelled"
    assert scan.progress < 1.0
    assert "endless" not in scan.summary()


def test_cancel_before_the_start() -> None:
    scan = Scan(source_of(a=torch.randn(5)))
    scan.cancel()
    assert scan.wait(0)
    assert scan.status == "cancelled"
    scan.start()
    assert scan.results == {}


def test_cancel_after_the_end_changes_nothing() -> None:
    scan = Scan(source_of(a=torch.randn(5))).start()
    scan.wait()
    scan.cancel()
    assert scan.status == "ready"


def test_threads_of_torch_are_left_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        scan = Scan(source_of(a=torch.randn(900, 800), b=torch.randn(900, 700)), workers=2).start()
        scan.wait()
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:  # threads to come inherit the user's number as well
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_summarize_by_any_executor() -> None:
    source = source_of(a__w=torch.randn(90, 80), b__w=torch.randn(5), c=torch.empty(2, device="meta"))
    progress: list[float] = []
    with ThreadPoolExecutor(2) as pool:
        theirs = summarize(source, pool, progress.append)
    ours = summarize(source)
    assert list(theirs) == list(ours) == ["a.w", "b.w", "c"]
    assert [record.std for record in theirs.values()][:2] == [record.std for record in ours.values()][:2]
    assert theirs["c"].error
    assert progress[-1] == 1.0
    assert not source.closed  # who opens it closes it


class Elsewhere(Executor):
    """Sends its work through pickle, as an executor of processes does."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        try:
            pickle.dumps((fn, args, kwargs))
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future


def test_executor_that_cannot_have_the_tensors() -> None:
    with pytest.raises(TypeError, match="cannot be sent to another process"):
        summarize(source_of(a=torch.randn(5)), Elsewhere())


def run_alone(program: str, kernel: str) -> str:
    """Run a program in a process of its own, with or without compiled kernels; what it prints."""
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | ({} if kernel == "compiled" else {SWITCH: "1"}),
        cwd=Path(__file__).parents[2],
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_process_may_end_in_the_middle_of_a_scan() -> None:
    """A thread that came back from torch after Python's end brought the process down."""
    program = """
        import time, torch
        from weightwidget import open_weights
        from weightwidget.summary.scan import Scan

        weights = {f"w{k}": torch.randn(2500, 3000) for k in range(4)}
        scan = Scan(open_weights(weights), workers=2).start()
        while scan.done_bytes == 0:
            time.sleep(0.001)
        print("left")
    """
    assert run_alone(program, "torch").strip() == "left"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("kernel", ["compiled", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_memory_beside_the_tensor(dtype: str, kernel: str) -> None:
    program = f"""
        import threading, time, torch
        from tests.summary.stub import source_of
        from weightwidget.summary import fused
        from weightwidget.summary.scan import Scan

        def resident():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

        if {kernel == "compiled"}:
            assert fused.KERNELS.load([*fused.ENDS, "{dtype}"])
        # What imports and buffers take is not counted.
        Scan(source_of(a=torch.randn(300, 300).to(torch.{dtype})), workers=2).start().wait()
        weights = torch.randn(2**16 // {4 if dtype == "float32" else 2}, 4096, dtype=torch.{dtype})
        peak = before = resident()
        scan = Scan(source_of(a=weights), workers=2).start()
        while not scan.wait(0.002):
            peak = max(peak, resident())
        assert scan.status == "ready"
        print(peak - before)
    """
    printed = run_alone(program, kernel)
    # 16 MB, and 1 MB a thread.
    assert float(printed) < 18


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to this limit")
@pytest.mark.parametrize(("dtype", "kernel"), [("float32", "compiled"), ("bfloat16", "torch")])
def test_a_file_larger_than_the_memory_allowed(tmp_path: Path, dtype: str, kernel: str) -> None:
    """A limit of the process's own memory below the size of the file; its last weight, 1, shows that all was read."""
    size = 4 if dtype == "float32" else 2
    rows, columns = 600_000_000 // size // 3000, 3000
    header = {"w": {"dtype": "F32" if size == 4 else "BF16", "shape": [rows, columns]}}
    header["w"]["data_offsets"] = [0, rows * columns * size]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + rows * columns * size)  # zeros that take no room on the disk
        file.seek(-2, os.SEEK_END)
        file.write(b"\x80\x3f")  # the upper half of 1.0
    program = f"""
        import resource, torch
        from tests.summary.stub import source_of
        from weightwidget import open_weights
        from weightwidget.summary import fused
        from weightwidget.summary.scan import Scan

        def own():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024

        if {kernel == "compiled"}:
            assert fused.KERNELS.load([*fused.ENDS, "{dtype}"])
        Scan(source_of(a=torch.randn(300, 300).to(torch.{dtype})), workers=2).start().wait()
        limit = own() + 200_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        try:
            torch.ones({rows}, {columns}, dtype=torch.{dtype})
        except RuntimeError:
            pass
        else:
            raise SystemExit("the limit does not hold")
        scan = Scan(open_weights({str(path)!r}), workers=2).start()
        scan.wait()
        found = scan.results["w"]
        assert not found.error, found.error
        assert (found.count, found.zeros, found.max) == ({rows * columns}, {rows * columns - 1}, 1.0)
        assert found.argmax == ({rows - 1}, {columns - 1})
    """
    run_alone(program, kernel)
