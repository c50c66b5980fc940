"""Lists that were compared with a run, on the page: what was kept, and examples with the tokens of their concepts."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
from explorer_extras import POINT

import competency_gaps as cg
from competency_gaps.checked import write_document
from competency_gaps.explorer.parts import Context, NoSuchPartError, Parts

POINTS, OWN = 0, 2
"""Numbers of the first entry of the list of points, and of the tags: files are read by name."""


def copied(listed, folder):
    """A copy of the run whose list may be changed, and the list's file."""
    run = shutil.copytree(listed.run, folder / "run")
    return run, run / "example-matches" / "points.json"


def read(run, name, **options):
    return json.loads(Parts(Context(cg.open_run(run), "k", **options)).read(name))


def test_lists_are_shown_as_they_were_kept(listed):
    files = sorted((listed.run / "example-matches").iterdir())
    lists = read(listed.run, "matches.json")["lists"]
    assert [held["name"] for held in lists] == ["points.jsonl", "tags.csv"]
    for file, shown in zip(files, lists, strict=True):
        held = json.loads(file.read_text())
        assert [(e["entry"], e["description"], e["outcome"], e["examples"]) for e in shown["entries"]] == [
            (e["entry"], e["description"], e["outcome"], e["examples"]) for e in held["entries"]
        ]
        pairs = [(e["entry"], p["concept"]) for e in shown["entries"] for p in e["pairs"] if p["theme"] is None]
        assert pairs == [(pair["entry"], pair["concept"]) for pair in held["pairs"]]
        for rate in shown["rates"]:
            kept = held[rate["outcome"]]
            assert (rate["count"], rate["of"]) == (kept["observed"]["count"], kept["observed"]["of"])
            assert rate["expected"] == pytest.approx(kept["expected"]) and rate["p_value"] == pytest.approx(
                kept["p_value"], rel=1e-6
            )
        assert shown["unnamed"] == [row["concept"] for row in held["unexplained"]]
        assert shown["weak_concepts"] == held["weak_concepts"] > 0
    # The items with the planted word fail, so that its concepts are weak, and the tag is recovered as weak by these.
    roman, odd = lists[1]["entries"]
    assert roman["outcome"] == "weak" and {p["concept"] for p in roman["pairs"]} & {1, 2, 3}
    assert odd["outcome"] == "not matched" and odd["pairs"] == []


def test_a_run_without_lists_has_no_such_parts(hostile):
    parts = Parts(Context(cg.open_run(hostile.run), "k"))
    assert not json.loads(parts.read("run.json"))["has"]["matches"]
    assert not [name for name in parts.names() if name.startswith(("matches", "entry"))]
    for name in ("matches.json", "entry/0.json"):
        with pytest.raises(NoSuchPartError):
            parts.read(name)


def test_examples_of_tags_are_the_runs_items(listed):
    run = cg.open_run(listed.run)
    (shown,) = read(listed.run, f"entry/{OWN}.json")
    roman = read(listed.run, "matches.json")["lists"][1]["entries"][0]
    concepts = [pair["concept"] for pair in roman["pairs"] if pair["concept"] is not None]
    assert shown["absent"] is None and shown["tokens"] and len(shown["examples"]) == 30
    cas = run.by_concept.cas(np.array(concepts[:1]), run.items.height).toarray().ravel()
    rows = [example["item"] for example in shown["examples"]]
    assert all(cas[a] >= cas[b] for a, b in pairwise(rows)) and cas[rows[0]] == cas.max()
    for example in shown["examples"][:5]:
        item = run.items.row(example["item"], named=True)
        assert "Roman" in item["prompt"] and example["text"] == item["text"]
        assert example["own"] == [item["own_start"], item["own_end"]]
        assert {active["concept"] for active in example["concepts"]} <= set(concepts)
        for active in example["concepts"]:
            (kept,) = run.token_activations(active["concept"], [example["item"]])
            assert [token[:2] for token in active["tokens"]] == np.stack([kept.start, kept.end], axis=1).tolist()
            marked = {item["text"][start:end].strip() for start, end, _ in active["tokens"]}
            assert active["concept"] not in (1, 2, 3) or marked == {"Roman"}


def test_examples_of_a_list_are_read_where_they_were_read(listed, tmp_path):
    held = json.loads((listed.run / "example-matches" / "points.json").read_text())
    texts = cg.open_run(held["examples_run"]["path"]).items["text"]
    (shown,) = read(listed.run, f"entry/{POINTS}.json")
    rows = held["entries"][0]["example_rows"]
    assert [example["text"] for example in shown["examples"]] == [texts[row] for row in rows]
    assert {example["item"] for example in shown["examples"]} == {None} and shown["absent"] is None


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        (lambda held: held["examples_run"].update(path="/nowhere/run"), "gone"),
        # Another run than the one that read them lies there: its texts are nobody's examples.
        (lambda held: held["examples_run"].update(content_sha256=["00"] * 4), "changed"),
        (lambda held: held["examples_run"].update(content_sha256=[]), "changed"),
        (lambda held: held["entries"][0].update(examples=0, example_rows=[]), "none"),
    ],
)
def test_examples_that_are_not_there_are_said_not_to_be(listed, tmp_path, change, absent):
    run, file = copied(listed, tmp_path)
    held = json.loads(file.read_text())
    change(held)
    write_document(file, held)
    (shown,) = read(run, f"entry/{POINTS}.json")
    assert (shown["absent"], shown["examples"]) == (absent, [])
    assert read(run, "matches.json")["lists"][0]["entries"][0]["description"] == POINT


def test_a_concept_names_the_entries_that_match_it(listed):
    entry = read(listed.run, "matches.json")["lists"][1]["entries"][0]
    pair = entry["pairs"][0]
    (detail,) = read(listed.run, f"concept/{pair['concept']}.json")
    assert [(m["number"], m["by"], m["taxonomy"]) for m in detail["matched"]] == [
        (POINTS, "examples", "points.jsonl"),
        (OWN, "examples", "tags.csv"),
    ]
    assert detail["matched"][1]["entry"] == "roman" and detail["matched"][1]["strength"] == pair["strength"]
