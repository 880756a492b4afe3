"""Requests and their answers, without a front end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from weightwidget.detail import pyramid
from weightwidget.sources import open_weights
from weightwidget.summary.summarize import summarize
from weightwidget.wire.handlers import HANDLERS, Handlers, answer

AXES = {"rows": [0], "cols": [1]}


class Weights:
    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.source = open_weights(dict(tensors))
        self.summary = summarize(self.source)

    def ref(self, path: str):
        return self.source.tensors.get(path)

    def record(self, path: str):
        return self.summary.tensors.get(path) or self.summary.modules.get(path)


@pytest.fixture(scope="module")
def matrix() -> torch.Tensor:
    values = torch.randn(300, 520, generator=torch.Generator().manual_seed(3))
    values[7, 11] = float("nan")
    values[8, 12] = float("inf")
    values[299, 519] = -40.0
    return values


@pytest.fixture(scope="module")
def weights(matrix) -> Weights:
    return Weights({"block.w": matrix, "block.b": torch.arange(6.0)})


def test_a_tile_at_full_detail_holds_the_stored_values(weights, matrix):
    request = {"kind": "tile", "tensor": "block.w", "axes": AXES, "index": [0, 0], "tile": [0, 0, 1, 2]}
    reply, buffers = answer(weights, request | {"aggregate": "absmax"})
    values = np.frombuffer(buffers[0], "<f4").reshape(reply["height"], reply["width"])
    assert values.shape == (44, 8)
    np.testing.assert_array_equal(values, matrix[256:, 512:].numpy())
    assert len(buffers) == 1


def test_a_tile_with_a_range_holds_shares_too(weights, matrix):
    request = {"kind": "tile", "tensor": "block.w", "axes": AXES, "index": [0, 0], "tile": [2, 3, 0, 0]}
    reply, buffers = answer(weights, request | {"aggregate": "absmax", "range": [-50, -30]})
    shares = np.frombuffer(buffers[1], np.uint8).reshape(reply["height"], reply["width"])
    assert shares.shape == (75, 65)
    assert np.argwhere(shares).tolist() == [[74, 64]]


def test_profile(weights, matrix):
    reply, (rows, cols) = answer(weights, {"kind": "profile", "tensor": "block.w", "axes": AXES, "index": [0, 0]})
    clean = torch.where(matrix.isfinite(), matrix, 0).double()
    assert reply["row_step"] == reply["col_step"] == 1
    np.testing.assert_allclose(np.frombuffer(rows, "<f4"), clean.norm(dim=1).numpy(), rtol=1e-6)
    np.testing.assert_allclose(np.frombuffer(cols, "<f4"), clean.norm(dim=0).numpy(), rtol=1e-6)


def test_cell_names_the_largest_element(weights):
    request = {"kind": "cell", "tensor": "block.w", "axes": AXES, "index": [0, 0], "window": [200, 300, 400, 520]}
    reply, _ = answer(weights, request)
    assert reply == {"kind": "cell", "value": "-40.0", "row": 299, "col": 519, "position": [299, 519]}


def test_histogram_of_a_tensor_is_exact(weights, matrix):
    request = {"kind": "histogram", "path": "block.w", "bins": 37, "scale": "value", "range": [-2, 3]}
    reply, buffers = answer(weights, request)
    finite = matrix[matrix.isfinite()].double().numpy()
    expected, _ = np.histogram(finite, 37, (-2, 3))
    np.testing.assert_array_equal(np.frombuffer(buffers[0], "<f8"), expected)
    assert reply["exact"] is True
    assert reply["below"] == (finite < -2).sum()
    assert reply["above"] == (finite > 3).sum()
    assert (reply["nan"], reply["posinf"], reply["neginf"]) == (1, 1, 0)


@pytest.mark.parametrize("scale", ["value", "magnitude"])
@pytest.mark.parametrize("path", ["block.w", "block", ""])
def test_histogram_without_a_range_accounts_for_every_weight(weights, path, scale):
    reply, buffers = answer(weights, {"kind": "histogram", "path": path, "bins": 50, "scale": scale})
    counted = np.frombuffer(buffers[0], "<f8").sum() + reply["below"] + reply["above"]
    counted += reply["nan"] + reply["posinf"] + reply["neginf"]
    if scale == "magnitude":
        counted += reply["zeros"]
    assert counted == pytest.approx(weights.record(path).count, abs=1)


def test_count(weights, matrix):
    reply, _ = answer(weights, {"kind": "count", "path": "block.w", "range": [0.5, 1.5]})
    assert reply["count"] == int(((matrix >= 0.5) & (matrix <= 1.5)).sum())
    assert reply["total"] == matrix.numel()
    assert reply["exact"] is True


def test_count_of_a_module_is_close(weights, matrix):
    reply, _ = answer(weights, {"kind": "count", "path": "block", "range": [0.5, 1.5]})
    expected = int(((matrix >= 0.5) & (matrix <= 1.5)).sum()) + 1
    assert reply["count"] == pytest.approx(expected, rel=0.01)
    assert reply["exact"] is False


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"kind": "paint"}, ValueError, "unknown request 'paint'"),
        ({}, ValueError, "unknown request None"),
        ({"kind": "tile", "tensor": "block.x"}, KeyError, "no tensor 'block.x'"),
        ({"kind": "tile"}, ValueError, "lacks the field 'tensor'"),
        ({"kind": "histogram", "path": "block.w", "bins": 0, "scale": "value"}, ValueError, "1 to 4096 bins"),
        ({"kind": "count", "path": "block.w", "range": None}, ValueError, "needs a range"),
        (
            {
                "kind": "tile",
                "tensor": "block.w",
                "axes": AXES,
                "index": [0, 0],
                "tile": [0, 0, 9, 9],
                "aggregate": "absmax",
            },
            ValueError,
            "outside",
        ),
    ],
)
def test_bad_requests_say_what_is_wrong(weights, request_: dict[str, Any], error, message):
    with pytest.raises(error, match=message):
        answer(weights, request_)


class Replies:
    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        self.arrived = threading.Semaphore(0)

    def __call__(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.sent.append((content, buffers))
        self.arrived.release()

    def next(self) -> tuple[dict[str, Any], list[bytes]]:
        assert self.arrived.acquire(timeout=20)
        return self.sent.pop(0)


@pytest.fixture
def handling(weights):
    replies = Replies()
    handlers = Handlers(weights, replies)
    yield handlers, replies
    handlers.close()


def test_replies_carry_the_id(handling):
    handlers, replies = handling
    handlers.receive({"id": "a-1", "kind": "count", "path": "block.b", "range": [1, 3]})
    content, _ = replies.next()
    assert content == {"id": "a-1", "kind": "count", "count": 3, "total": 6, "exact": True}


def test_errors_become_replies(handling):
    handlers, replies = handling
    handlers.receive({"id": "a-2", "kind": "count", "path": "gone", "range": [1, 3]})
    content, _ = replies.next()
    assert content["id"] == "a-2"
    assert content["error"]["type"] == "KeyError"
    assert content["error"]["message"].startswith("'gone'")


def test_a_withdrawn_request_gets_no_answer(handling, monkeypatch):
    handlers, replies = handling
    held, started = threading.Event(), threading.Event()

    def slow(weights, request, job):
        started.set()
        assert held.wait(20)
        job.check()
        return {}, []

    monkeypatch.setitem(HANDLERS, "slow", slow)
    handlers.receive({"id": "a-3", "kind": "slow"})
    assert started.wait(20)
    handlers.receive({"cancel": "a-3"})
    held.set()
    handlers.receive({"id": "a-4", "kind": "count", "path": "block.b", "range": [0, 0]})
    content, _ = replies.next()
    assert content["id"] == "a-4"
    assert not replies.sent


def test_what_is_no_request_is_ignored(handling):
    handlers, replies = handling
    for message in (None, 3, "x", [], {"id": 7}, {"cancel": "unknown"}, {"cancel": 3}):
        handlers.receive(message)
    handlers.receive({"id": "a-5", "kind": "count", "path": "block.b", "range": [0, 0]})
    assert replies.next()[0]["id"] == "a-5"
    assert not replies.sent


def test_a_module_histogram_beyond_float64(weights):
    request = {"kind": "histogram", "path": "block", "bins": 5, "scale": "magnitude", "range": [400, 500]}
    reply, _ = answer(weights, request)
    assert reply["above"] == 0
    assert reply["below"] == 300 * 520 + 6 - 2 - reply["zeros"]


def test_requests_after_closing_are_let_go(weights):
    handlers = Handlers(weights, lambda *_: pytest.fail("an answer without a view"))
    handlers.close()
    handlers.receive({"id": "1", "kind": "count", "path": "block.w", "range": [0, 1]})
    assert not handlers._running


REGION = {"axes": {"rows": [1], "cols": [0]}, "index": [0, 0], "region": {"rows": [10, 200], "cols": [3, 290]}}


def test_a_region_is_counted_alone(weights, matrix):
    part = matrix[3:290, 10:200].numpy().astype(np.float64)
    request = {"kind": "histogram", "path": "block.w", "bins": 31, "scale": "value", "range": [-1, 1.5], **REGION}
    reply, buffers = answer(weights, request)
    expected, _ = np.histogram(part, 31, (-1, 1.5))
    np.testing.assert_array_equal(np.frombuffer(buffers[0]), expected)
    assert (reply["below"], reply["above"]) == ((part < -1).sum(), ((part > 1.5) & (part < np.inf)).sum())
    assert (reply["nan"], reply["posinf"], reply["neginf"]) == (1, 1, 0)
    counted, _ = answer(weights, {"kind": "count", "path": "block.w", "range": [0.5, 1], **REGION})
    assert counted["count"] == ((part >= 0.5) & (part <= 1)).sum()
    assert (counted["total"], counted["exact"]) == (190 * 287, True)


@pytest.mark.parametrize(
    ("region", "error", "message"),
    [
        ({"rows": [0, 1000], "cols": [0, 2]}, ValueError, "inside"),
        ({"rows": [4, 4], "cols": [0, 2]}, ValueError, "inside"),
        ({"rows": [0, 1]}, ValueError, "rows and cols"),
        ([0, 1, 0, 2], ValueError, "rows and cols"),
    ],
)
def test_regions_that_do_not_exist_are_refused(weights, region, error, message):
    with pytest.raises(error, match=message):
        answer(weights, {"kind": "count", "path": "block.w", "range": [0, 1], **REGION, "region": region})


def test_a_module_has_no_regions(weights):
    with pytest.raises(KeyError, match="no tensor 'block'"):
        answer(weights, {"kind": "count", "path": "block", "range": [0, 1], **REGION})


def test_what_is_kept_for_tiles_goes_when_the_weights_do(handling, weights, monkeypatch):
    handlers, replies = handling
    monkeypatch.setattr(pyramid, "LARGE", 1000)
    tile = {"kind": "tile", "tensor": "block.w", "axes": {"rows": [0], "cols": [1]}, "index": [0, 0]}
    handlers.receive({"id": "a-6", **tile, "tile": [5, 5, 0, 0], "aggregate": "absmax"})
    assert replies.next()[0]["id"] == "a-6"
    assert handlers._pyramid.nbytes > 0
    handlers.forget()
    assert handlers._pyramid.nbytes == 0
