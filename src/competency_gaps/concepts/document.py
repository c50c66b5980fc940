"""``dictionary.json``: the SAE, model and settings of a dictionary, and the checksums of its tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.runs.schemas import Schema, schema_fault
from competency_gaps.util.checked import FILES, Write, changing, read_versioned, settle
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import finite
from competency_gaps.util.table_files import read_parquet
from competency_gaps.util.text import one_line

SCHEMA_VERSION = 2
FILE = "dictionary.json"


def read_content(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's ``dictionary.json``.

    If a process was killed while it committed a change, the change is completed first.

    Raises
    ------
    UserError
        If the folder is no dictionary, its file is damaged, or its schema version is unknown.
    """
    settle(folder, FILE)
    file = folder / FILE
    if not file.is_file():
        kind = f"holds no {FILE}" if folder.is_dir() else "does not exist"
        raise UserError(f"the dictionary {str(folder)!r} {kind}. Expected a folder of exemplars or labels.")
    return read_versioned(file, SCHEMA_VERSION, "Rebuild the dictionary.")


def files_of(folder: Path) -> Mapping[str, Any]:
    """Return the entries (checksums) of a dictionary's tables, by file name; empty if the folder is no dictionary."""
    files = read_content(folder).get(FILES) if (folder / FILE).is_file() else None
    return files if isinstance(files, dict) else {}


def has_table(folder: Path, name: str) -> bool:
    """Whether a dictionary has a table, or lists one that is missing."""
    return (folder / name).is_file() or name in files_of(folder)


def read_table(path: Path, again: str) -> pl.DataFrame:
    """Return a table of a dictionary; raises UserError, ending in the advice ``again``, if it is missing or damaged."""
    try:
        return read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is missing or damaged: {one_line(error)}. {again}") from error


def read_columns(path: Path, schema: Schema, again: str, nulls: Collection[str] = ()) -> pl.DataFrame:
    """Return the columns in ``schema`` of a Parquet file, which may come from a stranger; others are dropped.

    Parameters
    ----------
    again
        Advice that ends the error message: how to rebuild the file.
    nulls
        Columns that may contain null.

    Raises
    ------
    UserError
        If the file is missing or damaged, lacks a column or has one of another type, or has a null where none may be.
    """
    table = read_table(path, again)
    fault = schema_fault(table.schema, schema)
    lacking = [name for name in schema if not fault and name not in nulls and table[name].has_nulls()]
    if fault or lacking:
        fault = fault or f"lacks values of {', '.join(lacking)}"
        raise UserError(f"{path} {fault}: it is damaged, or of another version. {again}")
    return table.select(*schema)


def write_tables(folder: Path, tables: Mapping[str, Write], **changed: Any) -> None:
    """Write tables of a dictionary, all or none.

    Parameters
    ----------
    changed
        What else ``dictionary.json`` says from now on.
    """
    with changing(folder, FILE) as change:
        for name, write in tables.items():
            change.write(name, write)
        change.commit({**read_content(folder), **finite(changed)})
