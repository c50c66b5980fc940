"""The method's formulas, against closed forms and plain loops."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from competency_gaps.evidence.chi import (
    Sums,
    chi_bench,
    chi_model,
    combine,
    coverage_status,
    lift,
    overlap,
    saliency,
    share,
    typical_cas,
)

NAN = float("nan")
# Concept 0 in all items, 1 in one, 2 in none, 3 only in the unscored item.
CAS = np.array([[1.0, 0, 0, 0], [3.0, 2.0, 0, 0], [2.0, 0, 0, 6.0]])
SCORES = np.array([1.0, 0.5, NAN])


CAS_OF_TWO = sp.csr_array(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 3.0]]))


def suite_metrics(cas, scores, names, reference):
    sums = {name: Sums.of(cas[names == name], scores[names == name]) for name in dict.fromkeys(names.tolist())}
    return combine(sums, reference)


def random_suite(seed: int, items: int = 30, width: int = 12):
    rng = np.random.default_rng(seed)
    dense = rng.gamma(1.0, 2.0, (items, width)) * (rng.random((items, width)) < 0.3)
    dense[:, 0] = 0
    scores = np.where(rng.random(items) < 0.2, NAN, rng.random(items))
    return sp.csr_array(dense), dense, scores


def test_sums_and_chi_by_hand():
    sums = Sums.of(sp.csr_array(CAS), SCORES)
    assert sums.items == 3
    assert sums.cas.tolist() == [6, 2, 0, 6]
    assert sums.support.tolist() == [3, 1, 0, 1]
    assert sums.weight.tolist() == [4, 2, 0, 0]
    assert sums.weight_score.tolist() == [2.5, 1.0, 0, 0]
    assert chi_model(sums)[:2].tolist() == [0.625, 0.5]
    assert np.isnan(chi_model(sums)[2:]).all(), "no scored activation is undefined, not 0"
    alive = np.array([True, True, False, True])
    assert chi_bench(sums, alive) == pytest.approx(CAS.mean(axis=0) / (14 / 9))
    assert share(sums) == pytest.approx(np.array([6, 2, 0, 6]) / 14)
    assert typical_cas(sums.cas, sums.support)[[0, 1, 3]].tolist() == [2, 2, 6]
    assert math.isnan(typical_cas(sums.cas, sums.support)[2])


def test_nothing_active_and_no_items():
    alive = np.ones(3, bool)
    silent = Sums.of(sp.csr_array((4, 3)), np.ones(4))
    for sums in (silent, Sums.zeros(3)):
        assert chi_bench(sums, alive).tolist() == [0, 0, 0]
        assert np.isnan(chi_model(sums)).all() and share(sums).tolist() == [0, 0, 0]
        expected = "missing" if sums.items else None  # no kept item says nothing about coverage
        assert coverage_status(sums, alive, None).tolist() == [expected] * 3


def test_a_benchmark_without_kept_items_takes_no_part():
    read = Sums.of(CAS_OF_TWO, np.array([1.0, 0.0]))
    both = combine({"read": read, "excluded": Sums.zeros(3)}, np.array([0.5, 0.25, 0.25]))
    alone = combine({"read": read}, np.array([0.5, 0.25, 0.25]))
    assert both.suite.chi_bench.tolist() == alone.suite.chi_bench.tolist()
    np.testing.assert_array_equal(both.suite.lift, alone.suite.lift)
    assert both.missing.tolist() == [False, True, False]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(0, 29), max_size=5), st.permutations(range(6)))
def test_sums_merge_in_any_order(seed, cuts, order):
    cas, _, scores = random_suite(seed)
    edges = [0, *sorted(cuts), 30]
    parts = [Sums.of(cas[a:b], scores[a:b]) for a, b in itertools.pairwise(edges)]
    parts += [Sums.zeros(cas.shape[1])] * (6 - len(parts))
    total = Sums.zeros(cas.shape[1])
    for i in order:
        total = total + parts[i]
    whole = Sums.of(cas, scores)
    dense, s = cas.toarray(), np.nan_to_num(scores)
    known = ~np.isnan(scores)
    assert whole.weight_score == pytest.approx((dense * s[:, None])[known].sum(axis=0))
    assert whole.weight == pytest.approx(dense[known].sum(axis=0))
    assert whole.cas == pytest.approx(dense.sum(axis=0)) and whole.support.tolist() == (dense > 0).sum(axis=0).tolist()
    for field in (field.name for field in dataclasses.fields(Sums)):
        assert getattr(total, field) == pytest.approx(getattr(whole, field), rel=1e-12, abs=1e-12)


def test_status_by_lift():
    reference = np.array([0.25, 0.25, 0.25, 0.125, 0.125, 0.0, 0.0])
    own = np.array([0.0625, 0.25, 0.0, 0.5, 0.124, 0.0635, 0.0])
    values = lift(own, reference)
    assert values[[0, 1, 3]].tolist() == [-2, 0, 2]
    assert np.isnan(values[[2, 6]]).all() and values[5] == math.inf
    sums = Sums.of(sp.csr_array(own[None]), np.ones(1))
    alive = np.array([True] * 6 + [False])
    status = coverage_status(sums, alive, values)
    assert status.tolist() == ["under", "typical", "missing", "over", "typical", "over", None]
    status = coverage_status(sums, alive, values, under_lift=-2.1, over_lift=2.1)
    assert status.tolist() == ["typical", "typical", "missing", "typical", "typical", "over", None]


def test_without_a_reference_covered_concepts_get_no_verdict():
    rng = np.random.default_rng(3)
    cas = sp.csr_array(rng.random((30, 12)) * (np.arange(12) > 0))
    made = suite_metrics(cas, np.ones(30), np.repeat(["a", "b"], 15), None)
    with_reference = suite_metrics(cas, np.ones(30), np.repeat(["a", "b"], 15), np.ones(12) / 12)
    for status in (own.status for own in (made.suite, *made.single.values())):
        assert set(status.tolist()) == {None}
    assert with_reference.suite.status[0] == "missing" and "typical" in with_reference.suite.status.tolist()


def test_saliency():
    assert saliency(np.array([2.0]), np.array([2.0]))[0] == pytest.approx(0.4621, abs=5e-5)
    x = np.array([0.0, 0.5, 1.0, 3.0, 1e6])
    expected = [2 / (1 + math.exp(-v)) - 1 for v in x[:-1]] + [1.0]
    assert saliency(x, np.ones(5)) == pytest.approx(expected)
    assert saliency(x, np.ones(5))[0] == 0
    assert saliency(3 * x, np.full(5, 3.0)) == pytest.approx(saliency(x, np.ones(5)))


def test_overlap():
    a, b = np.array([1.0, 2.0, 0.0, 0.0, 3.0]), np.array([0.0, 2.0, 1.0, 0.0, 3.0])
    model_a, model_b = np.array([0.1, 0.2, NAN, NAN, 0.9]), np.array([NAN, 0.9, 0.5, NAN, 0.1])
    found = overlap(a, b, model_a, model_b)
    assert found.jaccard == 0.5 and found.n_concepts == 2 and math.isnan(found.spearman)
    assert found.cosine == pytest.approx(13 / 14)
    assert overlap(a, a, model_a, model_a)[:3] == pytest.approx((1, 1, 1))
    ranks = np.array([0.1, 0.2, 0.3, 0.9])
    assert overlap(ranks, ranks, ranks, ranks[::-1]).spearman == pytest.approx(-1)
    assert math.isnan(overlap(ranks, ranks, ranks, np.full(4, 0.5)).spearman)
    nothing = overlap(np.zeros(3), np.zeros(3), np.full(3, NAN), np.full(3, NAN))
    assert math.isnan(nothing.jaccard) and math.isnan(nothing.cosine) and nothing.n_concepts == 0
    apart = overlap(np.array([1.0, 0]), np.array([0, 1.0]), np.full(2, NAN), np.full(2, NAN))
    assert apart.jaccard == 0 and apart.cosine == 0


def test_suite_against_plain_loops():
    cas, dense, scores = random_suite(9, items=40)
    names = np.array(["b", "a"] * 15 + ["c"] * 10)
    reference = np.zeros(12)
    reference[[0, 1, 2]] = [0.5, 0.3, 0.2]
    found = suite_metrics(cas, scores, names, reference)
    assert list(found.single) == ["b", "a", "c"], "in order of first appearance"
    alive = (dense > 0).any(axis=0) | (reference > 0)
    assert found.alive.tolist() == alive.tolist()
    assert found.missing.tolist() == (dense == 0).all(axis=0).tolist()
    by_c: dict[int, list[float]] = {}
    for name, own in found.single.items():
        rows = [i for i in range(40) if names[i] == name]
        level = np.mean([dense[i, c] for i in rows for c in range(12) if alive[c]])
        for c in range(12):
            assert own.chi_bench[c] == pytest.approx(np.mean([dense[i, c] for i in rows]) / level)
            assert own.support[c] == sum(dense[i, c] > 0 for i in rows)
            weight = sum(dense[i, c] for i in rows if not math.isnan(scores[i]))
            if weight:
                value = sum(dense[i, c] * scores[i] for i in rows if not math.isnan(scores[i])) / weight
                by_c.setdefault(c, []).append(value)
                assert own.chi_model[c] == pytest.approx(value)
            else:
                assert math.isnan(own.chi_model[c])
    for c in range(12):
        assert found.n_benchmarks[c] == len(by_c.get(c, []))
        assert found.suite.chi_model[c] == pytest.approx(np.mean(by_c[c]) if c in by_c else NAN, nan_ok=True)
    assert found.suite.support.tolist() == (dense > 0).sum(axis=0).tolist()
