"""Leaders: one of two copies, both of two causes, and the concepts that only share the items."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import ndtri

from competency_gaps.evidence import judge, measure_evidence
from competency_gaps.metrics.suite import saliency


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
        found = measure_evidence(*drawn(seed))
        assert set(np.flatnonzero(found.status == "weak")) >= {0, 1, 2, 3}
        leaders = set(found.leader[[0, 1, 2, 3]].tolist())
        assert len(leaders) == 2 and 1 in leaders and (0 in leaders) != (2 in leaders)
        assert found.leader[0] == found.leader[2] and found.leader[1] == found.leader[3] == 1
        assert (found.leader[(found.status != "weak") & (found.status != "strong")] == -1).all()
        assert found.counts()["weak_groups"] == len(set(found.leader[found.status == "weak"].tolist()))


def led_by_regression(weights, outcome, block, p_values, sign, able):
    """Leaders as the module says it, with dense matrices and a regression at each step: (leader of each, leaders)."""
    rows = np.array([saliency(row, row.sum() / max(1, (row > 0).sum())) for row in weights])
    outcome = outcome.copy()
    for number in np.unique(block):
        own = block == number
        deviation = outcome[own].std(ddof=1)
        outcome[own] = (outcome[own] - outcome[own].mean()) / deviation
        rows[:, own] = (rows[:, own] - rows[:, own].mean(axis=1, keepdims=True)) * deviation
    cut, leaders, left, remains = -ndtri(p_values.max() / 2), [], outcome, rows
    while len(leaders) < len(able):
        usable = [i for i in able if i not in leaders and (remains[i] ** 2).sum() > 0.1 * (rows[i] ** 2).sum()]
        z = {i: sign * (rows[i] @ left) / np.linalg.norm(remains[i]) for i in usable}
        best = max(z, key=z.get) if z else None
        if best is None or (leaders and z[best] < cut):
            break
        leaders.append(best)
        axes = rows[leaders].T
        left = outcome - axes @ np.linalg.lstsq(axes, outcome, rcond=None)[0]
        remains = rows - (axes @ np.linalg.lstsq(axes, rows.T, rcond=None)[0]).T
    alike = np.corrcoef(rows)[:, leaders]
    return [i if i in leaders else leaders[int(np.argmax(alike[i]))] for i in range(len(rows))], leaders


@pytest.mark.parametrize("held", [judge.HELD, 3000])
@pytest.mark.parametrize("seed", range(3))
def test_leaders_equal_a_regressions_and_rows_are_read_in_parts(seed, held, monkeypatch):
    rng = np.random.default_rng(seed)
    units, concepts = 900, 40
    causes = rng.lognormal(0, 0.5, (8, units)) * (rng.random((8, units)) < 0.25)
    noise = rng.lognormal(0, 0.5, (concepts, units)) * (rng.random((concepts, units)) < 0.1)
    weights = causes[rng.integers(0, 8, concepts)] * (rng.random((concepts, units)) < 0.7) + noise
    block = np.sort(rng.integers(0, 5, units))
    outcome = (rng.random(units) < np.clip(0.9 - 0.2 * (causes > 0).sum(axis=0), 0.05, 0.95)).astype(float)
    p_values, support = rng.uniform(1e-6, 1e-3, concepts), (weights > 0).sum(axis=1)
    monkeypatch.setattr(judge, "HELD", held)
    order = np.argsort(p_values)
    able = order[np.cumsum(support[order]) <= held]
    asked: list[int] = []

    def rows(places):
        asked.append(int(support[places].sum()))
        return sp.csr_array(weights[places])

    found = judge.lead(rows, support, outcome[None], block, p_values, -1)
    expected, leaders = led_by_regression(weights, outcome, block, p_values, -1, able.tolist())
    assert len(leaders) > 2
    assert found.tolist() == expected
    assert max(asked) <= held + support.max()
    assert (len(asked) == 1) == (support.sum() <= held)
