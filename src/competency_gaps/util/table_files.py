"""Reading tables that anybody may have written: Parquet, CSV, TSV and JSON Lines.

Some damage ends an assertion inside of polars instead of an error, as a ``PanicException``, which is no ``Exception``.
So nothing else in the package calls polars' own readers of files; the linter says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from polars._typing import EngineType


@contextmanager
def panics_are_errors() -> Iterator[None]:
    """Turn a panic inside of polars into its ``ComputeError``."""
    try:
        yield
    except pl.exceptions.PanicException as error:
        raise pl.exceptions.ComputeError(str(error)) from error


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a table.

    Raises
    ------
    polars.exceptions.PolarsError
        If it cannot be read, however it is damaged.
    OSError
        If the system does not let it be read.
    """
    with panics_are_errors():
        return pl.read_parquet(path, glob=False)


def scan_parquet(path: Path) -> pl.LazyFrame:
    """Read a table's columns and types, and the rest of it by :func:`collect`; raises as :func:`read_parquet`."""
    with panics_are_errors():
        table = pl.scan_parquet(path, glob=False)
        table.collect_schema()
    return table


def collect(table: pl.LazyFrame, engine: EngineType = "auto") -> pl.DataFrame:
    """Read what was chosen of a table that was scanned; raises as :func:`read_parquet`."""
    with panics_are_errors():
        return table.collect(engine=engine)


def read_csv(path: Path) -> pl.DataFrame:
    """Read a CSV file, or a TSV file by the end of its name, all as texts; raises as :func:`read_parquet`.

    Guessing types would change ids like "007", and answers like "1.50".
    """
    with panics_are_errors():
        return pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema=False, glob=False)
