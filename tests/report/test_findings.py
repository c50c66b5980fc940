"""Which concepts go where, and what is said of them."""

from __future__ import annotations

import polars as pl

from competency_gaps.presentation import columns, rankings
from competency_gaps.presentation.themes import Themes
from competency_gaps.report.concept import concept_detail

TYPES = {
    "label": pl.String,
    "kind": pl.String,
    "chi_model": pl.Float64,
    **dict.fromkeys(("n_eff", "gap", "q_value", "chance_seen"), pl.Float64),
    **dict.fromkeys(("alive", "missing", "ranked"), pl.Boolean),
}


EVIDENCE = {"min_n_eff": 20.0, "q": 0.05, "min_gap": 0.01, "strata": ["length"]}


def concepts(**changes):
    size = len(next(iter(changes.values())))
    base = {
        "concept": list(range(size)),
        "label": [None] * size,
        "alive": [True] * size,
        "kind": ["contextual"] * size,
        "missing": [False] * size,
        "ranked": [True] * size,
        "density": [0.1] * size,
        "chi_bench": [1.0] * size,
        "chi_model": [0.5] * size,
        "n_eff": [30.0] * size,
        "support": [40] * size,
        "gap": [0.0] * size,
        "q_value": [0.5] * size,
        "performance_status": ["typical"] * size,
        "vanishes": [False] * size,
        "chance_seen": [None] * size,
        "leader": list(range(size)),
    }
    return pl.DataFrame({**base, **changes}, schema_overrides=TYPES)


def test_rankings_take_only_tested_concepts_in_the_order_of_their_gap():
    frame = concepts(
        gap=[-0.3, 0.2, -0.4, -0.1, None, -0.9, 0.4],
        q_value=[0.01, 0.02, 0.001, 0.4, None, None, 0.001],
        performance_status=["weak", "strong", "weak", "typical", "untested", "insufficient", "strong"],
        ranked=[True] * 4 + [False, True, True],
    )
    order = rankings.ranking(frame, EVIDENCE)
    assert order.weak["concept"].to_list() == [2, 0]
    assert order.strong["concept"].to_list() == [6, 1]
    assert order.tested["concept"].to_list() == [2, 0, 3, 1, 6]
    assert order.insufficient == 1
    shown = [columns.PERFORMANCE_STATUS.cell({**row, "vanishes": True}) for row in frame.head(1).iter_rows(named=True)]
    assert shown == ["vanishes"]


def test_leaders_are_listed_with_their_followers():
    frame = concepts(gap=[-0.3, -0.2, -0.4, 0.1], performance_status=["weak"] * 3 + ["strong"], leader=[0, 0, 2, 3])
    ranked = rankings.ranking(frame, EVIDENCE)
    assert ranked.weak_leaders.select("concept", "followers").rows() == [(2, 0), (0, 1)]
    assert ranked.strong_leaders.select("concept", "followers").rows() == [(3, 0)]
    assert rankings.judged(frame, "weak", leaders=True)["concept"].to_list() == [2, 0]


def test_equal_gaps_are_ordered_by_evidence():
    frame = concepts(n_eff=[25.0, 90.0, 40.0], gap=[-0.2] * 3, performance_status=["weak"] * 3)
    assert rankings.ranking(frame, EVIDENCE).weak["concept"].to_list() == [1, 2, 0]


def test_missing_concepts_are_ranked_and_sorted_by_density():
    frame = concepts(missing=[True, True, False, True], ranked=[True, True, True, False], density=[0.01, 0.2, 0.5, 0.9])
    assert rankings.missing(frame)["concept"].to_list() == [1, 0]
    assert rankings.least_covered(frame, 5)["concept"].to_list() == [2]


def test_kinds_are_badges_and_counted():
    kinds = ["contextual", "dense", "token", "token", None, None]
    ranked = [True, False, False, False, True, False]
    frame = concepts(kind=kinds, alive=[True] * 5 + [False], ranked=ranked)
    assert [rankings.badges_of(row) for row in frame.to_dicts()] == [[], ["dense"], ["token"], ["token"], [], ["dead"]]


def test_a_run_without_tests_says_so(run):
    untested = run.concepts.with_columns(q_value=pl.lit(None, pl.Float64))
    ranked = rankings.ranking(untested, EVIDENCE)
    assert "0 concepts" not in rankings.caution(ranked) and "no concept could be tested" in rankings.caution(ranked)


def test_where_no_concept_is_weak_or_strong_none_is_expected_to_be_an_accident():
    typical = rankings.ranking(concepts(gap=[-0.1, 0.1]), EVIDENCE)
    assert "accidents" not in rankings.caution(typical) and "no concept is called weak or strong" in rankings.caution(
        typical
    )
    weak = rankings.ranking(concepts(gap=[-0.4, 0.1], performance_status=["weak", "typical"]), EVIDENCE)
    assert "of the 1 concept called weak or strong, at most 5%" in rankings.caution(weak)


def test_examples_show_no_item_twice(run):
    row = run.concepts.filter(pl.col("ranked") & ~pl.col("missing")).row(0, named=True)
    part = run.concept_benchmarks.filter(pl.col("concept") == row["concept"])
    detail = concept_detail(run, row, part, 50)
    shown = [one["item_id"] for _, many in detail.groups for one in many]
    assert shown and len(shown) == len(set(shown))
    assert len(detail.benchmarks) == run.benchmarks.height


def test_equal_scores_are_not_called_best_and_worst(run):
    flat = run.changed(items=run.items.with_columns(score=pl.when(pl.col("score").is_not_null()).then(0.0)))
    row = flat.concepts.filter(pl.col("ranked") & ~pl.col("missing")).row(0, named=True)
    titles = [title for title, _ in concept_detail(flat, row, flat.concept_benchmarks.clear(), 3).groups]
    assert titles == ["Every scored item has the same score"]


def test_lift_disappears_without_a_reference(run):
    shown = columns.present(columns.CONCEPT, run.concepts.with_columns(lift=pl.lit(None, pl.Float64)))
    assert columns.LIFT not in shown and columns.PERFORMANCE in shown


def test_the_rows_of_one_benchmark_show_their_status_as_a_badge():
    row = {**concepts(chi_model=[None]).drop("missing").row(0, named=True), "coverage_status": "missing"}
    assert rankings.badges_of(row) == ["missing"]


def test_themes_that_could_not_be_tested_are_not_counted_as_not_weak():
    untested = pl.DataFrame(
        {"q_value": [None, None], "performance_status": ["untested"] * 2, "name": ["a", "b"]},
        schema_overrides={"q_value": pl.Float64},
    )
    caption = Themes(untested, untested.clear(), untested.clear(), 0.05).caption()
    assert caption == "None of 2 themes could be tested for being weak or strong."
