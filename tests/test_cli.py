"""The command line: results, exit codes and messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import weightwidget
from weightwidget import WeightExplorer, cli
from weightwidget.cli import main
from weightwidget.outputs.progressbar import ProgressBar, bar


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    weights = torch.tensor([[0.0, 1.0, -3.0], [float("nan"), 2.0, float("inf")]])
    save_file({"a.weight": weights, "b.weight": torch.arange(20.0).reshape(4, 5), "a.bias": torch.zeros(3)}, path)
    return path


def lines_of(capsys) -> list[str]:
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


def test_the_table_is_the_default(model: Path, capsys):
    assert main([str(model)]) == 0
    lines = lines_of(capsys)
    assert lines[0] == "tiny.safetensors: 3 tensors, 29 weights, 116 B, float32"
    assert lines[1].split() == [
        "tensor",
        "shape",
        "dtype",
        "weights",
        "mean",
        "std",
        "min",
        "max",
        "zeros",
        "NaN",
        "Inf",
    ]
    assert [line.split()[0] for line in lines[2:]] == ["a.weight", "a.bias", "b.weight"]
    assert lines[4].split()[1:6] == ["4x5", "float32", "20", "9.50", "5.77"]
    assert len({len(line) for line in lines[1:]}) == 1
    main([str(model), "--summary"])
    assert lines_of(capsys) == lines


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--sort", "std"], ["b.weight", "a.weight", "a.bias"]),
        (["--sort=-std"], ["a.bias", "a.weight", "b.weight"]),
        (["--sort", "name"], ["a.bias", "a.weight", "b.weight"]),
        (["--filter", "std>1"], ["a.weight", "b.weight"]),
        (["--filter", "bias", "--sort", "std"], ["a.bias"]),
    ],
)
def test_sorts_and_filters(model: Path, capsys, options: list[str], expected: list[str]):
    assert main([str(model), *options]) == 0
    assert [line.split()[0] for line in lines_of(capsys)[2:5] if "float32" in line] == expected


def test_tables_fit_the_terminal(model: Path, capsys):
    explorer = WeightExplorer(model).wait()
    for width in (200, 80, 60, 40, 20):
        lines = cli.listed.as_table(explorer._static_view(), list(explorer.source.tensors), width)
        assert max(map(len, lines)) <= width
        assert "std" in lines[1] or width == 20


def test_json_is_valid_and_complete(model: Path, capsys):
    assert main([str(model), "--json"]) == 0
    out = "\n".join(lines_of(capsys))
    told = json.loads(out, parse_constant=lambda _: pytest.fail("not JSON"))
    tensors = {tensor["name"]: tensor for tensor in told["tensors"]}
    assert list(tensors) == list(WeightExplorer(model).source.tensors)
    assert tensors["b.weight"]["mean"] == 9.5
    assert tensors["b.weight"]["argmax"] == [3, 4]
    assert tensors["b.weight"]["quantiles"]["0.5"] == pytest.approx(9.5)
    assert tensors["a.weight"]["nan"] == tensors["a.weight"]["posinf"] == 1
    assert tensors["a.bias"]["skewness"] == "NaN"


def test_what_cannot_be_read_is_a_warning(tmp_path: Path, capsys):
    path = tmp_path / "c.pt"
    torch.save({"c": torch.eye(3).to_sparse(), "w": torch.randn(2, 3)}, path)
    assert main([str(path)]) == 0
    out, err = capsys.readouterr()
    assert "unread" in out
    assert "warning: c cannot be read: " in err
    assert main([str(path), "-q", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["tensors"][0]["mean"] is None


def test_names_cannot_control_the_terminal(tmp_path: Path, capsys):
    path = tmp_path / "evil.pt"
    torch.save({"\x1b]0;pwned\x07\u202e.w": torch.randn(2, 3), "\x1b[2Jc": torch.eye(2).to_sparse()}, path)
    for options in ([], ["--json"]):
        assert main([str(path), *options]) == 0
        out, err = capsys.readouterr()
        assert not {"\x1b", "\x07", "\u202e"} & set(out + err)
        assert r"\x1b[2Jc" in err


def failing(arguments: list[str], capsys) -> str:
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("weightwidget: ")
    return err


def test_files_that_cannot_be_read(tmp_path: Path, capsys):
    assert "there is no such file" in failing([str(tmp_path / "none.safetensors")], capsys)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 40)
    assert "damaged.safetensors" in failing([str(damaged)], capsys)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sort", "nothing"], "no statistic nothing"),
        (["--filter", "std>much"], "--filter"),
        (["--detail", "9"], "give -o"),
        (["--json", "--summary"], "not allowed with"),
        (["-o", "x.html", "--sort", "std"], "--sort is for the table"),
        (["-o", "x.html", "--detail", "-1"], "from 0"),
    ],
)
def test_wrong_usage_exits_with_two(model: Path, capsys, options: list[str], words: str):
    with pytest.raises(SystemExit) as ended:
        main([str(model), *options])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_page_is_saved(model: Path, tmp_path: Path, capsys):
    page = tmp_path / "report.html"
    assert main([str(model), "-o", str(page), "--detail", "0"]) == 0
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert "<title>tiny.safetensors</title>" in text
    (line,) = lines_of(capsys)
    assert line.startswith(f"{page}: ")
    assert line.endswith(" kB")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "tiny.safetensors"]


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left"), 1)])
def test_no_half_page_is_left(model: Path, tmp_path: Path, capsys, monkeypatch, error: BaseException, code: int):
    def fail(self: Path, target: Path) -> Path:
        raise error

    page = tmp_path / "report.html"
    page.write_text("older")
    monkeypatch.setattr(Path, "replace", fail)
    assert main([str(model), "-o", str(page)]) == code
    assert page.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "tiny.safetensors"]
    assert ("interrupted" if code == 130 else "No space left") in capsys.readouterr().err


def test_pages_that_cannot_be_written(model: Path, tmp_path: Path, capsys):
    assert "no folder that exists" in failing([str(model), "-o", str(tmp_path / "none" / "x.html")], capsys)
    assert "is a folder" in failing([str(model), "-o", str(tmp_path)], capsys)


def test_an_interrupt_during_the_scan(model: Path, capsys, monkeypatch):
    def interrupt(self, timeout=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(WeightExplorer, "wait", interrupt)
    assert main([str(model)]) == 130
    assert capsys.readouterr().out == ""


class Terminal:
    def __init__(self, is_terminal: bool) -> None:
        self.text, self._is_terminal = "", is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_the_progress_bar_is_for_terminals(monkeypatch):
    monkeypatch.setattr("weightwidget.outputs.progressbar.PAUSE", 0)
    for is_terminal, hidden in [(True, False), (False, False), (True, True)]:
        stream = Terminal(is_terminal)
        with ProgressBar("reading", stream, hidden) as shown:
            shown.show(0.25)
        assert ("25%" in stream.text) == (is_terminal and not hidden)
        assert stream.text == "" or stream.text.endswith("\r\x1b[2K")
    assert bar("reading", 0.25, 10, 80).endswith(" 25%  2.5%/s  30 s left")
    assert "1 min 30 s left" in bar("reading", 0.5, 90, 80)
    for columns in (10, 30, 80, 300):
        assert len(bar("reading", 0.5, 9, columns)) < max(columns, 1)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=120)


def test_as_a_module_and_as_a_command(model: Path, tmp_path: Path):
    """The two spellings give the same, and their exit codes reach the shell."""
    done = run(sys.executable, "-m", "weightwidget", str(model))
    assert done.returncode == 0
    assert done.stdout.startswith("tiny.safetensors: 3 tensors")
    # What the installed command runs, whether or not this checkout is installed.
    start = "import sys; from weightwidget.cli import main; sys.exit(main())"
    failed = run(sys.executable, "-c", start, str(tmp_path / "none.pt"))
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert 'weightwidget = "weightwidget.cli:main"' in (Path(__file__).parents[1] / "pyproject.toml").read_text()


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert lines_of(capsys) == [f"weightwidget {weightwidget.__version__}"]
