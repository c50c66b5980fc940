"""What items do not test: counts against loops over the tables, and scopes with planted members."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from competency_gaps.errors import UserError
from competency_gaps.findings.coverage import coverage, scope_table
from competency_gaps.findings.texts import near

COUNT, NAMES = 400, ("quiz", "code")
WORDS = [f"word{i}" for i in range(300)]


def embed_words(texts):
    """Unit vectors of the words of each text."""
    rows = np.zeros((len(texts), len(WORDS) + 1), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.replace(",", " ").split():
            row[WORDS.index(word) if word in WORDS else -1] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    statuses = np.array([None, "missing", "under", "typical", "over"], dtype=object)
    label = [" ".join(rng.choice(WORDS[20:], 5, replace=False)) for _ in range(COUNT)]
    for number in range(10):  # what a scope names
        label[number] = " ".join(rng.choice(WORDS[:20], 5, replace=False))
    concepts = pl.DataFrame(
        {
            "concept": pl.Series(range(COUNT), dtype=pl.Int32),
            "label": [text if rng.random() < 0.9 or i < 10 else None for i, text in enumerate(label)],
            "alive": [i < 10 or rng.random() < 0.9 for i in range(COUNT)],
            "ranked": [i < 10 or rng.random() < 0.8 for i in range(COUNT)],
            "kind": rng.choice(["contextual", "token", "format"], COUNT),
            "density": rng.random(COUNT),
            "coverage_status": rng.choice(statuses, COUNT),
            "chance_seen": rng.random(COUNT),
        }
    ).with_columns(label_kind=pl.when(pl.col("label").is_not_null()).then(pl.lit("explained")))
    own = pl.concat(
        concepts.select("concept").with_columns(
            benchmark=pl.lit(name),
            coverage_status=pl.Series(rng.choice(statuses, COUNT), dtype=pl.String),
            chance_seen=pl.Series(rng.random(COUNT)),
        )
        for name in NAMES
    )
    region = rng.integers(5, 15, COUNT)
    scope = ", ".join(WORDS[:20])
    return SimpleNamespace(
        concepts=concepts.with_columns(region=pl.Series(region, dtype=pl.Int32)),
        concept_benchmarks=own,
        benchmarks=pl.DataFrame({"benchmark": NAMES, "kept": [30, 12]}),
        regions=pl.DataFrame(
            {"region": range(15), "parent": [None] * 5 + [i // 2 for i in range(10)], "name": list("abcdefghijklmno")},
            schema_overrides={"region": pl.Int32, "parent": pl.Int32},
        ),
        scopes=scope_table(concepts, {"quiz": scope, "code": None}, embed_words),
        manifest={
            "benchmarks": [{"name": "quiz", "scope": scope}, {"name": "code", "scope": None}],
            "reference": {"lift": True},
        },
        width=COUNT,
        path=None,
    )


def counts(rows):
    missing = [row["coverage_status"] for row in rows].count("missing")
    thin = [row["coverage_status"] for row in rows].count("under")
    return len(rows), missing, thin, pytest.approx(sum(1 - row["chance_seen"] for row in rows))


def of(part):
    return part.concepts, part.missing, part.thin, part.by_chance


def test_counts_are_those_of_loops_over_the_tables(run):
    found = coverage(run)
    base = [row for row in run.concepts.to_dicts() if row["alive"] and row["ranked"] and row["label"]]
    assert of(found.all) == counts(base) and found.items == 42
    assert found.all.concepts + sum(count for _, count in found.left_out) == COUNT
    above = {row["concept"]: (row["region"] - 5) // 2 for row in base}
    assert sorted(part.number for part in found.regions) == list(range(5))
    for part in found.regions:
        assert of(part) == counts([row for row in base if above[row["concept"]] == part.number])
        assert all(above[lack.concept] == part.number for lack in part.lacking)
    numbers = {row["concept"] for row in base}
    for part in found.benchmarks:
        own = run.concept_benchmarks.filter(benchmark=part.all.name).to_dicts()
        assert of(part.all) == counts([row for row in own if row["concept"] in numbers])
        only = coverage(run, part.all.name)
        assert of(only.all) == of(part.all) and only.benchmarks == (part,)


def test_a_scope_has_the_concepts_that_it_names(run):
    quiz, code = coverage(run).benchmarks
    assert code.scope is None and quiz.scope is not None
    inside = set(run.scopes["concept"])
    assert set(range(10)) <= inside and len(inside) <= 10 + 0.06 * COUNT
    own = run.concept_benchmarks.filter(pl.col("benchmark") == "quiz", pl.col("concept").is_in(inside)).to_dicts()
    assert of(quiz.scope) == counts(own)
    assert [lack.status for lack in quiz.scope.lacking] == sorted(lack.status for lack in quiz.scope.lacking)


def test_an_unrelated_text_is_near_to_as_many_names_as_shuffled_ones(run):
    names = run.concepts["label"].drop_nulls().to_list()
    rng = np.random.default_rng(1)
    texts = {str(i): [" ".join(rng.choice(WORDS, 4))] for i in range(60)}
    share = np.mean([len(rows) for rows in near(texts, names, embed_words, 0.03).values()]) / len(names)
    assert share < 0.045


def test_a_description_needs_its_benchmark(run):
    with pytest.raises(UserError, match="name it"):
        coverage(run, None, "sums")
    with pytest.raises(UserError, match="no benchmark 'quix'"):
        coverage(run, "quix")
