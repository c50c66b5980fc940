"""A scope's clauses give the texts back that they were made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from competency_gaps.matching.clauses import clauses, described

TEXT = st.lists(
    st.sampled_from(["sums", "long division", "dates.", "a, b and fractions", "of a", "(words)"]), min_size=1
)


@pytest.mark.parametrize(
    "texts",
    [
        ["school arithmetic"],
        ["of a day"],
        ["sums, products and dates"],
        ["sums", "products", "dates"],
        ["sums, products", "dates; the calendar"],
    ],
)
def test_texts_that_were_typed_come_back(texts):
    assert described(clauses(texts)) == texts


@pytest.mark.parametrize("texts", [["Sums. Products.", "dates - of a year", "(words)"], ["sums\nproducts"]])
def test_marks_or_line_breaks_part_clauses_alike(texts):
    assert clauses(described(clauses(texts))) == clauses(texts)


@given(st.lists(TEXT.map(" ".join), min_size=1, max_size=4))
def test_the_same_clauses_are_compared_again(texts):
    kept = clauses(["sums", *texts])
    again = clauses(described(kept))
    assert set(kept[1:]) <= set(again) <= {*kept, " ".join(kept[1:])}
