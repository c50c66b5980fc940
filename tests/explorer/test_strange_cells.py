"""Cells that no run writes, in columns of the right type and under checksums that fit, are refused by their place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from test_strange_tables import changed, explored, outcome_of

import competency_gaps as cg
from competency_gaps.errors import UserError
from competency_gaps.runs.schemas import ITEMS, SCHEMAS
from competency_gaps.runs.values import Extent, value_fault
from core_helpers import seal

NAN, INF = float("nan"), float("inf")
REMARK = {"code": "too_long", "text": "too long", "numbers": [3.0, 2.0]}


@pytest.fixture(scope="module")
def folder(modelled, tmp_path_factory) -> Path:
    """A copy of a run with labels, themes, other models' scores and outcomes."""
    return Path(shutil.copytree(modelled.run, tmp_path_factory.mktemp("cells") / "run"))


def with_cell(column: str, value: object, row: int = 0):
    """A change of one cell, to a value of the column's own type."""

    def change(table: pl.DataFrame) -> pl.DataFrame:
        cells = table[column].to_list()
        cells[row] = value
        return table.with_columns(pl.Series(column, cells, dtype=table.schema[column], strict=True))

    return change


def refused(folder: Path, name: str, change, says: str) -> None:
    with changed(folder / f"{name}.parquet", change), pytest.raises(UserError, match=says) as raised:
        cg.open_run(folder).scan(name)
    assert str(raised.value).startswith(f"{folder / name}.parquet has ")
    assert cg.open_run(folder).scan(name).collect().height


@pytest.mark.parametrize(
    ("name", "column", "value", "says"),
    [
        ("items", "item_id", None, "has null in row 2 of the column 'item_id', expected a value"),
        ("items", "benchmark", "other", "has 'other' in row 2 of .*'benchmark', expected the name of a benchmark"),
        ("items", "score", NAN, r"has nan in row 2 .*'score', expected a number in \[0, 1\]"),
        ("items", "score", -0.5, r"has -0.5 in row 2 .*'score', expected a number in \[0, 1\]"),
        ("scores", "score", 1.5, r"has 1.5 in row 2 .*'score', expected a number in \[0, 1\]"),
        ("items", "cluster", -1, "has -1 in row 2 .*'cluster', expected a number of at least 0"),
        ("items", "cluster_kind", "far", "'cluster_kind', expected one of equal, given, near"),
        ("items", "choices", ["a", None], "'choices', expected no null in its list"),
        ("items", "answer_index", 4, "has 4 in row 2 .*'answer_index', expected the index of an option"),
        ("concepts", "concept", 3, "has 3 in row 2 of the column 'concept', expected its concept in order"),
        ("concepts", "concept", -1, "has -1 in row 2 of the column 'concept'"),
        ("concepts", "leader", 2**31 - 1, "'leader', expected a concept of the run, 0 to "),
        ("concepts", "performance_status", "good", "has 'good' in row 2 .*, expected one of weak, strong, negligible"),
        ("concepts", "performance_status", "\x1b[31m", r"has '\\x1b\[31m' in row 2"),
        ("concepts", "gap", -INF, "has -inf in row 2"),
        ("concepts", "gap", 1e308, r"has 1e\+308 in row 2 .*'gap', expected a number that is finite and below"),
        ("concepts", "lift", NAN, "has nan in row 2 .*'lift', expected a number"),
        ("concepts", "coverage_status", "", "has '' in row 2"),
        ("concept_benchmarks", "concept", 0, "expected its concept in order"),
        ("concept_benchmarks", "support", None, "has null in row 2"),
        ("benchmarks", "kept", -5, "has -5 in row 2"),
        ("overlap", "benchmark_b", None, "has null in row 2"),
        ("overlap", "benchmark_a", "x" * 1000, "has 'xxx"),
        ("overlap", "benchmark_a", "fractions", "expected benchmarks in the run's order"),
        ("overlap", "cosine", INF, "has inf in row 2"),
        ("themes", "theme", -1, "has -1 in row 2"),
        ("themes", "theme", 2**31 - 1, "expected the number of a theme, less than the number of concepts"),
        ("themes", "x", NAN, "has nan in row 2"),
        ("themes", "subtheme", None, "'subtheme', expected a value where the concept is in a theme, and else none"),
        ("themes", "x", None, "'x', expected a value where the concept is in a theme, and else none"),
        ("theme_names", "level", "storey", "expected one of theme, subtheme"),
        ("theme_results", "vanishes", None, "has null in row 2"),
        ("theme_benchmarks", "benchmark", "other", "expected the name of a benchmark"),
        ("scores", "item", 10**9, "'item', expected a row of items.parquet, 0 to "),
        ("scores", "model", None, "has null in row 2"),
        ("tokens", "text", None, "has null in row 2"),
    ],
)
def test_a_cell_that_no_run_writes_is_refused(folder, name, column, value, says):
    row = min(2, pl.read_parquet(folder / f"{name}.parquet").height - 1)
    refused(folder, name, with_cell(column, value, row), says)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("leader", None, "has null in row 0"),
        ("leader", 10**6, "expected a concept of the run"),
        ("concepts", [0, 10**6], r"has \[0, 1000000\] in row 0 .*expected in its list a concept of the run"),
        ("item_rows", [-1], "expected in its list a row of items.parquet"),
        ("weights", [NAN], "expected in its list a number that is finite"),
        ("failing", [None], "expected no null in its list"),
        ("benchmarks", [None], "expected no null in its list"),
        (
            "benchmarks",
            [{"benchmark": "sums", "items": None, "share": 0.5}],
            "expected in its list a value for 'items'",
        ),
        ("benchmarks", [{"benchmark": "x", "items": 1, "share": 0.5}], "expected in its list the name of a benchmark"),
        ("feature_benchmarks", ["x"], "expected in its list the name of a benchmark"),
        ("unit", "points", "expected one of right, score"),
        ("verdict", "typical", "expected one of weak, strong"),
        ("gap", None, "has null in row 0"),
        ("finding", 1, "'finding', expected its row's number"),
        ("weights", [], "'weights', expected a weight for each of its rows"),
    ],
)
def test_a_finding_likewise(folder, column, value, says):
    assert pl.read_parquet(folder / "findings.parquet").height
    refused(folder, "findings", with_cell(column, value), says)


