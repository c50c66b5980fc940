"""Tags of a run's own items: from a table, a column of the items, or conditions on them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.errors import UserError
from competency_gaps.matching.tags import item_features, tags_of
from core_helpers import seal


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of a run whose items have two covariates: a text with a terminal's code in it, and a number."""
    shutil.copytree(tiny_run.path, tmp_path / "run")
    items = tiny_run.items
    covariates = [
        None if i % 5 == 4 else json.dumps({"kind": ["plain", "\x1b[31mred"][i % 2], "level": i % 3})
        for i in range(items.height)
    ]
    items.with_columns(covariates=pl.Series(covariates)).write_parquet(tmp_path / "run" / "items.parquet")
    seal(tmp_path / "run")
    return cg.open_run(tmp_path / "run")


def test_a_table_of_tags(run, tmp_path):
    """Tags stand for the items that they name, whatever the order of the table; a wrong table is refused."""
    rng = np.random.default_rng(0)
    values = sp.vstack([run.cas(name) for name in run.benchmarks["benchmark"]]).toarray()
    support = (values > 0).sum(axis=0)
    concept = int(np.argmin(np.abs(np.where(run.concepts["ranked"], support, 10**6) - len(values) / 2)))
    table = run.items.select("benchmark", id="item_id").with_columns(
        planted=pl.Series((values[:, concept] > 0).astype(int)), random=pl.Series(rng.integers(0, 2, len(values)))
    )
    path = tmp_path / "tags.csv"
    table.sample(fraction=1.0, shuffle=True, seed=0).write_csv(path)
    made = run.match_tags(path)
    assert made.entries["entry"].to_list() == ["planted", "random"]
    assert made.entries["examples"].to_list() == list(table.select("planted", "random").sum().row(0))
    for wrong, message in (
        (table.with_columns(id=pl.lit("x")), "more than once"),
        (table.drop("planted", "random"), "expected a column 'id' and a column per tag"),
        (table.with_columns(planted=pl.lit("maybe")), "'maybe' is none of 0, 1, true, false"),
        (table.head(1).with_columns(id=pl.lit("x")), "is in no benchmark of the run"),
    ):
        wrong.write_csv(path)
        with pytest.raises(UserError, match=message):
            run.match_tags(path)


def test_values_of_a_column_are_tags(run):
    made = run.match_tags("benchmark")
    counts = run.items.filter(pl.col("excluded").is_null())["benchmark"].value_counts()
    assert dict(made.entries.select("entry", "examples").iter_rows()) == dict(counts.iter_rows())
    [kept] = (run.path / "example-matches").glob("benchmark-*.json")
    assert json.loads(kept.read_text())["taxonomy"] == "benchmark"


def test_the_items_of_a_tag_are_those_with_the_value(run):
    tags = tags_of(run, "kind")
    assert tags.names == ["plain", "<U+001B>[31mred"]
    expected = [i for i in range(run.items.height) if i % 5 != 4]
    assert (
        tags.row.tolist() == expected and f"{run.items.height - len(expected)} items without a value" in tags.notes[0]
    )
    assert tags.row[tags.member[0]].tolist() == [i for i in expected if i % 2 == 0]
    assert (tags.member.sum(axis=0) == 1).all()
    assert tags_of(run, "level").names == ["0", "1", "2"]


def test_conditions_are_tags(run):
    tags = tags_of(run, {"long": "n_span_tokens > 20 AND level < 2", "plain": "kind = 'plain'"})
    features = item_features(run.items)
    long = (run.items["n_span_tokens"] > 20) & (features["level"] < 2)
    assert tags.member[0].tolist() == long.fill_null(value=False).to_list() and tags.member[0].sum() > 0
    assert len(tags.row) == run.items.height, "items that satisfy no condition are what the others are compared with"
    assert tags.notes == ("long: n_span_tokens > 20 AND level < 2", "plain: kind = 'plain'")
    for wrong, message in (
        ({"a": "levle = 1"}, "names 'levle', which no item has.*Did you mean 'level'"),
        ({"a": "level"}, "is not an SQL condition"),
        ({"a": "id IN (SELECT id FROM read_csv('x'))"}, "reads a file"),
        ({"a": "level = 1", " a": "level = 2"}, "expected different ones"),
        ({}, "expected different ones"),
    ):
        with pytest.raises(UserError, match=message):
            tags_of(run, wrong)


def test_the_command_takes_a_column_or_conditions(run):
    def call(*options):
        return CliRunner().invoke(app, ["match", str(run.path), *options, "--quiet", "--json"])

    by_column = json.loads(call("--tags", "kind").stdout)
    assert [row["entry"] for row in by_column["by_examples"]["entries"]] == ["plain", "<U+001B>[31mred"]
    made = json.loads(call("--tags", "low = level<=1", "--tags", "high=level > 1").stdout)
    assert [row["entry"] for row in made["by_examples"]["entries"]] == ["low", "high"]
    for options, message in (
        (["--tags", "level<=1"], "expected NAME=SQL"),
        (["--tags", "a=level > 1", "--tags", "a=level > 0"], "expected NAME=SQL with another name each"),
        (["--tags", "a=level > 1", "--tags", "kind"], "expected NAME=SQL"),
        (["--tags", "kind", "--where", "x = 1"], "--tags takes"),
        ([], "give either --taxonomy or --tags"),
    ):
        wrong = call(*options)
        assert isinstance(wrong.exception, UserError) and message in str(wrong.exception)
