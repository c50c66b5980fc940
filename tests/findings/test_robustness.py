"""Each test of robustness against a plain loop, a planted truth, or a null."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from robustness_helpers import drawn_run

from competency_gaps.evidence.chi import Sums, chi_bench, chi_model, suite_chi_model
from competency_gaps.findings import draws
from competency_gaps.findings.draws import _matched, ablate, agreement, halves, metrics_of, run_data, spread, subsample
from competency_gaps.findings.robustness import (
    ablation_verdict,
    assess,
    halves_verdicts,
    list_verdict,
)
from competency_gaps.runs.manifest import read_assessment
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from competency_gaps.view.robustness_words import SENTENCES, in_words


def plain(data, mask):
    """chi_bench and chi_model of some items, benchmark by benchmark, as a run computes them."""
    sums = []
    for number in np.unique(data.benchmark):
        own = mask & (data.benchmark == number)
        sums.append(Sums.of(data.cas[own], data.scores[own]))
    bench = np.mean([chi_bench(s, data.alive) for s in sums], axis=0)
    return bench, suite_chi_model(np.stack([chi_model(s) for s in sums]))


def test_metrics_of_draws_are_those_of_their_items():
    data = drawn_run(0)
    masks = np.stack([data.draw(0.8, np.random.default_rng(seed)) for seed in range(30)], axis=1)
    bench, model = metrics_of(data, masks)
    for draw in (0, 7, 29):
        expected = plain(data, masks[:, draw])
        assert np.allclose(bench[:, draw], expected[0], rtol=1e-5) and np.allclose(model[:, draw], expected[1], 1e-5)


def test_subsamples_leave_a_fifth_of_each_benchmark_out():
    data = drawn_run(0, weak=3)
    found = subsample(data, draws=20, seed=4)
    rng = np.random.default_rng(4)
    masks = np.stack([data.draw(0.8, rng) for _ in range(20)], axis=1)
    assert [masks[data.benchmark == b].sum(axis=0).tolist() for b in (0, 1)] == [[240] * 20, [192] * 20]
    models = np.stack([plain(data, mask)[1] for mask in masks.T], axis=1)
    deviation = models.std(axis=1, ddof=1)
    expected = {"mean": deviation.mean(), "median": np.median(deviation), "p95": np.quantile(deviation, 0.95)}
    assert found["chi_model"] == pytest.approx({**expected, "concepts": 60}, rel=1e-4)
    assert spread(np.full((3, 5), np.nan))["concepts"] == 0


def test_ablation_moves_the_median_where_concepts_rest_on_their_items():
    data = drawn_run(1, items=(900, 700), weak=6)
    found = ablate(data)
    scored = np.isfinite(data.scores).sum()
    assert found["best"].items == int(np.ceil(0.01 * scored)) - 1 < 0.01 * scored
    assert found["worst"].change > found["best"].change, "without the worst concepts' items the rest looks better"
    assert found["best"].random_low <= 0 <= found["best"].random_high
    moved = {"best": replace(found["best"], change=-0.5), "worst": replace(found["worst"], change=0.5)}
    assert ablation_verdict(moved).tone == "good"
    inside = {side: replace(own, change=own.random_high) for side, own in found.items()}
    assert ablation_verdict(inside).tone == "open"


@pytest.mark.parametrize("weak", [0, 4])
def test_halves_agree_and_failures_are_foretold_only_where_a_weakness_is_planted(weak):
    data = drawn_run(2, items=(1200, 900), weak=weak)
    found = halves(data, splits=12, fits=3)
    agree, foretold = halves_verdicts(found)
    if weak:
        assert found["chi_model_correlation"]["mean"] > 0.4
        assert found["auc"]["mean"] > found["auc_baseline"]["mean"] + 0.03 and foretold.tone == "good"
    else:
        assert abs(found["chi_model_correlation"]["mean"]) < 0.25 and agree.tone == "bad"
        assert found["auc"]["mean"] < found["auc_baseline"]["mean"] + 0.05


def test_difficulty_that_peers_show_is_no_merit_of_the_concepts():
    def against_peers(weak: float):
        """Scores less what peers make of items whose difficulty is a concept's; beyond it, another is weak."""
        data, rng = drawn_run(11, items=(1200, 900), unscored=0), np.random.default_rng(11)
        cas = data.cas.toarray()
        chance = 0.8 - 0.5 * (cas[:, 3] > 1)
        expected = rng.binomial(12, chance) / 12
        score = (rng.random(len(chance)) < chance - weak * (cas[:, 0] > 1)).astype(float)
        return replace(data, scores=(score - expected + 2) / 4, limits=(-2.0, 2.0), expected=expected), score

    data, score = against_peers(0)
    assert data.failed.tolist() == (score < 0.5).tolist()
    typical, special = (halves(against_peers(weak)[0], splits=3, fits=3) for weak in (0, 0.35))
    assert typical["auc_baseline"]["mean"] > 0.6, "peers know the difficulty, which a concept could tell as well"
    assert abs(typical["auc_gain"]["mean"]) < 0.02 < special["auc_gain"]["low"]
    foretold = asdict(halves_verdicts(special, from_peers=True)[1])
    assert "the peers' scores alone" in in_words(foretold)["sentence"]


