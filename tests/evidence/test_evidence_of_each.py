"""The evidence of several outcomes at once is that of each by itself, whichever items they are scored on."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import Covariate, Evidence, evidence, evidence_of_each, sample_of, suite
from competency_gaps.evidence.monte_carlo import drawn_tails, shared_tails

CONFIG = EvidenceConfig(min_n_eff=3)
ITEMS, CONCEPTS = 900, 30


def samples(rng, cluster, repeats):
    """Seven outcomes: of 0 and 1, graded ones, and differences; the third and the sixth are scored on fewer items."""
    active = rng.random((ITEMS, CONCEPTS)) < np.geomspace(0.008, 0.5, CONCEPTS)
    cas = sp.csr_array(np.where(active, rng.lognormal(0, 1.2, active.shape), 0.0))
    length = Covariate("length", rng.lognormal(4, 0.6, ITEMS))
    benchmark = rng.integers(0, 3, ITEMS)
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


@pytest.mark.parametrize("at_once", [8, 3])
@pytest.mark.parametrize("crossing", [False, True])
def test_several_outcomes_at_once_are_those_of_each_alone(monkeypatch, at_once, crossing):
    monkeypatch.setattr(suite, "AT_ONCE", at_once)
    rng = np.random.default_rng(int(crossing))
    cluster = rng.permutation(ITEMS) % 500 if crossing else None
    repeats = cluster % 2 == 0 if crossing else None
    outcomes = list(samples(rng, cluster, repeats))
    together = list(evidence_of_each(outcomes, CONFIG))
    assert len(together) == len(outcomes)
    assert sum(own.drawn.any() for own in together) > 1 and any((own.status == "weak").any() for own in together)
    for sample, own in zip(outcomes, together, strict=True):
        alone = evidence(sample, CONFIG)
        for field in fields(Evidence):
            np.testing.assert_array_equal(getattr(own, field.name), getattr(alone, field.name), field.name)


def test_draws_do_not_depend_on_the_concepts_of_other_outcomes():
    rng = np.random.default_rng(3)
    few, many = (sp.csr_array(rng.random((concepts, 60))) for concepts in (3, 200))
    first, second = rng.random(60), rng.random(60)
    block = np.repeat([0, 1, 2], 20)
    together = shared_tails([few, many], [first, second], block, 1)[0]
    for shared, alone in zip(together, drawn_tails(few, first, block, 1), strict=True):
        np.testing.assert_array_equal(shared, alone)
