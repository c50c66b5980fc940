"""Lists that were compared with a run, on the page: what was kept, and examples with the tokens of their concepts."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
from competency_gaps.explorer.parts.redacted import RedactedRun
from explorer_extras import POINT, TAGS
from explorer_runs import SECRETS
from test_export import _contents, page  # noqa: F401 - a page that stands for the built one

import competency_gaps as cg
from competency_gaps.checked import write_document
from competency_gaps.errors import UserError
from competency_gaps.explorer import export as export_module
from competency_gaps.explorer.export import export
from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts import Context, NoSuchPartError, Parts
from competency_gaps.explorer.queries import Subject, ask
from competency_gaps.matching.kept_lists import read_lists
from competency_gaps.runs.open import open_folder

POINTS, OWN = 0, 2
"""Numbers of the first entry of the list of points, and of the tags: files are read by name."""


def copied(listed, folder):
    """A copy of the run whose list may be changed, and the list's file."""
    run = shutil.copytree(listed.run, folder / "run")
    return run, run / "example-matches" / "points.json"


def read(run, name, **options):
    return json.loads(Parts(cg.open_run(run), key="k", **options).read(name))


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
    parts = Parts(cg.open_run(hostile.run), key="k")
    assert not json.loads(parts.read("run.json"))["has"]["matches"]
    assert not [name for name in parts.names() if name.startswith(("matches", "entry"))]
    for name in ("matches.json", "entry/0.json"):
        with pytest.raises(NoSuchPartError):
            parts.read(name)


def test_examples_of_tags_are_the_runs_items_with_the_concepts_tokens(listed):
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
            (kept,) = run.item_token_activations(example["item"], np.array([active["concept"]]))
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


def test_a_list_that_names_what_is_not_there_is_damaged(listed, tmp_path):
    for number, (place, value) in enumerate(
        [(("pairs", 0, "concept"), 10**6), (("unexplained",), [{"concept": 10**6}]), (("pairs", 0, "entry"), "nobody")]
    ):
        run, file = copied(listed, tmp_path / str(number))
        held = json.loads(file.read_text())
        inner = held
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        write_document(file, held)
        with pytest.raises(UserError, match=r"points\.json is damaged"):
            read(run, "matches.json")
        with pytest.raises(UserError, match=r"points\.json is damaged"):
            read_lists(RedactedRun.of(open_folder(run)))
    for name, place in [("rows", ("entries", 0)), ("similar", ("pairs", 0)), ("run", ()), ("created", ())]:
        run, file = copied(listed, tmp_path / f"without {name}")
        held = json.loads(file.read_text())
        inner = held
        for key in place:
            inner = inner[key]
        del inner[{"rows": "example_rows", "similar": "label_similarity", "run": "examples_run"}.get(name, name)]
        file.write_text(json.dumps(held))
        with pytest.raises(UserError, match=r"points\.json is damaged"):
            read_lists(open_folder(run))
    run, file = copied(listed, tmp_path / "rows")
    held = json.loads(file.read_text())
    held["entries"][0]["example_rows"] = [10**6]
    write_document(file, held)
    with pytest.raises(UserError, match="has examples that its run does not have"):
        read(run, f"entry/{POINTS}.json")


def test_an_export_has_examples_and_a_redacted_one_has_none(listed, tmp_path):
    opened = open_runs([listed.run], listed.dictionary)
    for redact in (False, True):
        done = export(opened, tmp_path / f"export {redact}", redact=redact)
        key = opened[0].key
        contents = {name.removeprefix(f"{key}/"): text for name, text in _contents(done.folder, key).items()}
        lists = json.loads(contents["matches.json"])["lists"]
        entries = json.loads(contents["entry/0.json"])
        assert [len(held["entries"]) for held in lists] == [2, 2] and len(entries) == 4
        told = contents["matches.json"] + contents["entry/0.json"]
        assert "/home/someone" not in told and "secret folder" not in told
        assert (SECRETS[0] in told) is not redact and ("d <b>" in told) is not redact
        assert ("score < 5" in told) is not redact and (TAGS[1] in contents["matches.json"]) is not redact
        assert {entry["absent"] for entry in entries} == ({"redacted"} if redact else {None})
        assert lists[0]["entries"][0]["description"] == ("1" if redact else POINT)
        assert lists[1]["entries"][0]["outcome"] == "weak" and lists[1]["entries"][0]["pairs"]
        cut = [example["cut"] for entry in entries for example in entry["examples"]]
        assert any(cut) is not redact


