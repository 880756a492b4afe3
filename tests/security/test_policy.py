"""Content security policies: the widget works under a strict one, and the page's own holds where all else fails."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from playwright.sync_api import Route, expect

from tests.browser.conftest import ROOT
from tests.browser.fake_kernel import ExplorerKernel
from tests.browser.page import WidgetPage
from tests.browser.standalone import View
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser

STRICT = (
    "default-src 'none'; script-src 'self' blob:; style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'"
)

EVALUATE = """() => new Promise(done => {
    window.tell = done;
    const code = "try { eval('1'); tell('evaluated'); } catch (error) { tell(error.name); }";
    const script = document.createElement('script');
    script.src = URL.createObjectURL(new Blob([code]));
    document.head.append(script);
})"""
"""What a script of the page gets when it evaluates a text. What the test evaluates itself, no policy holds up."""


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    tensors = {"conv.weight": torch.randn(8, 3, 5, 5), "head.weight": torch.randn(300, 700), "head.bias": torch.ones(5)}
    explorer = WeightExplorer(tensors).wait()
    yield explorer
    explorer.close()


def test_the_widget_works_without_unsafe_eval(watched, origin, explorer):
    style = (ROOT / "weightwidget" / "static" / "widget.css").read_text("utf-8")

    def serve(route: Route) -> None:
        route.fulfill(
            body=f'<!doctype html><meta charset=utf-8><link rel="icon" href="data:,"><style>{style}</style>'
            '<body><script src="/dev/dist/host.js"></script></body>',
            headers={"Content-Type": "text/html", "Content-Security-Policy": STRICT},
        )

    context, watch = watched(expected=True)
    context.route(f"{origin}/strict.html", serve)
    page = WidgetPage(context.new_page(), origin)
    page.page.goto(f"{origin}/strict.html")
    kernel = ExplorerKernel(page.page, explorer)
    kernel.show()
    view = View(page.page)
    view.select("head.weight")
    expect(view.root.locator(".ww-facts")).to_contain_text("300 × 700")
    view.brush(0.55, 0.8)
    expect(view.panel("histogram").locator(".ww-hist-count-text")).not_to_contain_text("≈")
    page.wait_trait("value_range", "value !== null")
    canvas = view.root.locator("canvas.ww-hm-canvas").first
    canvas.hover(force=True)
    for _ in range(4):
        page.page.mouse.wheel(0, -240)
    page.wait_sent("tile")
    for tab in view.root.get_by_role("tab").all():
        if tab.is_visible():
            tab.click()
            page.frames()
    view.select("conv.weight")
    view.root.get_by_role("tab", name="Filters").click()
    expect(view.panel("filters").locator("canvas").first).to_be_visible()
    page.check()
    watch.check()
    assert not kernel.failures

    # The policy was in force; this is refused, and may be told.
    assert page.page.evaluate(EVALUATE) == "EvalError"


def test_without_escaping_the_page_s_policy_still_holds(watched, explorer, tmp_path, monkeypatch):
    """The second line of defence; also a proof that the tests of saved pages see what the first one lets through."""
    from weightwidget.outputs import page as pages

    monkeypatch.setattr(pages, "html", SimpleNamespace(escape=lambda text, **_: text))
    monkeypatch.setattr(pages, "json_in_html", lambda value: json.dumps(value))
    explorer.query = "</script><script>alert(1)</script><iframe srcdoc='<script>alert(2)</script>'></iframe>"
    explorer.source.name = "</title><img src=x onerror=alert(3)><img src=http://xss.invalid/4><style>*{}</style>"
    saved = explorer.save_html(tmp_path / "report.html")
    context, watch = watched(expected=True, offline=True)
    failed: list[str] = []
    context.on("requestfailed", lambda request: failed.append(f"{request.url} {request.failure}"))
    page = context.new_page()
    page.goto(saved.path.as_uri())
    expect(page.locator("img")).to_have_count(2)
    assert page.locator("iframe").count() == 1
    page.wait_for_load_state("networkidle")
    # A request that the policy forbids is announced, and then not made.
    assert watch.look() == ["request http://xss.invalid/4"]
    assert "http://xss.invalid/4 csp" in failed
    assert len(watch.refused) >= 4