def test_clusters_stay_together_across_benchmarks():
    data = drawn_run(4, items=(60, 50))
    rng = np.random.default_rng(0)
    data = replace(data, cluster=rng.integers(0, 25, len(data.scores)))
    for share in (0.5, 0.8):
        for _ in range(10):
            mask = data.draw(share, rng)
            one, other = set(data.cluster[mask].tolist()), set(data.cluster[~mask].tolist())
            assert not one & other and abs(len(one) - share * 25) <= 1


def test_a_slice_that_no_half_sample_chose_keeps_no_sign():
    def outcome(*again_gaps):
        findings = tuple(
            SimpleNamespace(gap=-0.1, in_halves=0 if gap is None else 3, halves=20, heldout_gap=gap)
            for gap in again_gaps
        )
        verdict = list_verdict(SimpleNamespace(findings=findings))
        return verdict.outcome, verdict.numbers["kept"]

    assert outcome(None, None, None, -0.1) == ("fails", 1)
    assert outcome(-0.2, 0.1, -0.1, None) == ("mostly", 2)


def test_every_outcome_has_a_sentence():
    for key, sentence in SENTENCES.items():
        code, outcome = key.split(".")
        numbers = dict.fromkeys(_fields(sentence)) | {"against": "other"}
        words = in_words({"code": code, "outcome": outcome, "numbers": numbers})
        assert words["test"] and "{" not in words["sentence"]


def _fields(template):
    import string

    return [name for _, name, _, _ in string.Formatter().parse(template) if name not in (None, "by", "known")]


def test_concepts_are_matched_as_numpy_correlates_them():
    data = drawn_run(7)
    order = np.random.default_rng(1).permutation(60)
    other = replace(data, cas=data.cas[:, order], tau=data.tau[order])
    first, second, value = _matched(data, other)
    assert first.tolist() == list(range(60)) and order[second].tolist() == list(range(60))
    assert value == pytest.approx(1)
    rows = data.saliency.toarray()
    halved = replace(other, cas=other.cas.multiply(np.random.default_rng(2).random((540, 60)) < 0.8).tocsr())
    first, second, value = _matched(data, halved)
    others = halved.saliency.toarray()
    pairs = zip(first, second, strict=True)
    expected = [np.corrcoef(rows[:, a], others[:, b])[0, 1] for a, b in pairs]
    assert value == pytest.approx(expected) and len(first) > 50


def test_a_run_agrees_with_itself(tiny_run):
    data = run_data(tiny_run)
    same = agreement(tiny_run, tiny_run, data, data)
    assert same["same_sae"] and same["items"] == len(data.ids)
    assert (same["matched"], same["association_correlation"]) == (same["concepts"], pytest.approx(1))
    assert same["failure"] == same["failure_in_both"] and same["chi_model_distance"] == 0
    with pytest.raises(UserError, match="no item in common"):
        agreement(tiny_run, tiny_run, data, replace(data, ids=tuple(("x", i) for _, i in data.ids)))


def test_assessment_is_written_and_read(run, monkeypatch):
    assert read_assessment(run.path) is None
    monkeypatch.setattr(draws, "FITS", 1)
    found = assess(run, Progress(quiet=True), against=run)
    kept = read_assessment(run.path)
    assert kept is not None and kept["verdicts"] == found["verdicts"]
    codes = ["subsampling", "ablation", "list", "split_halves", "prediction", "against"]
    assert [one["code"] for one in kept["verdicts"]] == codes
    assert {"subsampling", "ablation", "halves", "against"} <= set(kept)
    json.dumps(kept, allow_nan=False)


def test_without_scikit_learn_the_other_tests_are_made(run, monkeypatch):
    monkeypatch.setattr(sys.modules["competency_gaps.findings.robustness"], "find_spec", lambda name: None)
    monkeypatch.setattr(draws, "_predicted", None)
    outcomes = {own["code"]: own for own in assess(run, Progress(quiet=True))["verdicts"]}
    assert outcomes["split_halves"]["outcome"] in ("agree", "disagree")
    assert "scikit-learn is not installed" in in_words(outcomes["prediction"])["sentence"]
