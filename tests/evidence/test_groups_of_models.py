"""Groups led by several models at once: planted ones are found, and nothing is named where nothing is there."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import ItemSample, evidence
from competency_gaps.evidence.sample import RowsByConcept
from competency_gaps.findings.groups import as_sample, group_weights
from competency_gaps.runs.sample import Outcomes, with_outcomes
from competency_gaps.stages import matrix
from competency_gaps.stages.matrix import led_over_models

CONFIG = EvidenceConfig(min_n_eff=5)
ITEMS, CONCEPTS, MODELS = 900, 40, 6


def drawn(rng, planted=False, repeats=1):
    """Scores that share the items' difficulty; concepts 0 and 1 are copies, and cost model 0 what 2 costs model 1."""
    cluster = np.repeat(np.arange(ITEMS // repeats), repeats)
    active = (rng.random((ITEMS // repeats, CONCEPTS)) < 0.2)[cluster]
    cas = np.where(active, rng.lognormal(0, 0.5, (ITEMS, CONCEPTS)), 0.0)
    cas[:, 1] = cas[:, 0] * rng.uniform(0.9, 1.1, ITEMS)
    difficulty = rng.normal(0, 0.15, ITEMS // repeats)[cluster]
    chance = np.clip(0.65 + difficulty + np.zeros((MODELS, ITEMS)), 0.02, 0.98)
    if planted:
        chance[0] = np.where(cas[:, 0] > 0, chance[0] - 0.4, chance[0])
        chance[1] = np.where(cas[:, 2] > 0, chance[1] - 0.4, chance[1])
    luck = rng.random((MODELS, ITEMS // repeats))[:, cluster]
    scores = (luck < chance).astype(float)
    scores[2, rng.random(ITEMS) < 0.3] = np.nan
    rows = RowsByConcept(sp.csr_array(cas))
    sample = ItemSample(
        np.full(ITEMS, np.nan), np.arange(ITEMS) % 2, rows, rows.support, cluster, (), np.full(ITEMS, repeats > 1)
    )
    return sample, [Outcomes(own) for own in scores]


def cells(sample, outcomes):
    """The groups and the named cells, as ``model_groups`` makes them."""
    led = led_over_models(sample, outcomes, CONFIG)
    weighed = as_sample(sample, group_weights(sample, led.groups))
    columns = pl.DataFrame({"group": [group[0] for group in led.groups]}, schema={"group": pl.Int64})
    parts = [
        matrix._cells(str(model), columns, evidence(with_outcomes(weighed, own), CONFIG))
        for model, own in enumerate(outcomes)
    ]
    return led, matrix._judged(pl.concat(parts), CONFIG.q, CONFIG.min_gap, led.tested)


def test_each_cause_leads_a_group_of_its_model():
    for seed in range(2):
        led, table = cells(*drawn(np.random.default_rng(seed), planted=True))
        copies = next(group for group in led.groups if 0 in group)
        assert 1 in copies and any(group[0] == 2 for group in led.groups)
        weak = table.filter(pl.col("status") == "weak").select("model", "group").rows()
        assert {("0", copies[0]), ("1", 2)} <= set(weak)
        assert all(int(model) in (0, 1) for model, _ in weak)
        own = table.filter((pl.col("model") == "1") & (pl.col("group") == 2)).row(0, named=True)
        assert own["gap_low"] < -0.3 < own["gap_high"] and own["gap"] < 0
        assert led.tested == CONCEPTS * MODELS


def test_groups_chosen_and_tested_on_one_table_stay_valid():
    """Models alike in difficulty, nothing planted, items in repeats: named in few of 20 draws."""
    rng = np.random.default_rng(3)
    named = [cells(*drawn(rng, repeats=3))[1]["status"].is_in(["weak", "strong"]).any() for _ in range(20)]
    assert np.mean(named) <= 0.15


def test_models_of_one_lead_as_findings_do():
    sample, outcomes = drawn(np.random.default_rng(3), planted=True)
    alone = evidence(with_outcomes(sample, outcomes[0]), CONFIG)
    led = led_over_models(sample, outcomes[:1], CONFIG)
    weak = set(alone.leader[alone.status == "weak"].tolist())
    assert weak == {group[0] for group in led.groups} - set(alone.leader[alone.status == "strong"].tolist())
