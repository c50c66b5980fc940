"""Lists that were compared with a run, in the report: entries, rates beside chance, weak concepts that none names."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from competency_gaps.report import html

EVIL = "<script>alert(1)</script> {{ 7*7 }} \u202e"
SHARE = {"count": 1, "of": 4, "low": 0.05, "high": 0.7}
CHANCE = {"observed": SHARE, "expected": 0.31, "low": 0.0, "high": 2.0, "p_value": 0.28}


@pytest.fixture
def listed(run, tmp_path):
    """A drawn run that was compared with a list of five entries by examples; written by hand."""
    entry = {"domain": None, "category": None, "score": None, "examples": 12, "example_rows": [0]}
    outcomes = ["not compared", "not matched", "matched", "untested", "weak"]
    entries = [
        {**entry, "entry": f"e{i}", "description": f"{EVIL} {outcome}.", "outcome": outcome}
        for i, outcome in enumerate(outcomes)
    ]
    entries[0]["not_compared"] = "length"
    pair = {"p_value": 0.01, "leader": 1, "label_similarity": 0.432}
    document = {
        "created": "2026-11-26T20:21:24+00:00",
        "taxonomy_is_path": True,
        "examples_run": None,
        "taxonomy": "/home/somebody/points.jsonl",
        "where": "score < 5",
        "q": 0.05,
        "entries": entries,
        "pairs": [{**pair, "entry": "e4", "concept": 1, "label": "x", "auroc": 0.777}],
        "themes": [{"entry": "e2", "theme": 0, "name": EVIL, "auroc": 0.666, "p_value": 0.01}],
        **dict.fromkeys(("matched", "weak", "untested"), CHANCE),
        "unexplained": [{"concept": 2}],
        "weak_concepts": 7,
        "left_out_examples": [],
    }
    (tmp_path / "example-matches").mkdir()
    (tmp_path / "example-matches" / "points.json").write_text(json.dumps(document))
    told = {"gap": -0.123, "chi_model": 0.456, "chi_bench": 1.23, "lift": -1.5}
    own = pl.col("concept") == 1
    concepts = run.concepts.with_columns(
        pl.when(own).then(value).otherwise(pl.col(name)).alias(name) for name, value in told.items()
    )
    return replace(run, path=tmp_path, concepts=concepts)


def test_entries_stand_with_outcome_concept_and_rates(listed):
    page = html.render(listed, top=5, examples=1)
    start = page.index('<section id="known">')
    section = page[start : page.index('<section id="benchmarks">')]
    assert 'href="#known"' in page and 'id="term-auroc"' in page and 'id="term-by_chance"' in page
    outcomes = ("weak", "untested", "matched", "not matched", "not compared")
    places = [section.index(f"&lt;U+202E&gt; {outcome}.") for outcome in outcomes]
    assert places == sorted(places), "what matters most comes first"
    figures = ("0.78", "0.67", "0.43", "−0.12", "0.46", "1.23", "−1.5")
    assert [figure for figure in figures if f">{figure}<" not in section] == []
    assert "points.jsonl, by examples" in section
    assert "recovered as weak: 1 of 4 (25%; 95%: 5% to 70%); by chance 0.3 (0 to 2), p = 0.280" in section
    assert "Weak concepts that no entry names (1 of 7 weak concepts)" in section
    assert "not compared: cannot be told at equal length" in section
    assert "<script>alert" not in section and "&lt;script&gt;" in section and "\u202e" not in section
    assert "49" not in section.replace("{{ 7*7 }}", "") and "/home/somebody" not in page


def test_a_run_without_lists_has_no_such_section(run):
    page = html.render(run, top=5, examples=1)
    assert 'id="known"' not in page and 'href="#known"' not in page and 'id="term-auroc"' not in page
