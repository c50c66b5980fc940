"""Queries about a run: their numbers are those of the run's tables, and nothing that is asked or read breaks them."""

from __future__ import annotations

import json
import re

import jsonschema
import numpy as np
import polars as pl
import pytest
from explorer_dictionary import WIDTH
from explorer_extras import with_lists
from explorer_runs import NAMES, REPEATED, SECRETS
from scipy.stats import spearmanr

from competency_gaps import open_run
from competency_gaps.explorer.parts import Context, as_json
from competency_gaps.explorer.queries import QUERIES, Subject, ask
from competency_gaps.explorer.queries.values import MAX_ANSWER, foreign

ARGUMENTS = {
    "findings": {},
    "finding": {"finding": 0},
    "overview": {},
    "top_concepts": {"limit": 50, "all_kinds": True},
    "concept": {"concept": 1, "examples": 5},
    "find_items": {"limit": 50},
    "item": {"item": 9},
    "themes": {"level": "subtheme", "limit": 50},
    "theme": {"theme": 0},
    "benchmarks": {},
    "models": {},
    "model_themes": {"limit": 50},
    "model_groups": {"limit": 50},
    "compare_models": {"candidate": "big", "baseline": "small"},
    "known_weaknesses": {"limit": 50},
    "known_weakness": {"number": 0, "examples": 10},
    "correlation": {"first": NAMES[0], "second": NAMES[1]},
    "suggestions": {},
    "robustness": {},
    "run_card": {},
}
"""A question to every query."""


@pytest.fixture(scope="module")
def run(hostile):
    return open_run(hostile.run)


@pytest.fixture(scope="module")
def subject(run):
    return Subject(Context(run, "hostile"))


def close(shown, value):
    """Whether a shown number is a value with six digits; null only for null."""
    return shown is None if value is None else shown == pytest.approx(value, rel=1e-5)


def ids(answer):
    assert answer["total"] >= len(answer["concepts"])
    return [one["concept"] for one in answer["concepts"]]


def test_every_query_answers(modelled, tmp_path):
    subject = Subject(Context(open_run(with_lists(modelled, tmp_path).run), "models"))
    assert ARGUMENTS.keys() == QUERIES.keys()
    for name, arguments in ARGUMENTS.items():
        answer = ask(subject, name, arguments)
        assert "error" not in answer, name
        text = json.dumps(answer, allow_nan=False, ensure_ascii=False)
        assert len(text) <= MAX_ANSWER
        said = " ".join(strings(answer))
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]", said), name


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def test_schemas_hold_for_the_arguments_that_queries_take():
    for name, query in QUERIES.items():
        jsonschema.Draft202012Validator.check_schema(query.schema)
        assert query.schema["additionalProperties"] is False
        jsonschema.validate(ARGUMENTS[name], query.schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"nothing of the kind": 1}, query.schema)


@pytest.mark.parametrize(
    ("asked", "wanted", "key", "descending"),
    [
        ({}, lambda row: row["ranked"], "gap", False),
        ({"status": "weak"}, lambda row: row["ranked"] and row["performance_status"] == "weak", "gap", False),
        (
            {"coverage": "missing", "sort": "chance_seen", "descending": True},
            lambda row: row["ranked"] and row["coverage_status"] == "missing",
            "chance_seen",
            True,
        ),
        ({"all_kinds": True, "sort": "support", "descending": True}, lambda row: True, "support", True),
        ({"text": "CALENDAR"}, lambda row: row["ranked"] and "calendar" in (row["label"] or "").lower(), "gap", False),
        ({"min_n_eff": 40}, lambda row: row["ranked"] and row["n_eff"] >= 40, "gap", False),
        ({"leaders_only": True}, lambda row: row["ranked"] and row["leader"] == row["concept"], "gap", False),
        ({"sort": "concept"}, lambda row: row["ranked"], "concept", False),
    ],
)
def test_concepts_are_those_that_a_plain_loop_finds(subject, run, asked, wanted, key, descending):
    answer = ask(subject, "top_concepts", {**asked, "limit": 50})
    rows = [row for row in run.concepts.to_dicts() if wanted(row)]
    sign = -1 if descending else 1
    rows.sort(key=lambda row: (row[key] is None, sign * (row[key] or 0), row["concept"]))
    if key == "gap":
        rows.sort(key=lambda row: {"insufficient": 1, "untested": 2}.get(row["performance_status"], 0))
    assert answer["total"] == len(rows)
    assert ids(answer) == [row["concept"] for row in rows[:50]]
    for shown, row in zip(answer["concepts"], rows, strict=False):
        for name in ("gap", "gap_low", "q_value", "chi_model", "chi_bench", "n_eff", "support"):
            assert close(shown[name], row[name]), (row["concept"], name)


