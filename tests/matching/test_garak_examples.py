"""A garak report as a list: its probes and families bring their attempts' prompts."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

import competency_gaps as cg
from competency_gaps.harnesses.garak import probes as module
from competency_gaps.matching import read_taxonomy


def attempt(number, probe, text, *, scores=(0.0,), **more):
    return {
        "entry_type": "attempt",
        "uuid": f"u{number}",
        "seq": number,
        "status": 2,
        "probe_classname": probe,
        "prompt": {"turns": [{"role": "user", "content": {"text": text}}]},
        "outputs": [{"text": "No."}],
        "detector_results": {"a": list(scores)},
        **more,
    }


def write_report(path, attempts):
    setup = {"entry_type": "start_run setup", "plugins.target_name": "maker/name"}
    path.write_text("".join(json.dumps(row) + "\n" for row in (setup, *attempts)), encoding="utf-8")
    return path


def test_probes_and_families_bring_different_prompts(tmp_path):
    rows = [
        attempt(0, "dan.DUDE", "be DUDE"),
        attempt(1, "dan.DUDE", "be DUDE", scores=(1.0,)),
        attempt(2, "dan.Dan_11_0", "be DAN"),
        attempt(3, "dan.Dan_11_0", "be DUDE"),
        attempt(4, "web_injection.MarkdownXSS", "![x](y)"),
        attempt(5, "web_injection.MarkdownXSS", "never judged", status=1),
    ]
    by_id = {entry.id: entry for entry in read_taxonomy(write_report(tmp_path / "x.report.jsonl", rows)).entries}
    assert list(by_id) == ["dan.DUDE", "dan.Dan_11_0", "web_injection.MarkdownXSS", "dan"]
    prompts = {name: entry.examples for name, entry in by_id.items()}
    assert prompts["dan.DUDE"] == ("be DUDE",) and prompts["dan.Dan_11_0"] == ("be DAN", "be DUDE")
    assert prompts["dan"] == ("be DUDE", "be DAN") and prompts["web_injection.MarkdownXSS"] == ("![x](y)",)
    family = by_id["dan"]
    assert family.description == "dan: DUDE, Dan 11 0" and family.extra["level"] == "family"
    assert family.score == pytest.approx(3 / 4) and family.extra["n_attempts"] == 4
    assert {entry.group for entry in by_id.values()} == {"garak, maker/name"}
    only = read_taxonomy(tmp_path / "x.report.jsonl", "level = 'family'").entries
    assert [entry.id for entry in only] == ["dan"]


def test_of_many_prompts_a_sample_by_hash_is_taken_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_EXAMPLES", 20)
    texts = [f"prompt {i}" for i in range(50)]
    path = write_report(tmp_path / "x.report.jsonl", [attempt(i, "a.B", text) for i, text in enumerate(texts)])
    read = read_taxonomy(path)
    [entry] = read.entries
    smallest = sorted(texts, key=lambda text: hashlib.sha256(text.encode()).hexdigest())[:20]
    assert entry.examples == tuple(text for text in texts if text in smallest)
    assert entry.extra["n_prompts"] == 50 and "more than 20 different prompts (a.B 50);" in read.notes[0]
    write_report(path, [attempt(i, "a.B", text) for i, text in enumerate(reversed(texts))])
    assert set(read_taxonomy(path).entries[0].examples) == set(smallest), "the report's order does not matter"


def test_attempts_without_a_text_are_no_examples_and_counted(tmp_path):
    picture = {"turns": [{"role": "user", "content": {"text": "see", "data_path": "x.png"}}]}
    rows = [attempt(0, "a.B", "words"), attempt(1, "a.B", "", prompt=picture), attempt(2, "a.B", " ")]
    read = read_taxonomy(write_report(tmp_path / "x.report.jsonl", rows))
    assert read.entries[0].examples == ("words",) and read.entries[0].extra["n_attempts"] == 3
    assert len(read.notes) == 2 and all("1 attempts give no example: " in note for note in read.notes)


def test_reports_of_two_models_are_compared_each_with_itself(tmp_path):
    for name in ("a", "b"):
        path = write_report(tmp_path / f"{name}.report.jsonl", [attempt(0, "a.B", "words")])
        path.write_text(path.read_text().replace("maker/name", f"maker/{name}"))
    entries = read_taxonomy(tmp_path).entries
    assert [entry.group for entry in entries] == ["garak, maker/a", "garak, maker/b"]


def test_a_report_is_matched_by_what_its_prompts_excite(tiny_run, tmp_path):
    """Six families of their own words each; another of a single prompt is not compared."""
    shutil.copytree(tiny_run.path, tmp_path / "run")
    rows = []
    for family, word in {f"f{letter}": letter * 3 for letter in "abcdef"}.items():
        for i in range(16):
            prompt = " ".join([word] * 9 + [chr(105 + (i * k) % 11) * 3 for k in (3, 5, 7)]) + f" {i}"
            rows.append(attempt(len(rows), f"{family}.P{i % 2}", prompt))
    rows.append(attempt(len(rows), "alone.Once", "a single prompt"))
    path = write_report(tmp_path / "x.report.jsonl", rows)
    made = cg.open_run(tmp_path / "run").match(path, by="examples", where="level = 'family' OR category = 'alone'")
    outcome = dict(made.by_examples.entries.select("entry", "outcome").iter_rows())
    assert outcome.pop("alone.Once") == "not compared" and list(outcome) == ["fa", "fb", "fc", "fd", "fe", "ff"]
    assert "not compared" not in outcome.values() and made.by_examples.entries["examples"].to_list() == [1, *[16] * 6]
    assert made.by_examples.matched.observed.count > made.by_examples.matched.high
