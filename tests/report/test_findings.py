"""Which concepts go where, and what is said of them."""

from __future__ import annotations

import polars as pl

from competency_gaps.items.item import DTYPE, Reason
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
    assert (order.pool, order.insufficient) == (6, 1)
    caption = order.caption("weak")
    assert "2 of 5 (40%) tested concepts are weak at a false-discovery rate of 5%" in caption
    assert "1 of 6 ranked concepts have an n_eff below 20" in caption


def test_what_is_negligible_or_vanishes_is_counted_and_no_verdict():
    frame = concepts(
        gap=[-0.3, -0.004, 0.0, 0.1],
        performance_status=["weak", "negligible", "typical", "typical"],
        vanishes=[False, False, True, False],
    )
    ranked = rankings.ranking(frame, EVIDENCE)
    assert (ranked.negligible, ranked.vanishing, ranked.weak.height) == (1, 1, 1)
    caption = ranked.caption("weak")
    assert "1 concept has a negligible gap (smaller than 0.01)" in caption
    assert "of 1 the plain gap is real but vanishes at equal length" in caption
    assert "vanish" not in rankings.ranking(frame, {**EVIDENCE, "strata": []}).caption("weak")
    shown = [columns.PERFORMANCE_STATUS.cell(row) for row in frame.iter_rows(named=True)]
    assert shown == ["weak", "negligible", "vanishes", "typical"]


def test_leaders_are_listed_with_their_followers():
    frame = concepts(gap=[-0.3, -0.2, -0.4, 0.1], performance_status=["weak"] * 3 + ["strong"], leader=[0, 0, 2, 3])
    ranked = rankings.ranking(frame, EVIDENCE)
    assert ranked.weak_leaders.select("concept", "followers").rows() == [(2, 0), (0, 1)]
    assert ranked.strong_leaders.select("concept", "followers").rows() == [(3, 0)]
    assert "3 of 4 (75%) tested concepts are weak" in ranked.caption("weak") and "2 groups" in ranked.caption("weak")


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
    note = rankings.left_out_note(frame)
    assert note.startswith("Ranked are 2 of 5 (40%) alive concepts. 2 token and 1 dense concepts are left out")
    assert "The kind of 1 of 5 (20%) alive concepts is not known" in note
    every = rankings.left_out_note(frame.with_columns(ranked="alive"))
    assert "Concepts of all kinds are ranked, 2 token and 1 dense among them." in every and "left out" not in every
    assert rankings.left_out_note(frame.head(1)) == "Ranked are 1 of 1 (100%) alive concepts."


def test_items_left_out_are_grouped_with_their_reasons():
    items = pl.DataFrame(
        {
            "benchmark": ["a", "a", "b", "b"],
            "item_id": ["1", "2", "3", "4"],
            "score": [None, None, 0.0, None],
            "excluded": [Reason("empty_span", "empty span").as_dict()] * 2 + [None] * 2,
            "unscored": [None, None, None, None],
        },
        schema_overrides={"excluded": DTYPE, "unscored": DTYPE},
    )
    first, second = rankings.left_out(items, named=1)
    assert (first.kind, first.count, first.benchmarks, first.named) == ("excluded", 2, [("a", 2)], ["1"])
    assert (second.kind, second.reason, second.count) == ("unscored", "no reason recorded", 1)


def test_a_run_without_tests_says_so(run):
    untested = run.concepts.with_columns(q_value=pl.lit(None, pl.Float64))
    ranked = rankings.ranking(untested, EVIDENCE)
    assert "0 concepts" not in rankings.caution(ranked) and "no concept could be tested" in rankings.caution(ranked)
    assert "0 of 0" not in ranked.caption("weak") and "No concept could be tested" in ranked.caption("weak")


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


def test_left_out_records_are_named(run):
    first = rankings.left_out(run.items, run.manifest["benchmarks"])[0]
    assert (first.kind, first.reason, first.named) == ("unread", "no answer", ["calendar.jsonl:7"])


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
