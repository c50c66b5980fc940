"""Batches hold every sequence once, within the budget, longest first."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from competency_gaps.model.batches import pad, plan_batches


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 2000))
def test_plan(lengths, budget):
    batches = plan_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget
    # No batch could have taken the next sequence as well: fewer batches are not to be had in this order.
    for one, after in itertools.pairwise(batches):
        assert (len(one) + 1) * max(1, lengths[one[0]]) > budget
        assert len(after)


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=60),
    st.integers(16, 4000),
    st.integers(0, 900),
)
def test_plan_bounds_what_stays_in_memory(lengths, budget, cached):
    """Keys and values of four times the budget's tokens, however short the rows are."""
    batches = plan_batches(lengths, budget, cached=cached)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        rows, longest = len(batch), max(lengths[i] for i in batch)
        bounds = (
            rows * longest <= budget,
            rows * (cached + longest) <= 4 * max(budget, 4096),
        )
        assert rows == 1 or all(bounds), bounds


@given(st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=1, max_size=6))
def test_pad(sequences):
    out = pad([np.asarray(s, np.int32) for s in sequences], 77)
    longest = max(len(s) for s in sequences)
    assert out.tolist() == [s + [77] * (longest - len(s)) for s in sequences]
