"""What an explorer of a hostile model leaves elsewhere: a static copy, a snapshot, a file, an exported notebook."""

from __future__ import annotations

import re
from pathlib import Path

import nbconvert
import nbformat
import pytest
from playwright.sync_api import Frame, Page, expect

from tests.security import models
from tests.security.payloads import TEXTS
from tests.security.walk import TYPE, for_each, look, select_rows
from tests.security.watch import FOREIGN, UNSEEN
from weightwidget import WeightExplorer
from weightwidget.outputs.names import visible

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]

HOSTILE = TEXTS[0] + "\u202e\x1b[31m\ud800 {policy} </title></noscript>'\"`"
"""Name of a model."""

STATIC_IMAGE = '<img src="data:image/png;base64,'


@pytest.fixture(scope="module")
def explorers(tmp_path_factory: pytest.TempPathFactory):
    """One of each kind of source."""
    folder = tmp_path_factory.mktemp("hostile")
    models.config_file(folder)
    made = [
        WeightExplorer(models.state_dict(), name=HOSTILE, tokenizer=models.tokens(), query=HOSTILE[:-20]),
        WeightExplorer(models.source()),
        WeightExplorer(models.module(), selected=next(text for text in TEXTS if "." not in text) + ".weight_ih_l0"),
        WeightExplorer(models.safetensors_file(folder)),
    ]
    for explorer in made:
        explorer.wait()
    yield made
    for explorer in made:
        explorer.close()


def static_look(page: Page | Frame, root: str) -> None:
    """A static copy has pictures of its own, and nothing else that a name could have made."""
    element = page.locator(root)
    found = element.evaluate(FOREIGN)
    assert [line for line in found if not line.startswith(STATIC_IMAGE)] == []
    names = element.evaluate(
        "root => [...root.querySelectorAll('*')].map(element => element.getAttributeNames()).flat()"
    )
    assert set(names) <= {"src", "width", "alt", "align", "colspan"}
    assert element.evaluate(UNSEEN) == []


def through(frame: Page | Frame, rows: bool = True) -> None:
    """Every row of the tree, queries, every tab."""
    expect(frame.locator(".ww-path-last")).to_be_visible()
    look(frame)
    if rows:
        for_each(frame, [""], TYPE)
        assert len(select_rows(frame)) > 100
    for tab in frame.locator("[role=tab]").all():
        if tab.is_visible():
            tab.click()
            look(frame)
    for_each(frame, TEXTS[::10], TYPE)


def test_the_static_copy_raw_in_a_page(watched, explorers, tmp_path):
    pages = [explorer._repr_mimebundle_()[0]["text/html"] for explorer in explorers]
    path = tmp_path / "raw.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><main>{''.join(pages)}</main>", "utf-8")
    context, _ = watched(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    expect(page.locator("table")).to_have_count(4)
    static_look(page, "main")
    expect(page.locator("strong").first).to_have_text(visible(explorers[0].source.name))
    assert page.locator("main").evaluate("main => main.children.length") == 4
    page.screenshot(path=ROOT / "test-results" / "security-static.png")


def test_text_for_terminals_prints(explorers, capsys):
    for explorer in explorers:
        told = [explorer._repr_mimebundle_()[0]["text/plain"], repr(explorer), repr(explorer.snapshot())]
        print(explorer)
        told.append(capsys.readouterr().out)
        for text in told:
            assert text.replace("\n", "").isprintable()
            assert text.count("\n") < 20


def test_a_snapshot_in_a_page(watched, explorers, tmp_path):
    html = "".join(explorer.snapshot()._repr_html_() for explorer in explorers[1:3])
    path = tmp_path / "snapshot.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>page</title>{html}", "utf-8")
    context, _ = watched(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    frames = page.locator("iframe")
    expect(frames).to_have_count(2)
    for frame in frames.all():
        frame.scroll_into_view_if_needed()
        # What is in the frame is what is in a file, where every row is looked at.
        through(frame.element_handle().content_frame(), rows=False)
    expect(page).to_have_title("page")
    # Nothing but scripts, and the pictures that a reader saves.
    for frame in frames.all():
        assert frame.get_attribute("sandbox") == "allow-scripts allow-downloads"
        assert frame.element_handle().content_frame().evaluate("() => self.origin") == "null"
    page.screenshot(path=ROOT / "test-results" / "security-snapshot.png")


@pytest.mark.parametrize("number", range(4))
def test_a_file(watched, explorers, tmp_path, number):
    saved = explorers[number].save_html(tmp_path / "report.html")
    context, _ = watched(offline=True)
    page = context.new_page()
    page.goto(saved.path.as_uri())
    through(page)
    expect(page).to_have_title(visible(explorers[number].source.name))
    assert page.evaluate("() => [...document.body.children].map(element => element.tagName).join(' ')") == (
        "P NOSCRIPT DIV SCRIPT SCRIPT SCRIPT SCRIPT"
    )
    assert page.evaluate("() => document.head.querySelectorAll('title, style, script').length") == 3

    # Its own policy: scripts by their hashes alone, no addresses at all.
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content") or ""
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert all(re.fullmatch(r"'sha256-[\w+/=]{44}'", source) for source in rules["script-src"].split())
    assert "unsafe-eval" not in policy
    assert not re.search(r"http|//|\*|'self'", policy.replace(rules["script-src"], ""))


def test_a_file_where_no_scripts_run(watched, explorers, tmp_path):
    saved = explorers[0].save_html(tmp_path / "report.html")
    context, _ = watched(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(saved.path.as_uri())
    expect(page.locator("noscript table")).to_be_visible()
    assert page.locator("script").count() == 4


NOTEBOOK = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    "from tests.security import models, test_outputs\n"
    "from weightwidget import WeightExplorer\n"
    "explorer = WeightExplorer(models.state_dict(), name=test_outputs.HOSTILE[:-20]).wait()\n"
    "explorer.query = test_outputs.TEXTS[80]\n"
    "explorer",
    "explorer.snapshot()",
    "print(explorer); explorer.query_error",
    "explorer.selected = '<img src=x onerror=alert(5)>'",
)

CDN = ("cdn.jsdelivr.net", "cdnjs.cloudflare.com", "unpkg.com", "fonts.googleapis.com")
"""Where nbconvert's page looks for mathematics and widgets. With no network those requests fail, and only those."""


def test_an_exported_notebook(watched, executed, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in NOTEBOOK])
    notebook.cells[-1].metadata.tags = ["raises-exception"]
    nbformat.write(notebook, tmp_path / "hostile.ipynb")
    done = executed(tmp_path / "hostile.ipynb").notebook
    assert done.metadata.widgets  # the state of the live widget is in the page, too
    body, _ = nbconvert.HTMLExporter().from_notebook_node(done)
    path = tmp_path / "hostile.html"
    path.write_text(body, "utf-8")
    context, watch = watched(offline=True)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(path.as_uri())
    frame = page.locator("iframe[srcdoc]")
    frame.scroll_into_view_if_needed()
    through(frame.element_handle().content_frame(), rows=False)
    areas = page.locator(".jp-RenderedHTMLCommon", has=page.locator("table"))
    expect(areas.first).to_be_attached()
    watch.check()
    network = [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))]
    assert [url for url in network if not any(host in url for host in CDN)] == []
