"""A table is compared with its checksum and its schema when it is opened."""

from __future__ import annotations

import importlib.util

import polars as pl
import pytest

from competency_gaps.runs.manifest import RunFiles
from competency_gaps.runs.schemas import LABELS, SCHEMAS
from competency_gaps.util.checked import FILES, entry_of
from competency_gaps.util.errors import UserError
from core_helpers import ROOT


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_table_is_read_only_with_its_columns_and_content(tmp_path, name):
    path = tmp_path / f"{name}.parquet"

    def scanned(table: pl.DataFrame) -> pl.LazyFrame:
        table.write_parquet(path)
        return RunFiles(tmp_path, {FILES: {path.name: entry_of(path)}}).scan(name)

    whole = pl.DataFrame(schema=SCHEMAS[name])
    assert scanned(whole).collect().equals(whole)
    assert scanned(whole.with_columns(mine=pl.lit(1))).collect().columns == [*whole.columns, "mine"]
    for column, kind in SCHEMAS[name].items():
        other = pl.Int64 if kind != pl.Int64 else pl.String
        with pytest.raises(UserError, match=f"{name}.parquet has the column '{column}' of type"):
            scanned(whole.with_columns(pl.lit(None, other).alias(column)))
        if column not in LABELS or name != "concepts":
            with pytest.raises(UserError, match=f"{name}.parquet has no column '{column}'"):
                scanned(whole.drop(column))
    scanned(whole)
    files = RunFiles(tmp_path, {FILES: {path.name: entry_of(path)}})
    content = path.read_bytes()
    for damaged in (content[:-9], content[:-9] + b"x" + content[-8:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=rf"{name}.parquet is damaged: .*checksum"):
            files.scan(name)
    path.unlink()
    with pytest.raises(UserError, match=rf"{name}.parquet is missing"):
        files.scan(name)


def test_concepts_without_labels_read_as_not_named(tmp_path):
    pl.DataFrame(schema=SCHEMAS["concepts"]).drop(LABELS).write_parquet(tmp_path / "concepts.parquet")
    table = RunFiles(tmp_path, {}).scan("concepts").collect()
    assert set(SCHEMAS["concepts"]) == set(table.columns)


def test_every_column_is_described_where_it_is_declared():
    spec = importlib.util.spec_from_file_location("columns", ROOT / "docs" / "columns.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    for table, schema in SCHEMAS.items():
        described = dict(page.columns(table.upper()))
        assert list(described) == list(schema)
        assert all(described.values())
