"""The answer of a run: what comes first, what is counted only, and every number from the tables."""

from __future__ import annotations

import json

import polars as pl
import pytest

from competency_gaps.findings import answer as answer_parts
from competency_gaps.findings.answer import MOST, answer, answer_dict, chosen
from competency_gaps.findings.words import alike, points
from competency_gaps.matching.kept import KeptLack, KeptScope

SYMBOLS = ("χ", "chi_", "n_eff", " q ", "q_value", "p_value", "lift")


def words(given):
    rest = [note for one in given.benchmarks for note in one.notes]
    every = [given.opening, *given.trust, *given.findings, *rest, *given.scope, *given.confidence]
    return [one.text for one in every]


def with_evidence(run, **more):
    return run.changed(manifest={**run.manifest, "evidence": {**run.manifest["evidence"], **more}})


def verdict(code, outcome, tone, **numbers):
    return {"code": code, "outcome": outcome, "tone": tone, "numbers": numbers}


@pytest.fixture
def assessed(run, tmp_path):
    """The run in a folder whose tests of robustness partly failed."""

    def make(*verdicts):
        (tmp_path / "robustness.json").write_text(json.dumps({"verdicts": list(verdicts)}), encoding="utf-8")
        return run.changed(path=tmp_path)

    return make


def test_findings_come_worst_first_and_one_or_two_strong_ones_last(run):
    for weak, strong, expected in ((9, 9, (4, 1)), (3, 9, (3, 2)), (9, 0, (5, 0)), (0, 9, (0, 2)), (1, 1, (1, 1))):
        parts = [run.findings.filter(pl.col("verdict") == one) for one in ("weak", "strong")]
        many = [pl.concat([part] * 9).head(count) for part, count in zip(parts, (weak, strong), strict=True)]
        table = pl.concat(many).with_columns(
            finding=pl.int_range(pl.len(), dtype=pl.Int32),
            holds=pl.lit(True),
            feature=pl.format("prompt.word:{}", pl.int_range(pl.len())),
        )
        shown = chosen(table)
        counts = tuple(shown.filter(pl.col("verdict") == one).height for one in ("weak", "strong"))
        assert counts == expected and shown.height <= MOST
        # Of each verdict those of the greatest value, in the table's order.
        ends = [*range(expected[0]), *range(weak, weak + expected[1])]
        assert shown["finding"].to_list() == ends


def test_a_finding_that_is_not_sure_on_unseen_items_stands_behind_the_others(run):
    table = pl.concat([run.findings.filter(pl.col("verdict") == "strong").head(1)] * 3).with_columns(
        finding=pl.int_range(pl.len(), dtype=pl.Int32), holds=pl.Series([False, None, True])
    )
    assert chosen(table)["finding"].to_list() == [1, 2]


def test_a_finding_that_says_what_one_before_it_said_stands_behind_the_others(run):
    codes = ["answer.negative", "answer.above:-1", "prompt.word:not", None, None, "answer.not_in_prompt"]
    table = pl.concat([run.findings.filter(pl.col("verdict") == "weak").head(1)] * 6).with_columns(
        finding=pl.int_range(pl.len(), dtype=pl.Int32), holds=pl.lit(True), feature=pl.Series(codes)
    )
    assert chosen(table)["finding"].to_list() == [0, 2, 3, 4, 5]
    assert chosen(table.head(2))["finding"].to_list() == [0, 1]


def test_the_opening_counts_the_items(run):
    kept = run.items.filter(pl.col("excluded").is_null() & pl.col("score").is_not_null())
    one = answer(run).opening
    assert one.numbers["scored"] == kept.height and one.numbers["mean_score"] == pytest.approx(kept["score"].mean())
    assert f"{kept.height} of {run.items.height} items in {run.benchmarks.height} benchmarks" in one.text


def test_a_folder_is_named_by_its_last_part(run):
    folder = "/data/models/tiny/"
    model = {**run.manifest["model"], "name": folder}
    named = run.changed(manifest={**run.manifest, "model": model, "scored_model": folder})
    assert answer(named).opening.text.startswith("tiny: ")