@pytest.mark.parametrize(("wide", "most"), [(10**6, 12), (1, 6)])
def test_an_export_of_many_concepts_has_fewer_examples_of_an_entry(listed, tmp_path, monkeypatch, wide, most):
    """Those in which the strongest concept is most active stay."""
    monkeypatch.setattr(export_module, "WIDE", wide)
    opened = open_runs([listed.run], listed.dictionary)
    done = export(opened, tmp_path / "export")
    entries = json.loads(_contents(done.folder, opened[0].key)[f"{opened[0].key}/entry/0.json"])
    files = sorted((listed.run / "example-matches").iterdir())
    rows = [entry["example_rows"] for file in files for entry in json.loads(file.read_text())["entries"]]
    assert [len(entry["examples"]) for entry in entries] == [6, 2, most, most]
    for number in (OWN, OWN + 1):
        assert [example["item"] for example in entries[number]["examples"]] == rows[number][:most]


def test_a_concept_names_the_entries_that_match_it(listed):
    entry = read(listed.run, "matches.json")["lists"][1]["entries"][0]
    pair = entry["pairs"][0]
    (detail,) = read(listed.run, f"concept/{pair['concept']}.json")
    assert [(m["number"], m["by"], m["taxonomy"]) for m in detail["matched"]] == [
        (POINTS, "examples", "points.jsonl"),
        (OWN, "examples", "tags.csv"),
    ]
    assert detail["matched"][1]["entry"] == "roman" and detail["matched"][1]["strength"] == pair["strength"]


def test_queries_tell_what_the_page_shows(listed, hostile):
    subject = Subject(Context(cg.open_run(listed.run), "k"))
    lists = read(listed.run, "matches.json")["lists"]
    answer = ask(subject, "known_weaknesses", {"list_number": 1})
    assert [held["name"] for held in answer["lists"]] == ["points.jsonl", "tags.csv"]
    assert [(e["number"], e["description"], e["outcome"]) for e in answer["entries"]] == [
        (OWN, "roman", "weak"),
        (OWN + 1, "odd", "not matched"),
    ]
    assert [rate["count"] for rate in answer["rates"]] == [rate["count"] for rate in lists[1]["rates"]]
    assert answer["unnamed_total"] == len(lists[1]["unnamed"])
    assert [row["concept"] for row in answer["unnamed"]] == lists[1]["unnamed"][:20]
    weak = ask(subject, "known_weaknesses", {"list_number": 1, "outcome": "weak", "text": "ROM"})
    assert (weak["total"], [entry["number"] for entry in weak["entries"]]) == (1, [OWN])
    assert "expected 0 to 1" in ask(subject, "known_weaknesses", {"list_number": 2})["error"]
    entry = ask(subject, "known_weakness", {"number": POINTS, "examples": 2})
    assert "<U+202E>" in entry["description"] and "\u202e" not in json.dumps(entry, ensure_ascii=False)
    concepts = cg.open_run(listed.run).concepts
    for pair in entry["pairs"]:
        if pair["concept"] is not None:
            assert pair["performance_status"] == concepts["performance_status"][pair["concept"]]
            for name in ("gap", "chi_model", "chi_bench"):
                assert pair[name] == pytest.approx(concepts[name][pair["concept"]], rel=1e-5)
            assert (pair["lift"] is None) == (concepts["lift"][pair["concept"]] is None)
            assert "label_similarity" in pair
    assert len(entry["shown"]) == 2 and "Roman" in entry["shown"][0]["text"]
    assert entry["shown"][0]["concepts"] and {"description", "text"} <= set(entry["foreign_texts"])
    assert "expected 0 to 3" in ask(subject, "known_weakness", {"number": 4})["error"]
    assert "cgaps match" in ask(Subject(Context(cg.open_run(hostile.run), "k")), "known_weaknesses", {})["error"]
