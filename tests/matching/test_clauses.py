"""A scope's clauses, and the whole that gives them again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from competency_gaps.matching.clauses import clauses

TEXT = st.lists(
    st.sampled_from(["sums", "long division", "dates.", "a, b and fractions", "of a", "(words)"]),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize(
    "texts", [["sums. products", "dates of a year", "(words)"], ["sums; products\ndates of a year (words)"]]
)
def test_marks_and_line_breaks_separate_clauses(texts):
    assert clauses(texts)[1:] == ["sums", "products", "dates of a year", "words"]


def test_texts_are_joined_by_semicolons():
    assert clauses(["sums.", "products", "dates."])[0] == "sums; products; dates."


@given(st.lists(TEXT.map(" ".join), min_size=1, max_size=4))
def test_the_whole_gives_the_same_clauses_again(texts):
    kept = clauses(["sums", *texts])
    assert clauses(kept[0]) == kept
