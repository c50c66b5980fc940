"""Values of answers: rounded, bounded, and harmless."""

from __future__ import annotations

import json

from competency_gaps.explorer.queries.values import bounded, foreign, number, plain


def test_an_answer_is_cut_to_its_limit():
    answer = {"total": 3, "rows": [{"text": "x" * 50}] * 100, "few": [1, 2, 3]}
    cut = bounded(answer, 1000)
    assert len(json.dumps(cut)) <= 1000
    assert cut["rows"] == answer["rows"][: len(cut["rows"])]
    assert cut["few"] == [1, 2, 3]
    assert f"rows: only the first {len(cut['rows'])}" in cut["cut"]
    assert bounded(answer, 10_000) == answer
    assert "expected at most" in bounded({"text": "x" * 2000}, 1000)["error"]


def test_numbers_and_texts():
    assert number(0.1234567) == 0.123457
    assert number(float("nan")) is None
    assert number(float("inf")) == "infinite"
    assert number(-float("inf")) == "-infinite"
    assert plain([True, 123456789, None, 0.1234567]) == [True, 123456789, None, 0.123457]
    assert foreign("a\u202eb\x00") == "a<U+202E>b<U+0000>"
    assert foreign("x" * 30, 10) == "x" * 10 + "… (+20 characters)"
    assert len(foreign("\x00" * 10, 10)) == 11