FEATURE = {
    "feature": "answer.negative",
    "feature_benchmarks": ["sums"],
    **{"counted": "items", "feature_items": 3, "feature_score": 0.1, "other_items": 4, "other_score": 0.9},
}


@pytest.mark.parametrize("column", list(FEATURE)[1:])
def test_a_feature_without_its_figures_is_refused(folder, column):
    def change(table):
        for name, value in {**FEATURE, column: None}.items():
            table = with_cell(name, value)(table)
        return table

    says = f"has null in row 0 of the column '{column}', expected a value where the finding has a feature"
    refused(folder, "findings", change, says)
    extent, table = Extent.of(cg.open_run(folder).manifest), pl.read_parquet(folder / "findings.parquet")
    for name, value in FEATURE.items():
        table = with_cell(name, value)(table)
    assert value_fault("findings", table.lazy(), extent) is None


def test_a_feature_that_nobody_has_words_for_is_refused_where_it_is_shown(folder):
    def change(table):
        for name, value in {**FEATURE, "feature": "x\x1b"}.items():
            table = with_cell(name, value)(table)
        return table

    with changed(folder / "findings.parquet", change):
        says = r"'x<U\+001B>' is no code of a finding's feature.*cgaps findings --make"
        with pytest.raises(UserError, match=says):
            explored(folder, "run.json")
        cg.open_run(folder).report()  # it shows the sentence that is kept


@pytest.mark.parametrize("change", [lambda table: table[1:], lambda table: pl.concat([table, table[:1]])])
@pytest.mark.parametrize("name", ["theme_names", "theme_results", "theme_benchmarks"])
def test_a_theme_without_a_row_or_with_two_is_refused(folder, name, change):
    read = "theme_benchmarks" if name == "theme_benchmarks" else "theme_results"
    with changed(folder / f"{name}.parquet", change):
        for what in (lambda: getattr(cg.open_run(folder), read), lambda: explored(folder, "themes.json")):
            with pytest.raises(UserError, match=rf"{name}\.parquet does not hold each theme of themes\.parquet once"):
                what()


def test_numbers_of_themes_have_no_gap(folder):
    def change(table):
        return table.with_columns(
            theme=pl.when(pl.col("theme") == 0).then(pl.col("theme").max() + 1).otherwise("theme")
        )

    refused(folder, "themes", change, "'theme', expected in the whole column numbers from 0 without a gap")


def test_a_subtheme_lies_in_a_single_theme(folder):
    table = pl.read_parquet(folder / "themes.parquet").with_row_index().drop_nulls("theme")
    sizes = table.group_by("theme", "subtheme").agg(pl.col("index").min(), size=pl.len())
    row = sizes.filter(pl.col("size") > 1)["index"][0]
    other = table.filter(pl.col("theme") != table.filter(pl.col("index") == row)["theme"].item())["theme"][0]
    refused(folder, "themes", with_cell("theme", other, row), "'subtheme', expected a subtheme of a single theme")


def test_an_outcome_replaces_no_other_columns_of_items_than_it_is_written_with(folder):
    """Else what they say of the run's other columns would be looked at nowhere."""
    own = outcome_of(folder)
    with changed(own / "items.parquet", lambda table: table.with_columns(answer_index=pl.lit(10**6, pl.Int32))):
        run = cg.open_run(own)
        assert run.items["answer_index"].equals(cg.open_run(folder).items["answer_index"], null_equal=True)


