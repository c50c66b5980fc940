"""Sentences of findings, and ``cgaps show`` of them."""

from __future__ import annotations

import json

import polars as pl
import pytest
from findings_helpers import planted_run
from typer.testing import CliRunner

from competency_gaps import open_run
from competency_gaps.cli.app import app
from competency_gaps.errors import UserError
from competency_gaps.findings import sentence, short, support, with_words, write_findings
from competency_gaps.findings.examples import shown_items
from competency_gaps.runs.schemas import FINDINGS
from core_helpers import seal

FEATURE = {
    "feature": "answer.negative",
    "feature_benchmarks": ["sums"],
    "counted": "items",
    "feature_items": 35,
    "feature_score": 0.17,
    "other_items": 115,
    "other_score": 0.57,
    "feature_p": 0.002,
}


def row(**changes):
    base = {
        "verdict": "weak",
        "leader": 3,
        "label": "numbers below zero",
        "concepts": [3, 1],
        "items": 40,
        "clusters": 35,
        "example": "3 - 9",
        "unit": "right",
        "n_eff": 30.4,
        "mean_score": 0.2,
        "plain_gap": -0.4,
        "gap": -0.3,
        "gap_low": -0.45,
        "gap_high": -0.15,
        "detectable": 0.2,
        "benchmarks": [{"benchmark": "sums", "items": 40, "share": 1.0}],
        "unseen_splits": 12,
        "splits": 20,
        "unseen_gap": -0.25,
        "unseen_low": -0.5,
        "unseen_high": -0.05,
        "holds": True,
    }
    return {**dict.fromkeys(FINDINGS), **base, **changes}


CONCEPTS = pl.DataFrame({"label": ["a", None, "c", "numbers below zero"]})


def test_a_described_finding_is_stated_by_its_items():
    told = "sums: items whose answer is negative: 17% right (35 items), others 57% (115)"
    assert sentence(row(**FEATURE)) == told
    assert "17% right, others 57%" in short(row(**FEATURE))
    assert "(35 different items)" in sentence(row(**{**FEATURE, "counted": "texts"}))
    assert "(35 clusters)" in sentence(row(**{**FEATURE, "counted": "clusters"}))
    several = row(**{**FEATURE, "feature_benchmarks": ["a", "b", "c", "d"]})
    assert sentence(several).startswith("a, b and 2 more: items whose")


def test_graded_scores_are_no_shares_of_right_answers():
    told = sentence(row(**FEATURE, unit="score"))
    assert "mean score 0.17 (35 items), others 0.57 (115)" in told
    assert "%" not in told + sentence(row(unit="score"))


def test_a_finding_without_a_description_states_this():
    told = sentence(row())
    assert "concept 3 (“numbers below zero”) or 1 other that goes with it" in told
    assert "20% right, 30 points below comparable items" in told
    assert "no feature of texts or answers that was tested describes them, e.g. “3 - 9”" in told
    assert "30 points above" in sentence(row(verdict="strong", gap=0.3))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Found again in 12 of 20 half-samples; there "),
        (
            {"holds": None, "unseen_splits": 0, "unseen_gap": None},
            "Found again in none of 20 half-samples; it was chosen",
        ),
        ({"clusters": 40}, ". 40 items, effective sample 30."),
        ({}, "40 items in 35 clusters, effective sample 30"),
        ({}, "gap −0.30 (95% interval −0.45 to −0.15), plain gap −0.40"),
        ({}, "Concepts 3 (“numbers below zero”), 1."),
        ({"detectable": None}, "plain gap −0.40. Found again"),
    ],
)
def test_support(changes, says):
    assert says in support(row(**changes), CONCEPTS)


@pytest.mark.parametrize("label", ["x" * 400, "a"])
@pytest.mark.parametrize("benchmark", ["y" * 300, "sums"])
def test_short_is_short(label, benchmark):
    where = [{"benchmark": benchmark, "items": 4, "share": 1.0}]
    for one in (row(label=label, benchmarks=where), row(**{**FEATURE, "feature": f"prompt.word:{label}"})):
        assert len(short({**one, "feature_benchmarks": [benchmark]})) <= 90


@pytest.fixture
def run(tmp_path):
    """A run whose first finding is planted, on disk but for its concepts' items."""
    made = planted_run(tmp_path, 1)
    write_findings(made)
    return made


@pytest.mark.parametrize(("kind", "count"), [("equal", 3), ("given", 1)])
def test_shown_items_count_their_repeats(tmp_path, kind, count):
    made = planted_run(tmp_path, 1, repeats=3)
    made.items.with_columns(cluster_kind=pl.lit(kind)).write_parquet(tmp_path / "items.parquet")
    seal(tmp_path)
    made.manifest.update(open_run(tmp_path).manifest)
    write_findings(made)
    opened = open_run(tmp_path)
    failing, passing = shown_items(opened, opened.findings.row(0, named=True))
    assert {one.repeats for one in (*failing, *passing)} == {count}


def call(*arguments):
    found = CliRunner().invoke(app, ["show", *map(str, arguments)])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.stdout


def test_a_finding_is_shown_with_its_items(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = call(run.path, "--finding", 0)
    assert "sums: items whose answer is negative" in shown and "fails" in shown and "passes" in shown
    one = json.loads(call(run.path, "--finding", 0, "--json"))
    assert [item["row"] for item in one["failing"]] == run.findings["failing"][0].to_list()


def test_a_finding_that_does_not_exist_is_refused(run):
    with pytest.raises(UserError, match="finding 99 does not exist"):
        call(run.path, "--finding", 99)


def test_texts_never_act_on_the_terminal(run):
    hostile = "\x1b[31m[bold]x[/bold]\u202e"
    run.items.with_columns(prompt=pl.lit(hostile) + pl.col("prompt"), response=pl.lit(hostile)).write_parquet(
        run.path / "items.parquet"
    )
    run.concepts.with_columns(label=pl.lit(hostile)).write_parquet(run.path / "concepts.parquet")
    table = pl.read_parquet(run.path / "findings.parquet")
    without_feature = table.with_columns(label=pl.lit(hostile), feature=pl.lit(None, pl.String))
    with_words(without_feature).write_parquet(run.path / "findings.parquet")
    seal(run.path)
    shown = call(run.path, "--finding", 0)
    assert "\x1b[31m" not in shown and "\u202e" not in shown and "<U+001B>" in shown.replace("\n", "")
    # In the data itself texts stay as they came: escaping is for whoever shows them.
    failing, _ = shown_items(open_run(run.path), open_run(run.path).findings.row(0, named=True))
    assert "".join(piece.text for piece in failing[0].prompt).startswith(hostile)
