"""Read records from files, from a configuration itself, and from datasets of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.embedded import embedded_benchmark
from competency_gaps.items.config import FileSource, HubSource, ObjectsSource
from competency_gaps.items.records import Record
from competency_gaps.util.errors import UserError, nearest, needed, no_such
from competency_gaps.util.jsonl import json_lines
from competency_gaps.util.table_files import read_csv, read_parquet
from competency_gaps.util.text import shorten

SUFFIXES = (".csv", ".jsonl", ".parquet", ".tsv")


def read_files(source: FileSource) -> Iterator[Record]:
    """Yield the records of a file, or of all files of a folder in the order of their names.

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
    """Yield the records that stand in the configuration itself."""
    yield from (Record(entry, f"object {number}") for number, entry in enumerate(source.items, start=1))


def _paths(path: Path) -> list[Path]:
    """Return the files at a path, of a folder all with a known suffix in order; UserError if there are none."""
    if str(path).startswith("embedded:"):
        return [embedded_benchmark(str(path))]
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in SUFFIXES and child.is_file())
        if not files:
            raise UserError(f"the folder {path} has no {', '.join(SUFFIXES)} file.")
        return files
    if not path.exists():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"the file or folder {path} does not exist.{nearest(path.name, siblings)}")
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path} has an unknown extension: expected {', '.join(SUFFIXES)} or a folder of such files.")
    return [path]


def _jsonl(path: Path) -> Iterator[Record]:
    """Yield the records of a JSONL file; UserError at the first faulty line."""
    with path.open("rb") as file:
        for line in json_lines(file):
            where = f"{path}, line {line.number}"
            if line.fault is not None:
                raise UserError(f"{where}: {line.message}. Expected one JSON object per line, in UTF-8.")
            yield Record(line.value, where)


def _table(path: Path) -> Iterator[Record]:
    """Yield the rows of a CSV, TSV or Parquet file as records."""
    try:
        frame = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    except pl.exceptions.NoDataError as error:
        raise UserError(f"{path} is empty. Expected a line of column names, and lines of values.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        why = shorten(str(error).splitlines()[0], 200)
        raise UserError(f"{path}: not a readable {path.suffix[1:]} file ({why}).") from error
    for number, row in enumerate(frame.iter_rows(named=True), start=1):
        yield Record(row, f"{path}, row {number}", untyped=path.suffix != ".parquet")


def read_hub(source: HubSource) -> Iterator[Record]:
    """Yield the records of one split.

    Code that comes with a dataset never runs. An answer that is a class of ``datasets`` becomes an index into
    the class names, which are the options unless the record has others.

    Raises
    ------
    MissingExtraError
        If ``datasets`` is not installed.
    UserError
        If the dataset, its configuration or the split cannot be loaded.
    """
    dataset = _load(source)
    column = source.fields.get("answer", "answer")
    feature = dataset.features.get(column)
    names = list(feature.names) if type(feature).__name__ == "ClassLabel" else []
    with_choices = "choices" in source.fields or "choices" in dataset.features
    for index, row in enumerate(dataset):
        values: dict[str, Any] = dict(row)
        if names and not with_choices:
            values["choices"] = names
        yield Record(values, f"{source.path}, split {source.split}, row {index}")


def _load(source: HubSource) -> Any:
    """Return one split as a dataset of ``datasets``, from the hub or a folder."""
    with needed("datasets", "hub", "Loading a benchmark from the hub"):
        import datasets
    folder = Path(source.path)
    try:
        if any((folder / name).exists() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
            saved = datasets.load_from_disk(str(folder))
            if isinstance(saved, datasets.DatasetDict) and source.split not in saved:
                raise no_such(f"the dataset {source.path!r} has no split", source.split, saved)
            return saved[source.split] if isinstance(saved, datasets.DatasetDict) else saved
        arguments = {"split": source.split, "revision": source.revision}
        return datasets.load_dataset(source.path, source.name, **{**source.arguments, **arguments})
    except (OSError, TypeError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        configuration = f", configuration {source.name!r}" if source.name else ""
        raise UserError(
            f"the dataset {source.path!r}{configuration}, split {source.split!r} cannot be loaded: {error} "
            "Check path, name, split and revision, and whether this machine can reach the hub."
        ) from error
