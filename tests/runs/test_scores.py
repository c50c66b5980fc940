"""Scores of other models put into a run: how they are matched, what is refused, and what is shown of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scores_helpers import kept_rows, table

import competency_gaps as cg
from competency_gaps.findings.model_scores import item_models
from competency_gaps.logs.scores import read_scores as read_score_source
from competency_gaps.runs.scores import ROWS, add_scores, match_scores, model_scores, read_scores
from competency_gaps.util.errors import UserError
from core_helpers import with_benchmarks


def test_added_models_stand_beside_the_runs_own(run):
    scores = table(run)
    added = run.add_scores(scores.with_columns(a=pl.when(pl.arange(pl.len()) > 1).then("a")))
    assert [(model.model, model.matched, model.unmatched) for model in added] == [
        (m, run.items.height, 0) for m in "abcd"
    ]
    assert added[0].scored == run.items.height - 2
    models = run.models
    assert models["model"].to_list() == [run.scored_model, "a", "b", "c", "d"]
    assert models["reads"].to_list() == [True, False, False, False, False]
    assert models.filter(pl.col("model") == "a")["unscored"].item() == 2
    kept = run.items["excluded"].is_null()
    expected = scores.filter(kept)["b"]
    assert models.filter(pl.col("model") == "b")["mean"].item() == pytest.approx(expected.mean(), abs=0.05)


def test_rows_are_matched_by_id_else_by_prompt():
    """With its options, with others' letters or, as logs have it, without."""
    items = [("b", "1", "First?\n\nA. yes\nB. no"), ("b", "2", "Second?"), ("b", "3", "Third?\n\nA. yes\nB. no")]
    rows = [
        ("m", "1", "b", 1.0, None, "Q: First?\n(A) yes (B) no"),
        ("m", "another id", "b", 0.0, None, " Second? "),
        ("m", "a third", "b", 0.5, None, "Third?"),
        ("m", "nobody's", "b", 1.0, None, "asked nowhere"),
    ]
    table, [counts] = match_scores(items, pl.DataFrame(rows, ROWS, orient="row"))
    assert (counts.matched, counts.by_prompt, counts.unmatched, counts.examples) == (3, 2, 1, ("nobody's",))
    assert table.select("item", "score").rows() == [(0, 1.0), (1, 0.0), (2, 0.5)]


def test_half_a_character_in_a_log_costs_no_score(tmp_path):
    """JSON may hold a lone surrogate, polars may not."""
    (tmp_path / "m.jsonl").write_text('{"id": "\\ud800", "m": 1}\n{"id": "2", "m": 0}\n')
    for scores in ({"m": {"\ud800": 1, "2": 0}}, tmp_path / "m.jsonl"):
        assert read_score_source(scores).select("id", "score").rows() == [("\ufffd", 1.0), ("2", 0.0)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: pl.concat([t, t.head(1)]), "two rows for the item"),
        (lambda t: t.with_columns(a=pl.lit(1.5)), r"1.5 is outside \[0, 1\]"),
        (lambda t: t.with_columns(a=pl.lit("yes")), "'yes' is not a number"),
        (lambda t: t.with_columns(benchmark=pl.lit("riddles")), "no benchmark 'riddles'"),
        (lambda t: t.with_columns(id=pl.lit("x")).head(1), "none of the 1 rows"),
        (lambda t: t.with_columns(pl.lit(1.0).alias("")), "a model without a name"),
        (lambda t: t.drop("id"), "expected 'id'"),
        (lambda t: t.select("id", "benchmark"), "one column of scores per model"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_added(run, change, words):
    with pytest.raises(UserError, match=words):
        run.add_scores(change(table(run)))
    assert read_scores(run.path).is_empty()


def test_a_models_score_on_an_item_may_be_replaced(run):
    scores = table(run, models=("a",))
    half = scores.head(20)
    run.add_scores(half)
    run.add_scores(half)  # a command that was stopped is typed again
    assert read_scores(run.path).height == 20
    with pytest.raises(UserError, match="has another score of 'a' on the item"):
        run.add_scores(scores.with_columns(a=1 - pl.col("a")))
    assert read_scores(run.path)["score"].to_list() == half["a"].to_list()
    with pytest.raises(UserError, match="is the run's own model"):
        run.add_scores(table(run, models=(run.scored_model,)))
    run.add_scores(scores.tail(-20))
    assert read_scores(run.path)["score"].to_list() == scores["a"].to_list()
    run.add_scores(half.with_columns(a=1 - pl.col("a")), replace=True)
    changed = read_scores(run.path).sort("item")["score"].to_list()
    assert changed == [*(1 - scores["a"][:20]), *scores["a"][20:]]


def test_wrong_ids_end_a_run_before_it_reads_anything(tiny_config, tmp_path, monkeypatch):
    from competency_gaps.pipeline import run as pipeline

    def read(*_):
        raise AssertionError("the items were read")

    file = tmp_path / "scores.csv"
    pl.DataFrame({"id": ["nobody's"], "other": [1.0]}).write_csv(file)
    config = {**tiny_config, "scores": [{"path": str(file)}]}
    monkeypatch.setattr(pipeline, "read_suite", read)
    with pytest.raises(UserError, match="none of the 1 rows of 'other' belongs to an item"):
        cg.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_matches_scores_as_a_finished_run_does(run, tiny_config, tmp_path):
    scores, file = table(run), tmp_path / "scores.parquet"
    scores.write_parquet(file)
    config = {**tiny_config, "scores": [{"path": str(file)}]}
    again = cg.run(config, tmp_path / "again")
    run.add_scores(scores)
    assert read_scores(again.path).equals(read_scores(run.path))
    named = scores.rename({"a": run.scored_model})
    named.write_parquet(file)
    with pytest.raises(UserError, match="is the run's own model"):
        cg.run(config, tmp_path / "refused")


def test_the_reader_may_have_scores_where_it_only_reads(run, tiny_config, tmp_path):
    """Without answers of its own, its column is that of any other model."""
    file, reader = tmp_path / "scores.parquet", run.scored_model
    scores = table(run, benchmark="quiz").rename({"a": reader})
    scores.write_parquet(file)
    quiz = [entry for entry in tiny_config["benchmarks"] if entry["name"] == "quiz"]
    config = with_benchmarks(tiny_config, quiz, ask=False, scores=[{"path": str(file)}])
    read = cg.run(config, tmp_path / "read")
    assert read.models.filter("reads")["scored"].item() == int(kept_rows(read).sum())
    assert read.own_model is None and model_scores(read).models == (reader, "b", "c", "d")
    outcome = read.as_model(reader)
    assert outcome != read
    known = ~np.isnan(outcome.outcomes)
    assert np.array_equal(outcome.outcomes[known], scores[reader].to_numpy()[known]) and known.any()


def test_items_are_judged_by_all_models_scores_and_answers(run):

    rng = np.random.default_rng(0)
    keys = run.items.select("benchmark", "item_id").rows()
    rows = []
    for model in "abcdefgh":
        for number, (benchmark, item) in enumerate(keys):
            answer = " C" if number == 0 else "ABCD"[rng.integers(4)]
            rows.append((model, item, benchmark, float(answer == "A"), answer if model < "h" else None, None))
    add_scores(run, pl.DataFrame(rows, ROWS, orient="row"))
    facts = item_models(run)
    assert facts.select("benchmark", "item_id").rows() == keys
    first = facts.row(0, named=True)
    assert first["alike"] == 7 and first["wrong"] in (7, 8)  # the run's own model answers too
    assert facts["alike_q"].arg_min() == 0
    assert facts["models"].max() == 9 and facts["discrimination"].is_not_null().any()