def test_concepts_within_a_benchmark_and_a_theme(subject, run):
    own = run.concept_benchmarks.filter(pl.col("benchmark") == NAMES[1]).to_dicts()
    answer = ask(subject, "top_concepts", {"benchmark": NAMES[1], "sort": "chi_bench", "descending": True, "limit": 5})
    for shown in answer["concepts"]:
        row = own[shown["concept"]]
        assert all(close(shown[name], row[name]) for name in ("chi_bench", "chi_model", "gap", "lift", "n_eff"))
    best = max((row["chi_bench"], -row["concept"]) for row in own if run.concepts["ranked"][row["concept"]])
    assert (answer["concepts"][0]["chi_bench"], -answer["concepts"][0]["concept"]) == pytest.approx(best, rel=1e-5)
    members = run.themes.filter(pl.col("theme") == 1)["concept"].to_list()
    of_theme = ask(subject, "top_concepts", {"theme": 1, "limit": 50, "all_kinds": True})
    assert sorted(ids(of_theme)) == sorted(members)


def test_followers_are_counted(subject, run):
    leaders = run.concepts["leader"].to_list()
    for shown in ask(subject, "top_concepts", {"status": "weak", "limit": 50})["concepts"]:
        concept = shown["concept"]
        leads = leaders[concept] == concept
        assert shown["followers"] == (leaders.count(concept) - 1 if leads else None)
    assert any(shown["followers"] for shown in ask(subject, "top_concepts", {"status": "weak"})["concepts"])


def test_one_concept(subject, run):
    answer = ask(subject, "concept", {"concept": 1, "examples": 2})
    row = run.concepts.row(1, named=True)
    for name in ("chi_bench", "chi_model", "chi_model_low", "gap", "p_value", "lift", "support", "n_benchmarks"):
        assert close(answer[name], row[name])
    per = run.concept_benchmarks.filter((pl.col("concept") == 1) & (pl.col("support") > 0)).to_dicts()
    assert [one["chi_bench"] for one in answer["benchmarks"]] == pytest.approx(
        [one["chi_bench"] for one in per], rel=1e-5
    )
    assert len(answer["benchmarks"]) + len(answer["benchmarks_without_it"]) == len(NAMES)
    items = run.items
    assert {one["which"] for one in answer["examples"]} == {"strongest", "best", "worst"}
    for one in answer["examples"]:
        source = items.row(one["item"], named=True)
        assert "Roman" in source["prompt"], "concepts 1 to 3 fire on this word alone"
        assert one["strongest_at"].strip() == "Roman"
        assert one["score"] == source["score"]
        assert len(one["text"]) < 400
    column = np.concatenate([run.cas(name)[:, [1]].toarray().ravel() for name in NAMES])
    strongest = next(one for one in answer["examples"] if one["which"] == "strongest")
    assert close(strongest["cas"], float(column.max()))


