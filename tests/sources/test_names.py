"""Names of models and tensors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightwidget.sources.hub import name_of_path
from weightwidget.sources.names import natural_key, telling_part, visible

VISIBLE = Path(__file__).parents[1] / "protocol" / "visible.json"


@given(st.lists(st.text("ab.19٣²", max_size=6)))
def test_natural_key_orders_any_names(names):
    assert sorted(sorted(names), key=natural_key) == sorted(sorted(names, reverse=True), key=natural_key)


def test_weight_before_bias_and_two_before_ten():
    names = ["h.10.bias", "h.2.bias", "h.2.weight", "h.10.weight", "h.2.attn.bias", "emb"]
    assert sorted(names, key=natural_key) == [
        "emb",
        "h.2.weight",
        "h.2.attn.bias",
        "h.2.bias",
        "h.10.weight",
        "h.10.bias",
    ]


def test_hostile_numbers():
    assert natural_key("9" * 10_000) > natural_key("8" * 10_000)


def test_telling_part():
    assert telling_part(["/", "home", "tiny-bert", "model.safetensors"]) == "tiny-bert"
    assert telling_part(["model"]) == "model"
    assert telling_part(["", "."]) == ""


def test_names():
    cache = Path("/cache/hub/models--org--tiny-bert/snapshots/0123abc")
    assert name_of_path(cache / "model.safetensors") == "tiny-bert"
    assert name_of_path(Path("/x/tiny-bert/model.safetensors")) == "tiny-bert"
    assert name_of_path(Path("/x/tiny-bert/pytorch_model.bin.index.json")) == "tiny-bert"
    assert name_of_path(Path("/x/resnet.v2.pt")) == "resnet.v2.pt"


@pytest.mark.parametrize(("text", "expected"), json.loads(VISIBLE.read_text("utf-8")))
def test_what_is_not_seen_becomes_an_escape(text, expected):
    """As in the front end, which reads the same cases."""
    assert visible(text) == expected
    assert visible(expected) == expected