def test_what_failed_comes_first_and_says_what_it_means(assessed, run):
    given = answer(assessed(verdict("subsampling", "stable", "good"), verdict("split_halves", "disagree", "bad")))
    (failed,) = given.trust
    assert failed.text.startswith("1 of 2 tests of robustness failed: two halves of the items hardly agree")
    assert given.confidence[-1].text == "Of 2 tests of robustness 1 passed and 1 failed."
    assert answer(assessed(verdict("subsampling", "stable", "good"))).trust == ()
    gate = {**run.manifest["gate"], "passed": False, "forced": True}
    first, second = answer(
        assessed(verdict("prediction", "no_better", "bad")).changed(manifest={**run.manifest, "gate": gate})
    ).trust
    assert (first.code, second.code) == ("gate", "robustness") and "only 81%" in first.text
    assert "gate" not in [one.code for one in answer(run.changed(manifest={**run.manifest, "gate": gate})).confidence]
    passed = next(one for one in answer(run).confidence if one.code == "gate")
    assert passed.tone == "good" and passed.numbers == {"explained_variance": 0.81}
    other = answer(assessed(verdict("against", "disagree", "bad", against="runs/other-seed"))).trust[0].text
    assert other.endswith("against runs/other-seed, gaps hardly agree.")


def test_benchmarks_come_by_score_with_what_their_items_share(run):
    trend = {"covariate": "length", "first": 0.9, "last": 0.1, "categories": None, "share": 0.3, "p": 1e-6}
    group = {"covariate": "group", "first": 0.5, "last": 0.25, "categories": ["easy", "hard"], "share": 0.1, "p": 1e-6}
    own = {"tested": 50, "weak": 20, "strong": 10, "most_stand_out": True, "shared_reason": "answer_position"}
    own["trends"] = [{**trend, "controlled": True}, {**group, "controlled": False}]
    given = answer(with_evidence(run, benchmarks={"calendar": own}))
    scores = [one.mean_score for one in given.benchmarks]
    assert scores == sorted(scores)
    calendar = next(one for one in given.benchmarks if one.benchmark == "calendar")
    number, depends, shared = (note.text for note in calendar.notes)
    ends = "90% where it is lowest, 10% where it is highest"
    assert number == f"In calendar scores depend on length ({ends}); gaps are taken net of it."
    assert "depend on group (50% for 'easy', 25% for 'hard'); gaps are not taken net" in depends
    assert "30 of 50 (60%) tested concepts stand out" in shared and "the place of the right option" in shared
    assert [note.numbers.get("covariate") for note in given.notes] == ["answer_position", "length", "group"]
    unknown = {**own, "shared_reason": None}
    text = answer(with_evidence(run, benchmarks={"calendar": unknown})).notes[0].text
    assert "something that their items share is a likelier reason" in text
    quiet = {**own, "trends": [], "most_stand_out": False}
    assert answer(with_evidence(run, benchmarks={"calendar": quiet})).notes == []


def lack(status, verdict=None, in_scope=True):
    return KeptLack(3, "primes", 0.8, 0.01, in_scope, status, None, verdict)


def test_without_a_scope_missing_concepts_are_only_counted(run, monkeypatch):
    alive = run.concepts.filter(pl.col("alive"))
    missing = int(alive["missing"].sum())
    (one,) = answer(run).scope
    assert one.code == "counted" and one.numbers == {"missing": missing, "alive": alive.height}
    assert "which is no finding" in one.text and "label" not in one.text
    stated = [
        {**entry, "scope": "dates" if place == 0 else None} for place, entry in enumerate(run.manifest["benchmarks"])
    ]
    scoped = run.changed(manifest={**run.manifest, "benchmarks": stated})
    assert [one.code for one in answer(scoped).scope] == ["not_looked_up", "counted"]
    lacking = [lack("missing"), lack("under"), lack("missing", "outside"), lack("missing", in_scope=False)]
    scopes = [
        KeptScope("calendar", ["dates"], 0.05, 0.7, covered=9, under=1, missing=1, lacking=lacking),
        KeptScope("roman-numerals", ["numerals"], 0.05, 0.7, covered=4, under=0, missing=0, lacking=[]),
    ]
    monkeypatch.setattr(answer_parts, "read_scopes", lambda run: scopes)
    first, second, counted = answer(scoped).scope
    assert first.benchmark == "calendar" and first.numbers == {"missing": 1, "under": 1, "covered": 9}
    assert "calendar lacks 1 concept of its scope" in first.text and "primes" in first.text
    assert second.tone == "good" and counted.code == "counted" and "no finding" not in counted.text


