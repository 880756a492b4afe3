"""A training that is watched in a real JupyterLab: the cell runs, the view follows, and its button reaches the loop."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.lab.test_explorer import MODEL

pytestmark = pytest.mark.lab

LOOP = """
import pathlib, time
go_on = pathlib.Path(f"{flag}")
optimizer = torch.optim.SGD(model.parameters(), 0.01)
watch = explorer.watch(optimizer, every=5)
while not watch.stopped and not go_on.exists():
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    time.sleep(0.01)
ended = "stopped by the view" if watch.stopped else "by the test"
"""


def test_the_view_follows_a_loop_and_its_button_stops_the_watch(open_notebook, tmp_path):
    flag = tmp_path / "end"
    notebook = open_notebook(MODEL, f"flag = {str(flag)!r}" + LOOP)
    page = notebook.page
    page.evaluate("() => { void jupyterapp.commands.execute('notebook:run-all-cells'); }")
    root = page.locator(".weightwidget").first
    watch = root.get_by_role("group", name="training")
    try:
        expect(watch).to_contain_text(re.compile(r"watching · step \d"), timeout=60_000)
        prompt = page.locator(".jp-CodeCell").nth(1).locator(".jp-InputPrompt").first
        expect(prompt).to_have_text("[*]:")
        # Every step takes 0.01 from every weight.
        statistics = root.get_by_role("region", name="statistics")
        expect(statistics).to_contain_text(re.compile(r"mean\s*−(0\.[1-9]|[1-9])"), timeout=20_000)
        notebook.screenshot("lab-training")
        expect(prompt).to_have_text("[*]:")
        # What is looked at in detail is answered, too, while the cell runs.
        root.locator("[role=treeitem][data-path='fc2.weight']").click()
        expect(root.locator(".ww-facts")).to_contain_text("10 × 200")
        expect(root.locator("[data-waiting='true']:visible")).to_have_count(0)
        expect(root.locator(".ww-kernel")).to_be_hidden()
        expect(prompt).to_have_text("[*]:")
        watch.get_by_role("button", name="stop").click()
        expect(watch).to_be_hidden(timeout=20_000)
    finally:
        flag.touch()  # the cell ends, whatever happened before
    expect(prompt).not_to_have_text("[*]:")
    assert notebook.python("out = ended") == "stopped by the view"
    assert notebook.python("out = [watch.error, explorer.status]") == ["", "ready"]
    cost = notebook.python("out = [watch.cost.refreshes, watch.cost.share]")
    assert cost[0] >= 2
    assert cost[1] < 0.5
    expect(root.locator(".ww-kernel")).to_be_hidden()
