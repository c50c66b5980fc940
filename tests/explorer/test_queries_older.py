"""Queries about runs of older versions, and what no answer holds."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from explorer_dictionary import WIDTH
from explorer_runs import NAMES
from test_queries import ARGUMENTS

from competency_gaps import open_run
from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.queries import Subject, ask


@pytest.fixture(scope="module")
def run(hostile):
    return open_run(hostile.run)


@pytest.fixture(scope="module")
def subject(run):
    return Subject(Parts(run, key="hostile"))


def test_the_run_card_keeps_texts_that_are_put_to_the_model(subject):
    """They are the audited model's, and whoever answers may be another one elsewhere."""
    put = ("You like", "Few shots")
    assert all(any(text in value for _, value in subject.info["settings"]) for text in put)
    card = ask(subject, "run_card", {})
    names = [one["setting"] for one in card["settings"]]
    assert "span" in names
    assert "benchmarks" not in names
    assert not any(text in json.dumps(card) for text in put)


def test_an_older_run_is_answered(hostile, tmp_path):
    """A run of a version that knew less: what it lacks is null, and no question breaks on it."""
    folder = shutil.copytree(hostile.run, tmp_path / "run")
    lacking = {
        "items": ("epochs", "details", "identity", "greedy", "logprobs"),
        "concepts": ("chance_seen", "exact_token", "leader"),
        "concept_benchmarks": ("chance_seen", "leader"),
    }
    for name, columns in lacking.items():
        pl.read_parquet(folder / f"{name}.parquet").drop(columns).write_parquet(folder / f"{name}.parquet")
    older = Subject(Parts(open_run(folder), key="older"))
    for name, arguments in ARGUMENTS.items():
        assert "error" not in ask(older, name, arguments), name
    for more in ({"sort": "chance_seen"}, {"leaders_only": True}, {"benchmark": NAMES[0], "flagged": True}):
        assert "error" not in ask(older, "top_concepts", more), more
    assert ask(older, "item", {"item": 9})["details"] is None


def test_benchmarks_of_a_concept_are_those_of_the_table(subject, run):
    for concept in (0, 1, 50, WIDTH - 1):
        table = run.concept_benchmarks.filter(pl.col("concept") == concept)
        found = subject.benchmark_rows(concept)
        assert [row["benchmark"] for row in found] == list(NAMES)
        for row, expected in zip(found, table.iter_rows(named=True), strict=True):
            for name in ("support", "lift", "coverage_status", "q_value", "chi_model_low", "gap", "performance_status"):
                same = expected[name] if not isinstance(expected[name], float) else pytest.approx(expected[name])
                assert row[name] == same, (concept, name)
