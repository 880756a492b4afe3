"""Numbers read as in the front end: the cases of js/test/format.test.ts."""

from __future__ import annotations

import math

import pytest

from weightwidget.outputs import numbers
from weightwidget.outputs.names import shorten, visible


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (numbers.number(0.05541), "0.05541"),
        (numbers.number(-0.0001119), "−0.0001119"),
        (numbers.number(-3.2e-7), "−3.2e−7"),
        (numbers.number(1e-7), "1e−7"),
        (numbers.number(1e10), "1e10"),
        (numbers.number(12), "12"),
        (numbers.number(1200), "1200"),
        (numbers.number(123456), "123 456"),
        (numbers.number(9999.99), "10 000"),
        (numbers.number(999999.9), "1e6"),
        (numbers.number(0.00009999999), "0.0001000"),
        (numbers.number(-0.0), "0"),
        (numbers.number(math.nan), "NaN"),
        (numbers.number(-math.inf), "−Inf"),
        (numbers.number(2.5, 2), "2.5"),
        (numbers.number(1000, 3), "1 000"),
        (numbers.number(0.000001, 1), "1e−6"),
        (numbers.to_step(0.15, 0.01), "0.15"),
        (numbers.to_step(-0.30000000000000004, 0.1), "−0.3"),
        (numbers.to_step(1234.5, 0.5), "1 234.5"),
        (numbers.to_step(0.000021, 0.000001), "2.1e−5"),
        (numbers.to_step(3e8, 1e8), "3e8"),
        (numbers.count(22713216), "22 713 216"),
        (numbers.count(math.nan), "–"),
        (numbers.short(22713216), "22.7M"),
        (numbers.short(147456), "147k"),
        (numbers.short(999950), "1M"),
        (numbers.short(384), "384"),
        (numbers.share(0), "0 %"),
        (numbers.share(1), "100 %"),
        (numbers.share(0.0082), "0.82 %"),
        (numbers.share(1e-7), "<0.01 %"),
        (numbers.share(1 - 1e-9), ">99.99 %"),
        (numbers.size(90_868_376), "90.9 MB"),
        (numbers.size(999_900), "1.00 MB"),
        (numbers.size(12), "12 B"),
    ],
)
def test_as_in_the_front_end(found: str, expected: str):
    assert found == expected.replace(" ", "\u2009")


def test_shapes_and_plain_signs():
    assert numbers.shape((384, 1536)) == "384 × 1\u2009536"
    assert numbers.shape(()) == "scalar"
    assert numbers.plain(numbers.count(-1234567)) == "-1,234,567"
    assert numbers.plain(numbers.size(2_100_000)) == "2.10 MB"


def test_names_show_what_does_not_print():
    assert visible("\x1b[31m\u202e\ud800 ä 中") == r"\x1b[31m\u202e\ud800 ä 中"
    assert shorten("encoder.layer.weight", 7) == "…weight"
    assert shorten("encoder", 7) == "encoder"
    assert shorten("abcdefgh", 5, "both") == "ab…gh"
