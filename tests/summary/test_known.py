"""Which records are taken over."""

from __future__ import annotations

import torch
from torch import nn

from weightwidget import open_weights, summarize
from weightwidget.sources.versions import stamps
from weightwidget.summary.known import still_known


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.second = nn.Linear(4, 3)
        self.second.weight = self.first.weight


def test_all_or_none_of_tied_tensors():
    model = Tied()
    source = open_weights(model)
    marks, records = stamps(source.tensors.values()), summarize(source).tensors
    known = still_known(source, records, marks, marks)
    assert set(known) == set(source.tensors)
    assert all(known[name] is records[name] for name in known)
    other = {**marks, "second.weight": "another"}
    assert set(still_known(source, records, marks, other)) == {"first.bias", "second.bias"}
    written = still_known(source, records, marks, marks, lambda ref: ref.name == "second.weight")
    assert set(written) == {"first.bias", "second.bias"}


def test_a_tie_that_is_new_takes_its_record_from_the_first():
    model = Tied()
    source = open_weights(model)
    marks, records = stamps(source.tensors.values()), dict(summarize(source).tensors)
    del records["second.weight"]
    known = still_known(source, records, marks, marks)
    assert known["first.weight"] is records["first.weight"]
    assert (known["second.weight"].name, known["second.weight"].shared_with) == ("second.weight", "first.weight")


def test_what_is_not_marked_or_described_otherwise_is_read():
    source = open_weights({"a": torch.ones(2, 3), "b": torch.ones(3, 2), "c": torch.eye(3).to_sparse()})
    marks, records = stamps(source.tensors.values()), summarize(source).tensors
    assert records["c"].error
    assert set(still_known(source, records, marks, {**marks, "a": None, "c": "same"})) == {"b"}
    assert set(still_known(source, records, {}, marks)) == set()
    reshaped = open_weights({"a": torch.ones(3, 2), "b": torch.ones(3, 2)})
    assert set(still_known(reshaped, records, marks, marks)) == {"b"}
