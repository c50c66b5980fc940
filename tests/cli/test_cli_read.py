"""``cgaps show`` and ``cgaps concept``: one screen, words of labels, whole lists for machines; and ``cgaps`` alone."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
import typer
from test_cli_core import call

import competency_gaps
from competency_gaps.cli import app as application
from core_helpers import command, seal

LABELS = {0: "prime numbers", 1: "numbers that are prime", 2: "subprime \x1b[31m loans", 3: "capital cities"}


@pytest.fixture
def cli(monkeypatch, capsys):
    for name in ("LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: call(monkeypatch, capsys, *arguments)


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


def test_without_a_command_the_help_is_printed(cli):
    status, out, err = cli()
    assert status == 0 and err == "" and "Usage:" in out and "--help" in out
    assert out.strip() == cli("--help")[1].strip()


def test_in_a_real_process_too():
    done = command(code="from competency_gaps.cli.app import main; main()")
    assert done.returncode == 0 and done.stderr == "" and "Usage:" in done.stdout


def test_the_version(cli):
    assert cli("--version") == (0, f"competency-gaps {competency_gaps.__version__}\n", "")
    assert cli("--version", "shw")[0] == 0


def test_what_is_no_command_or_option_is_refused_still(cli):
    for arguments in (["shw"], ["--jsn"], ["probe", "RUN", "--jsn"]):
        status, out, err = cli(*arguments)
        assert status == 2 and out == "" and err.startswith("error: ")


def test_json_gives_the_whole_list_or_its_limit(cli, named):
    weak = named.concepts.filter(pl.col("ranked") & (pl.col("performance_status") == "weak"))
    whole = json.loads(cli("show", str(named.path), "--json")[1])["rows"]
    assert len(whole) == weak.height > 20 and {row["concept"] for row in whole} == set(weak["concept"])
    assert json.loads(cli("show", str(named.path), "--json", "--limit", "7")[1])["rows"] == whole[:7]
    every = json.loads(cli("show", str(named.path), "--json", "--all")[1])
    assert len(every["rows"]) == 64 and "findings" not in every
    limited = json.loads(cli("show", str(named.path), "--json", "--limit", "1")[1])
    assert [row["finding"] for row in limited["findings"]] == named.findings["finding"].to_list()
    assert limited["answer"]["opening"]["numbers"]["items"] == named.items.height


def test_a_screen_of_80_by_24_without_a_terminal(cli, named):
    status, out, err = cli("show", str(named.path))
    assert status == 0 and err == ""
    lines = out.splitlines()
    assert len(lines) <= 23 and max(map(len, lines)) <= 80
    assert "mean score" in lines[0] and any("Scores: " in line for line in lines)
    for more in ([], ["--all"], ["--sort", "-gap"], ["--find", "label"], ["--benchmark", "quiz", "--all"]):
        out = cli("show", str(named.path), *more)[1]
        assert len(out.splitlines()) <= 23 and (not more or "--limit" in out.splitlines()[-1])
    assert len(cli("show", str(named.path), "--all", "--limit", "50")[1].splitlines()) > 50
    assert len(cli("show", str(named.path), "--summary")[1].splitlines()) > 40


def test_a_taller_terminal_shows_more(cli, named, monkeypatch):
    few = cli("show", str(named.path), "--all")[1]
    monkeypatch.setenv("LINES", "40")
    many = cli("show", str(named.path), "--all")[1]
    assert len(few.splitlines()) <= 23 < len(many.splitlines()) <= 39


def test_find_lists_flagged_and_untested_concepts_too(cli, named):
    status, out, err = cli("show", str(named.path), "--find", "PRIME")
    assert status == 0 and err == "" and "2 labels have the words 'PRIME'." in out
    assert "prime numbers [template" in out and "numbers that are prime" in out and "verdict" in out
    rows = json.loads(cli("show", str(named.path), "--find", "prime", "--json")[1])["rows"]
    assert {row["concept"] for row in rows} == {0, 1}
    rows = json.loads(
        cli("show", str(named.path), "--find", "label", "--json", "--benchmark", "quiz", "--sort=-support")[1]
    )["rows"]
    support = [row["support"] for row in rows]
    assert len(rows) == 60 and support == sorted(support, reverse=True)


def test_words_show_the_only_concept_or_list_several(cli, named):
    by_number = cli("concept", str(named.path), "3")
    assert by_number[0] == 0 and cli("concept", str(named.path), "Cities capital") == by_number
    assert cli("concept", str(named.path), "capital", "cities") == by_number
    document = json.loads(cli("concept", str(named.path), "capital", "--json")[1])
    assert document == json.loads(cli("concept", str(named.path), "3", "--json")[1]) and document["concept"] == 3
    status, out, _ = cli("concept", str(named.path), "prime numbers")
    assert status == 0 and out.index("prime numbers [template") < out.index("numbers that are prime")
    assert f"cgaps concept {named.path} 0" in " ".join(out.split()) and "n_eff" in out and "verdict" in out
    several = " ".join(cli("concept", str(named.path), "label")[1].split())
    assert f"cgaps show {named.path} --find label --limit 60 lists all." in several
    document = json.loads(cli("concept", str(named.path), "prime", "--json")[1])
    assert document["find"] == "prime" and {row["concept"] for row in document["rows"]} == {0, 1}


def test_a_label_never_acts_on_the_terminal(cli, named):
    for arguments in (["concept", str(named.path), "loans"], ["show", str(named.path), "--find", "loans"]):
        out = cli(*arguments)[1]
        assert "\x1b" not in out and "<U+001B>" in out
    assert "\x1b" not in cli("concept", str(named.path), "subprime zebra")[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["concept", "NAMED", "capitol", "cities"], "no concept's label has the words 'capitol cities'. Near: 3"),
        (["show", "NAMED", "--find", "qqqq"], "no concept's label has the words 'qqqq'."),
        (["concept", "NAMED", " "], "give one or more words"),
        (["concept", "NAMED", "64"], "concepts 0 to 63"),
        (["show", "BARE", "--find", "prime"], "cgaps concepts name RUN DICTIONARY"),
        (["concept", "BARE", "prime"], "no concept of this run has a label"),
        (["show", "NAMED", "--find", "prime", "--themes"], "leave out"),
        (["show", "NAMED", "--summary", "--all"], "leave out"),
        (["show", "NAMED", "--summary", "--theme", "1"], "leave out"),
    ],
)
def test_failed_searches_name_the_reason(cli, named, tiny_run, arguments, says):
    places = {"NAMED": str(named.path), "BARE": str(tiny_run.path)}
    status, out, err = cli(*[places.get(argument, argument) for argument in arguments])
    assert status == 2 and out == "" and err.startswith("error: ") and says in " ".join(err.split())


def test_the_app_still_holds_every_command():
    names = typer.main.get_group(application.app).commands
    assert {"show", "concept", "report", "doctor", "run", "demo", "import-labels", "train-sae"} <= names.keys()
