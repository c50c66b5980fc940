"""What too little data stands behind comes last, and two figures have two names."""

from __future__ import annotations

import shutil

import polars as pl
import pytest
from explorer_runs import NAMES

from competency_gaps import open_run
from competency_gaps.explorer.parts import Context
from competency_gaps.explorer.queries import QUERIES, Subject, ask
from core_helpers import seal

CLASSES = {"weak": 0, "typical": 0, "strong": 0, "insufficient": 1, "untested": 2}
"""Verdicts in the order in which lists by performance have them."""


@pytest.fixture(scope="module")
def subject(hostile, tmp_path_factory):
    """A run where the lowest and the highest gaps are those of concepts and themes with too little data."""
    folder = shutil.copytree(hostile.run, tmp_path_factory.mktemp("order") / "run")
    for name, number in (("concepts", "concept"), ("concept_benchmarks", "concept"), ("theme_results", "id")):
        # Of three rows one is tested; of the others, half stand below all that are tested, half above.
        tested, untested = pl.col(number) % 3 == 0, pl.col(number) % 6 == 1
        far = pl.when(pl.col(number) % 4 < 2).then(-0.9).otherwise(0.9) + pl.col(number) / 10_000
        status = pl.when(tested).then(pl.lit("weak")).when(untested).then(pl.lit("untested"))
        pl.read_parquet(folder / f"{name}.parquet").with_columns(
            gap=pl.when(tested).then(pl.col(number) / 10_000).otherwise(far),
            chi_model=pl.when(tested).then(0.5).otherwise(0.5 + far / 2),
            performance_status=status.otherwise(pl.lit("insufficient")),
        ).write_parquet(folder / f"{name}.parquet")
    seal(folder)
    return Subject(Context(open_run(folder), "order"))


def in_order(rows, key, *, descending=False):
    """Whether rows are sorted by class, then by value; both lists say so, and each class occurs."""
    sign = -1 if descending else 1
    found = [(CLASSES[row["performance_status"]], sign * row[key]) for row in rows]
    assert {place for place, _ in found} >= {0, 1}
    return found == sorted(found)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["gap", "chi_model"])
@pytest.mark.parametrize("benchmark", [None, NAMES[0]])
def test_tested_concepts_come_first(subject, sort, descending, benchmark):
    asked = {"sort": sort, "descending": descending, "limit": 50, "all_kinds": True, "benchmark": benchmark}
    assert in_order(ask(subject, "top_concepts", asked)["concepts"], sort, descending=descending)


def test_other_orders_are_by_the_value_alone(subject):
    shown = ask(subject, "top_concepts", {"sort": "support", "descending": True, "limit": 50})["concepts"]
    assert [one["support"] for one in shown] == sorted((one["support"] for one in shown), reverse=True)
    assert CLASSES[shown[0]["performance_status"]] or len({one["performance_status"] for one in shown}) > 1


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["gap", "chi_model"])
def test_tested_themes_come_first(subject, sort, descending):
    asked = {"level": "subtheme", "sort": sort, "descending": descending, "limit": 50}
    assert in_order(ask(subject, "themes", asked)["themes"], sort, descending=descending)


def test_the_weakest_concepts_and_subthemes_of_a_theme_are_tested(subject):
    answer = ask(subject, "theme", {"theme": 0, "concepts": 50})
    assert in_order(answer["weakest_concepts"], "gap") and in_order(answer["subthemes"], "gap")
    few = ask(subject, "theme", {"theme": 0, "concepts": 3})["weakest_concepts"]
    assert [one["performance_status"] for one in few] == ["weak"] * 3


def test_who_asks_is_told_of_the_order():
    for name in ("top_concepts", "themes"):
        assert "too little data" in QUERIES[name].schema["properties"]["sort"]["description"]
    assert "too little data" in QUERIES["theme"].schema["properties"]["concepts"]["description"]


def test_counts_of_alive_and_of_ranked_concepts_have_names_of_their_own(hostile):
    subject = Subject(Context(open_run(hostile.run), "hostile"))
    answer = ask(subject, "benchmarks", {})
    table, rows = subject.concepts, subject.run.concept_benchmarks
    ranked = table.filter("ranked")["concept"].to_list()
    assert len(answer["redundancy"]) == len(NAMES) and any(one["ranked_covered"] for one in answer["redundancy"])
    for one in answer["redundancy"]:
        assert set(one) == {"benchmark", "ranked_added", "ranked_covered", "ranked_cumulative"}
        (name,) = [
            name for name, shown in zip(NAMES, answer["benchmarks"], strict=True) if shown["name"] == one["benchmark"]
        ]
        own = rows.filter((pl.col("benchmark") == name) & (pl.col("support") > 0) & pl.col("concept").is_in(ranked))
        assert one["ranked_covered"] == own.height
    assert "covered" in answer["benchmarks"][0]
    assert "ranked" in QUERIES["benchmarks"].description and "alive" in QUERIES["benchmarks"].description