def test_a_missing_concept_has_no_numbers(subject, run):
    missing = run.concepts.filter("missing", "ranked")["concept"][0]
    answer = ask(subject, "concept", {"concept": missing})
    assert answer["coverage_status"] == "missing"
    assert answer["chi_bench"] == 0
    assert all(answer[name] is None for name in ("chi_model", "gap", "q_value", "lift"))
    assert answer["benchmarks"] == answer["examples"] == []


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"benchmark": NAMES[1]}, lambda row: row["benchmark"] == NAMES[1]),
        ({"benchmark": NAMES[0], "max_score": 0}, lambda row: row["benchmark"] == NAMES[0] and row["score"] == 0),
        ({"min_score": 0.5}, lambda row: row["score"] is not None and row["score"] >= 0.5),
        ({"unscored": True}, lambda row: row["score"] is None),
        ({"group": "even"}, lambda row: row["group"] == "even"),
        ({"text": SECRETS[2].upper() + " 1"}, lambda row: f"{SECRETS[2]} 1" in (row["answer"] or "").lower()),
        ({"text": "no such words anywhere"}, lambda row: False),
    ],
)
def test_items_are_those_that_a_plain_loop_finds(subject, run, asked, wanted):
    answer = ask(subject, "find_items", {**asked, "limit": 50, "repeats": True})
    rows = [i for i, row in enumerate(run.items.to_dicts()) if wanted(row)]
    assert answer["total"] == len(rows)
    assert [one["item"] for one in answer["items"]] == rows[: len(answer["items"])]
    assert len(answer["items"]) == min(50, len(rows)) or "items" in answer["cut"]


def test_items_that_ask_the_same_are_told_once(subject, run):
    asked = {"benchmark": NAMES[0], "limit": 50}
    clusters = run.items.filter(pl.col("benchmark") == NAMES[0])["cluster"]
    answer = ask(subject, "find_items", asked)
    assert answer["total"] == clusters.len() == answer["total_without_repeats"] + 2
    repeated = ask(subject, "find_items", {**asked, "text": f"{SECRETS[2]} 11", "max_score": 1})["items"]
    shown = [one for one in repeated if one["repeats"] > 1]
    assert [one["item"] for one in shown] == [REPEATED[0]] and shown[0]["repeats"] == len(REPEATED)
    assert ask(subject, "item", {"item": REPEATED[1]})["repeats"] == len(REPEATED)


def test_findings_are_those_of_the_table(subject, run):
    table = run.findings.to_dicts()
    answer = ask(subject, "findings", {})
    assert [one["finding"] for one in answer["findings"]] == [row["finding"] for row in table]
    assert [one["sentence"] for one in answer["findings"]] == [foreign(row["sentence"], 600) for row in table]
    strong = ask(subject, "findings", {"verdict": "strong", "limit": 1})
    of_verdict = [row["finding"] for row in table if row["verdict"] == "strong"]
    assert strong["total"] == len(of_verdict) and [one["finding"] for one in strong["findings"]] == of_verdict[:1]
    for name in NAMES:
        shares = [sum(p["share"] for p in row["benchmarks"] if p["benchmark"] == name) for row in table]
        assert ask(subject, "findings", {"benchmark": name})["total"] == sum(share >= 0.1 for share in shares)
    for holds in (True, False):
        assert ask(subject, "findings", {"holds": holds})["total"] == sum(row["holds"] is holds for row in table)
    one = ask(subject, "finding", {"finding": 0})
    assert close(one["gap"], table[0]["gap"]) and close(one["feature_score"], table[0]["feature_score"])
    assert [example["item"] for example in one["failing"]] == table[0]["failing"]
    for example in (*one["failing"], *one["passing"]):
        row = run.items.row(example["item"], named=True)
        assert example["score"] == row["score"] and example["benchmark"] == foreign(row["benchmark"])
    listed = ask(subject, "find_items", {"finding": 0, "limit": 50, "repeats": True})
    assert listed["total"] == len(table[0]["item_rows"])
    assert [one["item"] for one in listed["items"]] == table[0]["item_rows"][: len(listed["items"])]


