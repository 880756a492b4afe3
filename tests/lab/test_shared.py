"""The executed quickstart as others get it: reopened in JupyterLab, exported to HTML, as a file of its own."""

from __future__ import annotations

import copy
from pathlib import Path

import nbconvert
import nbformat
import pytest
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, Page, expect

from tests import servers
from tests.browser.standalone import RESULTS, Standalone, View

pytestmark = pytest.mark.lab

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"

CDN = ("cdn.jsdelivr.net", "cdnjs.cloudflare.com", "unpkg.com", "fonts.googleapis.com")
"""Where the page that nbconvert writes looks for its own scripts, in vain when there is no network."""


@pytest.fixture
def quickstart(executed):
    return executed(QUICKSTART)


def use(view: View) -> None:
    """Click the tree, filter, brush, and check what comes of it."""
    view.select("conv2.weight")
    expect(view.root.locator(".ww-facts")).to_contain_text("32 × 16 × 3 × 3")
    view.root.get_by_label("filter layers").fill("kind:Linear role:weight")
    expect(view.root.locator(".ww-hits")).to_have_text("2 / 13")
    view.root.get_by_label("filter layers").fill("")
    expect(view.root.locator(".ww-hits")).to_have_text("13 / 13")
    view.select("fc1.weight")
    view.brush(0.55, 0.8)
    told = view.panel("histogram").locator(".ww-hist-count-text")
    expect(told).to_contain_text("%")
    expect(told).not_to_contain_text("≈", timeout=20_000)


def open_in_lab(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)


@pytest.fixture
def lab_page(lab, browser: Browser):
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1500, "height": 1300})
    page.on("pageerror", lambda error: errors.append(str(error)))
    # Of JupyterLab, and of bqplot where JupyterLab keeps its figure out of sight at first.
    theirs = ("Could not restore the debugger state", "<rect> attribute")
    ignored = (*servers.IGNORED_CONSOLE, *theirs)
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and not any(text in message.text for text in ignored)
            else None
        ),
    )
    yield page
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    page.close()
    assert not errors, errors


def test_reopened_with_a_fresh_kernel(quickstart, lab, lab_page):
    """The saved state of the widget: trusted, and a kernel that knows nothing of it."""
    address, root = lab
    notebook = copy.deepcopy(quickstart.notebook)
    nbformat.write(notebook, root / "fresh.ipynb")
    NotebookNotary(data_dir=str(root.parent / "data")).sign(notebook)
    open_in_lab(lab_page, address, "fresh.ipynb")
    view = View(lab_page.locator(".jp-Notebook"))
    expect(view.row("conv2.weight")).to_be_visible(timeout=60_000)
    use(view)
    lab_page.screenshot(path=RESULTS / "shared-fresh-kernel.png")

    # The snapshot in the same notebook needs no kernel at all.
    lab_page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    frame = lab_page.locator(".jp-Notebook iframe[srcdoc]")
    frame.scroll_into_view_if_needed()
    use(View(frame.content_frame))


def test_reopened_untrusted(quickstart, lab, lab_page):
    """From somebody else: the static copy, with its picture and its numbers, and nothing that runs."""
    address, root = lab
    notebook = copy.deepcopy(quickstart.notebook)
    # The signature is one of the content: this is not what the other test signed.
    notebook.cells[0].source += "\n\nFrom a colleague."
    nbformat.write(notebook, root / "untrusted-quickstart.ipynb")
    open_in_lab(lab_page, address, "untrusted-quickstart.ipynb")
    areas = lab_page.locator(".jp-OutputArea-output", has=lab_page.locator("img[src^='data:image/png']"))
    areas.first.wait_for(state="attached", timeout=60_000)
    for area in (areas.first, areas.last):
        area.scroll_into_view_if_needed()
        expect(area.locator("strong").first).to_have_text("DigitsCNN")
        image = area.locator("img").first
        lab_page.wait_for_function("image => image.complete && image.naturalWidth === 1200", arg=image.element_handle())
        row = area.locator("tbody tr", has_text="fc1.weight")
        expect(row).to_contain_text("64 × 512")
        expect(row).to_contain_text("32\u2009768")
    assert lab_page.locator("iframe, .weightwidget").count() == 0
    lab_page.screenshot(path=RESULTS / "shared-untrusted.png")


def test_exported_to_html_without_a_network(quickstart, browser, tmp_path):
    body, _ = nbconvert.HTMLExporter().from_notebook_node(copy.deepcopy(quickstart.notebook))
    path = tmp_path / "quickstart.html"
    path.write_text(body, "utf-8")
    page = Standalone(browser, path, viewport={"width": 1400, "height": 1000})
    view = View(page.page.frame_locator("iframe[srcdoc]"))
    # A frame that is out of sight does not draw.
    page.page.locator("iframe[srcdoc]").scroll_into_view_if_needed()
    expect(view.row("conv2.weight")).to_be_visible()
    use(view)
    page.page.screenshot(path=RESULTS / "shared-nbconvert.png")
    # nbconvert's page asks for its own scripts (mathematics, widgets); nothing of ours does.
    page.requested = [url for url in page.requested if not any(host in url for host in CDN)]
    theirs = ("net::ERR_INTERNET_DISCONNECTED", "require is not defined", "requirejs is not defined")
    page.complaints = [text for text in page.complaints if not any(words in text for words in theirs)]
    page.close()


def test_saved_as_a_file(quickstart, browser):
    page = Standalone(browser, quickstart.folder / "digits.html")
    view = View(page.page)
    expect(page.page).to_have_title("DigitsCNN")
    use(view)
    page.page.screenshot(path=RESULTS / "shared-file.png")
    page.close()
