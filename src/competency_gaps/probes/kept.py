"""What a probe of concepts leaves in a folder of its run: verdicts, the fresh items, and the checksums of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from competency_gaps.change import changing, settle
from competency_gaps.checked import FILES, damaged, fault_of, first_fault, read_document
from competency_gaps.errors import UserError
from competency_gaps.probes.verdict import Claim
from competency_gaps.table_files import read_parquet

FOLDER = "probes"
FILE = "verdicts.json"
"""Written last, with the checksums of the tables beside it."""
_TABLES = ("verdicts.parquet", "items.parquet")
_AGAIN = "Run 'cgaps probe' again."


class _Row(BaseModel):
    """What is read of a concept's verdict."""

    model_config = ConfigDict(strict=True)

    concept: NonNegativeInt
    label: str | None
    claim: Claim
    status: str | None
    kind: Literal["contrast", "graded"]
    verdict: Literal["holds", "not shown", "reversed", "too few items"]
    exciting: NonNegativeInt
    comparison: NonNegativeInt
    mean: float | None
    mean_low: float | None
    mean_high: float | None
    expected: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None
    q_value: float | None


class _Document(BaseModel):
    concepts: list[_Row]


class KeptProbe(NamedTuple):
    """A probe as it lies in its folder."""

    verdicts: pl.DataFrame
    """One row per concept."""
    items: pl.DataFrame
    """One row per concept and fresh item."""
    document: dict[str, Any]
    """The criterion, the verdicts, what was dropped and left out."""


def write_probe(folder: Path, probe: KeptProbe) -> None:
    """Write a probe into its folder, all of it or nothing."""
    with changing(folder, FILE) as change:
        for name, table in zip(_TABLES, (probe.verdicts, probe.items), strict=True):
            change.write(name, table.write_parquet)
        change.commit(probe.document)


def read_probe(folder: Path) -> KeptProbe:
    """Read a probe from its folder.

    Raises
    ------
    UserError
        If a file is missing, or damaged since it was written.
    """
    document = _checked(folder)
    verdicts, items = (_read(folder / name) for name in _TABLES)
    return KeptProbe(verdicts, items, document)


def _read(path: Path) -> pl.DataFrame:
    try:
        return read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(path, error, _AGAIN) from error


def probe_rows(raw: bytes, file: Path) -> list[dict[str, Any]]:
    """The verdicts of a probe's document, a row per concept, as they are written.

    Parameters
    ----------
    raw
        The document, with or without its checksum.
    file
        Where it lies.

    Raises
    ------
    UserError
        If it is another document.
    """
    try:
        return [row.model_dump() for row in _Document.model_validate_json(raw).concepts]
    except ValidationError as error:
        raise damaged(file, ValueError(first_fault(error)), _AGAIN) from error


def check_probe(folder: Path) -> None:
    """Compare the tables of a probe with their checksums; raises as :func:`read_probe`."""
    _checked(folder)


def _checked(folder: Path) -> dict[str, Any]:
    """The document of a probe whose tables are whole."""
    settle(folder, FILE)
    try:
        document = read_document(folder / FILE)
        files = document.pop(FILES, None)
        if not isinstance(files, Mapping) or not files.keys() >= {*_TABLES}:
            raise ValueError("it does not list the tables beside it")
    except (OSError, ValueError) as error:
        raise damaged(folder / FILE, error, _AGAIN) from error
    for name in _TABLES:
        if (fault := fault_of(folder / name, files[name])) is not None:
            raise UserError(f"{folder / name} {fault}. {_AGAIN}")
    return document
