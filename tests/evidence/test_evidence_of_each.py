"""The evidence of several outcomes at once is that of each by itself, whichever items they are scored on."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import (
    Covariate,
    Evidence,
    Outcomes,
    block_sums,
    evidence,
    evidence_by_benchmark,
    evidence_of_each,
    measure,
    sample_of,
    suite,
    units_of,
)

CONFIG = EvidenceConfig(min_n_eff=3)
ITEMS, CONCEPTS = 450, 20


def samples(rng, clusters, benchmarks=3):
    """Seven outcomes: of 0 and 1, graded ones, and differences; the third and the sixth are scored on fewer items.

    ``clusters``: "none"; "within" benchmarks; "across" them.
    """
    active = rng.random((ITEMS, CONCEPTS)) < np.geomspace(0.015, 0.5, CONCEPTS)
    cas = sp.csr_array(np.where(active, rng.lognormal(0, 1.2, active.shape), 0.0))
    length = Covariate("length", rng.lognormal(4, 0.6, ITEMS))
    benchmark = rng.integers(0, benchmarks, ITEMS)
    cluster = None if clusters == "none" else rng.permutation(ITEMS) % 250 * (1 if clusters == "across" else 3)
    if clusters == "within":
        cluster += benchmark
    repeats = None if cluster is None else cluster % 2 == 0
    sample = sample_of(cas, np.full(ITEMS, np.nan), benchmark, cluster=cluster, covariates=[length], repeats=repeats)
    missing = rng.random(ITEMS) < 0.1
    for number in range(7):
        scores = (rng.random(ITEMS) < np.where(active[:, 3 + number], 0.25, 0.8)).astype(float)
        if number == 3:
            scores = rng.random(ITEMS)
        scores[missing] = np.nan
        if number in (2, 5):
            scores[rng.random(ITEMS) < 0.2] = np.nan
        yield replace(sample, scores=scores, limits=(-1.0, 1.0) if number == 4 else (0.0, 1.0))


@pytest.mark.parametrize(
    ("clusters", "limit"),
    [("none", {}), ("within", {"HELD": 2 * (32 * ITEMS + 256 * CONCEPTS)}), ("across", {"AT_ONCE": 3})],
)
def test_several_outcomes_at_once_are_those_of_each_alone(monkeypatch, clusters, limit):
    for name, value in limit.items():
        monkeypatch.setattr(suite, name, value)
    outcomes = list(samples(np.random.default_rng(int(clusters == "across")), clusters))
    together = list(evidence_of_each(outcomes, CONFIG))
    assert len(together) == len(outcomes)
    assert sum(own.drawn.any() for own in together) > 1 and any((own.status == "weak").any() for own in together)
    for sample, own in zip(outcomes, together, strict=True):
        alone = evidence(sample, CONFIG)
        for field in fields(Evidence):
            np.testing.assert_array_equal(getattr(own, field.name), getattr(alone, field.name), field.name)


def test_an_outcome_without_scores_leaves_others_alone():
    first, second, *_ = samples(np.random.default_rng(7), "within")
    nothing = replace(second, scores=np.full(ITEMS, np.nan))
    own, silent = evidence_of_each([first, nothing], CONFIG)
    np.testing.assert_array_equal(own.p_value, evidence(first, CONFIG).p_value)
    assert np.isnan(silent.p_value).all() and np.isnan(silent.chi_model).all() and not silent.n_eff.any()
    assert evidence_by_benchmark(nothing, CONFIG)[0].counts()["tested"] == 0


@pytest.mark.parametrize("clusters", ["none", "within", "across"])
def test_a_benchmark_in_a_suite_is_what_it_is_alone(clusters):
    (sample, *_) = samples(np.random.default_rng(8), clusters)
    _, single = evidence_by_benchmark(sample, CONFIG)
    cas = sample.rows(np.arange(CONCEPTS))
    for number, own in single.items():
        of_it = np.flatnonzero(sample.benchmark == number)
        length = Covariate("length", sample.covariates[0].values[of_it])
        alone = evidence(
            sample_of(
                sp.csr_array(cas[:, of_it].T),
                sample.scores[of_it],
                np.zeros(len(of_it), int),
                cluster=None if sample.cluster is None else sample.cluster[of_it],
                covariates=[length],
                repeats=None if sample.repeats is None else sample.repeats[of_it],
            ),
            CONFIG,
            pooled=True,
        )
        for name in ("n_eff", "design_effect", "chi_model", "low", "high", "gap", "gap_low", "plain_gap", "plain_q"):
            np.testing.assert_allclose(getattr(own, name), getattr(alone, name), rtol=1e-9, atol=1e-12, err_msg=name)


def test_sums_of_several_outcomes_against_a_loop():
    rng = np.random.default_rng(9)
    weights = np.where(rng.random((4, 40)) < 0.4, rng.random((4, 40)), 0.0)
    block = np.sort(rng.integers(0, 4, 40))
    outcomes = [(rng.random(40) < 0.5) * 1.0, rng.random(40), np.where(np.arange(40) == 3, 1e-9, 1.0), np.zeros(40)]
    sums = block_sums(sp.csr_array(weights), Outcomes.of(outcomes, block, 4))
    for pair, (concept, own) in enumerate(zip(sums.concept, sums.block, strict=True)):
        w = weights[concept, block == own]
        for place, outcome in enumerate(outcomes):
            o = outcome[block == own]
            for name, expected in {
                "weight": w.sum(),
                "weight4": (w**4).sum(),
                "weight_outcome": (w * o).sum(),
                "weight_outcome2": (w * o**2).sum(),
                "weight2_outcome": (w**2 * o).sum(),
                "weight2_outcome2": (w**2 * o**2).sum(),
            }.items():
                values = getattr(sums, name)
                assert values[(..., pair) if values.ndim == 1 else (place, pair)] == pytest.approx(expected), name
    assert len(sums.concept) == (np.stack([weights[:, block == b].sum(axis=1) for b in range(4)]) > 0).sum()
    merged = sums.merged(np.array([0, 0, 1, 1]), 2)
    assert merged.outcome[:, 1] == pytest.approx(
        np.stack([[(outcomes[1][block // 2 == half] ** k).sum() for half in (0, 1)] for k in (1, 2, 3, 4)])
    )
    assert merged.total(merged.weight) == pytest.approx(weights.sum(axis=1))


@pytest.mark.parametrize("outcomes", [1, 3])
def test_sums_over_items_against_a_loop(outcomes):
    rng = np.random.default_rng(10)
    cas = np.where(rng.random((80, 5)) < 0.5, rng.random((80, 5)), 0.0)
    benchmark, cluster = np.repeat([0, 1], 40), np.arange(80) // 3 * 2 + np.repeat([0, 1], 40)
    repeats = cluster % 4 == 0
    scores = [rng.random(80) for _ in range(outcomes)]
    every = [sample_of(sp.csr_array(cas), own, benchmark, cluster=cluster, repeats=repeats) for own in scores]
    layout = measure.layout_of(every)
    rows = every[0].rows(np.arange(5))
    joint = layout.within.joint(rows)
    within = measure._weights(layout.within, rows, joint).sums(layout.of_within)
    sums = measure.item_sums(layout.scored, rows, within.merged(layout.within.block_benchmark, 2), joint)
    for place, own in enumerate(scores):
        for b in (0, 1):
            here = benchmark == b
            w, v = cas[here], (cas * own[:, None])[here]
            big = np.stack(
                [
                    [w[cluster[here] == k].sum(axis=0), v[cluster[here] == k].sum(axis=0)]
                    for k in np.unique(cluster[here])
                ]
            )
            assert sums.weight[:, b] == pytest.approx(w.sum(axis=0))
            assert sums.squares[:, b] == pytest.approx((w**2).sum(axis=0))
            assert sums.weight_score[place, :, b] == pytest.approx(v.sum(axis=0))
            assert sums.cluster2[:, b] == pytest.approx((big[:, 0] ** 2).sum(axis=0))
            assert sums.cluster_score[place, :, b] == pytest.approx((big[:, 0] * big[:, 1]).sum(axis=0))
            assert sums.cluster_score2[place, :, b] == pytest.approx((big[:, 1] ** 2).sum(axis=0))
    assert len(units_of(every[0]).outcome) < 80
