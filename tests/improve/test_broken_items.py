"""Items that look broken: likelihoods against integrals, planted faults, a null, and a run's repeats and answers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import beta, betabinom

import competency_gaps as cg
from competency_gaps.evidence.outcomes import wrong_alike
from competency_gaps.improve.broken_items import MIN_MODELS, _lucky, _other_keys, agreement, odds, read_broken_items
from competency_gaps.runs.scores import ROWS, add_scores
from competency_gaps.util.errors import UserError
from core_helpers import copied, seal


def sound(rng, models=30, items=600, spread=1.2):
    """Scores by a two-parameter logistic model; some are missing."""
    ability, difficulty = rng.normal(2, 1.3, models), rng.normal(0, spread, items)
    scores = (rng.random((models, items)) < expit(ability[:, None] - difficulty)).astype(float)
    scores[rng.random(scores.shape) < 0.05] = np.nan
    return scores, ability


def test_the_likelihood_of_luck_is_an_integral_over_chances():
    right, wrong = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = _lucky(right, wrong, np.array([0, 0, 5]))
    hit = 2 / 5 / 4  # of five scores two are wrong, and one of four wrong options is the key
    for item, (first, second) in enumerate([(0.2, 15.0), (0.2, 15.0), (1.0, 1 / hit - 1)]):
        r, w = right[:, item].sum(), wrong[:, item].sum()

        def likelihood(p, r=r, w=w, first=first, second=second):
            return p**r * (1 - p) ** w * beta.pdf(p, first, second)

        assert np.exp(found[item]) == pytest.approx(quad(likelihood, 0, 1, limit=500)[0], rel=1e-3)


def test_agreement_weighs_beta_binomial_chances_and_common_mistakes_prove_little():
    rng = np.random.default_rng(5)
    models, wrong = np.full(20_000, 12), np.full(20_000, 7)
    right = rng.binomial(12, rng.beta(8, 2, 20_000))
    alike = 1 + rng.binomial(6, rng.beta(2, 6, 20_000))
    found = agreement(wrong, alike, right, models)
    for same in range(7):
        likely = [betabinom.pmf(same, 6, *shape) for shape in ((8, 2), (2, 6))]
        assert found[alike == same + 1] == pytest.approx(np.log(likely[0] / likely[1]), abs=0.15)
    assert not agreement(np.zeros(9), np.zeros(9), right[:9], models[:9]).any()
    # Open questions with a common mistake each: hardly one more item is suspected.
    scores, _ = sound(rng, models=21, items=3000)
    answers = np.where(rng.random(scores.shape) < rng.beta(0.3, 3, 3000), 1, 2 + np.arange(21)[:, None])
    same = wrong_alike(scores, np.where(scores == 0, answers, np.where(scores == 1, 0, -1)))
    log_odds = odds(scores).log_odds
    added = agreement(same.wrong, same.alike, np.nansum(scores, axis=0), (~np.isnan(scores)).sum(axis=0))
    assert added.max() < 6 and ((log_odds + added > 1) & (log_odds < 1)).mean() < 0.005


def test_planted_faults_come_first_and_without_any_hardly_an_item_is_suspected():
    rng = np.random.default_rng(0)
    scores, ability = sound(rng)
    assert (odds(scores).log_odds > 2).mean() <= 0.005
    faulty, flipped = np.arange(10), np.arange(10, 15)
    scores[:, faulty] *= 0
    # By luck below, by knowledge wrong above: weak models right, strong ones wrong.
    scores[:, flipped] = np.where(np.isnan(scores[:, flipped]), np.nan, (ability < np.median(ability))[:, None])
    found = odds(scores)
    assert set(np.argsort(-found.log_odds)[:15]) == set(range(15))
    assert np.corrcoef(found.ability, ability)[0, 1] > 0.95


def test_what_strong_models_solve_is_hard_and_what_any_solve_is_less_suspect_than_what_none_do():
    rng = np.random.default_rng(1)
    scores, ability = sound(rng, models=60)
    scores[:, :3] = 0
    scores[np.argsort(-ability)[:3], 0] = scores[np.argsort(ability)[:3], 1] = 1
    scores[:, 3:6] = rng.random((60, 3)) < 0.2
    found = odds(scores).log_odds
    assert found[1] > found[0] + 3
    assert found[2] > 2 and (found[3:6] < 0).all()


def test_what_nobody_solves_is_suspect_where_its_like_are_easy():
    rng = np.random.default_rng(2)
    ability, hard = rng.normal(1, 1, 12), np.arange(400) % 2
    scores = (rng.random((12, 400)) < expit(ability[:, None] - np.where(hard, 4, -2) - rng.normal(0, 0.7, 400))) * 1.0
    scores[:, :2] = 0
    slices = sp.csr_array(np.stack([hard == 0, hard == 1], axis=1).astype(float))
    found = odds(scores, slices=slices)
    assert found.log_odds[0] > found.log_odds[1] + 2
    assert found.expected[0] > 0.7 > 0.3 > found.expected[1]
    alone = odds(scores)
    assert alone.log_odds[0] == pytest.approx(alone.log_odds[1])


def test_the_order_of_models_and_items_does_not_matter():
    rng = np.random.default_rng(3)
    scores, _ = sound(rng, items=80)
    options = rng.integers(0, 5, 80)
    models, items = rng.permutation(len(scores)), rng.permutation(80)
    found, moved = odds(scores, options), odds(scores[models][:, items], options[items])
    assert moved.log_odds == pytest.approx(found.log_odds[items], abs=1e-8)
    assert moved.ability == pytest.approx(found.ability[models], abs=1e-8)


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """Eight models. Nobody solves items 3 and 4, at 4 with one answer; 0 and 1 ask the same with other keys; the last
    is hardly scored."""
    folder = copied(tiny_run, tmp_path_factory).path
    items = pl.read_parquet(folder / "items.parquet").with_row_index("row")
    first = pl.col("row") < 2
    changed = items.with_columns(
        cluster=pl.when(first).then(0).otherwise(pl.col("row")).cast(pl.Int32),
        cluster_kind=pl.when(first).then(pl.lit("equal")),
        answer=pl.when(pl.col("row") == 0).then(pl.lit("another")).otherwise(pl.lit("answer")),
    )
    changed.drop("row").write_parquet(folder / "items.parquet")
    seal(folder)
    made = cg.open_run(folder)
    scores = (np.random.default_rng(4).random((8, items.height)) < 0.85) * 1.0
    scores[:, 3:5] = 0
    rows = [
        (f"m{m}", row["item_id"], row["benchmark"], own[n], "answer" if own[n] else "same" if n == 4 else f"m{m}", None)
        for m, own in enumerate(scores)
        for n, row in enumerate(items.iter_rows(named=True))
        if n < items.height - 1 or m < MIN_MODELS - 2
    ]
    add_scores(made, pl.DataFrame(rows, ROWS, orient="row"))
    return cg.open_run(folder)


def test_a_run_tells_reasons_and_what_it_cannot_tell(run, tmp_path):
    found = run.broken_items()
    rows = {row["item_id"]: row for row in found.iter_rows(named=True)}
    ids = run.items["item_id"].to_list()
    assert set(found["item_id"][:7]) >= {ids[0], ids[1], ids[3], ids[4]}
    assert rows[ids[0]]["other_key"] == ids[1] and rows[ids[1]]["other_key"] == ids[0]
    assert rows[ids[4]]["alike"] >= 8 and rows[ids[4]]["log_odds"] > rows[ids[3]]["log_odds"] + 1
    assert found["item_id"][-1] == ids[-1] and rows[ids[-1]]["chance"] is None
    assert found["chance"].drop_nulls().is_between(0, 1).all()
    file = tmp_path / "improve" / "items.parquet"
    file.parent.mkdir()
    found.write_parquet(file)
    assert read_broken_items(file).equals(found, null_equal=True)
    for damaged in (found.drop("reason"), found.with_columns(chance=pl.lit("much"))):
        damaged.write_parquet(file)
        with pytest.raises(UserError, match="Make it again"):
            read_broken_items(file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged"):
        read_broken_items(file)


def test_keys_that_are_written_in_another_way_are_the_same():
    answers = ["18", "$18.0", "1,800", "x", "X ", None, "y"]
    items = pl.DataFrame({"cluster": [0, 0, 0, 1, 1, 1, 2], "item_id": list("abcdefg"), "answer": answers})
    items = items.with_columns(cluster_kind=pl.lit("equal"))
    assert _other_keys(items).to_list() == ["c", "c", "a", None, None, None, None]


def test_too_few_models_cannot_tell(tiny_run):
    with pytest.raises(UserError, match=f"It takes {MIN_MODELS}"):
        tiny_run.broken_items()
