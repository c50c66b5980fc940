"""The order of what benchmarks add, against every order that there is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from competency_gaps.explorer.parts.suggestions import lost_without, redundancy, twin


@given(st.integers(1, 5), st.integers(0, 9), st.integers(0, 10_000))
def test_each_adds_most_of_what_is_left(benchmarks, concepts, seed):
    rng = np.random.default_rng(seed)
    covered = rng.random((benchmarks, concepts)) < rng.random((benchmarks, 1))
    names = [f"b{number}" for number in rng.permutation(benchmarks)]
    found = redundancy(covered, names)
    sets = [set(np.flatnonzero(row).tolist()) for row in covered]
    seen: set[int] = set()
    left = set(range(benchmarks))
    for one in found:
        most = max(len(sets[other] - seen) for other in left)
        best = {other for other in left if len(sets[other] - seen) == most}
        assert one.benchmark == min(best, key=lambda place: names[place]), "the first by name of those that add most"
        assert (one.adds, one.covered) == (most, len(sets[one.benchmark]))
        seen |= sets[one.benchmark]
        left.remove(one.benchmark)
        assert one.cumulative == len(seen)
    assert not left


@given(st.integers(1, 5), st.integers(0, 9), st.integers(0, 10_000))
def test_what_is_lost_is_counted_by_leaving_out(benchmarks, concepts, seed):
    covered = np.random.default_rng(seed).random((benchmarks, concepts)) < 0.5
    for place, lost in enumerate(lost_without(covered)):
        rest = np.delete(covered, place, axis=0).any(axis=0)
        assert lost == int(covered.any(axis=0).sum() - rest.sum())


def test_the_twin_shares_most():
    jaccard = [[1.0, 0.2, 0.7, None], [0.2, 1.0, 0.7, None], [0.7, 0.7, 1.0, None], [None] * 4]
    cosine = [[1.0, 0.1, 0.4, None], [0.1, 1.0, None, None], [0.4, None, 1.0, None], [None] * 4]
    assert twin(0, jaccard, cosine) == (2, 0.7, 0.4)
    assert twin(1, jaccard, cosine) == (2, 0.7, None)
    assert twin(2, jaccard, cosine) == (0, 0.7, 0.4), "the first of two"
    assert twin(3, jaccard, cosine) is None
