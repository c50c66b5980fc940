"""Items that look broken: likelihoods against integrals, planted faults, a null, and a run's repeats and answers."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import beta, binom

import competency_gaps as cg
from competency_gaps.errors import UserError
from competency_gaps.improve.suspect import FEWEST, _broken, agreement, odds, read_suspects
from core_helpers import seal


def sound(rng, models=30, items=600, spread=1.2):
    """Scores by a two-parameter logistic model; some are missing."""
    ability, difficulty = rng.normal(2, 1.3, models), rng.normal(0, spread, items)
    scores = (rng.random((models, items)) < expit(ability[:, None] - difficulty)).astype(float)
    scores[rng.random(scores.shape) < 0.05] = np.nan
    return scores, ability


def test_a_broken_items_likelihood_is_an_integral_over_chances():
    right, wrong = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = _broken(right, wrong, np.array([0, 0, 5]))
    hit = 2 / 5 / 4  # of five scores two are wrong, and one of four wrong options is the key
    for item, (first, second) in enumerate([(0.1, 30.0), (0.1, 30.0), (1.0, 1 / hit - 1)]):
        r, w = right[:, item].sum(), wrong[:, item].sum()

        def likelihood(p, r=r, w=w, first=first, second=second):
            return p**r * (1 - p) ** w * (0.9 * beta.pdf(p, first, second) + 0.1)

        assert np.exp(found[item]) == pytest.approx(quad(likelihood, 0, 1, limit=500)[0], rel=1e-3)


def test_agreement_is_a_ratio_of_binomial_chances():
    wrong, alike = np.array([9, 9, 3, 0]), np.array([9, 2, 1, 0])
    usual = (8 + 1 + 0 + 1) / (8 + 8 + 2 + 2)
    own = [binom.logpmf(a - 1, w - 1, 0.8) - binom.logpmf(a - 1, w - 1, usual) for a, w in ((9, 9), (2, 9), (1, 3))]
    assert agreement(wrong, alike, 0.8) == pytest.approx([*own, 0.0])
    assert not agreement(wrong, alike, 0.1).any()


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


def test_what_only_strong_models_solve_is_hard_not_broken():
    rng = np.random.default_rng(1)
    scores, ability = sound(rng)
    strong = np.argsort(-ability)[:3]
    scores[:, :2] = 0
    scores[strong, 0] = 1
    scores[np.argsort(ability)[:3], 1] = 1
    found = odds(scores).log_odds
    assert found[1] > found[0] + 3


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
    """Eight models; nobody solves item 3, items 0 and 1 ask the same with other keys, and the last is hardly scored."""
    folder = tmp_path_factory.mktemp("suspect") / "run"
    shutil.copytree(tiny_run.path, folder)
    items = pl.read_parquet(folder / "items.parquet").with_row_index("row")
    first = pl.col("row") < 2
    changed = items.with_columns(
        cluster=pl.when(first).then(0).otherwise(pl.col("row")).cast(pl.Int32),
        cluster_kind=pl.when(first).then(pl.lit("equal")),
        answer=pl.when(pl.col("row") == 0).then(pl.lit("another")).otherwise("answer"),
    )
    changed.drop("row").write_parquet(folder / "items.parquet")
    seal(folder)
    made = cg.open_run(folder)
    scores = (np.random.default_rng(4).random((8, items.height)) < 0.85) * 1.0
    scores[:, 3] = 0
    columns = {f"m{number}": own for number, own in enumerate(scores)}
    names = {"id": items["item_id"], "benchmark": items["benchmark"]}
    last = pl.col("id") == items["item_id"][-1]
    table = pl.DataFrame({**names, **columns})
    few = [pl.when(last).then(None).otherwise(pl.col(f"m{n}")).alias(f"m{n}") for n in range(9 - FEWEST, 8)]
    made.add_scores(table.with_columns(few))
    return made


def test_a_run_tells_reasons_and_what_it_cannot_tell(run, tmp_path):
    found = run.suspicious()
    rows = {row["item_id"]: row for row in found.items.iter_rows(named=True)}
    ids = run.items["item_id"].to_list()
    assert set(found.items["item_id"][:6]) >= {ids[0], ids[1], ids[3]}
    assert rows[ids[0]]["other_key"] == ids[1] and rows[ids[1]]["other_key"] == ids[0]
    assert rows[ids[3]]["solved"] < 0.2 and rows[ids[3]]["chance"] > rows[ids[5]]["chance"]
    assert found.items["item_id"][-1] == ids[-1] and rows[ids[-1]]["chance"] is None
    assert found.items["chance"].drop_nulls().is_between(0, 1).all()
    file = tmp_path / "improve" / "items.parquet"
    found.write(file)
    assert read_suspects(file).items.equals(found.items, null_equal=True)
    for damaged in (found.items.drop("reason"), found.items.with_columns(chance=pl.lit("much"))):
        damaged.write_parquet(file)
        with pytest.raises(UserError, match="--items"):
            read_suspects(file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match="is damaged"):
        read_suspects(file)


def test_too_few_models_cannot_tell(tiny_run):
    with pytest.raises(UserError, match=f"It takes {FEWEST}"):
        tiny_run.suspicious()
