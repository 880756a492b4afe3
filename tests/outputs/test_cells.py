"""Which cell runs, and what is closed when it runs again."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from datetime import datetime, timedelta, timezone

import IPython
import ipywidgets
import pytest
from ipywidgets.widgets import widget as ipywidgets_widget
from torch import nn
from traitlets import TraitError

from weightwidget import WeightExplorer
from weightwidget.outputs import cells
from weightwidget.outputs.cells import Made, Run, current_run, run_of

BEGINNING = datetime(2024, 5, 6, tzinfo=timezone.utc)


def request(cell: str | None, number: int, kind: str = "execute_request") -> dict:
    """What a kernel is asked: the run of that number of a cell."""
    header = {"msg_id": f"run-{number}", "msg_type": kind, "date": BEGINNING + timedelta(seconds=number)}
    return {"header": header, "metadata": {} if cell is None else {"cellId": cell, "deletedCells": []}, "content": {}}


class Shell:
    """The part of IPython's kernel shell that is asked."""

    def __init__(self) -> None:
        self.parent: dict = {}

    def get_parent(self) -> dict:
        return self.parent


@pytest.fixture
def shell(monkeypatch):
    running = Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: running)
    monkeypatch.setattr(cells, "_made", Made())
    return running


@pytest.fixture
def net() -> nn.Module:
    return nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 7))


def is_open(explorer: WeightExplorer) -> bool:
    return explorer.comm is not None


def test_a_cell_that_is_run_again_closes_what_it_made(shell, net):
    shell.parent = request("a", 1)
    old = [WeightExplorer(net), WeightExplorer(net, name="second of the same run")]
    assert all(map(is_open, old))
    shell.parent = request("b", 2)
    other = WeightExplorer(net)
    shell.parent = request("a", 3)
    new = [WeightExplorer(net) for _ in range(2)]
    assert not any(map(is_open, old))
    assert is_open(other)
    assert all(map(is_open, new))
    for explorer in [*new, other]:
        explorer.close()


def test_nothing_is_left_among_the_widgets(shell, net):
    before = set(ipywidgets_widget._instances)
    for number in range(5):
        shell.parent = request("a", number)
        explorer = WeightExplorer(net)
        assert len(set(ipywidgets_widget._instances) - before) == 2  # itself and its layout
    explorer.close()
    assert set(ipywidgets_widget._instances) == before


def test_models_of_earlier_runs_are_freed_whatever_holds_the_explorers(shell):
    output_cache = []
    models = []
    for number in range(3):
        shell.parent = request("a", number)
        for width in (20, 30):
            model = nn.Linear(width, 10)
            models.append(weakref.ref(model))
            output_cache.append(WeightExplorer(model).wait())
            del model
    gc.collect()
    assert [model() is not None for model in models] == [False] * 4 + [True] * 2
    for explorer in output_cache:
        explorer.close()


def test_the_register_holds_nothing_alive(shell, net):
    shell.parent = request("a", 1)
    explorer = WeightExplorer(net).wait()
    gone = weakref.ref(explorer)
    explorer.close()
    explorer._follower.join()
    del explorer
    gc.collect()
    assert gone() is None


def test_a_run_that_fails_leaves_the_old_one(shell, net):
    shell.parent = request("a", 1)
    old = WeightExplorer(net)
    shell.parent = request("a", 2)
    with pytest.raises(TraitError, match="no tensor"):
        WeightExplorer(net, selected="nowhere")
    assert is_open(old)
    old.close()


def test_a_function_that_several_cells_call_makes_one_explorer_a_cell(shell, net):
    def show() -> WeightExplorer:
        return WeightExplorer(net)

    shell.parent = request("a", 1)
    first = show()
    shell.parent = request("b", 2)
    second = show()
    assert is_open(first)
    shell.parent = request("b", 3)
    third = show()
    assert (is_open(first), is_open(second), is_open(third)) == (True, False, True)
    for explorer in (first, third):
        explorer.close()


@pytest.mark.parametrize("elsewhere", [{}, request(None, 2), request("a", 2, "comm_msg")])
def test_outside_of_a_cell_nothing_is_closed(shell, net, elsewhere):
    shell.parent = request("a", 1)
    first = WeightExplorer(net)
    shell.parent = elsewhere
    second = WeightExplorer(net)
    shell.parent = request("a", 3)
    third = WeightExplorer(net)
    assert (is_open(first), is_open(second), is_open(third)) == (False, True, True)
    for explorer in (second, third):
        explorer.close()


def test_another_thread_is_no_cell(shell, net):
    shell.parent = request("a", 1)
    first = WeightExplorer(net)
    shell.parent = request("a", 2)
    made = []
    thread = threading.Thread(target=lambda: made.append(WeightExplorer(net)))
    thread.start()
    thread.join()
    assert is_open(first)
    assert is_open(made[0])
    third = WeightExplorer(net)
    assert (is_open(first), is_open(made[0])) == (False, True)
    for explorer in (*made, third):
        explorer.close()


def test_a_task_of_an_earlier_run_closes_nothing_and_goes_with_the_next(shell, net):
    shell.parent = request("a", 2)
    new = WeightExplorer(net)
    shell.parent = request("a", 1)
    late = WeightExplorer(net)
    assert is_open(new)
    shell.parent = request("a", 3)
    newest = WeightExplorer(net)
    assert (is_open(new), is_open(late), is_open(newest)) == (False, False, True)
    newest.close()


def test_the_sidebar_goes_with_the_explorer(shell, net):
    shell.parent = request("a", 1)
    explorer = WeightExplorer(net)
    panel = explorer.sidebar()
    shell.parent = request("a", 2)
    explorer = WeightExplorer(net)
    assert panel.comm is None
    assert panel.layout.comm is None
    explorer.close()


def test_a_layout_that_others_have_stays(net):
    explorer = WeightExplorer(net, layout=ipywidgets.Layout(width="50%"))
    neighbour = ipywidgets.Button(layout=explorer.layout)
    explorer.close()
    assert neighbour.layout.comm is not None
    neighbour.close()
    neighbour.layout.close()


def test_one_that_cannot_be_closed_does_not_harm_the_new_one(caplog):
    class Stubborn:
        def close(self) -> None:
            raise OSError("the disk is gone")

    class Quiet:
        closed = False

        def close(self) -> None:
            self.closed = True

    made = Made()
    stubborn, quiet = Stubborn(), Quiet()
    made.add(stubborn, Run("a", "1"))
    made.add(quiet, Run("a", "1"))
    made.add(Quiet(), Run("a", "2"))
    assert quiet.closed
    assert "could not be closed" in caplog.text


def test_requests_that_name_no_cell():
    assert run_of(None) is None
    assert run_of({"header": None, "metadata": None}) is None
    assert run_of({"header": {"msg_type": "execute_request", "msg_id": "1"}, "metadata": {"cellId": 7}}) is None
    undated = run_of({"header": {"msg_type": "execute_request", "msg_id": "1"}, "metadata": {"cellId": "a"}})
    assert undated == Run("a", "1")
    assert run_of(request("a", 2)).follows(undated)


def test_shells_without_a_kernel(monkeypatch):
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert current_run() is None
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    assert current_run() is None


def test_without_ipython():
    code = "import sys; from weightwidget.outputs import cells; sys.modules.pop('IPython'); print(cells.current_run())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
