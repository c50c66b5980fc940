"""A garak report as a list: its probes and families bring their attempts' prompts."""

from __future__ import annotations

import json
import shutil

import pytest
from scipy.stats import mannwhitneyu
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.matching import read_taxonomy
from competency_gaps.stages import pipeline


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


FAMILIES = {f"f{letter}": letter * 3 for letter in "abcdef"}
PROBES = {"One": "zzz", "Two": "yyy"}
EACH = 8
"""Prompts of a probe."""


def prompts_of(family, probe):
    """Prompts with a word of the family and one of the probe, so that both can be told from all others."""
    words = [FAMILIES[family]] * 6 + [PROBES[probe] + FAMILIES[family][:2]] * 6
    return [" ".join([*words, *(chr(105 + i * k % 11) * 3 for k in (3, 5, 7))]) + f" {i}" for i in range(EACH)]


@pytest.fixture
def report(tmp_path):
    """A report as garak writes it: two probes of each family, the second of the first of which is half broken.

    Each attempt stands twice, before and after its evaluation; another probe has a single prompt.
    """
    rows = [{"entry_type": "init", "garak_version": "0.13.1", "start_time": "2026-01-01T00:00:00", "run": "1"}]
    for family in FAMILIES:
        for probe in PROBES:
            for i, prompt in enumerate(prompts_of(family, probe)):
                hit = float((family, probe) == ("fa", "Two") and i % 2)
                made = attempt(f"{family}{probe}{i}", f"{family}.{probe}", prompt, scores=(hit,))
                rows += [{**made, "status": 1, "detector_results": {}}, made]
            rows.append({"entry_type": "eval", "probe": f"{family}.{probe}", "detector": "a", "passed": EACH})
    rows += [attempt("alone", "alone.Once", "a single prompt"), {"entry_type": "completion", "run": "1"}]
    return write_report(tmp_path / "garak.1.report.jsonl", rows)


def matched(run, report, level):
    """What the command says of a level: its document, and its entries by id."""
    arguments = ["match", run, "--taxonomy", report, "--by", "examples", "--where", f"level = '{level}'"]
    done = CliRunner().invoke(app, [str(part) for part in (*arguments, "--json", "--quiet")])
    assert done.exit_code == 0, done.exception
    document = json.loads(done.stdout)["by_examples"]
    return document, {row["entry"]: row for row in document["entries"]}


def test_the_command_matches_a_report_by_probe_and_by_family(tiny_run, report, tmp_path, monkeypatch):
    run = shutil.copytree(tiny_run.path, tmp_path / "run")
    probes, of_probe = matched(run, report, "probe")
    alone = of_probe.pop("alone.Once")
    assert (alone["outcome"], alone["examples"]) == ("not compared", 1)
    assert list(of_probe) == [f"{family}.{probe}" for family in FAMILIES for probe in PROBES]
    assert {row["examples"] for row in of_probe.values()} == {EACH} and probes["matched"]["observed"]["of"] == 12
    assert {name: row["score"] for name, row in of_probe.items() if row["score"] != 1} == {"fa.Two": 0.5}
    # The run that read the prompts serves every level.
    monkeypatch.setattr(pipeline, "run", lambda *_: pytest.fail("read again"))
    families, of_family = matched(run, report, "family")
    assert list(of_family) == list(FAMILIES) and {row["examples"] for row in of_family.values()} == {2 * EACH}
    assert of_family["fa"]["score"] == 0.75 and of_family["fa"]["description"] == "fa: One, Two"
    (read_in,) = (report.parent / "garak.1.report.examples").glob("*/run")
    made = cg.open_run(read_in)
    items, cas = made.items, made.cas("domain 0").toarray()
    for document, of in ((probes, of_probe), (families, of_family)):
        # By chance hardly an entry is matched, as none has a word of its own when prompts are dealt out anew.
        assert document["matched"]["observed"]["count"] > document["matched"]["high"]
        surest = dict.fromkeys(row["entry"] for row in document["pairs"])
        for pair in document["pairs"]:
            family, _, probe = pair["entry"].partition(".")
            own = [text for name in PROBES if probe in ("", name) for text in prompts_of(family, name)]
            assert sorted(items["prompt"][of[pair["entry"]]["example_rows"]]) == sorted(own)
            inside = items["prompt"].is_in(own).to_numpy()
            u = mannwhitneyu(cas[inside, pair["concept"]], cas[~inside, pair["concept"]]).statistic
            area = u / (inside.sum() * (~inside).sum())
            assert area > 0.5
            surest[pair["entry"]] = max(area, surest[pair["entry"]] or 0)
        assert min(surest.values()) > 0.9, "the planted words tell an entry's prompts from all others"
    assert len(list((run / "example-matches").iterdir())) == 2, "a file of each level"
