"""Saved files and snapshots: what is in them, and that nothing half-written is ever found."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re

import pytest
import torch
from safetensors.torch import load
from torch import nn

from weightwidget import WeightExplorer
from weightwidget.outputs.page import json_in_html, page
from weightwidget.outputs.saved import FILE_BUDGET, MOST_DETAIL, overview_of

HOSTILE = "</script><script>alert(1)</script>{policy}%s{0}<!--"


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 2), nn.Linear(700, 1300))
    made = WeightExplorer(model, selected="1.weight").wait()
    yield made
    made.close()


def element(text: str, name: str) -> str:
    return re.search(f'id="weightwidget-{name}">([^<]*)</script>', text)[1]


def kept_of(blob: bytes) -> dict[int, tuple[int, int]]:
    index = json.loads(bytes(load(blob)["index"].numpy()))
    return {row: tuple(levels) for row, *levels in index["kept"]}


def overview_in(text: str) -> bytes:
    return gzip.decompress(base64.b64decode(element(text, "overview")))


def test_the_page_holds_overview_traits_and_script(explorer, tmp_path):
    explorer.query = "kind:Linear"
    explorer.value_range = (0.01, 0.02)
    saved = explorer.save_html(tmp_path / "report.html")
    text = saved.path.read_text("utf-8")
    assert saved.size == saved.path.stat().st_size
    assert str(saved) == f"{saved.path}: {saved.size / 1000:.3g} kB" or "MB" in str(saved)
    traits = json.loads(element(text, "traits"))
    assert traits["selected"] == "1.weight"
    assert traits["query"] == "kind:Linear"
    assert traits["value_range"] == [0.01, 0.02]
    assert set(kept_of(overview_in(text))) == {0, 1, 2, 3}
    code = gzip.decompress(base64.b64decode(element(text, "code"))).decode()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    loader = re.search(r"<script>(.*?)</script>\n</body>", text, re.S)[1]
    for script in (code, loader):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    scripts = re.search(r"script-src ([^;]*)", policy)[1]
    assert "unsafe" not in scripts
    assert "http" not in policy
    assert "<noscript><div>" in text


def test_the_detail_says_how_fine_a_matrix_is(explorer, tmp_path):
    whole, sizes = {}, []
    for detail in (0, 1, 2, MOST_DETAIL):
        saved = explorer.save_html(tmp_path / f"{detail}.html", detail=detail)
        sizes.append(saved.size)
        whole[detail] = kept_of(overview_in(saved.path.read_text("utf-8")))
    # 1300 × 700 in a side of 128, then of 256, then all.
    assert 2 not in whole[0]
    assert whole[1][2] == (4, 3)
    assert whole[2][2] == (3, 2)
    assert whole[MOST_DETAIL][2] == (0, 0)
    assert all(levels[row] == (0, 0) for levels in whole.values() for row in (0, 1))
    assert sizes == sorted(sizes)


def test_without_a_detail_the_file_stays_within_its_budget(tmp_path):
    torch.manual_seed(0)
    state = {f"layer.{number}.weight": torch.randn(600, 500) for number in range(60)}
    with_defaults = WeightExplorer(state).wait().save_html(tmp_path / "many.html")
    assert 1_500_000 < with_defaults.size <= FILE_BUDGET
    small = WeightExplorer({"w": torch.randn(300, 400)}).wait()
    assert kept_of(overview_of(small._copied())) == {0: (0, 0)}


def test_what_no_type_of_the_front_end_holds_is_never_said_to_be_whole():
    ids = WeightExplorer({"ids": torch.arange(3000).reshape(100, 30), "w": torch.ones(3, 4)}).wait()
    assert kept_of(overview_of(ids._copied(), MOST_DETAIL)) == {1: (0, 0)}
    assert kept_of(overview_of(ids._copied(), 0)) == {1: (0, 0)}


@pytest.mark.parametrize("detail", [-1, MOST_DETAIL + 1])
def test_a_wrong_detail_is_told(explorer, tmp_path, detail):
    with pytest.raises(ValueError, match="detail is how many levels"):
        explorer.save_html(tmp_path / "report.html", detail=detail)
    with pytest.raises(ValueError, match="detail is how many levels"):
        explorer.snapshot(detail=detail)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_told(explorer, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        explorer.save_html(tmp_path / "none" / "report.html")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        explorer.save_html(tmp_path)


def test_progress_rises_to_one_and_an_interrupt_leaves_what_was_there(explorer, tmp_path):
    path = tmp_path / "report.html"
    shares: list[float] = []
    explorer.save_html(path, detail=2, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 2
    before = path.read_bytes()

    def interrupt(share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explorer.save_html(path, progress=interrupt)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_snapshot_stores_a_frame_a_picture_and_text(explorer):
    snapshot = explorer.snapshot()
    bundle = snapshot._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert "Sequential" in bundle["text/plain"]
    assert snapshot.size == len(json.dumps(bundle))
    frame = re.search(r"<iframe ([^>]*)srcdoc=", bundle["text/html"])[1]
    assert re.search(r'sandbox="([^"]*)"', frame)[1].split() == ["allow-scripts", "allow-downloads"]
    # Sanitisers leave what stands before the frame: a picture and a table.
    before = bundle["text/html"].partition("<iframe")[0]
    assert 'src="data:image/png;base64,' in before
    assert "<td" in before


def test_names_stay_data():
    text = page(b"", {"selected": HOSTILE, "query": "&lt;"}, HOSTILE)
    assert text.count("<script") == 4
    assert text.count("</script>") == 4
    assert f"<title>{html.escape(HOSTILE)}</title>" in text
    assert json.loads(element(text, "traits")) == {"selected": HOSTILE, "query": "&lt;"}
    assert not set("<>&") & set(json_in_html({"a": HOSTILE}))


def test_saving_changes_neither_weights_nor_the_explorer(explorer, tmp_path):
    model = explorer._obj
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = explorer.get_state()
    explorer.save_html(tmp_path / "report.html", detail=1)
    explorer.snapshot()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert explorer.get_state() == state
