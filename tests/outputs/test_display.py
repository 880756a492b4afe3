"""The display bundle, also as a notebook stores it."""

from __future__ import annotations

import base64
import io
import logging

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from PIL import Image

from tests.fixtures import small_cnn
from weightwidget import WeightExplorer
from weightwidget.outputs import plain
from weightwidget.outputs.display import MARK, WIDGET

ALL = {WIDGET, "text/html", "image/png", "text/plain"}


@pytest.fixture(scope="module")
def explorer() -> WeightExplorer:
    return WeightExplorer(small_cnn()).wait()


def test_the_bundle_has_the_widget_and_its_fallbacks(explorer: WeightExplorer):
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == ALL
    assert metadata == MARK
    assert data[WIDGET]["model_id"] == explorer.model_id
    assert "SmallCNN" in data["text/plain"]
    assert data["image/png"] in data["text/html"]
    assert sum(len(data[mime]) for mime in ALL - {WIDGET}) < 300_000


def test_only_what_is_wanted_is_made(explorer: WeightExplorer, monkeypatch):
    assert set(explorer._repr_mimebundle_(include=[WIDGET])[0]) == {WIDGET}
    assert set(explorer._repr_mimebundle_(exclude={"text/html"})[0]) == ALL - {"text/html"}
    assert explorer._repr_mimebundle_(include=["text/plain"])[1] == {}  # the mark is the widget's
    monkeypatch.setattr("weightwidget.outputs.picture.picture", lambda view: pytest.fail("nobody wants a picture"))
    assert set(explorer._repr_mimebundle_(include={"text/plain", WIDGET})[0]) == {"text/plain", WIDGET}


def test_the_widget_shows_whatever_fails(explorer: WeightExplorer, monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(plain, "plain_text", fail)
    with caplog.at_level(logging.ERROR):
        data, _ = explorer._repr_mimebundle_()
    assert data[WIDGET]["model_id"] == explorer.model_id
    assert data["text/plain"] == repr(explorer)
    assert "no room" in caplog.text


def test_a_scan_under_way_can_be_shown():
    explorer = WeightExplorer({"a.w": torch.randn(30, 40), "b": torch.randn(7)}, patience=0)
    assert set(explorer._repr_mimebundle_()[0]) == ALL
    explorer.cancel()
    explorer.wait()
    assert set(explorer._repr_mimebundle_()[0]) == ALL


def test_an_executed_notebook_stores_all_four():
    code = """
import torch
from weightwidget import WeightExplorer
WeightExplorer({"layer.weight": torch.arange(15.0).reshape(3, 5), "layer.bias": torch.zeros(3)}, name="tiny")
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert set(output.data) == ALL
    image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    image.load()
    assert image.format == "PNG"
    assert "layer.weight" in output.data["text/html"]
    assert output.data["text/plain"].startswith("tiny: 2 tensors, 18 weights")
    nbformat.validate(notebook)
