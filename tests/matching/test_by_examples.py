"""Lists matched by examples: on worlds with planted concepts, and end to end with a small model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from test_markers import CONCEPTS, world

import competency_gaps as cg
from competency_gaps.errors import UserError
from competency_gaps.matching import by_examples, examples
from competency_gaps.matching.by_examples import example_document, match_by_examples
from competency_gaps.matching.example_lines import example_lines
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.taxonomy import TaxonomyEntry, read_taxonomy
from competency_gaps.stages import pipeline
from core_helpers import seal


class Suite:
    """What matching asks of a run: concepts with verdicts, and no themes."""

    themes = None
    theme_results = None

    class by_concept:
        @staticmethod
        def cas(concepts, items):
            return sp.csr_array(np.tile(np.arange(items, dtype=float), (len(concepts), 1)))

    items = pl.DataFrame({"benchmark": ["b"] * 5, "item_id": list("abcde")})

    def __init__(self, weak, missing=(), led=None):
        width, led = CONCEPTS, led or {}
        status = [("weak" if c in weak else "none") for c in range(width)]
        self.concepts = pl.DataFrame(
            {
                "concept": np.arange(width, dtype=np.int32),
                "label": [f"label {c}" for c in range(width)],
                "ranked": np.ones(width, bool),
                "support": np.where(
                    np.isin(np.arange(width), list(missing)), 0, np.random.default_rng(0).integers(5, 500, width)
                ),
                "chi_bench": np.ones(width),
                "lift": np.zeros(width),
                "chi_model": np.full(width, 0.5),
                "gap": np.linspace(-0.5, 0.5, width),
                "q_value": np.ones(width),
                "performance_status": status,
                "leader": pl.Series([led.get(c, c) if c in weak else None for c in range(width)], dtype=pl.Int32),
                "coverage_status": ["missing" if c in missing else "covered" for c in range(width)],
            }
        )


@pytest.fixture(autouse=True)
def few_shuffles(monkeypatch):
    """Examples are dealt out less often than for a user: enough for a p-value of 0.025."""
    monkeypatch.setattr(by_examples, "SHUFFLES", (40, 40))


ROWS = np.arange(10_000)[::-1].copy()
"""Rows of the examples of a world in the run that read them."""


def entries_of(count):
    return [TaxonomyEntry(f"e{i}", f"entry {i}", f"domain {i % 2}", None, None, {}) for i in range(count)]


def matched(suite, planted=20, seed=0, embed=None):
    made = world(seed, planted=planted, strength=1.0)
    count = np.diff(made.member.indptr)
    read = ReadExamples(made, count, ROWS, pl.DataFrame(schema={"entry": pl.String, "reason": pl.String}))
    return match_by_examples(suite, entries_of(60), read, seed=seed, embed=embed)


def test_entries_are_weak_untested_matched_or_not():
    """Concepts 0 to 19 are planted in the entries of their number: 5 are weak, 5 missing."""
    made = matched(Suite(weak={*range(5), 100, 101}, missing=set(range(5, 10))))
    outcome = dict(made.entries.select("entry", "outcome").iter_rows())
    assert [outcome[f"e{i}"] for i in range(10)].count("weak") == 5
    assert {outcome[f"e{i}"] for i in range(5)} == {"weak"} and {outcome[f"e{i}"] for i in range(5, 10)} == {"untested"}
    assert {outcome[f"e{i}"] for i in range(10, 20)} == {"matched"}
    assert sum(outcome[f"e{i}"] != "not matched" for i in range(20, 60)) <= 2
    assert made.matched.observed.count >= 20 and made.matched.expected < 1 and made.matched.p_value < 0.05
    assert made.weak.observed.count == 5 and made.weak.p_value < 0.01 and made.weak.expected < 2
    assert made.untested.observed.count == 5 and made.untested.p_value < 0.01
    assert made.unexplained["concept"].to_list() == [100, 101] and made.weak_concepts == 7
    assert made.unexplained["items"][0].to_list() == ["b: e", "b: d", "b: c"]
    counts = dict(made.entries["outcome"].value_counts().iter_rows())
    assert (counts["weak"], counts["untested"]) == (made.weak.observed.count, made.untested.observed.count)
    assert sum(counts.get(name, 0) for name in ("weak", "untested", "matched")) == made.matched.observed.count


def test_unrelated_missing_concepts_make_no_entry_untested():
    """A third of the concepts are missing, at random; the entries match twenty."""
    rng = np.random.default_rng(1)
    made = [matched(Suite(set(), set(rng.choice(CONCEPTS, 1000, replace=False).tolist())), seed=s) for s in range(3)]
    assert np.median([one.untested.p_value for one in made]) > 0.1
    assert np.mean([one.untested.expected for one in made]) == pytest.approx(20 / 3, abs=3)


def test_entries_of_other_lengths_are_not_compared():
    made = world(0, planted=60, strength=1.0)
    entry = made.member.toarray().argmax(axis=0)
    made = replace(made, domain=np.zeros_like(made.domain), length=np.where(entry < 15, 500.0, 100 + made.length / 10))
    member = np.concatenate([(entry < 15)[None], made.member.toarray()]).astype(float)
    read = ReadExamples(
        replace(made, member=sp.csr_array(member)),
        member.sum(axis=1).astype(np.int64),
        ROWS,
        pl.DataFrame(schema={"entry": pl.String, "reason": pl.String}),
    )
    matching = match_by_examples(Suite(weak=set()), entries_of(61), read)
    assert matching.entries.select("outcome", "not_compared").row(0) == ("not compared", "length")
    # Single entries of long prompts are told from the others as long.
    assert set(matching.entries["not_compared"].to_list()[1:]) == {None}
    assert "not compared, 1: cannot be told at equal length" in "\n".join(example_lines(matching))


def test_a_theme_recovers_entries_of_rare_concepts():
    """Of entry 0 each example has one of eight concepts, which are a theme of a weak verdict."""
    rng = np.random.default_rng(0)
    made = world(3)
    values = made.values.toarray()
    own = np.flatnonzero(made.member.toarray()[0])
    values[:, 40:48] = 0
    values[own, 40 + np.arange(len(own)) % 8] = 3 + rng.random(len(own))
    suite = Suite(weak=set())
    theme = np.where((suite.concepts["concept"] >= 40) & (suite.concepts["concept"] < 48), 1, 0)
    suite.themes = pl.DataFrame({"concept": suite.concepts["concept"], "theme": pl.Series(theme, dtype=pl.Int32)})
    suite.theme_results = pl.DataFrame(
        {
            "level": ["theme"] * 2,
            "id": [0, 1],
            "name": ["rest", "eight"],
            "gap": [0.0, -0.2],
            "performance_status": ["none", "weak"],
            "support": [900, 300],
            "leader": [None, 1],
        }
    )
    read = ReadExamples(
        replace(made, values=sp.csr_array(values)),
        np.diff(made.member.indptr),
        ROWS,
        pl.DataFrame(schema={"entry": pl.String, "reason": pl.String}),
    )
    made = match_by_examples(suite, entries_of(60), read)
    assert made.themes.select("entry", "theme", "name").rows() == [("e0", 1, "eight")]
    assert made.entries["outcome"][0] == "weak" and made.weak.observed.count == 1
    assert made.pairs.filter(entry="e0").is_empty()


def test_unrelated_weak_concepts_recover_nothing_beyond_chance():
    rng = np.random.default_rng(1)
    p_values = []
    for seed in range(4):
        weak = set(rng.choice(CONCEPTS, 300, replace=False).tolist())
        p_values.append(matched(Suite(weak), seed=seed).weak.p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.25 and np.median(p_values) > 0.1


def test_documents_and_lines_of_matchings_are_safe():
    made = matched(Suite(weak={0}))
    hostile = replace(made, entries=made.entries.with_columns(description=pl.lit("\x1b[31m<script>\u202e")))
    text = "\n".join(example_lines(hostile))
    assert "\x1b" not in text and "\u202e" not in text and "recovered as weak: 1 of 60" in text
    counts = dict(made.entries["outcome"].value_counts().iter_rows())
    of_each = (f"{counts[name]} {words}" for name, words in (("weak", "recovered as weak"), ("matched", "matched")))
    assert f"entries: {', '.join(of_each)}, {counts['not matched']} not matched\n" in text
    assert f"matched in all: {made.matched.observed.count} of 60" in text and "untested by the suite: 0 of 60" in text
    document = json.loads(json.dumps(example_document(made)))
    assert document["matched"]["observed"]["of"] == 60 and len(document["entries"]) == 60


@pytest.fixture
def listed(tmp_path):
    """Entries in two domains with prompts of a few words each; one of a single example, one too long to be read."""
    rng = np.random.default_rng(0)
    words = [chr(97 + i) * 3 for i in range(24)]
    rows = []
    for i in range(8):
        prompts = [" ".join([words[i]] * 9 + rng.choice(words[12:], 3).tolist()) + f" {n}" for n in range(12)]
        rows.append({"id": f"e{i}", "description": f"entry {i}", "domain": f"d{i % 2}", "examples": prompts})
    rows[1]["examples"] = [{"prompt": text, "score": 3} for text in rows[1]["examples"]]
    rows[3]["examples"].append(rows[1]["examples"][0]["prompt"])  # of two entries
    rows[5]["examples"].append("word " * 3000)
    rows.append({"id": "few", "description": "one example", "domain": "d0", "examples": ["\x1b[31m<b>"]})
    rows.append({"id": "none", "description": "no example", "domain": "d1"})
    path = tmp_path / "list.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    return cg.open_run(tmp_path / "run")


def test_examples_are_read_once_and_kept(run, listed, tmp_path, monkeypatch):
    made = run.match(listed, by="examples")
    assert made.matching is None and made.by_examples is not None
    table = made.by_examples.entries
    assert table["examples"].to_list() == [12, 12, 12, 13, 12, 12, 12, 12, 1, 0]
    assert table["outcome"].to_list()[8:] == ["not compared"] * 2
    assert table["not_compared"].to_list() == [None] * 8 + ["few_examples"] * 2
    assert made.by_examples.left_out.rows() == [("e5", "too_long")]
    assert "not compared" not in table["outcome"].to_list()[:8]
    # Domain d1's entries are told by their own words through the model: the prompts of e1 begin with the word of e1.
    assert made.by_examples.matched.observed.count > made.by_examples.matched.high
    kept = list((run.path / "example-matches").glob("*.json"))
    assert len(kept) == 1
    held = json.loads(kept[0].read_text())
    assert held["entries"][0]["entry"] == "e0"
    # Where examples can be seen: each entry's own prompts, its strongest concept most active in the first.
    read_in = cg.open_run(held["examples_run"]["path"])
    given = {row["id"]: row.get("examples", []) for row in map(json.loads, listed.read_text().splitlines())}
    strongest = {pair["entry"]: pair["concept"] for pair in reversed(held["pairs"])}
    assert read_in.has_token_activations and strongest
    for row in held["entries"]:
        prompts = [prompt if isinstance(prompt, str) else prompt["prompt"] for prompt in given[row["entry"]]]
        assert len(row["example_rows"]) == row["examples"]
        assert set(read_in.items["prompt"][row["example_rows"]]) <= set(prompts)
        if row["entry"] in strongest:
            cas = read_in.by_concept.cas(np.array([strongest[row["entry"]]]), read_in.items.height).toarray().ravel()
            assert (np.diff(cas[row["example_rows"]]) <= 0).all()
    # The second time, and with a filter, no model is asked for; those filtered out are still compared with.
    monkeypatch.setattr(pipeline, "run", lambda *_: pytest.fail("read again"))
    again = run.match(listed, by="examples")
    assert again.by_examples.pairs.height > 0 and again.by_examples.pairs.equals(made.by_examples.pairs)
    filtered = run.match(listed, by="examples", where="id = 'e1' OR id = 'e2'")
    assert filtered.by_examples.entries["entry"].to_list() == ["e1", "e2"]
    assert filtered.by_examples.entries["outcome"].to_list().count("not compared") == 0
    lines = listed.read_text().splitlines(keepends=True)
    listed.write_text("".join(reversed(lines)))
    reordered = run.match(listed, by="examples").by_examples
    assert reordered.left_out["entry"].to_list() == ["e5"] and reordered.matched.observed.count > 0
    [folder] = (tmp_path / "list.examples").iterdir()
    read = cg.open_run(folder / "run")
    assert read.items.height == 98 and read.items["score"].is_null().all()
    shutil.rmtree(folder / "run" / "activations")
    with pytest.raises(UserError, match=r"Delete .* and the examples are read again"):
        run.match(listed, by="examples")


def with_settings(run, **changed):
    """The run again, as if these had been its settings."""
    manifest = json.loads((run.path / "manifest.json").read_text())
    manifest["settings"] |= changed
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    seal(run.path)
    return cg.open_run(run.path)


def test_a_list_without_examples_is_matched_by_labels(tiny_run, tmp_path):
    path = tmp_path / "plain.json"
    path.write_text(json.dumps([{"id": "a", "description": "adding numbers"}]), encoding="utf-8")
    assert not examples.has_examples(read_taxonomy(path).entries)
    with pytest.raises(UserError, match="no entry of the list has example prompts"):
        tiny_run.match(path, by="examples")
    with pytest.raises(UserError, match="kinds: only for matching by labels"):
        tiny_run.match(path, by="examples", kinds=["imported"])
    with pytest.raises(UserError, match="by 'names': expected both, examples, labels"):
        tiny_run.match(path, by="names")


def test_points_of_autodetect_bring_their_prompts(tmp_path):
    steps = [{"prompt": f"p{i}", "score": 7.0} for i in range(3)]
    point = {"taxonomy_id": "x.y", "domain": "coding", "task": "lists", "point": "sorting", "steps": steps}
    path = tmp_path / "points.jsonl"
    path.write_text(json.dumps({**point, "mean_score": 7.0}) + "\n")
    [entry] = read_taxonomy(path).entries
    assert (entry.id, entry.description, entry.domain, entry.score) == ("x.y", "sorting (lists)", "coding", 7.0)
    assert entry.examples == ("p0", "p1", "p2") and "steps" not in entry.extra and entry.group == "coding"
    path.write_text(json.dumps({**point, "steps": None}) + "\n" + json.dumps({"id": "a", "description": "d"}))
    assert [entry.id for entry in read_taxonomy(path).entries] == ["a"]
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"lists:sorting": {"steps": steps}, "init_points": ["lists:sorting"]}))
    assert read_taxonomy(log).entries[0].examples == ("p0", "p1", "p2")
