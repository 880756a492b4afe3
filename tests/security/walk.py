"""Goes through an explorer inside its page, fast, and looks at all that it shows after each step."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.sync_api import Frame, Page

from tests.security.watch import FOREIGN, UNSEEN

# Written into one script, for pages with a content security policy evaluate none.
_FOR_EACH = """async values => {
    const [foreign, unseen, act] = [FOREIGN, UNSEEN, ACT];
    const root = document.querySelector('.weightwidget');
    const found = [];
    for (const [at, value] of values.entries()) {
        act(value, root);
        // Texts stand at once; what waits for a frame, as the rows of the tree, is drawn now and then.
        await (at % 5 ? Promise.resolve() : new Promise(done => requestAnimationFrame(done)));
        found.push(...foreign(root), ...unseen(root));
    }
    return found;
}"""

TYPE = """(query, root) => {
    const input = root.querySelector('input[type=search]');
    input.value = query;
    input.dispatchEvent(new Event('input', {bubbles: true}));
    input.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}));
}"""

_SELECT_ROWS = """async () => {
    const [foreign, unseen] = [FOREIGN, UNSEEN];
    const root = document.querySelector('.weightwidget');
    const tree = root.querySelector('[role=tree]');
    const frame = () => new Promise(done => requestAnimationFrame(done));
    const selected = new Set();
    const found = [];
    for (let top = 0; top <= tree.scrollHeight; top += tree.clientHeight) {
        tree.scrollTop = top;
        await frame();
        await frame();
        for (const row of root.querySelectorAll('[role=treeitem]')) {
            if (selected.has(row.dataset.path)) continue;
            row.click();
            selected.add(row.dataset.path);
            found.push(...foreign(root), ...unseen(root));
        }
        await frame();
    }
    return {selected: [...selected], found};
}"""


def _script(template: str, act: str = "null") -> str:
    return template.replace("FOREIGN", FOREIGN).replace("UNSEEN", UNSEEN).replace("ACT", act)


def for_each(where: Page | Frame, values: Sequence[str], act: str) -> None:
    """Do something, JavaScript of a value and the widget's root, with each of the values."""
    assert where.evaluate(_script(_FOR_EACH, act), list(values)) == []


def select_rows(where: Page | Frame) -> list[str]:
    """Click on every row of the tree that can be seen by scrolling; the paths that were selected."""
    found = where.evaluate(_script(_SELECT_ROWS))
    assert found["found"] == []
    selected: list[str] = found["selected"]
    return selected


def look(where: Page | Frame, root: str = ".weightwidget") -> None:
    """Nothing of what is shown was taken for markup, and nothing in it is unseen."""
    element = where.locator(root).first
    assert element.evaluate(FOREIGN) == []
    assert element.evaluate(UNSEEN) == []
