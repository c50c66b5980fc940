"""``run.json`` says what the report and the run's tables say."""

from __future__ import annotations

import json

import polars as pl
import pytest
from explorer_runs import HOME, NAMES, SECRETS, SIZES, WARNINGS

from competency_gaps.concepts.folder import dictionary_of
from competency_gaps.items.item import Reason
from competency_gaps.runs.open import open_folder
from competency_gaps.view.page.parts import Context, Parts


def info(folder, **options) -> dict:
    run = open_folder(folder)
    return json.loads(Parts(Context(run, "key", **options)).read("run.json"))


@pytest.fixture(scope="module")
def found(hostile) -> dict:
    return info(hostile.run, dictionary=dictionary_of(open_folder(hostile.run)))


def test_benchmarks_are_those_of_the_table(hostile, found):
    run = open_folder(hostile.run)
    for place, (one, row) in enumerate(zip(found["benchmarks"], run.benchmarks.iter_rows(named=True), strict=True)):
        assert one["name"] == row["benchmark"] == NAMES[place] and one["items"] == SIZES[place]
        for name in ("kept", "excluded", "scored", "covered", "missing"):
            assert one[name] == row[name]
        for name in ("mean_score", "mean_span_tokens"):
            assert one[name] == (None if row[name] is None else pytest.approx(row[name], rel=1e-6))
        own = run.concept_benchmarks.filter(pl.col("benchmark") == row["benchmark"])
        assert one["tested"] == own["q_value"].drop_nulls().len()
        assert one["failure"] == (own["performance_status"] == "failure").sum()
        assert one["left_out"] == [
            f"2 records: {Reason('no_prompt', 'the record has no prompt')} (first: {HOME}/b{place}.jsonl:7)",
            f"1 record: odd: {SECRETS[2]} (first: {HOME}/b{place}.jsonl:11)",
        ]
        assert len(one["warnings"]) == 2 * (place == 1)
    warnings = found["benchmarks"][1]["warnings"]
    assert list(warnings.items()) == list(zip(map(str, WARNINGS), (True, False), strict=True))
    assert found["benchmarks"][3]["mean_score"] is None and found["benchmarks"][2]["mean_score"] is None


def test_overlap_is_the_tables_in_both_orders(hostile, found):
    run = open_folder(hostile.run)
    for name, matrix in found["overlap"].items():
        for a, first in enumerate(NAMES):
            for b, second in enumerate(NAMES):
                pair = run.overlap.filter((pl.col("benchmark_a") == first) & (pl.col("benchmark_b") == second))
                expected = pair[name][0]
                assert matrix[a][b] == (None if expected is None else pytest.approx(expected, rel=1e-6))


def test_regions_are_the_tables_with_what_lies_in_each_and_below_it(hostile, found):
    run = open_folder(hostile.run)
    told = [{key: value for key, value in row.items() if key != "concepts"} for row in found["regions"]]
    assert told == run.regions.drop("items").to_dicts()
    concepts = run.concepts["region"]
    for row in found["regions"]:
        inside = [row["region"]]
        for _ in range(2):
            inside += [other["region"] for other in found["regions"] if other["parent"] in inside]
        assert row["concepts"] == concepts.is_in(inside).sum()
    assert sum(row["concepts"] for row in found["regions"][:2]) == concepts.count() > 0


def test_names_made_of_words_are_hidden_without_texts(hostile, monkeypatch):
    made_of_words = pl.when(pl.col("region") < 2).then(pl.lit("words")).otherwise("kind")
    regions = open_folder(hostile.run).regions.with_columns(kind=made_of_words)
    monkeypatch.setattr("competency_gaps.runs.open.RunFolder.regions", regions)
    for texts, first in ((True, regions["name"][:2].to_list()), (False, ["region 0", "region 1"])):
        parts = Parts(Context(open_folder(hostile.run), "key", texts=texts))
        for name in ("run.json", "coverage/0.json"):
            found = json.loads(parts.read(name))
            assert [row["name"] for row in found["regions"]] == [*first, *regions["name"][2:]]
        assert any(first[0] in sentence for sentence in found["words"])
