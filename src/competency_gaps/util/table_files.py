"""Read tables of any origin: Parquet, CSV and TSV.

On some damage polars panics instead of raising an error: ``PanicException``, which is no ``Exception``. So nothing else
in the package calls polars' own readers of files; the linter enforces that.
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
    """Turn a panic inside of polars into its ``ComputeError``, within the ``with``."""
    try:
        yield
    except pl.exceptions.PanicException as error:
        raise pl.exceptions.ComputeError(str(error)) from error


def read_parquet(path: Path) -> pl.DataFrame:
    """Return a Parquet file's table.

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
    """Return a lazy table, its columns and types read; :func:`collect` reads the rest. Raises as
    :func:`read_parquet`.
    """
    with panics_are_errors():
        table = pl.scan_parquet(path, glob=False)
        table.collect_schema()
    return table


def collect(table: pl.LazyFrame, engine: EngineType = "auto") -> pl.DataFrame:
    """Return what was chosen of a scanned table; raises as :func:`read_parquet`."""
    with panics_are_errors():
        return table.collect(engine=engine)


def read_csv(path: Path) -> pl.DataFrame:
    """Return the table of a CSV file (TSV if so named), all cells as text; raises as :func:`read_parquet`.

    Guessing types would change ids like "007", and answers like "1.50".
    """
    with panics_are_errors():
        return pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema=False, glob=False)
