"""The majority vote's bounds hold against exact counts, whatever the order and the blocks."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from competency_gaps.evidence.tokens import MajorityToken

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 20)), max_size=60)


def exact(events) -> dict[int, Counter]:
    counts: dict[int, Counter] = {}
    for concept, token, weight in events:
        counts.setdefault(concept, Counter())[token] += weight
    return counts


@settings(max_examples=300, deadline=None)
@given(EVENTS, st.lists(st.integers(0, 60), max_size=4))
def test_bounds(events, cuts):
    majority = MajorityToken(5)
    edges = [0, *sorted(cuts), len(events)]
    for a, b in itertools.pairwise(edges):
        part = np.asarray(events[a:b], dtype=np.int64).reshape(-1, 3)
        majority.add(part[:, 0], part[:, 1], part[:, 2].astype(float))
    counts = exact(events)
    found = majority.share()
    assert np.isnan(found[4]) and majority.token[4] == -1
    for concept, tokens in counts.items():
        mass = sum(tokens.values())
        assert majority.mass[concept] == mass
        token = majority.token[concept]
        assert found[concept] * mass <= tokens[token] + 1e-9, "never more than the truth"
        top, heaviest = tokens.most_common(1)[0]
        assert found[concept] >= 2 * heaviest / mass - 1 - 1e-9, "and not less than 2 f - 1"
        if heaviest * 2 > mass:
            assert token == top, "an absolute majority is found"
        if len(tokens) == 1:
            assert found[concept] == 1
