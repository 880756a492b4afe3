"""The notebooks run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.timeout(400)
def test_runs_and_shows_a_widget(path: Path, executed):
    notebook = executed(path).notebook
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    views = [o for o in outputs if "application/vnd.jupyter.widget-view+json" in o.get("data", {})]
    assert len(views) >= 2
    state = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    explorers = [
        model["state"]
        for model in state.values()
        if model["state"].get("_anywidget_id") == "weightwidget.explorer.WeightExplorer"
    ]
    assert explorers
    assert all(explorer["status"] == "ready" for explorer in explorers)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_without_outputs(path: Path):
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
