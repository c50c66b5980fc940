"""The tools that assistants and the chat ask, against the tables of the run."""

from __future__ import annotations

import json

import polars as pl
import pytest

from competency_gaps import open_run
from competency_gaps.explorer.tools import LONGEST, TOOLS, ask, bounded, plain, schema


@pytest.fixture(scope="module")
def run(hostile):
    return open_run(hostile.run)


@pytest.fixture(scope="module")
def several(modelled):
    return open_run(modelled.run)


def test_findings_are_the_tables_and_one_shows_its_items(run):
    listed = ask(run, "findings", {})
    assert [row["finding"] for row in listed["rows"]] == run.findings["finding"].to_list()
    assert ask(run, "findings", {"verdict": "strong"})["total"] == run.findings.filter(verdict="strong").height
    one = ask(run, "findings", {"number": 0})
    assert [item["item"] for item in one["failing"]] == run.findings["failing"][0].to_list()
    assert one["failing"][0]["prompt"] == run.items["prompt"][one["failing"][0]["item"]]


def test_concepts_are_filtered_and_tested_ones_come_first(run):
    weak = ask(run, "concepts", {"status": "weak"})
    assert [row["concept"] for row in weak["rows"]] == run.weak()["concept"].to_list()
    every = ask(run, "concepts", {"all_kinds": True, "limit": 50})
    assert every["total"] == run.concepts.height
    states = [row["performance_status"] for row in every["rows"]]
    ranks = [{"untested": 2, "insufficient": 1}.get(state, 0) for state in states]
    assert ranks == sorted(ranks)
    within = ask(run, "concepts", {"benchmark": "sums", "sort": "concept", "all_kinds": True, "limit": 3})
    own = run.concept_benchmarks.filter(benchmark="sums").sort("concept")["support"].head(3).to_list()
    assert [row["support"] for row in within["rows"]] == own


def test_a_concept_has_its_figures_and_examples(run):
    leader = int(run.findings["leader"][0])
    shown = ask(run, "concept", {"number": leader, "examples": 1})
    assert shown["gap"] == pytest.approx(run.concepts["gap"][leader], rel=1e-5)
    strongest = run.concept_items(leader, limit=1).row(0, named=True)
    first = shown["examples"][0]
    assert (first["which"], first["item_id"]) == ("strongest", plain(strongest["item_id"]))
    assert first["strongest_at"] == strongest["text"][strongest["peak_start"] : strongest["peak_end"]]


def test_items_are_found_by_words_scores_concepts_and_findings(run):
    text, score = pl.col("prompt").str.contains("(?i)roman"), pl.col("score") <= 0
    expected = run.items.with_row_index("row").filter(text & score)["row"].to_list()
    found = ask(run, "items", {"words": "ROMAN", "max_score": 0, "limit": 50})
    assert (found["total"], [item["item"] for item in found["items"]]) == (len(expected), expected[:50])
    by_finding = ask(run, "items", {"finding": 0, "limit": 5})["items"]
    assert [item["item"] for item in by_finding] == run.findings["item_rows"][0].to_list()[:5]
    column = run.by_concept.column(3)
    by_concept = ask(run, "items", {"concept": 3, "limit": 1})["items"][0]["item"]
    assert column.cas[column.item.tolist().index(by_concept)] == column.cas.max()
    (one,) = ask(run, "items", {"rows": [0]})["items"]
    assert {use["concept"] for use in one["concepts"]} <= set(run.item_rows.row(0).concepts.tolist())


def test_themes_benchmarks_and_lists_are_told(run, listed):
    themes = ask(run, "themes", {})
    assert themes["total"] == run.theme_results.filter(level="theme").height
    one = ask(run, "themes", {"number": themes["rows"][0]["id"]})
    assert {row["benchmark"] for row in one["benchmarks"]} == set(run.benchmarks["benchmark"])
    told = ask(run, "overview", {})
    assert len(told["benchmarks"]) == run.benchmarks.height and told["findings_in_all"] == run.findings.height
    matched = ask(open_run(listed.run), "lists", {})
    assert matched["total"] == len(matched["entries"]) == 2 and matched["rates"][0]["outcome"] == "matched"


def test_models_are_listed_by_theme_and_compared(run, several):
    listed = ask(several, "models", {})
    assert {row["model"] for row in listed["rows"]} == set(several.models["model"])
    cells = ask(several, "models", {"by_theme": True, "candidate": "big", "against_peers": True, "limit": 50})
    known = several.model_themes(against_peers=True).filter(model="big")
    assert cells["total"] == known.height
    pair = ask(several, "models", {"candidate": "big", "baseline": "sharp"})
    made = several.compare("big", "sharp") if hasattr(several, "compare") else None
    means = dict(several.models.select("model", "mean").iter_rows())
    assert pair["overall"][0]["difference"] == pytest.approx(means["big"] - means["sharp"], abs=0.01) or made
    assert "one model only" in ask(run, "models", {})["error"]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("nothing", {}, "no tool"),
        ("items", {"limit": 99}, "limit"),
        ("items", {"nothing": 1}, "nothing"),
        ("items", [1], "items|dictionary|valid"),
        ("concept", {}, "number"),
        ("concept", {"number": 10_000}, "does not exist"),
        ("findings", {"number": 99}, "no finding 99"),
        ("concepts", {"benchmark": "sum"}, "no benchmark"),
        ("lists", {}, "no list"),
    ],
)
def test_a_wrong_question_is_answered_with_an_error(run, name, arguments, says):
    answer = ask(run, name, arguments)
    assert list(answer) == ["error"] and any(word in answer["error"] for word in says.split("|"))


def test_every_answer_is_harmless_bounded_json(several):
    given = {"concept": {"number": 2}, "items": {"limit": 50}, "concepts": {"limit": 50, "all_kinds": True}}
    for name in TOOLS:
        answer = json.dumps(ask(several, name, given.get(name, {})), allow_nan=False, ensure_ascii=False)
        assert len(answer) <= LONGEST and "\u202e" not in answer
        assert schema(name)["additionalProperties"] is False


def test_what_is_too_long_is_cut_and_said():
    cut = bounded({"rows": ["x" * 100] * 1000, "total": 1000}, 5000)
    assert len(json.dumps(cut)) <= 5000 and "rows" in cut["cut"] and cut["total"] == 1000
    assert "error" in bounded({"text": "x" * 6000}, 5000)
    assert plain(float("nan")) is None and plain(1 / 3) == 0.333333 and plain("a\u202eb") == "a<U+202E>b"
