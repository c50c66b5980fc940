"""Sums over units, items and benchmarks against loops, and a benchmark in a suite against itself alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from competency_gaps.evidence import Covariate, Thresholds, evidence_by_benchmark, sample_of, units_of
from competency_gaps.evidence.measure import summing
from competency_gaps.evidence.sample import block_sums

CONFIG = Thresholds(min_n_eff=3)
ITEMS, CONCEPTS = 450, 20


def drawn_sample(rng, clusters):
    """Graded scores, some missing; ``clusters``: "none"; "within" benchmarks; "across" them."""
    active = rng.random((ITEMS, CONCEPTS)) < np.geomspace(0.015, 0.5, CONCEPTS)
    cas = sp.csr_array(np.where(active, rng.lognormal(0, 1.2, active.shape), 0.0))
    length = Covariate("length", rng.lognormal(4, 0.6, ITEMS))
    benchmark = rng.integers(0, 3, ITEMS)
    cluster = None if clusters == "none" else rng.permutation(ITEMS) % 250 * (1 if clusters == "across" else 3)
    if clusters == "within":
        cluster += benchmark
    repeats = None if cluster is None else cluster % 2 == 0
    scores = np.where(rng.random(ITEMS) < 0.1, np.nan, rng.integers(0, 3, ITEMS) / 2)
    return sample_of(cas, scores, benchmark, cluster=cluster, covariates=[length], repeats=repeats)


@pytest.mark.parametrize("clusters", ["none", "within", "across"])
def test_a_benchmark_in_a_suite_is_what_it_is_alone(clusters):
    sample = drawn_sample(np.random.default_rng(8), clusters)
    _, single = evidence_by_benchmark(sample, CONFIG)
    cas = sample.rows(np.arange(CONCEPTS))
    for number, own in single.items():
        of_it = np.flatnonzero(sample.benchmark == number)
        _, alone = evidence_by_benchmark(
            sample_of(
                sp.csr_array(cas[:, of_it].T),
                sample.scores[of_it],
                np.zeros(len(of_it), int),
                cluster=None if sample.cluster is None else sample.cluster[of_it],
                covariates=[Covariate("length", sample.covariates[0].values[of_it])],
                repeats=None if sample.repeats is None else sample.repeats[of_it],
            ),
            CONFIG,
        )
        ends = ("association_low", "association_high")
        for name in ("n_eff", "chi_model", "low", "high", "association", *ends, "plain_association"):
            np.testing.assert_allclose(getattr(own, name), getattr(alone[0], name), rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_suite_without_scores():
    sample = sample_of(sp.csr_array(np.ones((6, 2))), np.full(6, np.nan), np.zeros(6, int))
    suite, single = evidence_by_benchmark(sample, CONFIG)
    for own in (suite, single[0]):
        assert own.counts()["tested"] == 0 and np.isnan(own.chi_model).all() and not own.n_eff.any()


def test_sums_of_units_against_a_loop():
    rng = np.random.default_rng(9)
    weights = np.where(rng.random((4, 40)) < 0.4, rng.random((4, 40)), 0.0)
    block, outcome = np.sort(rng.integers(0, 4, 40)), rng.random(40)
    sums = block_sums(sp.csr_array(weights), outcome, block, 4)
    for pair, (concept, own) in enumerate(zip(sums.concept, sums.block, strict=True)):
        w, o = weights[concept, block == own], outcome[block == own]
        for name, expected in {
            "support": (w > 0).sum(),
            "weight": w.sum(),
            "weight3": (w**3).sum(),
            "weight4": (w**4).sum(),
            "weight_outcome": (w * o).sum(),
            "weight_outcome2": (w * o**2).sum(),
            "weight2_outcome": (w**2 * o).sum(),
            "weight2_outcome2": (w**2 * o**2).sum(),
        }.items():
            assert getattr(sums, name)[pair] == pytest.approx(expected), name
    assert len(sums.concept) == (np.stack([weights[:, block == b].sum(axis=1) for b in range(4)]) > 0).sum()
    assert sums.total(sums.weight) == pytest.approx(weights.sum(axis=1))


def test_sums_of_items_against_a_loop():
    rng = np.random.default_rng(10)
    cas = np.where(rng.random((80, 5)) < 0.5, rng.random((80, 5)), 0.0)
    benchmark, cluster = np.repeat([0, 1], 40), np.arange(80) // 3 * 2 + np.repeat([0, 1], 40)
    scores = rng.random(80)
    sample = sample_of(sp.csr_array(cas), scores, benchmark, cluster=cluster, repeats=cluster % 4 == 0)
    units = units_of(sample, across=False)
    assert len(units.outcome) < 80
    sums = summing(sample, units, np.array([0, 1]))(sample.rows(np.arange(5)))
    for b in (0, 1):
        here = benchmark == b
        w, v = cas[here], (cas * scores[:, None])[here]
        whole, right = (
            np.stack([part[cluster[here] == k].sum(axis=0) for k in np.unique(cluster[here])]) for part in (w, v)
        )
        assert sums.weight[:, b] == pytest.approx(w.sum(axis=0))
        assert sums.weight_score[:, b] == pytest.approx(v.sum(axis=0))
        assert sums.cluster2[:, b] == pytest.approx((whole**2).sum(axis=0))
        assert sums.cluster_score[:, b] == pytest.approx((whole * right).sum(axis=0))
        assert sums.cluster_score2[:, b] == pytest.approx((right**2).sum(axis=0))
