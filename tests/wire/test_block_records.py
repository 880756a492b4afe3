"""Answers about blocks that the front end gives, too: js/test/blockrecords.test.ts, from the same case."""

from __future__ import annotations

import base64
import json

import numpy as np

from tests.protocol.make_block_records import CASE, PATHS, Known, make


def test_the_stored_case_is_what_python_answers():
    stored, made = json.loads(CASE.read_text("utf-8")), make()
    assert [case["request"] for case in stored["cases"]] == [case["request"] for case in made["cases"]]
    for before, now in zip(stored["cases"], made["cases"], strict=True):
        assert set(before["reply"]) == set(now["reply"])
        assert before["reply"].get("columns") == now["reply"].get("columns")
        for one, other in zip(before["buffers"], now["buffers"], strict=True):
            old, new = base64.b64decode(one), base64.b64decode(other)
            assert len(old) == len(new), "run python -m tests.protocol.make_block_records"
    records = [case for case in zip(stored["cases"], made["cases"], strict=True) if "columns" in case[0]["reply"]]
    for before, now in records:
        columns = [np.frombuffer(base64.b64decode(case["buffers"][0])) for case in (before, now)]
        np.testing.assert_allclose(*columns, rtol=1e-6, atol=1e-9)


def test_the_case_has_exact_records():
    known = Known()
    assert all(known.record(path).sketch.exact for path in PATHS)
