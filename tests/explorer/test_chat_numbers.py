"""Numbers of an answer are found in it, and looked up in the results of queries."""

from __future__ import annotations

import pytest

from competency_gaps.explorer.queries.trace import trace, written_numbers


def values(text):
    return [(float(one.value), one.percent) for one in written_numbers(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4,094 of 131\u202f072 and 1,234,567.5", [4094, 131072, 1234567.5]),
        ("−0.38, -0.25, +0.1 and (−3)", [-0.38, -0.25, 0.1, -3]),
        ("a gap of –0.2; 3-5 items; 2026-11-25", [-0.2, 3, 5, 2026, 11, 25]),
        ("8.7e-07, 1.2 × 10⁻⁵ and 3·10^4", [8.7e-7, 1.2e-5, 3e4]),
        ("0,31 und 1,5 Prozent", [0.31, 1.5]),
        ("65k, 1.2 million, 3M", [65_000, 1_200_000, 3_000_000]),
        ("gsm8k-v2, top10", [8_000, 2, 10]),
        ("1. first\n2) second 7\n  3. third", [7]),
        ("1,2,3 and .5", [1, 2, 3, 0.5]),
        ("<U+202E>5 and <U+0007>", [5]),
        ("no numbers", []),
    ],
)
def test_numbers_are_found(text, found):
    assert [value for value, _ in values(text)] == found


def test_percentages_are_found():
    assert values("24%, 2.5 %, 7 percent, 3 percentage points, 5") == [
        (24, True),
        (2.5, True),
        (7, True),
        (3, True),
        (5, False),
    ]


RESULT = {
    "gap": -0.384396,
    "q": 8.71302e-07,
    "n_eff": 50.7134,
    "share": 0.2412,
    "lift": 3.4,
    "alive": 4094,
    "text": "56% is the mean score on 1,750 items of gsm8k",
    "nested": [{"concept": 282}, None, True],
}


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("−0.38", True),
        ("-0.384", True),
        ("-0.385", False),
        ("0.38", False),
        ("−0.4", True),
        ("8.7e-07", True),
        ("8.7 × 10⁻⁷", True),
        ("8.6e-07", False),
        ("51", True),
        ("50", False),
        ("24%", True),
        ("24.1 percent", True),
        ("24.2%", False),
        ("25%", False),
        ("0.24", True),
        ("24", False),
        ("3", False),
        ("3.4", True),
        ("4,094", True),
        ("4.1k", True),
        ("4,100", False),
        ("56%", True),
        ("0.56", True),
        ("56", False),
        ("1,750", True),
        ("gsm8k", True),
        ("gsm7k", False),
        ("282", True),
        ("1", False),
        ("0", False),
        ("0%", False),
        ("0.00", True),
        ("−0.00", True),
    ],
)
def test_a_number_is_looked_up_as_it_is_written(text, known):
    assert [one.query for one in trace(text, [(5, RESULT)])] == [5 if known else None]


def test_the_first_query_that_has_a_number_is_named_and_exact_ones_go_first():
    results = [(1, {"error": "no concept 77, not 0.5"}), (2, {"a": 0.4567}), (3, {"a": 0.46, "b": 12}), (4, {"b": 12})]
    assert [one.query for one in trace("0.46, 12, 77, 0.5", results)] == [3, 3, None, 2]


def test_places_count_characters_as_other_ranges_do():
    (one,) = trace("🦊𝒳 has 282 items", [(1, RESULT)])
    assert (one.start, one.end) == (7, 10)


def test_tracing_stays_quick():
    text = " ".join(f"{i}.{i % 10}," * 30 + "9" * 400 for i in range(40)) + "," * 20_000 + "1 000" * 2_000
    results = [(i, {"rows": [{"a": i + j / 7} for j in range(300)]}) for i in range(8)]
    assert len(trace(text[:20_000], results)) > 500