def test_items_of_a_concept(subject, run):
    column = np.concatenate([run.cas(name)[:, [5]].toarray().ravel() for name in NAMES])
    rows = np.flatnonzero(column)
    order = rows[np.lexsort((rows, -column[rows]))]
    answer = ask(subject, "find_items", {"concept": 5, "limit": 10})
    assert answer["total"] == len(rows)
    assert [one["item"] for one in answer["items"]] == order[:10].tolist()
    assert [one["cas"] for one in answer["items"]] == pytest.approx(column[order[:10]].tolist(), rel=1e-5)


def test_a_long_item_is_cut_and_says_so(subject, run):
    row = int(run.items["prompt"].str.len_chars().arg_max())
    answer = ask(subject, "item", {"item": row})
    assert len(answer["prompt"]) < 3100
    assert answer["prompt"].endswith("(+997,000 characters)")
    assert answer["n_tokens"] == run.items["n_tokens"][row]
    rows = np.concatenate([run.cas(name).toarray() for name in NAMES])
    assert {one["concept"] for one in answer["concepts"]} <= set(np.flatnonzero(rows[row]).tolist())
    for one in answer["concepts"]:
        assert close(one["cas"], float(rows[row, one["concept"]]))


def test_themes(subject, run):
    answer = ask(subject, "themes", {"sort": "chi_bench", "descending": True})
    rows = run.theme_results.filter(pl.col("level") == "theme").sort("chi_bench", descending=True).to_dicts()
    assert [one["id"] for one in answer["themes"]] == [row["id"] for row in rows]
    one = ask(subject, "theme", {"theme": 0, "concepts": 50})
    assert close(one["gap"], next(row["gap"] for row in rows if row["id"] == 0))
    assert {child["parent"] for child in one["subthemes"]} == {0}
    members = run.themes.filter(pl.col("theme") == 0)["concept"].to_list()
    ranked = [concept for concept in members if run.concepts["ranked"][concept]]
    assert sorted(shown["concept"] for shown in one["weakest_concepts"]) == ranked
    assert ask(subject, "theme", {"theme": 2, "level": "subtheme"})["parent"] == 0


def test_a_run_without_themes_says_so(bare):
    plain = Subject(Context(open_run(bare.run), "bare"))
    assert "no themes" in ask(plain, "themes", {})["error"]
    assert "no themes" in ask(plain, "theme", {"theme": 0})["error"]
    assert ask(plain, "top_concepts", {"theme": 0})["total"] == 0
    assert ask(plain, "top_concepts", {"limit": 1})["concepts"][0]["label"] is None
    assert ask(plain, "concept", {"concept": 3})["theme"] is None


def test_correlation(subject, run):
    answer = ask(subject, "correlation", {"first": NAMES[0], "second": NAMES[1], "concepts": 20})
    one, other = ((run.cas(name) > 0).toarray().any(axis=0) for name in NAMES[:2])
    alive = run.concepts["alive"].to_numpy()
    assert answer["covered_by_both"] == (one & other & alive).sum()
    assert answer["covered_by_first_only"] == (one & ~other & alive).sum()
    assert answer["covered_by_second_only"] == (~one & other & alive).sum()
    assert close(answer["jaccard"], (one & other).sum() / (one | other).sum())
    scores = [run.concept_benchmarks.filter(pl.col("benchmark") == name)["chi_model"].to_numpy() for name in NAMES[:2]]
    shared = np.isfinite(scores[0]) & np.isfinite(scores[1])
    assert answer["n_concepts"] == shared.sum()
    assert close(answer["spearman"], spearmanr(scores[0][shared], scores[1][shared]).statistic)
    differing = [*answer["better_in_first"], *answer["better_in_second"]]
    assert differing
    for shown in differing:
        assert min(shown["n_eff_first"], shown["n_eff_second"]) >= answer["min_n_eff"]
        assert shown["gap_difference"] == pytest.approx(shown["gap_first"] - shown["gap_second"], abs=1e-5)
    assert [shown["gap_difference"] > 0 for shown in differing] == [True] * len(answer["better_in_first"]) + [
        False
    ] * len(answer["better_in_second"])


