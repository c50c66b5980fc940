"""What was matched is kept in the run folder and read back as it was found; foreign names and damage do no harm."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from matching_helpers import concept_table, embed_words, made_up_labels
from typer.testing import CliRunner

import competency_gaps
from competency_gaps.cli.app import app
from competency_gaps.dictionary.folder import write_dictionary
from competency_gaps.llm import Answer
from competency_gaps.matching import (
    Taxonomy,
    apply_verdicts,
    candidates,
    confirm_requests,
    embedding,
    match,
    pairs_of,
    read_taxonomy,
)
from competency_gaps.matching.kept import keep_matching
from competency_gaps.matching.kept_lists import read_lists
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.stages.naming import name_finished_run
from core_helpers import seal

FILLER = made_up_labels(60, vocabulary=3000)
LABELS = ["adding fractions with denominators", "french verbs and nouns", "adding fractions with denominators", *FILLER]
ENTRIES = [
    {"id": "sums", "description": "adding fractions with denominators"},
    {"id": "french", "description": "french verbs and nouns"},
    {"id": "quilts", "description": "zebra quilts underwater"},
]
THEMES = pl.DataFrame(
    {
        "level": ["theme"] * 20 + ["subtheme"] * 6,
        "id": [*range(20), *range(6)],
        "name": [*made_up_labels(20, words=3, vocabulary=500, seed=5), "french verbs and nouns", *FILLER[:5]],
        **{name: [0.5] * 26 for name in ("chi_bench", "chi_model", "gap", "q_value")},
        "performance_status": ["weak"] * 26,
    }
)
FACTS = {"alpha": 0.05, "seed": 0}
"""Settings that are kept with a matching."""
BENCHMARKS = ["quiz", "../../etc/passwd", "CON", "a b", "a-b", "", "über\u202e" + "x" * 400]


@pytest.fixture
def run(tmp_path):
    """A run folder with nothing in it, of as many concepts as there are labels."""
    (tmp_path / "run").mkdir()
    manifest = {"sae": {"d_sae": len(LABELS)}, "benchmarks": [{"name": name} for name in BENCHMARKS]}
    return RunFolder(tmp_path / "run", manifest)


@pytest.fixture
def taxonomy(tmp_path):
    path = tmp_path / "weak nesses.json"
    path.write_text(json.dumps(ENTRIES))
    return path


def matched(path, themes=None):
    read = read_taxonomy(path)
    return read, match(read.entries, candidates(concept_table(LABELS), themes), embed_words, draws=39)


def matches_of(run):
    """Every pair of every kept list: list, entry, pair."""
    return [(kept, entry, pair) for kept in read_lists(run) for entry in kept.entries for pair in entry.pairs]


def answers(requests, verdict):
    return [Answer(one.id, json.dumps({"verdict": verdict})) for one in requests]


def test_matches_are_read_as_they_were_kept(run, taxonomy):
    read, made = matched(taxonomy, THEMES)
    assert read_lists(run) == []
    keep_matching(run, taxonomy, read, FACTS, made)
    (kept,) = read_lists(run)
    assert (kept.taxonomy, kept.by, kept.where, kept.examples_run) == ("weak nesses.json", "labels", None, None)
    assert [(entry.number, entry.entry, entry.description) for entry in kept.entries] == [
        (number, entry["id"], entry["description"]) for number, entry in enumerate(ENTRIES, 1)
    ]
    assert [entry.bound for entry in kept.entries] == made.entries["bound"].to_list()
    rows = made.pairs.select("entry", "concept", "label_text", "similarity", "p_value").rows()
    pairs = [(entry.entry, pair) for _, entry, pair in matches_of(run)]
    of_concepts = [(entry, pair) for entry, pair in pairs if pair.concept is not None]
    assert [(e, p.concept, p.label, p.strength, p.p_value) for e, p in of_concepts] == rows
    assert [(entry, concept) for entry, concept, *_ in rows] == [("sums", 0), ("sums", 2), ("french", 1)]
    bounds = dict(made.entries.select("entry", "bound").iter_rows())
    assert all(pair.verdict is None and bounds[entry] < pair.strength for entry, pair in of_concepts)
    assert [(entry, p.level, p.theme, p.label) for entry, p in pairs if p.concept is None] == [
        ("french", "subtheme", 0, "french verbs and nouns")
    ]


def test_the_outcome_by_labels_follows_verdicts_and_coverage(run, taxonomy):
    """Concepts 0 and 2 match "sums", concept 1 matches "french"; nothing matches "quilts"."""
    cases = [
        ({0: "weak"}, {}, ["weak", "matched", "not matched"]),
        ({}, {0: "missing", 2: "under", 1: "typical"}, ["untested", "matched", "not matched"]),
        ({}, {0: "missing", 2: "over", 1: "missing"}, ["matched", "untested", "not matched"]),
        ({1: "weak"}, {0: "under", 2: "under", 1: "under"}, ["untested", "weak", "not matched"]),
    ]
    for weak, coverage, expected in cases:
        table = concept_table(LABELS).with_columns(
            performance_status=pl.Series([weak.get(i, "typical") for i in range(len(LABELS))]),
            coverage_status=pl.Series([coverage.get(i, "typical") for i in range(len(LABELS))]),
        )
        read = read_taxonomy(taxonomy)
        keep_matching(run, taxonomy, read, FACTS, match(read.entries, candidates(table), embed_words, draws=39))
        (kept,) = read_lists(run)
        assert [entry.outcome for entry in kept.entries] == expected
        rates = {rate.outcome: (rate.count, rate.of) for rate in kept.rates}
        assert all(None not in (rate.expected, rate.expected_low, rate.p_value) for rate in kept.rates[1:])
        assert rates == {
            "matched": (2, 3),
            **{name: (expected.count(name), 3) for name in ("weak", "untested")},
        }
        assert (kept.unnamed, kept.weak_concepts) == ([], len(weak))


def test_verdicts_are_kept_and_unrelated_pairs_are_no_matches(run, taxonomy):
    read, found = matched(taxonomy)
    first, second = confirm_requests(pairs_of(found))
    judged = apply_verdicts(found, [*answers([first], "related"), *answers([second], "unrelated")])
    keep_matching(run, taxonomy, read, FACTS, judged)
    verdicts = [(entry.entry, pair.verdict) for _, entry, pair in matches_of(run)]
    assert verdicts == [("sums", "related")] * 2


def test_each_list_and_filter_has_its_own_file(run, tmp_path, taxonomy):
    read, found = matched(taxonomy)
    first = keep_matching(run, taxonomy, read, FACTS, found)
    assert keep_matching(run, taxonomy, read, FACTS, found) == first
    filtered = Taxonomy(**{**read.__dict__, "where": "score<5"})
    names = {first, keep_matching(run, taxonomy, filtered, FACTS, found)}
    for name in ("x/weak nesses.json", "CON.json", "." + "y" * 300, "\udcff\u202e.json", "...", "a;rm -rf.json"):
        names.add(keep_matching(run, tmp_path / name, read, FACTS, found))
    assert len(names) == 8 and set((run.path / "matches").iterdir()) == names
    assert all(len(one.name) < 120 and one.name.isascii() and not one.name.startswith(".") for one in names)
    lists = read_lists(run)
    assert len(lists) == 8 and len(matches_of(run)) == 8 * 3
    assert {kept.taxonomy for kept in lists} >= {"<U+DCFF><U+202E>.json", "weak nesses.json"}
    assert [kept.where for kept in lists].count("score<5") == 1


@pytest.fixture
def finished(tiny_run, tmp_path):
    """A copy of a finished run with something kept, and another file in its folder."""
    folder = tmp_path / "finished"
    shutil.copytree(tiny_run.path, folder)
    for name in ("matches", "scopes"):
        (folder / name).mkdir()
        (folder / name / "x-1.json").write_text("{}")
    (folder / "matches" / "mine.txt").write_text("mine")
    return folder


def left(folder):
    return sorted(one.name for name in ("matches", "scopes") for one in (folder / name).iterdir())


def test_other_labels_and_new_runs_remove_kept_matches(finished, tiny_run, tiny_config, tmp_path):
    write_dictionary(tmp_path / "dictionary", tiny_run.manifest["sae"])
    name_finished_run(finished, tmp_path / "dictionary")
    assert left(finished) == ["mine.txt"]
    (finished / "scopes" / "x-1.json").write_text("{}")
    competency_gaps.run(tiny_config, finished)
    assert left(finished) == ["mine.txt"]


@pytest.fixture
def labelled(finished):
    """Its concepts with labels of made-up words, the first two with those of the taxonomy."""
    shutil.rmtree(finished / "matches")
    concepts = pl.read_parquet(finished / "concepts.parquet")
    labels = [LABELS[i] if i < len(LABELS) else f"q{i} r{i} s{i}" for i in range(concepts.height)]
    concepts.with_columns(label=pl.Series(labels)).write_parquet(finished / "concepts.parquet")
    seal(finished)
    return finished


def call(*arguments):
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def test_the_commands_keep_what_they_print(labelled, taxonomy, monkeypatch):
    monkeypatch.setattr(embedding, "embed_texts", lambda texts, model: embed_words(texts))
    printed = call("match", labelled, "--taxonomy", taxonomy, "--quiet", "--json")
    (file,) = (labelled / "matches").iterdir()
    kept = json.loads(file.read_text())
    assert {key: kept[key] for key in printed if key != "run"} == {k: v for k, v in printed.items() if k != "run"}
    assert (kept["seed"], kept["alpha"], kept["kinds"], kept["where"]) == (0, 0.05, None, None)
    matches = matches_of(open_folder(labelled))
    assert [pair.concept for _, _, pair in matches] == [pair["concept"] for pair in printed["pairs"]]
