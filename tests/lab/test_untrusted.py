"""A notebook from somebody else in JupyterLab: it is not trusted, so the page stands in for the widget."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import torch
from playwright.sync_api import Browser, expect

from weightwidget import WeightExplorer

pytestmark = pytest.mark.lab


def test_an_untrusted_notebook_shows_picture_and_numbers(lab: tuple[str, Path], browser: Browser):
    address, root = lab
    explorer = WeightExplorer(
        {"layer.weight": torch.arange(15.0).reshape(3, 5), "b": torch.zeros(3)}, name="tiny"
    ).wait()
    data, _ = explorer._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data=data, execution_count=1)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output], execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), root / "untrusted.ipynb")
    page = browser.new_page(viewport={"width": 1500, "height": 1200})
    try:
        page.goto(f"{address}/lab/tree/untrusted.ipynb?reset")
        area = page.locator(".jp-OutputArea-output").first
        expect(area.locator("strong").first).to_have_text("tiny", timeout=60_000)
        assert area.locator("img").evaluate("image => [image.complete, image.naturalWidth]") == [True, 1200]
        expect(area.locator("tbody tr")).to_have_count(3)
        expect(area.locator("tbody tr", has_text="layer.weight")).to_contain_text("3 × 5")
    finally:
        page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
        page.close()
