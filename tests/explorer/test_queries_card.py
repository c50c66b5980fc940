"""What the run card tells, and what each concept is in each benchmark."""

from __future__ import annotations

import json

import polars as pl
import pytest
from explorer_dictionary import WIDTH
from explorer_runs import NAMES

from competency_gaps import open_run
from competency_gaps.explorer.parts import Context
from competency_gaps.explorer.queries import Subject, ask


@pytest.fixture(scope="module")
def run(hostile):
    return open_run(hostile.run)


@pytest.fixture(scope="module")
def subject(run):
    return Subject(Context(run, "hostile"))


def test_the_run_card_keeps_texts_that_are_put_to_the_model(subject):
    """They are the audited model's, and whoever answers may be another one elsewhere."""
    put = ("You like", "Few shots")
    assert all(any(text in value for _, value in subject.info.settings) for text in put)
    card = ask(subject, "run_card", {})
    names = [one["setting"] for one in card["settings"]]
    assert "span" in names
    assert "benchmarks" not in names
    assert not any(text in json.dumps(card) for text in put)


def test_benchmarks_of_a_concept_are_those_of_the_table(subject, run):
    for concept in (0, 1, 50, WIDTH - 1):
        table = run.concept_benchmarks.filter(pl.col("concept") == concept)
        found = subject.context.sources.benchmark_rows(concept)
        assert [row["benchmark"] for row in found] == list(NAMES)
        for row, expected in zip(found, table.iter_rows(named=True), strict=True):
            for name in ("support", "lift", "coverage_status", "q_value", "chi_model_low", "gap", "performance_status"):
                same = expected[name] if not isinstance(expected[name], float) else pytest.approx(expected[name])
                assert row[name] == same, (concept, name)
