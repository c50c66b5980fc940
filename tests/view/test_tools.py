"""The tools that assistants ask, against the tables of the run."""

from __future__ import annotations

import json

import polars as pl
import pytest

from competency_gaps import open_run
from competency_gaps.findings.answer import slices_of
from competency_gaps.view.page.tools import MAX_ANSWER_LENGTH, TOOLS, ask, bounded, plain, schema
from competency_gaps.view.words import headline


@pytest.fixture(scope="module")
def run(hostile):
    return open_run(hostile.run)


@pytest.fixture(scope="module")
def several(modelled):
    return open_run(modelled.run)


def test_the_answer_is_that_of_the_run_and_one_finding_shows_its_items(run):
    told, answer = ask(run, "answer", {}), run.answer()
    assert [row["slice"] for row in told["findings"]] == [finding.slice for finding in answer.findings]
    assert told["words"]["headline"] == plain(headline(answer)) and len(told["examples"]) == len(answer.findings)
    one = ask(run, "answer", {"number": 1})
    first = answer.findings[0]
    assert one["name"] == plain(first.name) and one["failing"] + one["passing"] and first.example is not None
    assert one["failing" if first.gap < 0 else "passing"][0]["item_id"] == run.items["item_id"][first.example]
    assert {item["score"] for item in one["failing"]} <= {0.0} and {item["score"] for item in one["passing"]} <= {1.0}


def test_slices_are_listed_and_items_of_one_are_its_own(run):
    listed = ask(run, "slices", {"limit": 50})
    gaps = [row["gap"] for row in listed["rows"] if row["gap"] is not None]
    assert gaps == sorted(gaps) and {"concepts"}.isdisjoint(row["family"] for row in listed["rows"])
    number = listed["rows"][0]["slice"]
    (family,) = [family for family in slices_of(run) if number in family.number]
    held = (family.weights[[family.number.tolist().index(number)]].toarray()[0] > 0).sum()
    assert ask(run, "items", {"slice": number})["total"] == held
    assert "no slice" in ask(run, "items", {"slice": 999_999})["error"]


def test_concepts_are_filtered_and_tested_ones_come_first(run):
    failing = ask(run, "concepts", {"status": "failure"})
    assert [row["concept"] for row in failing["rows"]] == run.concepts.filter(performance_status="failure").sort(
        "association"
    )["concept"].to_list()
    every = ask(run, "concepts", {"all_kinds": True, "limit": 50})
    assert every["total"] == run.concepts.height
    states = [row["performance_status"] for row in every["rows"]]
    ranks = [{"untested": 2, "insufficient": 1}.get(state, 0) for state in states]
    assert ranks == sorted(ranks)
    within = ask(run, "concepts", {"benchmark": "sums", "all_kinds": True, "limit": 3})["rows"]
    own = dict(run.concept_benchmarks.filter(benchmark="sums").select("concept", "support").iter_rows())
    assert all(row["support"] == own[row["concept"]] for row in within)


def test_a_concept_has_its_figures_and_examples(run):
    leader = int(run.concepts.filter(pl.col("ranked") & ~pl.col("missing"))["concept"][0])
    shown = ask(run, "concept", {"number": leader, "examples": 1})
    assert shown["association"] == pytest.approx(run.concepts["association"][leader], rel=1e-5)
    strongest = run.concept_items(leader, limit=1).row(0, named=True)
    assert shown["examples"][0]["strongest_at"] == strongest["text"][strongest["peak_start"] : strongest["peak_end"]]


def test_items_are_found_by_words_scores_and_concepts(run):
    text, score = pl.col("prompt").str.contains("(?i)roman"), pl.col("score") <= 0
    expected = run.items.with_row_index("row").filter(text & score)["row"].to_list()
    found = ask(run, "items", {"words": "ROMAN", "max_score": 0, "limit": 50})
    assert (found["total"], [item["item"] for item in found["items"]]) == (len(expected), expected[:50])
    column = run.by_concept.column(3)
    by_concept = ask(run, "items", {"concept": 3, "limit": 1})["items"][0]["item"]
    assert column.cas[column.item.tolist().index(by_concept)] == column.cas.max()
    (one,) = ask(run, "items", {"rows": [0]})["items"]
    assert {use["concept"] for use in one["concepts"]} <= set(run.item_rows.row(0).concepts.tolist())


def test_benchmarks_lists_and_models_are_told(run, listed, several):
    assert len(ask(run, "overview", {})["benchmarks"]) == run.benchmarks.height
    (matched,) = ask(open_run(listed.run), "overview", {})["lists"]
    assert matched["rates"][0]["what"] == "recovered" and [lacked["name"] for lacked in matched["lacks"]] == ["odd"]
    assert {row["model"] for row in ask(several, "overview", {})["models"]} == set(several.models["model"])
    pair = ask(several, "answer", {"model": "big", "against": "sharp"})
    means = dict(several.models.select("model", "mean").iter_rows())
    assert pair["kind"] == "difference" and pair["outcome"] == pytest.approx(means["big"] - means["sharp"], abs=0.01)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("nothing", {}, "no tool"),
        ("items", {"limit": 99}, "limit"),
        ("items", {"nothing": 1}, "nothing"),
        ("items", [1], "items|dictionary|valid"),
        ("concept", {}, "number"),
        ("concept", {"number": 10_000}, "does not exist"),
        ("answer", {"number": 99}, "no finding 99"),
        ("concepts", {"benchmark": "sum"}, "no benchmark"),
    ],
)
def test_a_wrong_question_is_answered_with_an_error(run, name, arguments, says):
    answer = ask(run, name, arguments)
    assert list(answer) == ["error"] and any(word in answer["error"] for word in says.split("|"))


def test_every_answer_is_harmless_bounded_json(several):
    given = {"concept": {"number": 2}, "items": {"limit": 50}, "concepts": {"limit": 50, "all_kinds": True}}
    for name in TOOLS:
        answer = json.dumps(ask(several, name, given.get(name, {})), allow_nan=False, ensure_ascii=False)
        assert len(answer) <= MAX_ANSWER_LENGTH and "\u202e" not in answer
        assert schema(name)["additionalProperties"] is False


def test_what_is_too_long_is_cut_and_said():
    cut = bounded({"rows": ["x" * 100] * 1000, "total": 1000}, 5000)
    assert len(json.dumps(cut)) <= 5000 and "rows" in cut["cut"] and cut["total"] == 1000
    assert "error" in bounded({"text": "x" * 6000}, 5000)
    assert plain(float("nan")) is None and plain(1 / 3) == 0.333333 and plain("a\u202eb") == "a<U+202E>b"
