"""Planted truth: what goes with length or with the luck of a cluster is named unless it is held equal."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from competency_gaps.evidence import Covariate, Thresholds, evidence, sample_of

WORLDS = 60
HELD = 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / WORLDS)
"""Rate that a test of level 0.05 stays below, its sampling error included."""


def weak(cas, scores, benchmark, **given):
    sample = sample_of(sp.csr_array(cas), scores, benchmark, **given)
    return np.flatnonzero(evidence(sample, Thresholds(), draw=False).status == "failure")


def false_share(listed, false):
    return false[listed].mean() if len(listed) else 0.0


def slope_world(seed, fall):
    """Half of 60 concepts lean to long items; scores fall with length from 0.9 to 0.1; two concepts may be weak."""
    rng = np.random.default_rng(seed)
    benchmark = np.repeat([0, 1, 2], 400)
    length = np.round(np.exp(rng.normal(4, 0.6, 1200)))
    place = np.concatenate([np.argsort(np.argsort(one)) / 399 for one in np.split(length, 3)])
    lean = np.where(np.arange(60) < 30, rng.uniform(-3, 3, 60), 0)
    active = rng.random((1200, 60)) < 0.25 * np.exp(np.outer(place - 0.5, lean) - 0.3)
    cas = rng.lognormal(0, 0.5, (1200, 60)) * active
    base = fall(place)
    return rng, cas, benchmark, length, base, active


@pytest.mark.parametrize(
    "fall",
    [lambda place: 0.9 - 0.8 * place, lambda place: 0.5 + 0.4 * np.sin(2 * np.pi * place)],
    ids=["linear", "wave"],
)
def test_net_of_length_nothing_is_named_where_nothing_is_planted(fall):
    named = np.zeros(2)
    for seed in range(WORLDS):
        rng, cas, benchmark, length, base, _ = slope_world(seed, fall)
        scores = (rng.random(1200) < base).astype(float)
        net = weak(cas, scores, benchmark, covariates=[Covariate("length", length)])
        named += [len(net) > 0, len(weak(cas, scores, benchmark)) > 0]
    assert named[0] / WORLDS <= HELD
    assert named[1] / WORLDS > 0.5  # the world is one in which control is needed


def test_false_discoveries_beside_a_planted_weakness():
    rates, recall = np.zeros((2, WORLDS)), np.zeros(2)
    for seed in range(WORLDS):
        rng, cas, benchmark, length, base, active = slope_world(seed, lambda place: 0.9 - 0.8 * place)
        chance = base * np.where(active[:, [31, 32]].any(axis=1), 0.5, 1.0)
        scores = (rng.random(1200) < chance).astype(float)
        part = chance - base
        # Twenty items next to one another in length are a stratum: the truth needs no code of the evidence.
        order = np.lexsort((length, benchmark)).reshape(-1, 20)
        part[order] -= part[order].mean(axis=1, keepdims=True)
        false = cas.T @ part >= 0
        for i, given in enumerate(({"covariates": [Covariate("length", length)]}, {})):
            listed = weak(cas, scores, benchmark, **given)
            rates[i, seed] = false_share(listed, false)
            recall[i] += np.isin([31, 32], listed).mean() / WORLDS
    assert rates[0].mean() <= 0.05 + 2.5 * rates[0].std() / np.sqrt(WORLDS)
    assert rates[1].mean() > 0.2
    assert recall[0] > 0.8


def test_clusters_with_common_luck():
    """Clusters of 2 to 30 items that share concepts and luck: each counts once, or accidents pass for gaps."""
    named, recall = np.zeros(2), 0.0
    for seed in range(2 * WORLDS):
        rng = np.random.default_rng(seed)
        planted = seed >= WORLDS
        size = np.round(np.exp(rng.uniform(np.log(2), np.log(30), 140))).astype(int)
        cluster = np.repeat(np.arange(140), size)
        benchmark = cluster % 2
        active = rng.random((140, 40)) < 0.5
        cas = rng.lognormal(0, 0.3, (len(cluster), 40)) * (active[cluster] & (rng.random((len(cluster), 40)) < 0.9))
        level = np.array([0.4, 0.7])[np.arange(140) % 2] * np.where(planted & active[:, 0], 0.2, 1.0)
        luck = rng.beta(level, 1 - level)  # two scores of a cluster are correlated by a half
        scores = (rng.random(len(cluster)) < luck[cluster]).astype(float)
        listed = weak(cas, scores, benchmark, cluster=cluster)
        if planted:
            recall += (0 in listed) / WORLDS
        else:
            named += [len(listed) > 0, len(weak(cas, scores, benchmark)) > 0]
    assert named[0] / WORLDS <= HELD and named[1] / WORLDS > 0.5
    assert recall > 0.5
