"""Each test of robustness against a plain loop, a planted truth, or a null."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import scipy.sparse as sp
from robustness_helpers import drawn_run

from competency_gaps.config import EvidenceConfig
from competency_gaps.errors import UserError
from competency_gaps.evidence import Covariate, evidence
from competency_gaps.metrics.suite import chi_bench, chi_model, suite_chi_model
from competency_gaps.metrics.sums import Sums
from competency_gaps.progress import Progress
from competency_gaps.robustness import assess, read_assessment
from competency_gaps.robustness.assess import (
    SENTENCES,
    ablation_verdict,
    held_out_verdicts,
    with_sentence,
)
from competency_gaps.robustness.data import Part, run_data
from competency_gaps.robustness.heldout import _alike, agreement, held_out
from competency_gaps.robustness.removal import _counted, _masks, _metrics, ablate, subsample


def _outcomes(data):
    """How the items count, with the outcomes as they are."""
    return _counted(data, data.units.outcome[:, None])


def test_subsamples_against_a_plain_loop():
    data = drawn_run(0, weak=3)
    found = subsample(data, draws=20, seed=4)
    masks = _masks(data, 20, 4)
    assert all(mask.sum(axis=0).tolist() == [len(mask) - round(0.2 * len(mask))] * 20 for mask in masks)
    models, benches, lists = [], [], []
    means = [np.nanmean(part.scores) for part in data.parts]

    def gaps(kept):
        """Against the means of all items."""
        known = [m & ~np.isnan(p.scores) for p, m in zip(data.parts, kept, strict=True)]
        cas = [p.cas.toarray()[k] for p, k in zip(data.parts, known, strict=True)]
        excess = [w.T @ (p.scores[k] - m) for w, p, k, m in zip(cas, data.parts, known, means, strict=True)]
        return sum(excess) / sum(w.sum(axis=0) for w in cas)

    whole = np.argsort(gaps([np.ones(len(p.scores), bool) for p in data.parts]), kind="stable")[: found.top]
    for draw in range(20):
        sums = [Sums.of(p.cas[m[:, draw]], p.scores[m[:, draw]]) for p, m in zip(data.parts, masks, strict=True)]
        models.append(suite_chi_model(np.stack([chi_model(s) for s in sums])))
        benches.append(np.mean([chi_bench(s, data.alive) for s in sums], axis=0))
        lists.append(set(np.argsort(gaps([m[:, draw] for m in masks]), kind="stable")[: found.top]))
    for spread, values in ((found.chi_model, models), (found.chi_bench, benches)):
        deviations = np.std(values, axis=0, ddof=1)
        assert spread.mean == pytest.approx(deviations.mean(), rel=1e-5)
        assert spread.median == pytest.approx(np.median(deviations), rel=1e-5)
        assert spread.p95 == pytest.approx(np.quantile(deviations, 0.95), rel=1e-5)
        assert spread.concepts == 60
    jaccard = [len(set(whole) & one) / len(set(whole) | one) for one in lists]
    assert found.jaccard == pytest.approx(np.mean(jaccard))
    assert 0.3 < found.jaccard_by_chance <= found.jaccard + 0.1, "even where there is nothing, most items are shared"


def test_ablation_moves_the_median_where_concepts_rest_on_their_items():
    data = drawn_run(1, items=(900, 700), weak=6)
    found = ablate(data)
    scored = np.isfinite(data.scores).sum()
    assert found.best.items == int(np.ceil(0.01 * scored)) - 1 < 0.01 * scored
    assert found.worst.change > found.best.change, "without the worst concepts' items the rest looks better"
    assert found.best.random_low <= 0 <= found.best.random_high
    outside = replace(found.best, change=-0.5), replace(found.worst, change=0.5)
    assert ablation_verdict(replace(found, best=outside[0], worst=outside[1])).tone == "good"
    inside = replace(found.best, change=found.best.random_high), replace(found.worst, change=found.worst.random_low)
    assert ablation_verdict(replace(found, best=inside[0], worst=inside[1])).tone == "open"


def test_planted_weakness_carries_over_to_unseen_items():
    found = held_out(drawn_run(2, items=(1200, 900), weak=4), splits=12, fits=3)
    assert found.weak_found.mean >= 3
    assert found.weak.high < 0 and found.weak.mean < found.weak_random.low
    assert found.gap_correlation.mean > 0.4
    assert found.auc.mean > found.auc_baseline.mean + 0.03
    tones = {one.code: one.tone for one in held_out_verdicts(found)}
    assert tones["held_out_weak"] == "good" and tones["prediction"] == "good"


def test_nothing_carries_over_without_a_planted_weakness():
    found = held_out(drawn_run(3, items=(500, 400), weak=0), splits=20, fits=3)
    assert found.weak_found.mean < 1
    assert abs(found.gap_correlation.mean) < 0.25
    assert found.auc.mean < found.auc_baseline.mean + 0.05
    tones = {one.code: one.tone for one in held_out_verdicts(found)}
    assert tones["held_out_weak"] != "good" and tones["split_halves"] == "bad"


def against_peers(seed: int, weak: float):
    """A model's scores less what peers make of items whose difficulty is a concept's; beyond it, another is weak."""
    data, rng = drawn_run(seed, items=(1200, 900), unscored=0), np.random.default_rng(seed)
    cas = sp.vstack([part.cas for part in data.parts]).toarray()
    chance = 0.8 - 0.5 * (cas[:, 3] > 1)
    expected = rng.binomial(12, chance) / 12
    score = (rng.random(data.items) < chance - weak * (cas[:, 0] > 1)).astype(float)
    shares = (score - expected + 2) / 4
    parts = tuple(part._replace(scores=own) for part, own in zip(data.parts, data.split(shares), strict=True))
    return replace(data, parts=parts, limits=(-2.0, 2.0), expected=expected), score


def test_failures_against_peers_are_the_scores():
    data, score = against_peers(11, weak=0.2)
    assert data.failed.tolist() == (score < 0.5).tolist()
    half = replace(data, parts=tuple(p._replace(scores=np.full(len(p.scores), 0.5)) for p in data.parts))
    assert not replace(half, expected=np.full(data.items, 0.5)).failed.any(), "a score of 1/2 is no failure"


def test_difficulty_that_peers_show_is_no_merit_of_the_concepts():
    typical, special = (held_out(against_peers(11, weak)[0], splits=3, fits=3) for weak in (0, 0.35))
    assert typical.auc_baseline.mean > 0.6, "peers know the difficulty, which a concept could tell as well"
    assert abs(typical.auc_gain.mean) < 0.02
    assert special.auc_gain.low > 0.02
    verdicts = [held_out_verdicts(each, from_peers=True)[-1] for each in (typical, special)]
    assert verdicts[1].tone == "good" and verdicts[0].tone != "good"
    assert "better than the peers' scores alone" in with_sentence(asdict(verdicts[1]))["sentence"]


def test_clusters_stay_together_across_benchmarks():
    data = drawn_run(4, items=(60, 50))
    rng = np.random.default_rng(0)
    parts = tuple(part._replace(cluster=rng.integers(0, 25, len(part.scores))) for part in data.parts)
    data = replace(data, parts=parts)
    for share in (0.5, 0.8):
        for _ in range(10):
            masks = data.draw(share, rng)
            one, other = (
                set(np.concatenate([p.cluster[m == kept] for p, m in zip(parts, masks, strict=True)]).tolist())
                for kept in (True, False)
            )
            assert not one & other and abs(len(one) - share * 25) <= 1


def test_repeats_carry_no_luck_between_halves():
    """Every question eight times, with one score that is luck: apart from the split, halves would agree."""
    data = drawn_run(5, items=(60, 50), width=80)
    parts = tuple(
        part._replace(
            cas=part.cas[np.repeat(np.arange(len(part.scores)), 8)],
            scores=np.repeat(part.scores, 8),
            cluster=np.repeat(part.cluster, 8),
            repeats=np.ones(8 * len(part.scores), bool),
        )
        for part in data.parts
    )
    ids = tuple((name, f"{i}-{k}") for name, i in data.item_ids for k in range(8))
    tested = np.ones(80, bool)
    together = replace(data, parts=parts, item_ids=ids, tested=tested, config=EvidenceConfig(min_n_eff=2))
    counted = iter(range(10**6))
    apart = tuple(
        part._replace(cluster=np.array([next(counted) for _ in part.scores]), repeats=np.zeros(len(part.scores), bool))
        for part in parts
    )
    assert held_out(replace(together, parts=apart), splits=6, fits=0).gap_correlation.mean > 0.8
    assert abs(held_out(together, splits=6, fits=0).gap_correlation.mean) < 0.3


def clustered(seed: int):
    """Texts asked up to nine times, passages with several questions, and lengths to stratify by."""
    data, rng = drawn_run(seed), np.random.default_rng(seed)
    parts, ids, start = [], [], 0
    for part in data.parts:
        cluster = np.arange(len(part.scores))
        cluster[40:80] = 40 + np.arange(40) // 4
        times = np.where(cluster < 40, rng.integers(1, 10, len(cluster)), 1)
        order = np.repeat(np.arange(len(cluster)), times)
        scores = (rng.random(len(order)) < 0.6).astype(float)
        scores[rng.random(len(order)) < 0.1] = np.nan
        lengths = Covariate("length", rng.integers(5, 60, len(cluster)).astype(float)[order])
        parts.append(Part(part.name, part.cas[order], scores, start + cluster[order], order < 40, (lengths,)))
        ids += [(part.name, str(i)) for i in range(len(order))]
        start += len(cluster)
    return replace(data, parts=tuple(parts), item_ids=tuple(ids))


def test_the_gap_of_all_items_is_the_runs():
    data = clustered(6)
    every = [np.ones((len(part.scores), 1)) for part in data.parts]
    gap = _metrics(data, _outcomes(data), every)[2][0][:, 0]
    found = evidence(data.sample(), data.config, eligible=data.ranked, groups=False)
    assert gap == pytest.approx(found.gap, abs=1e-6)
    once = tuple(part._replace(repeats=np.zeros(len(part.scores), bool)) for part in data.parts)
    apart = _metrics(data, _outcomes(replace(data, parts=once)), every)[2][0][:, 0]
    assert np.abs(apart - found.gap).max() > 0.01, "the repeats of this run make a difference"


def test_random_concepts_are_others_of_like_support():
    support = np.arange(200)
    chosen = np.array([5, 100, 198])
    crowd = np.arange(90, 115)
    for seed in range(20):
        for asked in (chosen, crowd):
            alike = _alike(support, asked, np.random.default_rng(seed))
            assert len(set(alike)) == len(asked) and not set(alike) & set(asked)
        alike = _alike(support, chosen, np.random.default_rng(seed))
        assert all(min(abs(support[a] - support[c]) for c in chosen) <= 21 for a in alike)
    assert sorted(_alike(np.arange(5), np.array([0, 2, 4]), np.random.default_rng(0))) == [1, 3]


def test_every_outcome_has_a_sentence():
    for place in SENTENCES:
        code, outcome = place.split(".")
        told = with_sentence({"code": code, "outcome": outcome, "tone": "open", "numbers": {"mean": None}})
        assert told["test"] and "nan" not in told["sentence"] and "{" not in told["sentence"]
        assert code != "against" or told["test"] == "against another run"


def test_a_run_agrees_with_itself(tiny_run):
    data = run_data(tiny_run)
    same = agreement(tiny_run, tiny_run, data, data)
    assert same.same_sae and same.items == data.items
    assert (same.matched, same.gap_correlation) == (same.concepts, pytest.approx(1))
    assert same.weak == same.weak_in_both and same.chi_model.distance == 0
    other = replace(
        tiny_run, manifest={**tiny_run.manifest, "sae": {**tiny_run.manifest["sae"], "weights_sha256": "x"}}
    )
    matched = agreement(tiny_run, other, data, data)
    assert not matched.same_sae and matched.median_correlation == pytest.approx(1)
    assert matched.gap_correlation == pytest.approx(1)
    with pytest.raises(UserError, match="no item in common"):
        agreement(tiny_run, tiny_run, data, replace(data, item_ids=tuple(("x", i) for _, i in data.item_ids)))


def test_assessment_is_written_and_read(tiny_run, tmp_path):
    import shutil

    import competency_gaps

    shutil.copytree(tiny_run.path, tmp_path / "run")
    run = competency_gaps.open_run(tmp_path / "run")
    assert read_assessment(run) is None
    found = assess(run, Progress(quiet=True), against=run)
    kept = read_assessment(run)
    assert kept is not None and kept["verdicts"] == found["verdicts"]
    codes = ["subsampling", "ablation", "held_out_weak", "held_out_strong", "split_halves", "prediction", "against"]
    assert [one["code"] for one in kept["verdicts"]] == codes
    assert {"subsampling", "ablation", "held_out", "against"} <= set(kept)
    json.dumps(kept, allow_nan=False)
