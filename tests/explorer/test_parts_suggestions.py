"""Suggestions: each is found by hand in a small run, and each command is one that the command line takes."""

from __future__ import annotations

import json
import shlex
import shutil

import polars as pl
import pytest
import typer
from explorer_runs import NAMES

from competency_gaps.checked import write_document
from competency_gaps.cli.app import app
from competency_gaps.dictionary.folder import dictionary_of
from competency_gaps.explorer.parts import Context, Parts
from competency_gaps.findings.words import table_of
from competency_gaps.runs.open import open_folder
from core_helpers import seal


def suggested(folder, **options) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for one in json.loads(Parts(Context(open_folder(folder), "k", **options)).read("run.json"))["suggestions"]:
        found.setdefault(one["kind"], []).append(one)
    return found


def parsed(line: str) -> tuple[str, dict]:
    """What the command line makes of a command: its full name and its options; wrong ones fail."""
    words = shlex.split(line)
    assert words[0] == "cgaps"
    command, context, rest = typer.main.get_command(app), None, words[1:]
    while hasattr(command, "commands"):
        context = command.make_context(rest[0], list(rest), parent=context, resilient_parsing=True)
        command, rest = command.commands[rest[0]], rest[1:]
    context = command.make_context(command.name, list(rest), parent=context)
    return command.name, context.params


@pytest.fixture
def changed(hostile, tmp_path):
    """A copy of the hostile run whose tables may be changed."""
    shutil.copytree(hostile.run, tmp_path / "a run")

    def change(name: str, **columns: pl.Expr):
        path = tmp_path / "a run" / f"{name}.parquet"
        pl.read_parquet(path).with_columns(**columns).write_parquet(path)
        seal(tmp_path / "a run")
        return tmp_path / "a run"

    return change


def test_every_command_is_taken_by_the_command_line(hostile, changed):
    folder = changed("concepts", label_kind=pl.lit("automatic"))
    found = suggested(folder, dictionary=dictionary_of(open_folder(folder), hostile.dictionary))
    assert set(found) == {"missing", "weak", "redundant", "robustness", "label"}
    names = set()
    for one in (one for kind in found.values() for one in kind if one["command"]):
        name, options = parsed(one["command"])
        assert str(options["run"]).endswith("a run") or options["run"] == [folder] or "run" not in options
        names.add(name)
    assert names == {"robustness", "concept", "scope", "exemplars"}


def test_what_matters_most_comes_first(hostile, changed):
    folder = changed("findings", holds=pl.col("holds"))
    # Six weak findings: the fourth is worth most of those that do not fail on unseen items, the first fails.
    table = pl.read_parquet(folder / "findings.parquet")
    worth = [9.0, 1.0, 2.0, 8.0, 3.0, 4.0]
    rows = [
        {**table.row(0, named=True), "gap": -0.1, "n_eff": 10 * value, "holds": None if i else False}
        for i, value in enumerate(worth)
    ]
    table_of(rows).write_parquet(folder / "findings.parquet")
    seal(folder)
    told = json.loads(Parts(Context(open_folder(folder), "k")).read("run.json"))["suggestions"]
    assert [one["kind"] for one in told[:5]] == ["robustness", *["weak"] * 4]
    assert [one["value"] for one in told[1:5]] == pytest.approx([8.0, 4.0, 3.0, 2.0])
    # By number of the table, which has them in the order of their worth.
    assert [one["finding"] for one in told[1:5]] == [1, 2, 3, 4]


def test_a_weak_finding_is_tested_through_its_concepts(hostile):
    run = open_folder(hostile.run)
    (one,) = suggested(hostile.run)["weak"]
    row = run.findings.row(0, named=True)
    assert one["finding"] == 0 and one["concepts"] == row["concepts"] and row["sentence"] in one["reason"]
    assert parsed(one["command"])[1]["concept"] == ",".join(map(str, row["concepts"]))


def test_robustness_is_suggested_until_it_was_run(hostile, changed):
    folder = changed("items")
    (one,) = suggested(folder)["robustness"]
    assert parsed(one["command"])[0] == "robustness"
    write_document(folder / "robustness.json", {"verdicts": []})
    assert "robustness" not in suggested(folder)


def stored_verdict(code, outcome, tone):
    return {"code": code, "outcome": outcome, "tone": tone, "numbers": {"jaccard": 0.3, "mean": 0.1}}


