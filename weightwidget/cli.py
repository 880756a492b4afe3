"""The explorer's work from a shell: ``weightwidget model.safetensors -o report.html``.

Exit codes: 0 if all went well (single tensors that cannot be read are a warning), 1 if the weights cannot be read or
the output cannot be written, 2 for wrong usage, 130 if interrupted. Results go to standard output, all else to
standard error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import weightwidget
from weightwidget.explorer import WeightExplorer
from weightwidget.outputs import listed, numbers
from weightwidget.outputs.names import visible
from weightwidget.outputs.progressbar import ProgressBar
from weightwidget.outputs.saved import MOST_DETAIL
from weightwidget.sources.base import WeightFileError
from weightwidget.sources.saved import SUFFIX
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.query import compile_query
from weightwidget.summary.table import STATISTICS

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

POLL = 0.1
"""Seconds between looks at the scan."""

NARROW = 80
"""Width of a table that goes to no terminal."""

EPILOG = """\
examples:
  weightwidget model.safetensors                       table of all tensors
  weightwidget model.safetensors --sort std            largest std first; --sort=-std the smallest
  weightwidget model.safetensors --filter "attention std>0.1" --json
  weightwidget model.safetensors -o report.html        the whole explorer as one page that works offline
  weightwidget model.safetensors -o model.summary.safetensors
                                                       all statistics, to be opened elsewhere without the weights
  weightwidget model.summary.safetensors               what was saved so: table, JSON, page

exit codes: 0 done, 1 cannot be read or written, 2 wrong usage, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        What follows the command's name; by default those of the process.

    Returns
    -------
    int
        The exit code. Wrong usage exits at once, as `argparse` does.
    """
    _write_anything()
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        wrong = _wrong_usage(options)
        if wrong:
            parser.error(wrong)
        code = _run(options)
        sys.stdout.flush()  # here, where a reader who is gone does no harm
        return code
    except WeightFileError as error:
        return _failed(str(error))
    except BrokenPipeError:
        # Whoever read the output has seen enough. What Python still flushes at the end must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        return _failed(f"{error.filename or 'output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("weightwidget: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="weightwidget",
        description="Look inside the weights of a neural network. Nothing is ever unpickled or executed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        help=".safetensors, .pt or .pth file, a folder or index of sharded safetensors, or a saved summary",
        metavar="MODEL",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help=f"write the explorer as one page that needs no network; or, if the name ends with {SUFFIX}, the summary",
    )
    what.add_argument("--summary", action="store_true", help="print a table of all tensors (the default)")
    what.add_argument(
        "--json",
        action="store_true",
        help='print all statistics as JSON; numbers that are not finite are the strings "NaN", "Infinity", '
        '"-Infinity", what is not known is null',
    )
    parser.add_argument("--filter", metavar="QUERY", default="", help='only tensors that pass: "attention std>0.1"')
    parser.add_argument(
        "--sort", metavar="STAT", help="largest first, smallest first with --sort=-STAT: std, count, sparsity, ..."
    )
    parser.add_argument(
        "--detail",
        metavar="N",
        type=int,
        help="with -o: levels of the heatmap to store, by default as many as fit 4 MB",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no warnings")
    parser.add_argument("--version", action="version", version=f"weightwidget {weightwidget.__version__}")
    return parser


def _wrong_usage(options: argparse.Namespace) -> str:
    """What is wrong with the options together; empty if nothing is."""
    if options.output is not None:
        given = [name for name in ("filter", "sort") if getattr(options, name)]
        if given:
            return f"--{given[0]} is for the table and --json: the page has all tensors and filters them itself"
        if _is_summary(options.output) and options.detail is not None:
            return "--detail is for pages: a summary has one picture of each tensor"
        if options.output.suffix.lower() == ".safetensors" and not _is_summary(options.output):
            return f"the name of a summary ends with {SUFFIX}: that of weights it could be taken for"
    elif options.detail is not None:
        return "--detail is for pages: give -o PAGE.html too"
    if options.detail is not None and not 0 <= options.detail <= MOST_DETAIL:
        return f"--detail is a number of levels from 0 to {MOST_DETAIL}, not {options.detail}"
    if options.sort and options.sort.removeprefix("-") not in (*STATISTICS, "name"):
        return f"--sort: there is no statistic {visible(options.sort)}; there are name, {', '.join(STATISTICS)}"
    if problem := compile_query(options.filter).error:
        return f"--filter: {visible(problem)}"
    return ""


def _is_summary(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIX)


def _run(options: argparse.Namespace) -> int:
    if options.output is not None and (options.output.is_dir() or not options.output.parent.is_dir()):
        kind = "is a folder: name a file in it" if options.output.is_dir() else "lies in no folder that exists"
        return _failed(f"{options.output} {kind}")  # before a long scan, not after it
    try:
        explorer = WeightExplorer(options.model, patience=0)
    except ValueError as error:  # also what is wrong with the names in a file that can be read
        return _failed(str(error))
    try:
        with ProgressBar("reading", sys.stderr, hidden=options.quiet) as bar:
            _finish_scan(explorer, bar.show)
        if explorer.status != "ready":
            return _failed(f"{explorer.source.name}: the scan ended early ({explorer._message or explorer.status})")
        summary = explorer.summary
        if not options.quiet:
            _warn(explorer, summary)
        if options.output is not None and _is_summary(options.output):
            summary.save(options.output)
            print(f"{visible(str(options.output))}: {numbers.plain(numbers.size(options.output.stat().st_size))}")
        elif options.output is not None:
            _save_page(explorer, options)
        else:
            _print_statistics(explorer, summary, options)
    finally:
        explorer.close()
    return OK


def _finish_scan(explorer: WeightExplorer, tell: Callable[[float], None]) -> None:
    while True:
        try:
            explorer.wait(POLL)
        except TimeoutError:  # noqa: PERF203 - it is how `wait` says that the scan goes on
            tell(explorer.progress)
        else:
            return


def _save_page(explorer: WeightExplorer, options: argparse.Namespace) -> None:
    with ProgressBar("writing", sys.stderr, hidden=options.quiet) as bar:
        page = explorer.save_html(options.output, detail=options.detail, progress=bar.show)
    print(f"{visible(str(options.output))}: {numbers.plain(numbers.size(page.size))}")


def _print_statistics(explorer: WeightExplorer, summary: ModelSummary, options: argparse.Namespace) -> None:
    names = listed.choose(explorer.source, summary, options.filter, options.sort)
    if options.json:
        print(listed.as_json(summary, names))
        return
    width = shutil.get_terminal_size((NARROW, 24)).columns if sys.stdout.isatty() else None
    for line in listed.as_table(explorer._static_view(), names, width):
        print(line)


def _warn(explorer: WeightExplorer, summary: ModelSummary) -> None:
    unreadable = list(summary.errors.items())
    for name, reason in unreadable[:5]:
        _say(f"warning: {name} cannot be read: {reason}")
    if len(unreadable) > 5:
        _say(f"warning: {len(unreadable) - 5} more tensors cannot be read; --json gives every reason")
    if explorer.source.skipped:
        name, reason = next(iter(explorer.source.skipped.items()))
        more = len(explorer.source.skipped) - 1
        _say(f"warning: left out {name}: {reason}" + (f" (and {more} more)" if more else ""))


def _failed(message: str) -> int:
    _say(message)
    return FAILED


def _say(message: str) -> None:
    """Write a line to standard error; names in it cannot control the terminal."""
    print(f"weightwidget: {' '.join(map(visible, message.splitlines()))}", file=sys.stderr)


def _write_anything() -> None:
    """Let names be written that the terminal's encoding has no letters for: as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
