"""Clusters and strata: what repeats counts once, and what length explains is no association."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from competency_gaps.evidence import (
    Covariate,
    Thresholds,
    evidence_by_benchmark,
    measure_evidence,
    sample_of,
    units_of,
)
from competency_gaps.evidence.permutation import permutation_cumulants

FIELDS = ("n_eff", "low", "high", "association", "association_low", "association_high", "plain_association")
FIELDS += ("p_value", "q_value")


def drawn(seed, items=300, width=12):
    rng = np.random.default_rng(seed)
    benchmark = np.repeat([0, 1], items // 2)
    cas = rng.lognormal(0, 0.7, (items, width)) * (rng.random((items, width)) < 0.4)
    scores = (rng.random(items) < np.array([0.8, 0.4])[benchmark]).astype(float)
    return rng, cas, scores, benchmark


def test_repeating_every_item_changes_nothing():
    rng, cas, scores, benchmark = drawn(0)
    times = np.repeat(np.arange(300), 3)
    length = rng.integers(5, 50, 300).astype(float)
    one = measure_evidence(sp.csr_array(cas), scores, benchmark, covariates=[Covariate("length", length)])
    other = measure_evidence(
        sp.csr_array(cas[times]),
        scores[times],
        benchmark[times],
        cluster=times,
        repeats=np.ones(900, bool),
        covariates=[Covariate("length", length[times])],
    )
    for field in FIELDS:
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-9, abs=1e-9, nan_ok=True), field


def test_equal_prompts_are_one_unit_whatever_their_benchmark():
    cas = drawn(1, items=8)[1]
    sample = sample_of(
        sp.csr_array(cas),
        np.array([1, 0, 1, 0, 1, np.nan, 0, 1.0]),
        np.array([0, 0, 0, 0, 1, 1, 1, 1]),
        cluster=np.array([5, 5, 7, 8, 7, 7, 9, 9]),
        repeats=np.ones(8, bool),
    )
    units = units_of(sample)
    assert units.unit.tolist() == [0, 0, 1, 2, 1, -1, 3, 3]
    # Cluster 7 has one scored item in each benchmark (means 0.5 and 2/3), so it counts in the first.
    assert units.benchmark.tolist() == [0, 0, 0, 1]
    assert units.outcome == pytest.approx([0.5, 0.5 + ((1 - 0.5) + (1 - 2 / 3)) / 2, 0, 0.5])
    assert units.share == pytest.approx([1 / 2, 1 / 2, 1 / 2, 1, 1 / 2, 1, 1 / 2, 1 / 2])
    within = units_of(sample, across=False)
    assert within.benchmark.tolist() == [0, 0, 0, 1, 1] and within.outcome == pytest.approx([0.5, 1, 0, 1, 0.5])
    suite, single = evidence_by_benchmark(sample, Thresholds(min_n_eff=2))
    assert set(single) == {0, 1} and suite.n_eff.max() <= 4 and single[1].n_eff.max() <= 2 + 1e-9


def test_strata_and_clusters_against_every_permutation():
    """Clusters are permuted whole, within benchmark and stratum: all 6 x 2 x 6 orders, by enumeration."""
    rng = np.random.default_rng(3)
    size = np.array([2, 3, 2, 4, 2, 2, 3, 2])
    cluster = np.repeat(np.arange(8), size)
    benchmark, long = np.repeat([0, 0, 0, 0, 0, 1, 1, 1], size), np.repeat([0, 0, 0, 1, 1, 0, 0, 0], size)
    scores = rng.integers(0, 5, len(cluster)) / 4
    cas = rng.lognormal(size=(len(cluster), 4))
    kind = Covariate("kind", long.astype(float), ("short", "long"))
    sample = sample_of(sp.csr_array(cas), scores, benchmark, cluster=cluster, covariates=[kind])
    units = units_of(sample)
    sums = units.sums(units.rows(sample.rows(np.arange(4))))
    blocks = [[0, 1, 2], [3, 4], [5, 6, 7]]
    outcome = np.array([scores[cluster == k].mean() for k in range(8)])
    weight = np.stack([cas[cluster == k].sum(axis=0) for k in range(8)])
    assert units.block.tolist() == [0, 0, 0, 1, 1, 2, 2, 2] and units.outcome == pytest.approx(outcome)
    every = []
    for orders in itertools.product(*(itertools.permutations(block) for block in blocks)):
        shuffled = outcome[list(itertools.chain(*orders))]
        every.append(sum(weight[b].T @ (shuffled[b] - outcome[b].mean()) for b in blocks))
    deviation = np.std(every, axis=0)
    assert len(every) == 72 and permutation_cumulants(sums)[0] == pytest.approx(deviation**2)
    found = measure_evidence(sp.csr_array(cas), scores, benchmark, cluster=cluster, covariates=[kind])
    t = sum(weight[b].T @ (outcome[b] - outcome[b].mean()) for b in blocks)
    assert found.association == pytest.approx(t / weight.sum(axis=0))
    assert found.n_eff == pytest.approx(weight.sum(axis=0) ** 2 / (weight**2).sum(axis=0))
    mean = np.array([scores[benchmark == b].mean() for b in (0, 1)])
    assert found.plain_association == pytest.approx(cas.T @ (scores - mean[benchmark]) / cas.sum(axis=0))


def test_at_equal_length_only_a_true_weakness_stays():
    rng = np.random.default_rng(4)
    length = rng.integers(5, 120, 1500).astype(float)
    cas = rng.lognormal(0, 0.5, (1500, 20)) * (rng.random((1500, 20)) < 0.25)
    cas[:, 0] = length * (rng.random(1500) < 0.5)  # goes with length, and with nothing else
    weak = cas[:, 1] > 0
    scores = (rng.random(1500) < (0.95 - 0.007 * length) * np.where(weak, 0.5, 1)).astype(float)
    arrays = sp.csr_array(cas), scores, np.repeat([0, 1, 2], 500)
    bare = measure_evidence(*arrays)
    assert bare.status[0] == "failure" and bare.status[1] == "failure"
    net = measure_evidence(*arrays, covariates=[Covariate("length", length)])
    assert net.status[0] == "typical" and abs(net.association[0]) < 0.3 * abs(net.plain_association[0])
    assert net.status[1] == "failure" and net.plain_association[1] == pytest.approx(bare.association[1])


def test_real_associations_smaller_than_the_least_are_negligible():
    rng = np.random.default_rng(5)
    cas = (rng.random((60_000, 3)) < 0.5).astype(float)
    scores = (rng.random(60_000) < 0.5 - 0.018 * cas[:, 0] - 0.1 * cas[:, 1]).astype(float)
    found = measure_evidence(sp.csr_array(cas), scores, np.zeros(60_000))
    assert found.status.tolist() == ["negligible", "failure", "typical"]
    assert -0.01 < found.association[0] < 0 and found.q_value[0] < 1e-3
    assert measure_evidence(
        sp.csr_array(cas), scores, np.zeros(60_000), thresholds=Thresholds(min_association=0)
    ).status.tolist() == ["failure", "failure", "typical"]