def test_an_outcome_of_other_benchmarks_or_concepts_than_its_run_is_refused(folder):
    own = outcome_of(folder)
    file = own / "manifest.json"
    before, held = file.read_bytes(), json.loads(file.read_text())
    first, *rest = held["benchmarks"]
    try:
        for change in (
            {"benchmarks": [{**first, "name": "other"}, *rest]},
            {"benchmarks": [{**first, "items": first["items"] - 1}, *rest]},
            {"benchmarks": [*rest, first]},
            {"sae": {**held["sae"], "d_sae": held["sae"]["d_sae"] + 1}},
        ):
            file.write_text(json.dumps({**held, **change}))
            seal(own)
            with pytest.raises(
                UserError, match="lists other benchmarks, items or concepts than the manifest of its run"
            ):
                _ = cg.open_run(own).concepts
    finally:
        file.write_bytes(before)
    assert cg.open_run(own).concepts.height


def test_findings_that_are_made_again_while_a_run_is_open_are_looked_at(folder):
    run = cg.open_run(folder)
    run.scan("findings")
    with changed(folder / "findings.parquet", with_cell("gap", 1e308)), pytest.raises(UserError, match="has 1e"):
        run.scan("findings")
    assert run.scan("findings").collect().height


@pytest.mark.parametrize("name", ["items", "concepts", "concept_benchmarks", "benchmarks", "overlap", "themes"])
def test_rows_that_are_gone_or_twice_are_refused(folder, name):
    refused(folder, name, lambda table: table[1:], r"has [\d,]+ rows, expected [\d,]+")
    refused(folder, name, lambda table: pl.concat([table, table[:1]]), r"has [\d,]+ rows, expected [\d,]+")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("items", "holds other items than the manifest lists"),
        ("concepts", "expected its concept in order"),
        ("concept_benchmarks", "expected its concept in order"),
        ("benchmarks", "expected benchmarks in the run's order"),
        ("themes", "expected its concept in order"),
    ],
)
def test_rows_in_another_order_are_refused(folder, name, says):
    with changed(folder / f"{name}.parquet", lambda table: table.reverse()), pytest.raises(UserError, match=says):
        cg.open_run(folder).scan(name)


def test_benchmarks_of_concepts_in_another_order_are_refused(folder):
    refused(
        folder,
        "concept_benchmarks",
        lambda table: table.with_columns(table["benchmark"].reverse()),
        "'benchmark', expected benchmarks in the run's order",
    )


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("outcome", NAN, "has nan in row 0 of the column 'outcome'"),
        ("score", INF, "has inf in row 0"),
        ("unscored", {**REMARK, "code": "new"}, "has a remark in the column 'unscored'"),
    ],
)
def test_the_items_of_an_outcome_likewise(folder, column, value, says):
    own = outcome_of(folder)
    with changed(own / "items.parquet", with_cell(column, value)), pytest.raises(UserError, match=says):
        _ = cg.open_run(own).items
    with changed(own / "items.parquet", lambda table: table[1:]), pytest.raises(UserError, match="rows, expected"):
        _ = cg.open_run(own).items


def test_a_table_is_looked_at_once_and_again_when_it_is_another(folder, monkeypatch):
    looked = []
    kept = value_fault
    monkeypatch.setattr(
        "competency_gaps.runs.files.value_fault", lambda name, *rest: looked.append(name) or kept(name, *rest)
    )
    with changed(folder / "overlap.parquet", lambda table: table.with_columns(cosine=pl.lit(0.125))):
        for _ in range(3):
            assert cg.open_run(folder).overlap["cosine"].unique().to_list() == [0.125]
        assert looked == ["overlap"]
    with changed(folder / "overlap.parquet", with_cell("cosine", NAN)):
        for _ in range(2):
            with pytest.raises(UserError, match="has nan"):
                _ = cg.open_run(folder).overlap
    assert looked == ["overlap"] * 3


def test_every_declared_column_of_numbers_has_a_rule(folder):
    """Whatever the type allows and no run means, is refused in each column of each table."""
    extent = Extent.of(cg.open_run(folder).manifest)
    assert extent is not None and extent.items == cg.open_run(folder).items.height
    for name, schema in SCHEMAS.items():
        table = pl.read_parquet(folder / f"{name}.parquet")
        assert value_fault(name, table.lazy(), extent) is None
        for column, kind in schema.items():
            odd = NAN if kind in (pl.Float64, pl.Float32) else -1 if kind in (pl.Int32, pl.Int64) else None
            if odd is not None:
                held = with_cell(column, odd)(table).lazy()
                assert f"'{column}'" in str(value_fault(name, held, extent)), (name, column)


def test_infinite_numbers_are_kept_where_they_mean_something(folder):
    extent = Extent.of(cg.open_run(folder).manifest)
    concepts = pl.read_parquet(folder / "concepts.parquet")
    assert value_fault("concepts", with_cell("lift", INF)(concepts).lazy(), extent) is None
    items = pl.read_parquet(folder / "items.parquet")
    assert value_fault("items", with_cell("logprobs", [-INF])(items).lazy(), extent) is None
    assert "logprobs" in value_fault("items", with_cell("logprobs", [NAN])(items).lazy(), extent)
    assert set(ITEMS) <= set(items.columns)


@pytest.mark.parametrize("manifest", [{}, {"benchmarks": [{}]}, {"benchmarks": [], "sae": {"d_sae": "x"}}])
def test_a_manifest_that_does_not_say_how_large_a_run_is(manifest):
    assert Extent.of(manifest) is None