def test_a_benchmark_may_be_named_as_it_is_shown(subject):
    assert ask(subject, "correlation", {"first": NAMES[3], "second": NAMES[0]})["spearman"] is None
    shown = [one["name"] for one in ask(subject, "benchmarks", {})["benchmarks"]]
    assert shown == [foreign(name) for name in NAMES]
    for name in shown:
        assert "error" not in ask(subject, "find_items", {"benchmark": name})


def test_what_the_page_shows_is_what_is_answered(subject, run):
    info = json.loads(as_json(subject.info))
    overview = ask(subject, "overview", {})
    assert overview["counts"] == info["counts"]
    answer = info["answer"]
    assert [one["finding"] for one in overview["findings"]] == [one["finding"] for one in answer["findings"]]
    assert overview["opening"] == answer["opening"]["text"] and len(overview["trust"]) == len(answer["trust"]) == 1
    assert [one["mean_score"] for one in overview["benchmarks_by_score"]] == [
        one["mean_score"] and pytest.approx(one["mean_score"], rel=1e-5) for one in answer["benchmarks"]
    ]
    assert len(overview["warnings"]) == len(info["cautions"]) > 0
    benchmarks = ask(subject, "benchmarks", {})["benchmarks"]
    table = run.benchmarks.to_dicts()
    assert [one["covered"] for one in benchmarks] == [row["covered"] for row in table]
    assert all(close(one["mean_score"], row["mean_score"]) for one, row in zip(benchmarks, table, strict=True))
    suggestions = ask(subject, "suggestions", {})["suggestions"]
    assert [one["command"] for one in suggestions] == [one["command"] for one in info["suggestions"]]
    kinds = {one["kind"] for one in suggestions}
    for kind in kinds:
        assert {one["kind"] for one in ask(subject, "suggestions", {"kind": kind})["suggestions"]} == {kind}
    assert ask(subject, "robustness", {}) == {
        "tested": False,
        "verdicts": [],
        "probes": [],
        "notes": ["Robustness was not tested: 'cgaps robustness RUN' does it."],
        "foreign_texts": ["label", "sentence"],
    }
    assert ask(subject, "run_card", {})["command"] == info["command"]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("no such query", {}, "findings, finding, overview"),
        ("concept", {}, "concept: Field required"),
        ("concept", {"concept": WIDTH}, f"0 to {WIDTH - 1}"),
        ("concept", {"concept": -1}, "greater than or equal to 0"),
        ("concept", {"concept": 1, "examples": 6}, "less than or equal to 5"),
        ("concept", {"concept": "one"}, "valid integer"),
        ("concept", [1], "dictionary"),
        ("top_concepts", {"status": "\u202eweak"}, "u202e"),
        ("top_concepts", {"limit": 51}, "less than or equal to 50"),
        ("top_concepts", {"benchmark": "summs"}, "Did you mean 'sums'?"),
        ("top_concepts", {"sort": "label"}, "sort"),
        ("find_items", {"benchmark": ""}, "at least 1"),
        ("find_items", {"min_score": float("nan")}, "min_score"),
        ("find_items", {"concept": 10**12}, "does not exist"),
        ("find_items", {"where": "1=1"}, "find_items has no argument where: expected benchmark, "),
        ("benchmarks", {"limit": 1}, "benchmarks has no argument limit: expected none. Ask again without it"),
        ("item", {"item": 10**30}, "does not exist"),
        ("finding", {"finding": 99}, "no finding 99: expected 0 to "),
        ("find_items", {"finding": 99}, "no finding 99"),
        ("theme", {"theme": 99}, "no theme 99"),
        ("correlation", {"first": NAMES[0]}, "second: Field required"),
        ("correlation", {"first": "x" * 100_000, "second": NAMES[0]}, "first"),
    ],
)
def test_what_is_wrong_with_a_question_is_its_answer(subject, name, arguments, says):
    answer = ask(subject, name, arguments)
    assert answer.keys() == {"error"}
    assert says in answer["error"]
    assert len(answer["error"]) < 1200
    assert "\u202e" not in answer["error"]
