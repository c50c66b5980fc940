"""Reading Parquet files that anybody may have written.

Some damage ends an assertion inside of polars instead of an error, as a ``PanicException``, which is no ``Exception``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@contextmanager
def panics_are_errors() -> Iterator[None]:
    """Turn a panic inside of polars into its ``ComputeError``."""
    import polars as pl

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
    import polars as pl

    with panics_are_errors():
        return pl.read_parquet(path)
