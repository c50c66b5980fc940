"""``cgaps show`` and ``check``: one screen for people, whole lists for machines."""

from __future__ import annotations

import json
from dataclasses import asdict

import polars as pl
import pytest

import competency_gaps
from core_helpers import copied, seal

LABELS = {0: "prime numbers", 1: "numbers that are prime", 2: "subprime \x1b[31m loans", 3: "capital cities"}


@pytest.fixture(scope="module")
def named(tiny_run, tmp_path_factory):
    """A copy of the tiny run with labels, the first of a template concept, and concepts that go with failure."""
    folder = copied(tiny_run, tmp_path_factory).path
    number = pl.col("concept")
    table = tiny_run.concepts.with_columns(
        label=number.replace_strict(LABELS, default=pl.format("label {}", number), return_dtype=pl.String),
        kind=pl.when(number == 0).then(pl.lit("template")).otherwise("kind"),
        alive=True,
        ranked=number != 0,
        performance_status=pl.when(number > 3).then(pl.lit("failure")).otherwise(pl.col("performance_status")),
        q_value=pl.when(number > 3).then(pl.lit(0.01)).otherwise(pl.col("q_value")),
    )
    table.write_parquet(folder / "concepts.parquet")
    seal(folder)
    return competency_gaps.open_run(folder)


def rows(cli, *arguments):
    return json.loads(cli(*arguments, "--json")[1])["rows"]


def test_json_is_the_answer_and_a_line_has_its_items(cli, tiny_run):
    answer = tiny_run.answer()
    document = json.loads(cli("show", str(tiny_run.path), "--json")[1])
    assert document["answer"] == json.loads(json.dumps(asdict(answer)))
    assert len(document["examples"]) == len(document["words"]["findings"]) == len(answer.findings)
    status, out, _ = cli("show", str(tiny_run.path))
    assert status == 0 and document["words"]["headline"].split(":")[0] in out
    for finding in answer.findings:
        one = json.loads(cli("show", str(tiny_run.path), "--slice", str(finding.number), "--json")[1])
        assert one["finding"] == json.loads(json.dumps(asdict(finding)))
        scores = [item["score"] for item in one["failing"]]
        assert all(score < 1 for score in scores) and cli("show", str(tiny_run.path), "--slice", "1")[0] == 0
    status, _, err = cli("show", str(tiny_run.path), "--slice", "11")
    assert status == 2 and "no line 11" in err
    assert cli("show", str(tiny_run.path), "--caveats")[1].count("\n- ") >= 1


def test_concepts_are_those_of_the_tables(cli, tiny_run):
    tested = tiny_run.concepts.filter(pl.col("ranked") & pl.col("q_value").is_not_null()).sort("association", "concept")
    listed = rows(cli, "show", str(tiny_run.path), "--list", "concepts")
    assert [row["concept"] for row in listed] == tested["concept"].to_list()
    assert rows(cli, "show", str(tiny_run.path), "--list", "concepts", "--limit", "3") == listed[:3]


def test_a_screen_is_filled_and_never_more(cli, named, monkeypatch):
    for more in ([], ["--list", "concepts"]):
        lines = cli("show", str(named.path), *more)[1].splitlines()
        assert len(lines) <= 23 and max(map(len, lines)) <= 80
    monkeypatch.setenv("LINES", "40")
    assert 23 < len(cli("show", str(named.path), "--list", "concepts")[1].splitlines()) <= 39


def test_words_show_the_only_concept_or_list_several(cli, named):
    by_number = cli("show", str(named.path), "--concept", "3")
    assert by_number[0] == 0 and cli("show", str(named.path), "--concept", "capital cities") == by_number
    document = json.loads(cli("show", str(named.path), "--concept", "capital", "--json")[1])
    assert document == json.loads(cli("show", str(named.path), "--concept", "3", "--json")[1])
    assert document["concept"] == 3
    out = cli("show", str(named.path), "--concept", "PRIME numbers")[1]  # also those that are not ranked or tested
    assert "prime numbers [template" in out and "numbers that are prime" in out and "n_eff" in out
    assert len(cli("show", str(named.path), "--concept", "label", "--limit", "60")[1].splitlines()) > 60
    assert {row["concept"] for row in rows(cli, "show", str(named.path), "--concept", "prime")} == {0, 1}
    status, out, err = cli("show", str(named.path), "--concept", "capitol cities")
    assert status == 2 and out == "" and "Did you mean" in " ".join(err.split())


def test_a_concept_has_its_benchmarks_and_items(cli, tiny_run):
    concept = int(tiny_run.concepts.sort("support", descending=True)["concept"][0])
    document = json.loads(cli("show", str(tiny_run.path), "--concept", str(concept), "--json", "--limit", "2")[1])
    assert [b["benchmark"] for b in document["benchmarks"]] == ["quiz", "sums"]
    strongest = document["items"]["strongest"]
    assert len(strongest) == 2 and strongest[0]["cas"] >= strongest[1]["cas"] > 0
    assert all(0 <= item["peak_start"] < item["peak_end"] <= len(item["text"]) for item in strongest)


def test_a_label_never_acts_on_the_terminal(cli, named):
    out = cli("show", str(named.path), "--concept", "loans")[1]
    assert "\x1b" not in out and "<U+001B>" in out


def test_check_writes_its_outcome_beside_the_run(cli, tiny_run, run):
    folder = run.path
    status, out, _ = cli("check", str(folder), str(tiny_run.path), "--json", "--quiet")
    document = json.loads(out)
    assert status == 0 and {one["tone"] for one in document["verdicts"]} <= {"good", "bad", "open"}
    assert document["against"]["same_sae"] and document["against"]["association_correlation"] == pytest.approx(1)
    kept = json.loads((folder / "robustness.json").read_text())
    assert kept["against"] == document["against"] and len(kept["verdicts"]) == len(document["verdicts"])
    assert (folder / "report.html").stat().st_mtime_ns > (tiny_run.path / "report.html").stat().st_mtime_ns
