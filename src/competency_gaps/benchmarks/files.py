"""Records from JSONL, CSV, TSV and Parquet files, and from a configuration itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from competency_gaps.benchmarks.rows import Record
from competency_gaps.config import FileSource, ObjectsSource
from competency_gaps.embedded import embedded_benchmark
from competency_gaps.errors import UserError, nearest
from competency_gaps.jsonl import json_lines
from competency_gaps.table_files import read_csv, read_parquet

SUFFIXES = (".csv", ".jsonl", ".parquet", ".tsv")


def read_files(source: FileSource) -> Iterator[Record]:
    """The records of a file, or of all files of a folder in the order of their names.

    Raises
    ------
    UserError
        If the path does not exist or its kind is unknown, a folder holds no such file, or a file is
        malformed (with file and line).
    """
    for path in _paths(source.path):
        if path.suffix == ".jsonl":
            yield from _jsonl(path)
        else:
            yield from _table(path)


def read_objects(source: ObjectsSource) -> Iterator[Record]:
    """The records of a source that holds them itself."""
    yield from (Record(entry, f"object {number}") for number, entry in enumerate(source.items, start=1))


def _paths(path: Path) -> list[Path]:
    if str(path).startswith("embedded:"):
        return [embedded_benchmark(str(path))]
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in SUFFIXES and child.is_file())
        if not files:
            raise UserError(f"the folder {path} holds no {', '.join(SUFFIXES)} file.")
        return files
    if not path.exists():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"the file or folder {path} does not exist.{nearest(path.name, siblings)}")
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path} is of an unknown kind; expected {', '.join(SUFFIXES)} or a folder with such files.")
    return [path]


def _jsonl(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for line in json_lines(file):
            where = f"{path}, line {line.number}"
            if line.fault is not None:
                raise UserError(f"{where}: {line.message}. Expected one JSON object per line, in UTF-8.")
            yield Record(line.value, where)


def _table(path: Path) -> Iterator[Record]:
    try:
        frame = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    except pl.exceptions.NoDataError as error:
        raise UserError(f"{path} is empty. Expected a line of column names and one line per item.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path}: not a readable {path.suffix[1:]} file ({error}).") from error
    for number, row in enumerate(frame.iter_rows(named=True), start=1):
        yield Record(row, f"{path}, row {number}", untyped=path.suffix != ".parquet")
