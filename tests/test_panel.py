"""What the panel does in a kernel: explorers live as long as somebody looks at them."""

from __future__ import annotations

import IPython.display
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from weightwidget import WeightExplorer, WeightFileError, panel


@pytest.fixture
def kernel(monkeypatch):
    """The user's namespace and what was displayed."""
    namespace, displayed = {}, []
    monkeypatch.setattr(panel, "_namespace", lambda: namespace)
    monkeypatch.setattr(IPython.display, "display", displayed.append)
    yield namespace, displayed
    for opened in list(panel._opened):
        opened.explorer.close()
    panel._opened.clear()


def test_views_share_an_explorer_that_goes_with_the_last(kernel):
    namespace, displayed = kernel
    namespace["model"] = namespace["net"] = nn.Linear(3, 4)
    panel.show("model", "1")
    panel.show("net", "2")
    first, second = displayed
    assert first is second is panel.explorer(namespace["model"])
    assert first.source.name == "model"
    panel.leave("1")
    assert first.comm is not None
    panel.leave("2")
    assert first.comm is None
    assert panel._opened == []
    with pytest.raises(LookupError, match="click on it there"):
        panel.explorer(namespace["model"])


def test_the_same_view_shown_again_keeps_its_explorer(kernel):
    namespace, displayed = kernel
    namespace["model"] = nn.Linear(3, 4)
    panel.show("model", "1")
    panel.show("model", "1")
    assert displayed[0] is displayed[1]
    assert displayed[0].comm is not None
    namespace["model"] = nn.Linear(3, 4)
    panel.show("model", "1")
    assert displayed[2] is not displayed[0]
    assert displayed[0].comm is None


def test_what_the_user_made_or_took_is_never_closed(kernel):
    namespace, displayed = kernel
    namespace["model"] = nn.Linear(3, 4)
    mine = namespace["mine"] = WeightExplorer(nn.Linear(2, 3))
    panel.show("mine", "1")
    assert displayed == [mine]
    panel.leave("1")
    assert mine.comm is not None
    panel.show("model", "2")
    namespace["taken"] = panel.explorer(namespace["model"])
    panel.leave("2")
    assert namespace["taken"].comm is not None
    mine.close()
    namespace["taken"].close()


def test_weights_changed_since_are_read_again(kernel):
    namespace, displayed = kernel
    model = namespace["model"] = nn.Linear(3, 4)
    panel.show("model", "1")
    with torch.no_grad():
        model.weight.fill_(2.0)
    panel.show("model", "2")
    assert displayed[1] is displayed[0]
    assert displayed[0].summary["weight"].max == 2.0
    model.weight.data.fill_(3.0)
    panel.refresh("1")
    assert displayed[0].summary["weight"].max == 3.0


def test_an_explorer_closed_by_hand_is_made_anew(kernel):
    namespace, displayed = kernel
    namespace["model"] = nn.Linear(3, 4)
    panel.show("model", "1")
    displayed[0].close()
    panel.show("model", "2")
    assert displayed[1].comm is not None


def test_names_of_any_kind_and_none(kernel):
    namespace, displayed = kernel
    namespace["'); import os; ("] = {"w": torch.zeros(2, 3)}
    panel.show("'); import os; (", "1")
    assert displayed[0].source.name == "'); import os; ("
    with pytest.raises(NameError, match="run the cell that makes it again"):
        panel.show("gone", "2")
    namespace["empty"] = {}
    with pytest.raises(ValueError, match="no weights"):
        panel.show("empty", "2")


def test_files_and_paths(kernel, tmp_path, monkeypatch):
    namespace, displayed = kernel
    monkeypatch.chdir(tmp_path)
    save_file({"w": torch.zeros(2, 3)}, "~model.safetensors")
    panel.show_file("~model.safetensors", "1")
    assert displayed[0].source.name.startswith("~model")
    namespace["path"] = str(tmp_path / "~model.safetensors")
    panel.show("path", "2")
    namespace["path"] = "".join(namespace["path"])
    panel.show("path", "3")
    assert displayed[1] is displayed[2]
    with pytest.raises(WeightFileError, match="no such file"):
        panel.show_file("gone.pt", "4")
