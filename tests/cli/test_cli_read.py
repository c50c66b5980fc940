"""``cgaps show``, ``concept`` and ``check``: one screen for people, whole lists for machines."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

import competency_gaps
from core_helpers import seal

LABELS = {0: "prime numbers", 1: "numbers that are prime", 2: "subprime \x1b[31m loans", 3: "capital cities"}


@pytest.fixture(scope="module")
def named(tiny_run, tmp_path_factory):
    """A copy of the tiny run with labels, of which the first concept's is on a template one, and weak concepts."""
    folder = tmp_path_factory.mktemp("named") / "run"
    shutil.copytree(tiny_run.path, folder)
    number = pl.col("concept")
    table = tiny_run.concepts.with_columns(
        label=number.replace_strict(LABELS, default=pl.format("label {}", number), return_dtype=pl.String),
        kind=pl.when(number == 0).then(pl.lit("template")).otherwise("kind"),
        alive=True,
        ranked=number != 0,
        performance_status=pl.when(number > 3).then(pl.lit("weak")).otherwise(pl.col("performance_status")),
        leader=pl.when(number > 3).then(number % 4 + 4).otherwise(pl.col("leader")),
        q_value=pl.when(number > 3).then(pl.lit(0.01)).otherwise(pl.col("q_value")),
    )
    table.write_parquet(folder / "concepts.parquet")
    seal(folder)
    return competency_gaps.open_run(folder)


def rows(cli, *arguments):
    return json.loads(cli(*arguments, "--json")[1])["rows"]


def test_json_gives_the_whole_list_or_its_beginning(cli, named):
    weak = named.concepts.filter(pl.col("ranked") & (pl.col("performance_status") == "weak"))
    whole = rows(cli, "show", str(named.path))
    assert len(whole) == weak.height > 20 and {row["concept"] for row in whole} == set(weak["concept"])
    assert rows(cli, "show", str(named.path), "--limit", "7") == whole[:7]
    limited = json.loads(cli("show", str(named.path), "--json", "--limit", "1")[1])
    assert [row["finding"] for row in limited["findings"]] == named.findings["finding"].to_list()
    assert limited["answer"]["opening"]["numbers"]["items"] == named.items.height
    assert limited["concepts"]["width"] == 64 and {b["benchmark"] for b in limited["benchmarks"]} == {"quiz", "sums"}


def test_rows_are_those_of_the_tables_in_the_asked_order(cli, tiny_run):
    every = rows(cli, "show", str(tiny_run.path), "--all")
    assert [row["concept"] for row in every] == list(range(64))
    assert [row["chi_model"] for row in every] == tiny_run.concepts["chi_model"].to_list()
    own = rows(cli, "show", str(tiny_run.path), "--all", "--benchmark", "sums", "--sort", "-chi_bench")
    known = tiny_run.concept_benchmarks.filter(benchmark="sums").sort("chi_bench", descending=True)
    assert [row["chi_bench"] for row in own] == known["chi_bench"].to_list()
    tested = rows(cli, "show", str(tiny_run.path), "--sort", "gap")
    facts = tiny_run.concepts.to_dicts()
    assert tested and all(facts[row["concept"]]["ranked"] and row["q_value"] is not None for row in tested)


def test_a_screen_is_filled_and_never_more(cli, named, monkeypatch):
    status, out, err = cli("show", str(named.path))
    assert status == 0 and err == "" and "mean score" in out.splitlines()[0]
    for more in ([], ["--all"], ["--sort", "-gap"], ["--benchmark", "quiz", "--all"]):
        lines = cli("show", str(named.path), *more)[1].splitlines()
        assert len(lines) <= 23 and max(map(len, lines)) <= 80 and (not more or "--limit" in lines[-1])
    assert len(cli("show", str(named.path), "--all", "--limit", "50")[1].splitlines()) > 50
    monkeypatch.setenv("LINES", "40")
    assert 23 < len(cli("show", str(named.path), "--all")[1].splitlines()) <= 39


def test_words_show_the_only_concept_or_list_several(cli, named):
    by_number = cli("concept", str(named.path), "3")
    assert by_number[0] == 0 and cli("concept", str(named.path), "capital", "cities") == by_number
    document = json.loads(cli("concept", str(named.path), "capital", "--json")[1])
    assert document == json.loads(cli("concept", str(named.path), "3", "--json")[1]) and document["concept"] == 3
    out = cli("concept", str(named.path), "PRIME", "numbers")[1]  # also those that are not ranked or tested
    assert out.index("prime numbers [template") < out.index("numbers that are prime") and "n_eff" in out
    assert f"cgaps concept {named.path} 0" in " ".join(out.split())
    several = " ".join(cli("concept", str(named.path), "label")[1].split())
    assert f"cgaps concept {named.path} label --limit 60 lists all." in several
    assert len(cli("concept", str(named.path), "label", "--limit", "60")[1].splitlines()) > 60
    assert {row["concept"] for row in rows(cli, "concept", str(named.path), "prime")} == {0, 1}
    status, out, err = cli("concept", str(named.path), "capitol", "cities")
    assert status == 2 and out == "" and "Near: 3" in " ".join(err.split())


def test_a_concept_has_its_benchmarks_and_items(cli, tiny_run):
    concept = int(tiny_run.concepts.sort("support", descending=True)["concept"][0])
    document = json.loads(cli("concept", str(tiny_run.path), str(concept), "--json", "--limit", "2")[1])
    assert [b["benchmark"] for b in document["benchmarks"]] == ["quiz", "sums"]
    strongest = document["items"]["strongest"]
    assert len(strongest) == 2 and strongest[0]["cas"] >= strongest[1]["cas"] > 0
    assert all(0 <= item["peak_start"] < item["peak_end"] <= len(item["text"]) for item in strongest)


def test_a_label_never_acts_on_the_terminal(cli, named):
    for out in (cli("concept", str(named.path), "loans")[1], cli("show", str(named.path), "--all", "--limit", "9")[1]):
        assert "\x1b" not in out and "<U+001B>" in out


def test_check_writes_its_outcome_beside_the_run(cli, tiny_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.path, folder)
    status, out, _ = cli("check", str(folder), str(tiny_run.path), "--json", "--quiet")
    document = json.loads(out)
    assert status == 0 and {one["tone"] for one in document["verdicts"]} <= {"good", "bad", "open"}
    assert document["against"]["same_sae"] and document["against"]["gap_correlation"] == pytest.approx(1)
    kept = json.loads((folder / "robustness.json").read_text())
    assert kept["against"] == document["against"] and len(kept["verdicts"]) == len(document["verdicts"])
    assert (folder / "report.html").stat().st_mtime_ns > (tiny_run.path / "report.html").stat().st_mtime_ns
