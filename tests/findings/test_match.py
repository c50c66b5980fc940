"""Lists beside a run: a planted weakness is recovered and a random entry is not; formats; what is kept."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.findings.answer import analyse, slice_table, slices_of
from competency_gaps.findings.match import match, read_matchings
from competency_gaps.items.config import SlicesConfig
from competency_gaps.runs.open import open_folder
from competency_gaps.slices import CONCEPTS
from competency_gaps.slices.lists import read_list
from competency_gaps.slices.make import Source, write_slices
from competency_gaps.util.errors import UserError
from core_helpers import copied
from log_samples import attempt, write_report


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """A run with the scores of a model that fails where one concept is strong."""
    own = copied(tiny_run, tmp_path_factory)
    strong = items_of(own, planted_concept(own))
    rng = np.random.default_rng(0)
    scores = np.where(strong, rng.random(len(strong)) < 0.05, rng.random(len(strong)) < 0.9).astype(float)
    rows = zip(own.items["benchmark"], own.items["item_id"], scores, strict=True)
    own.add_scores(pl.DataFrame(rows, schema=["benchmark", "id", "failing"], orient="row"))
    return cg.open_run(own.path)


def planted_concept(run):
    ranked = run.concepts.filter(pl.col("ranked") & pl.col("alive"))["concept"].to_numpy()
    support = run.by_concept.support[ranked]
    return int(ranked[np.argmin(np.abs(support - run.items.height / 3))])


def items_of(run, concept):
    values = run.by_concept.cas(np.array([concept]), run.items.height).toarray().ravel()
    return values > np.quantile(values, 2 / 3)


@pytest.fixture(scope="module")
def tags(run, tmp_path_factory):
    """A table of tags: the planted items, and random ones."""
    strong = items_of(run, planted_concept(run))
    table = run.items.select("benchmark", id="item_id").with_columns(
        planted=pl.Series(strong.astype(int)),
        random=pl.Series((np.random.default_rng(1).random(len(strong)) < 0.3).astype(int)),
    )
    path = tmp_path_factory.mktemp("tags") / "tags.csv"
    table.write_csv(path)
    return path


def test_a_planted_weakness_is_recovered_and_a_random_tag_is_not(run, tags):
    found = match(run, tags, model="failing", against="benchmark")
    planted, random = found.entries
    assert (planted.name, planted.failure, planted.outcome) == ("planted", True, "recovered")
    assert planted.association < -0.1 and planted.low < planted.association < planted.high < 0
    assert CONCEPTS + planted_concept(run) in {tie.slice for tie in planted.ties}
    assert (random.failure, random.ties) == (False, ())
    scores = dict(zip(run.items["item_id"], run.items["item_id"], strict=True))
    assert len(planted.rows) == 3 and len(scores)
    rates = {rate.what: rate for rate in found.rates}
    assert (rates["failure"].count, rates["failure recovered"].count, rates["matched"].of) == (1, 1, 2)
    assert rates["matched"].chance <= 0.5 and rates["recovered"].chance <= 0.5
    assert found in read_matchings(run)


def test_an_entry_is_a_slice_that_may_be_chosen(run, tags, tmp_path):
    """By ids, by prompts and by a category of a column; entries of a few items, or none, give no slice."""
    own = open_folder(shutil.copytree(run.path, tmp_path / "run"))
    items, strong = own.items, items_of(own, planted_concept(own))
    other = np.flatnonzero(~strong)[::3]
    benchmark = items["benchmark"][0]
    rows = [
        {"id": "p", "description": "planted", "examples": items["item_id"].filter(pl.Series(strong)).to_list()},
        {
            "id": "o",
            "description": "other ones",
            "examples": [{"prompt": text} for text in items["prompt"].gather(other)],
        },
        {"tag": benchmark, "label": "by its tag", "id": benchmark, "description": "by its tag"},
        {"id": "few", "description": "a few", "examples": items["prompt"].head(3).to_list()},
        {"id": "none", "description": "nowhere", "examples": ["no item"]},
    ]
    (tmp_path / "list.json").write_text(json.dumps(rows))
    config = SlicesConfig(families=["lists"], lists=[tmp_path / "list.json", tags])
    analyse(own, "failing", "benchmark")  # learns the prior of the slices that it has now
    write_slices(own, Source(own, config))
    own = cg.open_run(own.path)
    family = slices_of(own)[0]
    assert {group[0] for group in analyse(own, "failing", "benchmark").prior.variances} == {"lists"}
    assert family.name == "lists" and family.names == ["planted", "other ones", "by its tag", "planted", "random"]
    has = family.weights.toarray() > 0
    same = {text: set(np.flatnonzero((items["prompt"] == text).to_numpy())) for text in items["prompt"].gather(other)}
    assert (
        (has[0] == strong).all()
        and (has[3] == strong).all()
        and (has[2] == (items["benchmark"] == benchmark).to_numpy()).all()
    )
    assert all(rows & set(np.flatnonzero(has[1])) for rows in same.values())
    worst = slice_table(own, "failing", "benchmark").sort("gap", nulls_last=True).row(0, named=True)
    assert (worst["family"], worst["name"]) == ("lists", "planted") and worst["low"] < worst["gap"] < 0
    assert match(own, tmp_path / "list.json", model="failing", against="benchmark").how == "items"


def test_a_run_makes_slices_of_the_lists_that_it_is_given(tiny_run, tiny_config, tmp_path):
    folder, path = shutil.copytree(tiny_run.path, tmp_path / "run"), tmp_path / "list.json"
    ids = tiny_run.items.filter(benchmark="sums")["item_id"].head(15).to_list()
    path.write_text(json.dumps([{"id": "some", "description": "some sums", "examples": ids}]))
    made = cg.run({**tiny_config, "slices": {"lists": [str(path)], "families": ["lists"]}}, folder)
    assert made.slices.filter(family="lists").select("name", "items").rows() == [("some sums", 15)]
    with pytest.raises(UserError, match="does not exist"):
        cg.run({**tiny_config, "slices": {"lists": [str(tmp_path / "lost.json")]}}, folder)


def test_a_column_that_holds_the_entries_goes_with_none(run):
    columns = next(family for family in slices_of(run) if family.name == "columns")
    found = match(run, "group" if "group" in columns.column else "benchmark", model="failing")
    assert not {tie.family for entry in found.entries for tie in entry.ties} & {"columns"}


def test_the_association_of_an_entry_is_that_of_its_items(run, tags):
    """Net of the strata that the run holds equal, here the benchmark: with one stratum each, the plain difference."""
    (planted,) = (e for e in match(run, tags, model="failing", against="benchmark").entries if e.id == "planted")
    from competency_gaps.findings.answer import analyse

    analysis = analyse(run, "failing", "benchmark")
    member = analysis.units.rows(items_of(run, planted_concept(run))[None].astype(float)).toarray().ravel()
    block, values = analysis.units.block, analysis.values
    mean = np.array([values[block == own].mean() for own in block])
    assert planted.association == pytest.approx((member * (values - mean)).sum() / member.sum(), abs=1e-6)


def test_examples_that_are_no_items_are_read_by_the_runs_model(run, tmp_path, monkeypatch):
    monkeypatch.setattr("competency_gaps.findings.examples.cache_folder", lambda: tmp_path / "cache")
    words = ("fox fox lazy dog", "March days April", "Compute the sum", "city of France Paris")
    rows = [
        {"id": f"e{i}", "description": f"about {word}", "examples": [f"{word} {word} {n}" for n in range(14)]}
        for i, word in enumerate(words)
    ]
    path = tmp_path / "list.json"
    path.write_text(json.dumps([*rows, {"id": "few", "description": "one", "examples": ["fox"]}]))
    found = cg.open_run(run.path).match(path)
    assert found.how == "examples" and {entry.failure for entry in found.entries} == {None}
    by_id = {entry.id: entry for entry in found.entries}
    assert by_id["few"].outcome == "few" and sum(bool(by_id[f"e{i}"].ties) for i in range(4)) >= 2
    monkeypatch.setattr("competency_gaps.pipeline.run.run", None)  # they are not read again
    assert cg.open_run(run.path).match(path).entries == found.entries


def test_entries_without_examples_or_items_are_refused(run, tmp_path):
    path = tmp_path / "names.json"
    path.write_text(json.dumps([{"id": "0", "description": "zqx wvj kkzz"}]))
    with pytest.raises(UserError, match="have no examples"):
        match(run, path, model="failing", against="benchmark")


def test_lists_are_read_from_several_formats(tmp_path):
    records = [{"id": "a", "description": "x  y", "domain": "d", "score": "3.5", "examples": '["p", "q", "p"]'}]
    pl.DataFrame(records).write_csv(tmp_path / "list.csv")
    (tmp_path / "list.jsonl").write_text(json.dumps({**records[0], "examples": [{"prompt": "p"}, "q"]}))
    for name in ("list.csv", "list.jsonl"):
        (entry,) = read_list(tmp_path / name)
        assert (entry.id, entry.name, entry.domain, entry.score, entry.examples) == ("a", "x y", "d", 3.5, ("p", "q"))
    for name, text in (("none.json", "[]"), ("none.jsonl", ""), ("none.csv", "id,description\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match="has no entry"):
            read_list(tmp_path / name)
    (tmp_path / "twice.json").write_text(json.dumps(records * 2))
    with pytest.raises(UserError, match="occurs twice"):
        read_list(tmp_path / "twice.json")
    with pytest.raises(UserError, match="does not exist"):
        read_list(tmp_path / "list.jso")


def test_logs_are_lists_of_their_groups(tmp_path):
    log = tmp_path / "autodetect_if" / "result" / "autodetect_m" / "task" / "version_0" / "log.json"
    log.parent.mkdir(parents=True)
    points = {f"task:p{i}": {"steps": [{"prompt": f"{i} {n}", "score": 1 + i} for n in range(7)]} for i in range(3)}
    log.write_text(json.dumps({"init_points": [*points], **points}))
    entries = read_list(tmp_path)
    assert [len(entry.examples) for entry in entries] == [7, 7, 7]
    assert [entry.score for entry in entries] == pytest.approx([0, 1 / 9, 2 / 9])
    probes = ("dan.A", "dan.B", "xss.C")
    attempts = [attempt(f"u{n}", {"a": [n % 2]}, seq=n, probe=probes[n % 3], text=f"do {n}") for n in range(12)]
    report = write_report(tmp_path / "x.report.jsonl", *attempts)
    counts = {entry.name: len(entry.examples) for entry in read_list(report)}
    assert counts == {"A": 4, "B": 4, "C": 4, "dan": 8}  # a family of one probe is no group of its own


def test_the_command_prints_and_gives_json(run, tags):
    arguments = ["match", str(run.path), str(tags), "--model", "failing", "--against", "benchmark", "--quiet"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0 and "planted" in shown.stdout
    given = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert given["how"] == "items" and given["entries"][0]["id"] == "planted"
