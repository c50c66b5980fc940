"""Concepts are found by words of their labels."""

from __future__ import annotations

import polars as pl
import pytest

from competency_gaps.view.columns import find_concepts

LABELS = {
    0: ("Prime numbers", 5),
    1: ("numbers that are prime", 900),
    2: ("prime  numbers in lists", 10),
    3: ("subprime numbers", 800),
    4: ("prime numbers between two bounds", 40),
    5: ("primes and their number", 70),
    6: (None, 1000),
    7: ("", 1000),
    8: ("opening bracket '[(' in code", 30),
    9: ("C++ classes (e.g. std::vector)", 20),
    10: ("prime numbersets", 600),
    11: ("Größe und Maß", 3),
}


@pytest.fixture
def concepts():
    return pl.DataFrame(
        {
            "concept": list(LABELS),
            "label": [label for label, _ in LABELS.values()],
            "support": [support for _, support in LABELS.values()],
        },
        schema_overrides={"concept": pl.Int32},
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # Side by side or anywhere, more items first.
        ("prime numbers", [1, 10, 4, 2, 0]),
        ("NUMBERS  prime", [1, 10, 4, 2, 0]),
        ("prime", [1, 10, 5, 4, 2, 0]),
        ("numbers bounds prime", [4]),
        ("[(", [8]),
        ("c++", [9]),
        (".*", []),
        ("größe", [11]),
        ("rime", []),
        ("prime zebra", []),
    ],
)
def test_all_words_occur_and_the_concept_with_most_items_comes_first(concepts, words, expected):
    assert find_concepts(concepts, words)["concept"].to_list() == expected
