"""Exchanged verdicts: groups stay whole, and lists that have nothing to do with weakness seem to at the stated rate."""

from __future__ import annotations

import numpy as np
import pytest
from exchange_world import BLOCK_OF, BLOCKS, CONCEPTS, SIZE, p_value, rows_of, verdicts_of

from competency_gaps.matching.exchange import GroupExchange, Verdicts, neighbours


@pytest.fixture(scope="module")
def rows():
    return rows_of()


def test_neighbours_are_the_most_correlated_by_saliency(rows):
    dense = rows[:80].toarray()
    typical = dense.sum(axis=1) / (dense > 0).sum(axis=1)
    correlation = np.corrcoef(np.tanh(dense / (2 * typical[:, None])))
    near = neighbours(rows[:80], np.array([5, 70]), 20)
    for row, place in zip(near, (5, 70), strict=True):
        order = [c for c in np.argsort(-correlation[place], kind="stable") if c != place]
        assert row.tolist() == [place, *order[:19]]


def test_groups_go_to_whole_blocks_of_tested_concepts(rows):
    verdicts = verdicts_of([1, 4], rows)
    tested = (BLOCK_OF < BLOCKS) & (BLOCK_OF != 7)
    groups = GroupExchange(Verdicts(verdicts.weak, verdicts.leader, tested, verdicts.support), rows, 0)
    rng = np.random.default_rng(0)
    whole, seen = [], set()
    for _ in range(200):
        weak = groups.draw(rng)
        assert weak.sum() == 2 * SIZE and not (weak & ~tested).any()
        whole.append((np.bincount(BLOCK_OF[weak]) == SIZE).sum())
        seen |= set(BLOCK_OF[weak].tolist())
    assert np.mean(whole) > 1.95 and len(seen) > 30


def test_groups_go_to_concepts_of_similar_support(rows):
    verdicts = verdicts_of([BLOCKS + 3], rows)
    verdicts.support[: CONCEPTS // 2] = 1000
    groups = GroupExchange(verdicts, rows, 0)
    drawn = [int(np.flatnonzero(groups.draw(np.random.default_rng(seed)))[0]) for seed in range(60)]
    assert min(drawn) >= CONCEPTS // 2 and len(set(drawn)) > 20


def test_the_realised_rate_is_the_level(rows):
    """Exchanged one by one, correlated concepts have a higher rate."""
    rng = np.random.default_rng(3)
    whole, singly = (np.array([p_value(rng, rows, 1, led) for _ in range(80)]) for led in (True, False))
    assert (whole <= 0.05).mean() <= 0.11  # at a rate of 5% more than 8 of 80 have a chance of 2%
    assert (whole <= 0.4).mean() > 0.15, "the exchange sees something too"
    assert (singly <= 0.05).mean() > 0.15
