"""Leaders: one of two copies, both of two causes, and the concepts that only share the items."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import suite_evidence


def drawn(seed, items=1200):
    """Concepts 0 and 1 are causes, 2 is a copy of 0, 3 is active where 1 is and elsewhere, the rest is noise."""
    rng = np.random.default_rng(seed)
    benchmark = np.repeat([0, 1], items // 2)
    cas = rng.lognormal(0, 0.5, (items, 30)) * (rng.random((items, 30)) < 0.2)
    cas[:, 2] = cas[:, 0] * rng.uniform(0.9, 1.1, items)
    cas[:, 3] = np.where((cas[:, 1] > 0) | (rng.random(items) < 0.15), rng.lognormal(0, 0.5, items), 0)
    chance = np.array([0.9, 0.6])[benchmark] * np.where((cas[:, 0] > 0) | (cas[:, 1] > 0), 0.4, 1)
    return sp.csr_array(cas), (rng.random(items) < chance).astype(float), benchmark


def test_each_cause_leads_and_what_shares_its_items_follows():
    for seed in range(5):
        found = suite_evidence(*drawn(seed))
        assert set(np.flatnonzero(found.status == "weak")) >= {0, 1, 2, 3}
        leaders = set(found.leader[[0, 1, 2, 3]].tolist())
        assert len(leaders) == 2 and 1 in leaders and (0 in leaders) != (2 in leaders)
        assert found.leader[0] == found.leader[2] and found.leader[1] == found.leader[3] == 1
        assert (found.leader[(found.status != "weak") & (found.status != "strong")] == -1).all()
        assert found.counts()["weak_groups"] == len(set(found.leader[found.status == "weak"].tolist()))


def test_the_order_and_the_scale_do_not_matter():
    cas, scores, benchmark = drawn(9)
    one = suite_evidence(cas, scores, benchmark)
    order = np.random.default_rng(0).permutation(len(scores))
    other = suite_evidence(sp.csr_array(cas[order] * 1000), scores[order], benchmark[order])
    assert one.leader.tolist() == other.leader.tolist()


def test_unscored_items_and_constant_benchmarks_are_no_obstacle():
    cas, scores, benchmark = drawn(3)
    scores = np.where(np.arange(len(scores)) % 7 == 0, np.nan, scores)
    constant = np.concatenate([scores, np.ones(50)])
    more = sp.csr_array(sp.vstack([cas, cas[:50]]))
    found = suite_evidence(more, constant, np.concatenate([benchmark, np.full(50, 2)]))
    assert found.leader[1] == 1 and found.leader[0] == found.leader[2] >= 0
