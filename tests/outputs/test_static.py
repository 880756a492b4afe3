"""The page: only what sanitisers leave alone, and names as text only."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import bleach
import pytest
import torch

from weightwidget import WeightExplorer
from weightwidget.outputs.plain import plain_text
from weightwidget.outputs.static import ROWS, static_html
from weightwidget.outputs.view import StaticView

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"

ALLOWED = {
    "div": set(), "p": set(), "strong": set(), "img": {"src", "alt", "width"},
    "table": set(), "thead": set(), "tbody": set(), "tr": set(), "th": {"align"}, "td": {"align", "colspan"},
    "code": set(),
}  # fmt: skip


class Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.images: list[dict[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ALLOWED[tag]
        if tag == "img":
            self.images.append({name: value or "" for name, value in attrs})
        else:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("td", "th") or self.open[-2:] == ["td", "code"]:
            self.rows[-1][-1] += data
        else:
            self.words.append(data)


def view_of(obj: object, **options: object) -> StaticView:
    return WeightExplorer(obj, **options).wait()._static_view()


def test_the_table_has_the_numbers():
    weights = torch.tensor([[0.0, 1.0, -3.0], [float("nan"), 2.0, float("inf")]])
    reader = Reader(static_html(view_of({"a.w": weights, "a.b": torch.zeros(5)})))
    assert reader.rows[0] == [
        "tensor",
        "shape",
        "dtype",
        "weights",
        "mean",
        "std",
        "min",
        "max",
        "zeros",
        "NaN",
        "±Inf",
    ]
    assert reader.rows[1][0] == "whole model"
    assert reader.rows[2] == ["a.w", "2 × 3", "float32", "6", "0", "1.871", "-3", "2", "16.67\u2009%", "1", "1"]
    assert reader.rows[3][:5] == ["a.b", "5", "float32", "5", "0"]


def test_hostile_names_are_text():
    state = {EVIL: torch.randn(2, 3), "\x1b\u202e": torch.randn(3), "long" * 5000: torch.randn(2)}
    page = static_html(view_of(state, name=EVIL, selected=EVIL))
    reader = Reader(page)
    assert len(reader.images) == 1
    assert reader.rows[2][0] == EVIL
    assert reader.rows[3][0] == r"\x1b\u202e"
    assert len(reader.rows[4][0]) <= 100
    assert "<script" not in page


def test_large_models_list_the_largest_and_what_needs_attention():
    state = {f"layer.{k}.w": torch.randn(3, 2 + k) for k in range(100)}
    state["layer.0.w"][0, 0] = float("nan")
    view = view_of(state, selected="layer.5.w")
    reader = Reader(static_html(view))
    names = [row[0] for row in reader.rows[2:]]
    assert len(names) == ROWS
    assert names[:2] == ["layer.0.w", "layer.5.w"]
    assert names[2:] == [f"layer.{k}.w" for k in range(62, 100)]
    text = " ".join(reader.words)
    assert "60 more tensors" in text
    assert "1 tensor holds NaN or infinities: layer.0.w" in text


def test_what_cannot_be_read_says_why():
    reader = Reader(static_html(view_of({"w": torch.randn(2, 3), "c": torch.empty(2, 3, device="meta")})))
    assert "the tensor is on the meta device" in reader.rows[3][-1]


def test_a_sanitiser_leaves_picture_and_numbers():
    page = static_html(view_of({EVIL: torch.randn(4, 7), "b.w": torch.randn(3, 2)}))
    clean = bleach.clean(
        page,
        tags=ALLOWED.keys(),
        attributes={"img": ["src", "alt"], "td": ["align", "colspan"], "th": ["align"]},
        protocols=["data"],
        strip=True,
    )
    before, after = Reader(page), Reader(clean)
    assert after.rows == before.rows
    data = after.images[0]["src"].partition("data:image/png;base64,")[2]
    assert base64.b64decode(data).startswith(b"\x89PNG")
    # As strict as it gets: what is left is still to be read.
    bare = bleach.clean(page, tags=["table", "tr", "td", "th", "p"], attributes={}, strip=True)
    assert "float32" in bare
    assert "run this cell again" in bare


@pytest.mark.parametrize("count", [1, 3, 60, 3000])
def test_plain_text_is_short_and_aligned(count: int):
    state = {f"block.{k // 4}.{k}.{EVIL}\n\x1b": torch.randn(3, 4) for k in range(count)}
    state["nan"] = torch.full((2,), float("nan"))
    lines = plain_text(view_of(state)).splitlines()
    assert 4 <= len(lines) <= 15
    assert "\x1b" not in "".join(lines)
    assert f"{count + 1:,} tensors" in lines[0]
    assert "scan complete" in lines[0]
    assert any("NaN or infinities: nan" in line for line in lines)
    assert max(map(len, lines[1:-1])) <= 120
