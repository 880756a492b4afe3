"""The tests of this folder can fail: every payload runs on a careless page, and the watch notices each."""

from __future__ import annotations

import html

import pytest
from playwright.sync_api import Route

from tests.security.payloads import PAYLOADS, TEXT, TEXTS
from tests.security.watch import FOREIGN

pytestmark = pytest.mark.browser

CARELESS = "http://careless.test"

PROVOKE = """() => {
    const all = [...document.querySelectorAll('*')];
    for (const element of all) element.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
    for (const element of all) if (element.autofocus) element.dispatchEvent(new FocusEvent('focus'));
    const click = () => new MouseEvent('click', {bubbles: true, cancelable: true});
    for (const link of document.querySelectorAll('a, button')) link.dispatchEvent(click());
}"""


def test_there_are_enough():
    running = [payload for payload in PAYLOADS if payload.host]
    assert len(running) >= 60
    assert len(set(TEXTS)) == len(TEXTS) >= 120
    assert len({payload.number for payload in PAYLOADS}) == len(PAYLOADS)


def test_each_runs_where_it_is_not_escaped_and_is_noticed(watched):
    running = {payload.number: payload for payload in PAYLOADS if payload.host}
    context, watch = watched(expected=True)

    def serve(route: Route) -> None:
        asked = route.request.url.removeprefix(f"{CARELESS}/")
        if not asked.isdigit():
            route.fulfill(status=404)
            return
        number = int(asked)
        body = running[number].page if number else "".join(f"<iframe src={CARELESS}/{n}></iframe>" for n in running)
        route.fulfill(body=body.encode("utf-8", "surrogatepass"), content_type="text/html")

    context.route(f"{CARELESS}/*", serve)
    page = context.new_page()
    page.goto(f"{CARELESS}/0")
    for frame in page.frames[1:]:
        if frame.url.startswith(CARELESS):
            frame.evaluate(PROVOKE)
    missing = set(running)
    for _ in range(100):
        missing = set(running) - watch.numbers()
        if not missing:
            break
        page.wait_for_timeout(50)
    assert not missing, "\n".join(f"{number}: {running[number].page}" for number in sorted(missing))


ACTS = {
    "alert(1)": "dialog 1",
    "document.title = 'xss 2'": "title 2",
    "window.__ran = 3": "console 3",
    "console.log('xss-ran 4')": "console 4",
    "new Image().src = 'http://xss.invalid/5'": "request http://xss.invalid/5",
    "window.open('about:blank')": "popup",
    "location = 'http://xss.invalid/7'": "request http://xss.invalid/7",
}


def test_each_way_is_noticed(watched):
    context, watch = watched(expected=True)
    page = context.new_page()
    # Innermost of two frames, in a sandbox as a snapshot's is.
    buttons = "".join(f'<button onclick="{act}">x</button>' for act in ACTS)
    frame = f'<iframe sandbox="allow-scripts allow-modals allow-popups" srcdoc="{html.escape(buttons)}"></iframe>'
    page.set_content(f'<iframe srcdoc="{html.escape(frame)}"></iframe>')
    inner = page.frame_locator("iframe").frame_locator("iframe")
    for place, noticed in enumerate(ACTS.values()):
        inner.get_by_role("button").nth(place).click()
        for _ in range(100):
            if any(line.startswith(noticed) for line in watch.look()):
                break
            page.wait_for_timeout(20)
        assert any(line.startswith(noticed) for line in watch.noticed), noticed


def test_what_a_name_made_of_the_page_is_found(watched):
    context, _ = watched(expected=True)
    page = context.new_page()
    # A document that is not shown: nothing in it acts.
    found = page.evaluate(
        """([texts, foreign]) => texts.map(text => {
            const root = document.implementation.createHTMLDocument().body;
            root.innerHTML = text;
            return eval(foreign)(root).length;
        })""",
        [[payload.text for payload in PAYLOADS if payload.host == TEXT], FOREIGN],
    )
    # The parser drops a second body: what is left of it are attributes, and those only on a whole page.
    assert found.count(0) == 1, found
