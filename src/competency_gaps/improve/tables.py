"""Tables that ``cgaps improve`` wrote, read by their columns: a folder may come from anyone."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from competency_gaps.checked import damaged
from competency_gaps.errors import UserError
from competency_gaps.runs.schemas import Schema, schema_fault
from competency_gaps.table_files import read_parquet


def read_table(path: Path, schema: Schema, option: str) -> pl.DataFrame:
    """Read the columns of ``schema`` from a Parquet file; further ones are left out.

    Parameters
    ----------
    option
        Of ``cgaps improve``, which makes the table again.

    Raises
    ------
    UserError
        If it is missing, damaged, or has other columns.
    """
    again = f"‘cgaps improve RUN {option}’ makes it again."
    try:
        table = read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise damaged(path, error, again) from error
    if fault := schema_fault(table.schema, schema):
        raise UserError(f"{path} {fault}: it is damaged, or of another version. {again}")
    return table.select(*schema)