def test_what_does_not_hold_up_asks_for_more_items(changed):
    folder = changed("items")

    def tested(*verdicts):
        write_document(folder / "robustness.json", {"verdicts": [stored_verdict(*verdict) for verdict in verdicts]})
        return suggested(folder).get("robustness", [])

    halves, unstable, few = (
        ("split_halves", "agree", "good"),
        ("subsampling", "unstable", "bad"),
        ("subsampling", "few", "open"),
    )
    (one,) = tested(unstable, halves)
    assert one["title"] == "The list is not stable: ask more items"
    assert one["reason"].startswith("1 of 2 tests of robustness failed: ") and "0.30" not in one["reason"]
    assert "halves" not in one["reason"]
    name, options = parsed(one["command"])
    assert name == "concept" and options["weak"] == 5 and options["source"] == "endpoint"
    (one,) = tested(("split_halves", "disagree", "bad"), ("subsampling", "stable", "good"))
    assert one["title"] == "Not all findings hold up: ask more items" and "0.10" not in one["reason"]
    (one,) = tested(few)
    assert one["title"].endswith("is undecided: ask more items")
    assert "could decide with this run's items (subsampling)." in one["reason"]
    assert tested(few, halves) == []
    changed("concepts", performance_status=pl.lit("typical"))
    (one,) = tested(unstable)
    assert one["command"] is None, "no concept is weak, so none can be probed"


def test_without_tested_concepts_nothing_is_said_of_robustness(changed):
    folder = changed("concepts", q_value=pl.lit(None, pl.Float64), performance_status=pl.lit("untested"))
    assert "robustness" not in suggested(folder)
    write_document(folder / "robustness.json", {"verdicts": [stored_verdict("subsampling", "unstable", "bad")]})
    assert "robustness" not in suggested(folder)


def leader_of(made) -> int:
    """The only leader of weak concepts: three are alike, and rounding decides."""
    concepts = open_folder(made.run).concepts
    (leader,) = concepts.filter(pl.col("performance_status") == "weak")["leader"].unique()
    assert leader in (2, 3)
    return leader


def test_generated_benchmarks_give_new_items(changed):
    folder = changed("items")
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    for one in content["benchmarks"]:
        one["generated"] = True
    path.write_text(json.dumps(content))
    seal(folder)
    probes = [one for one in suggested(folder)["weak"] if "probe" in one["command"]]
    assert probes
    for one in probes:
        name, options = parsed(one["command"])
        assert name == "concept" and options["llm"] is None
        assert options["concept"] == ",".join(str(concept) for concept in one["concepts"][:5])


def test_findings_of_a_scope_come_first(changed):
    folder = changed("items")
    row = {"label": "x", "similarity": 0.7, "p_value": 0.001, "chi_bench_elsewhere": None, "verdict": None}
    rows = [
        {**row, "concept": 30, "in_scope": True, "coverage_status": "under"},
        {**row, "concept": 31, "in_scope": True, "coverage_status": "missing"},
        {**row, "concept": 32, "in_scope": False, "coverage_status": "missing"},
        {**row, "concept": 33, "in_scope": True, "coverage_status": "missing", "verdict": "outside"},
    ]
    counts = {name: {"count": count} for name, count in (("covered", 5), ("under", 1), ("missing", 2))}
    held = {"benchmark": NAMES[1], "clauses": ["what it 'tests'"], "alpha": 0.01, "bound": 0.6, **counts, "rows": rows}
    write_document(folder / "scopes" / "x.json", held)
    first, *rest = suggested(folder)["missing"]
    first_title = "Look up what benchmarks lack of their stated scope"
    assert [one["title"] for one in rest] == [first_title], "the first benchmark states one that nobody looked up"
    assert first["benchmark"] == 1 and first["concepts"] == [31, 30]
    name, options = parsed(first["command"])
    assert name == "scope" and options["describe"] == ["what it 'tests'"] and options["benchmark"] == NAMES[1]
    told = json.loads(Parts(Context(open_folder(folder), "k")).read("run.json"))["answer"]["scope"]
    assert told[0]["benchmark"] == NAMES[1] and told[0]["numbers"]["missing"] == 1
    write_document(folder / "scopes" / "x.json", {**held, "rows": rows[2:]})
    assert [one["title"] for one in suggested(folder)["missing"]] == [first_title]