def test_confidence_counts_unseen_items_repeats_and_what_vanished(run):
    given = {one.code: one for one in answer(run).confidence}
    holds = run.findings["holds"].to_list()
    expected = {"hold": holds.count(True), "fail": holds.count(False), "open": holds.count(None)}
    assert given["unseen"].numbers == expected
    kept = run.items.filter(pl.col("excluded").is_null())
    repeats = kept.height - len(set(kept["cluster"]))
    assert given["repeats"].text.startswith(f"{repeats} of {kept.height} (")
    assert (
        "belong together" not in given["repeats"].text
        and f"count as {kept.height - repeats:,}" in given["repeats"].text
    )
    vanished = run.concepts.filter(pl.col("ranked") & pl.col("vanishes")).height
    assert vanished and f"{vanished} concept" in given["vanished"].text and "at equal length" in given["vanished"].text
    plain = run.changed(items=run.items.with_columns(cluster=pl.int_range(pl.len(), dtype=pl.Int32)))
    codes = [one.code for one in answer(with_evidence(plain, strata=[])).confidence]
    assert "repeats" not in codes and "vanished" not in codes


def test_questions_on_one_passage_are_no_repeats(run):
    items = run.items.with_columns(cluster=pl.int_range(pl.len(), dtype=pl.Int32), cluster_kind=pl.lit(None, pl.String))
    kept = items.with_row_index("row").filter(pl.col("excluded").is_null())["row"].head(5).to_list()
    kind = {kept[0]: "given", kept[1]: "given", kept[2]: "given", kept[3]: "equal", kept[4]: "equal"}
    cluster = {kept[1]: kept[0], kept[2]: kept[0], kept[4]: kept[3]}
    items = items.with_row_index("row").with_columns(
        cluster=pl.col("row").cast(pl.Int32).replace(cluster),
        cluster_kind=pl.col("row").replace_strict(kind, default=None, return_dtype=pl.String),
    )
    one = next(one for one in answer(run.changed(items=items)).confidence if one.code == "repeats")
    total = items["excluded"].is_null().sum()
    expected = {"items": total, "clusters": total - 3, "repeats": 1, "together": 3}
    assert one.numbers == expected
    assert "items repeat another one" in one.text and "items belong together in 1 cluster, such as" in one.text


def test_the_rate_counts_the_groups_that_are_no_findings(run):
    (rate,) = [one for one in answer(run).confidence if one.code == "rate"]
    leaders = pl.col("performance_status").is_in(["weak", "strong"]) & pl.col("leader").is_not_null()
    groups = run.concepts.filter(leaders).select("performance_status", "leader").n_unique()
    assert rate.numbers["left_out"] == groups - run.findings.height
    fewer = run.changed(findings=run.findings.head(1))
    (rate,) = [one for one in answer(fewer).confidence if one.code == "rate"]
    assert rate.text.startswith("Findings are chosen so that on average at most 20% of them are accidents")
    assert groups == 1 or f"{groups - 1} further group" in rate.text


def test_where_nothing_stands_out_the_smallest_gap_that_could_be_seen_is_said(run):
    none = run.changed(findings=run.findings.clear())
    (one,) = answer(none).findings
    tested = run.concepts.filter(pl.col("ranked") & pl.col("q_value").is_not_null())
    assert one.code == "no_finding" and one.numbers["tested"] == tested.height
    assert one.numbers["detectable"] == pytest.approx(tested["detectable"].min())
    assert f"is {points(tested['detectable'].min())} of 100" in one.text
    untested = none.changed(concepts=run.concepts.with_columns(q_value=pl.lit(None, pl.Float64)))
    assert "could be tested" in answer(untested).findings[0].text
    unscored = none.changed(items=run.items.with_columns(score=pl.lit(None, pl.Float64)))
    assert answer(unscored).findings == () and "says only what the items exercise" in answer(unscored).opening.text


def test_no_sentence_has_a_symbol_that_it_does_not_explain(run, assessed):
    bad = [verdict(test, "few", "bad") for test in answer_parts.FAILED]
    for given in (answer(run), answer(assessed(*bad)), answer(run.changed(findings=run.findings.clear()))):
        assert not [text for text in words(given) for symbol in SYMBOLS if symbol in f" {text} "]


def test_the_answer_is_data_too(run):
    given = answer_dict(answer(run))
    assert json.loads(json.dumps(given))["opening"]["text"] == answer(run).opening.text
    assert [one["finding"] for one in given["findings"]] == chosen(run.findings)["finding"].to_list()
    assert {"code", "text", "tone", "finding", "benchmark", "numbers"} == set(given["opening"])


def test_words_for_strata_and_points():
    assert alike({"strata": ["length"]}) == "at equal length" and alike({}) == ""
    assert alike({"strata": ["length", "answer_position"]}) == "at equal length and the place of the right option"
    assert alike({"strata": ["answer_position"]}) == "at the same place of the right option"
    assert [points(gap) for gap in (-0.07, 0.01, 0.006)] == ["7 points", "1 point", "0.6 points"]
