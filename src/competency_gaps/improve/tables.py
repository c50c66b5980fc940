"""Tables that ``cgaps improve`` wrote, read by their columns: a folder may come from anyone."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import polars as pl

from competency_gaps.dictionary.document import read_table as read_whole
from competency_gaps.errors import UserError
from competency_gaps.runs.schemas import Schema, schema_fault


def read_table(path: Path, schema: Schema, nulls: Collection[str] = ()) -> pl.DataFrame:
    """Read the columns of ``schema`` from a Parquet file; further ones are left out.

    Parameters
    ----------
    nulls
        Columns that may hold null.

    Raises
    ------
    UserError
        If it is missing, damaged, or has other columns, or nulls where none may be.
    """
    again = "Make it again."
    table = read_whole(path, again)
    fault = schema_fault(table.schema, schema)
    lacking = [name for name in schema if not fault and name not in nulls and table[name].has_nulls()]
    if fault or lacking:
        fault = fault or f"lacks values of {', '.join(lacking)}"
        raise UserError(f"{path} {fault}: it is damaged, or of another version. {again}")
    return table.select(*schema)
