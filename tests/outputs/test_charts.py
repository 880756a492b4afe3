"""The linked trend chart, without a front end."""

from __future__ import annotations

import bqplot as bq
import numpy as np
import pytest
import torch
from torch import nn

from weightwidget import WeightExplorer


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    made = WeightExplorer(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, 3)))
    yield made
    made.close()


def test_draws_the_statistic_of_each_weight(explorer):
    chart = explorer.charts.trend("std")
    assert isinstance(chart, bq.Figure)
    assert list(chart.marks[1].names) == ["0.weight", "2.weight", "3.weight"]
    expected = [explorer.summary[name].std for name in chart.marks[1].names]
    np.testing.assert_allclose(chart.marks[1].y, expected, rtol=1e-6)
    chart.close()


def test_a_click_selects_in_the_explorer(explorer):
    chart = explorer.charts.trend("std")
    chart.marks[1].selected = np.array([2])
    assert explorer.selected == "3.weight"
    chart.close()


def test_the_explorers_selection_is_marked(explorer):
    chart = explorer.charts.trend("std", roles=None)
    explorer.selected = "2.bias"
    assert list(chart.marks[2].names) == ["2.bias"]
    assert chart.marks[2].y[0] == pytest.approx(explorer.summary["2.bias"].std, rel=1e-6)
    explorer.selected = ""
    assert len(chart.marks[2].x) == 0
    chart.close()


def test_what_the_filter_hides_is_faint(explorer):
    chart = explorer.charts.trend("std")
    explorer.query = "2.weight|3.weight"
    faint, *others = chart.marks[1].opacities
    assert faint < 0.5
    assert others == [1.0, 1.0]
    chart.close()


def test_a_closed_chart_is_unlinked(explorer):
    chart = explorer.charts.trend("std")
    before = list(chart.marks[2].names)
    chart.close()
    explorer.selected = "3.weight"
    assert list(chart.marks[2].names) == before


def test_unknown_statistic_and_role_say_what_there_is(explorer):
    with pytest.raises(ValueError, match=r"no statistic 'sdt'; there are std"):
        explorer.charts.trend("sdt")
    with pytest.raises(ValueError, match="roles=None"):
        explorer.charts.trend("std", roles=["mask"])


def test_a_refresh_shows_in_the_chart():
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    explorer = WeightExplorer(model)
    chart = explorer.charts.trend("absmax")
    with torch.no_grad():
        model[0].weight[2, 3] = 42.0
    del model[1]
    explorer.refresh().wait(20)
    assert chart.marks[1].y[0] == chart.marks[0].y[0] == 42.0
    assert np.isnan(chart.marks[1].y[1])
    chart.close()
    explorer.close()
