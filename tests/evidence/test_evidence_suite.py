"""Evidence as a whole: verdicts, multiplicity, and what must not change it."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from competency_gaps.evidence import Thresholds, measure_evidence

FIELDS = ("low", "high", "association", "association_low", "association_high", "p_value", "q_value", "n_eff")


def drawn(seed, items=240, width=30):
    rng = np.random.default_rng(seed)
    benchmark = np.repeat([0, 1, 2], items // 3)
    cas = rng.lognormal(0, 0.7, (items, width)) * (rng.random((items, width)) < 0.4)
    cas[:, 0] = 0
    chance = np.array([0.85, 0.5, 0.3])[benchmark] * np.where(cas[:, 1] > 1, 0.3, 1)
    scores = (rng.random(items) < chance).astype(float)
    scores[rng.random(items) < 0.1] = np.nan
    return sp.csr_array(cas), scores, benchmark


def same(a, b, rel=1e-7):
    for field in FIELDS:
        assert getattr(a, field) == pytest.approx(getattr(b, field), rel=rel, abs=1e-9, nan_ok=True), field
    assert a.status.tolist() == b.status.tolist()


def test_planted_weaknesses_are_found_silent_concepts_untested():
    cas, scores, benchmark = drawn(0, items=600)
    found = measure_evidence(cas, scores, benchmark)
    assert found.status[1] == "failure" and found.association[1] < found.association_high[1] < 0
    assert found.status[0] == "untested" and np.isnan(found.p_value[0]) and found.n_eff[0] == 0
    assert (found.status == "typical").sum() >= 26


def test_false_discovery_rates_against_statsmodels():
    cas, scores, benchmark = drawn(1)
    found = measure_evidence(cas, scores, benchmark)
    tested = ~np.isnan(found.p_value)
    # Each side is a list of its own: one-sided p-values over all that is tested, weighted by n_eff.
    weight = found.n_eff[tested] / found.n_eff[tested].mean()
    for weak in (True, False):
        own = (found.association[tested] < 0) == weak
        one_sided = np.where(own, found.p_value[tested] / 2, 1 - found.p_value[tested] / 2)
        by_hand = multipletests(np.minimum(1, one_sided / weight), method="fdr_bh")[1]
        assert found.q_value[tested][own] == pytest.approx(by_hand[own], rel=0.05, abs=2e-3)
    assert np.isnan(found.q_value[~tested]).all()


def test_who_is_tested():
    cas, scores, benchmark = drawn(2)
    eligible = np.arange(30) % 2 == 0
    found = measure_evidence(cas, scores, benchmark, eligible=eligible, thresholds=Thresholds(min_n_eff=60))
    enough = found.n_eff >= 60
    assert ((~np.isnan(found.p_value)) == (enough & eligible)).all()
    assert set(found.status[~eligible]) == {"untested"}
    assert set(found.status[eligible & ~enough & (found.n_eff > 0)]) == {"insufficient"}
    assert not np.isnan(found.association[found.n_eff > 0]).any(), (
        "associations and intervals are there for all, tested or not"
    )
    counts = found.counts()
    assert (
        counts["tested"]
        == counts["failure"] + counts["success"] + counts["negligible"] + counts["typical"]
        == (enough & eligible).sum()
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_the_scale_of_activations_changes_nothing(seed, factor):
    cas, scores, benchmark = drawn(seed, items=150)
    same(
        measure_evidence(cas, scores, benchmark), measure_evidence(sp.csr_array(cas * factor), scores, benchmark), 1e-6
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_the_order_of_items_changes_nothing_but_what_is_drawn(seed):
    cas, scores, benchmark = drawn(seed, items=150)
    order = np.random.default_rng(seed).permutation(150)
    one, other = (measure_evidence(cas[o], scores[o], benchmark[o]) for o in (np.arange(150), order))
    assert one.p_value == pytest.approx(other.p_value, rel=0.2, abs=0.01, nan_ok=True)
    for field in ("low", "high", "association", "association_low", "association_high", "plain_association", "n_eff"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-7, abs=1e-9, nan_ok=True), field


def test_no_public_name_hides_the_package():
    assert inspect.ismodule(importlib.import_module("competency_gaps").evidence)
