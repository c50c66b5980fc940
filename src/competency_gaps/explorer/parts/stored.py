"""Tables of a run, read only as far as they are needed."""

from __future__ import annotations

from typing import Literal

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.runs.open import RunFolder


def scan(run: RunFolder, table: Literal["items", "concepts", "concept_benchmarks"]) -> pl.LazyFrame:
    """Read a table of a run when it is collected, and only what is chosen of it.

    Raises
    ------
    UserError
        If the table is missing.
    """
    path = run.path / f"{table}.parquet"
    if not path.is_file():
        raise UserError(f"{path} is missing: the run is damaged. Run 'cgaps run' on the folder again.")
    return pl.scan_parquet(path)
