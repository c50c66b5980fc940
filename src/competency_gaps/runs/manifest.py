"""The manifest of a run (settings, model, SAE, benchmarks, versions, timings), and the tables that it lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from competency_gaps.runs.schemas import CONCEPTS, LABELS, SCHEMAS, schema_fault
from competency_gaps.util.checked import (
    FILES,
    changing,
    damaged,
    entry_of,
    fault_of,
    read_document,
    read_versioned,
    settle,
    write_document,
)
from competency_gaps.util.errors import UserError, argument
from competency_gaps.util.files import write_atomic
from competency_gaps.util.lock import hold
from competency_gaps.util.shards import is_shard_name
from competency_gaps.util.table_files import collect, scan_parquet
from competency_gaps.util.text import one_line, shorten

if TYPE_CHECKING:
    from polars._typing import EngineType

SCHEMA_VERSION = 14
FILE = "manifest.json"
LISTS = "lists"
"""Folder of what ``cgaps match`` found."""
ASSESSMENT = "robustness.json"
"""What ``cgaps check`` found."""
SLICES_FILE = "slices.parquet"
SCORES_FILE = "scores.parquet"
_DERIVED = (ASSESSMENT, SLICES_FILE)
"""Files that are made from a run's tables, beside its lists."""
BY_CONCEPT = "activations/by-concept/checks.json"
"""The one file with checksums that is no table: it holds those of the arrays beside it."""
_FORMER = ".manifest.json.former"
"""The manifest of a run whose tables are being made anew."""


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest, with the checksums of the tables in the folder.

    It is written when all tables are there: a folder with a manifest is a finished run.
    """
    names = sorted(path.name for path in folder.glob("*.parquet") if not path.name.startswith("."))
    files = {name: entry_of(folder / name) for name in (*names, BY_CONCEPT) if (folder / name).is_file()}
    write_document(folder / FILE, {"schema_version": SCHEMA_VERSION, **content, FILES: files})
    (folder / _FORMER).unlink(missing_ok=True)


def set_aside(folder: Path) -> None:
    """Make a finished run an unfinished one whose tables are made anew, without its lists and what else is derived.

    What is not made anew stays known.
    """
    if (folder / FILE).is_file():
        (folder / FILE).replace(folder / _FORMER)
    for stale in (*map(folder.joinpath, _DERIVED), *(folder / LISTS).glob("*.json")):
        stale.unlink(missing_ok=True)  # lists name slices by their numbers


def files_of_former(folder: Path) -> Mapping[str, Any]:
    """What the manifest that was set aside says of the files, by name; empty: there is none that can be read."""
    try:
        return dict(read_document(folder / _FORMER).get(FILES, {}))
    except (OSError, ValueError):
        return {}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a finished run's manifest.

    A change of the run that a killed process had begun to put in place is completed first.

    Raises
    ------
    UserError
        If the folder is not a run, the run is not finished, or its schema version is unknown.
    """
    settle(folder, FILE)
    path = folder / FILE
    if not path.is_file():
        if (folder / "plan.json").is_file():
            raise UserError(f"{str(folder)!r} holds an unfinished run: repeat the same command to continue it.")
        if not folder.exists():
            raise UserError(f"{str(folder)!r} does not exist. Expected a run folder.")
        holds, option = ("is a benchmark", "benchmark") if folder.is_file() else ("holds logs", "log")
        raise UserError(
            f"{str(folder)!r} is not a run: it has no {FILE}. If it {holds}, make a run of it first, "
            f"with {argument(option)} {folder}."
        )
    return read_versioned(path, SCHEMA_VERSION, "Repeat the command that made it.")


def shard_names(entry: dict[str, Any]) -> list[str]:
    """Names of a benchmark's shards.

    Raises
    ------
    UserError
        If a name is not plain: a run folder may come from somebody else, and must not refer to files outside it.
    """
    names = list(entry["shards"])
    if strange := [name for name in names if not is_shard_name(name)]:
        raise UserError(
            f"the manifest names a shard {shorten(repr(strange[0]), 80)}: expected a name such as 'b000-0000'. The run "
            "is damaged; get a new copy from its source."
        )
    return names


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame | None], **changed: Any) -> None:
    """Write tables of a run by the names of their files; None removes one.

    Of a finished run all are put in place, with the manifest and what is ``changed`` in it, or none.

    Raises
    ------
    UserError
        If another process writes to the run.
    MachineError
        If the folder cannot be written, or the disk is full.
    """
    if not (folder / FILE).is_file():
        for name, table in tables.items():
            if table is None:
                (folder / name).unlink(missing_ok=True)
            else:
                write_atomic(folder / name, table.write_parquet)
        return
    with changing(folder, FILE) as change:
        known = read_manifest(folder)
        for name, table in tables.items():
            if table is None:
                change.remove(name)
            else:
                change.write(name, table.write_parquet)
        change.commit({**known, **changed})


@contextmanager
def adding_to_run(folder: Path, manifest: Mapping[str, Any]) -> Iterator[None]:
    """Hold a finished run while what was computed from it is put beside its tables.

    Parameters
    ----------
    manifest
        The run's when it was read.

    Raises
    ------
    UserError
        If another process writes to the run, or has given it new items or labels since.
    """
    with hold(folder):
        if (folder / FILE).is_file():
            _check_same(folder, read_manifest(folder), manifest)
        yield


def _check_same(folder: Path, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Raise UserError if a run has other items or concepts than it had; other models' scores may have been added."""
    tables = ("items.parquet", "concepts.parquet")
    if now["created"] != then["created"] or any(now[FILES].get(key) != then[FILES].get(key) for key in tables):
        raise UserError(f"the run {folder} changed while it was being read. Repeat the command.")


def read_assessment(folder: Path) -> dict[str, Any] | None:
    """Read the results of the tests of the run in a folder; None if they were not run.

    ``verdicts`` have the fields of :class:`~competency_gaps.findings.robustness.RobustnessVerdict`.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    path = folder / ASSESSMENT
    if not path.is_file():
        return None
    try:
        return read_document(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error, "Check the run again, or remove the file.") from error


class RunFiles:
    """The tables in a run's folder.

    A file is compared with the manifest's checksum before it is read; its content is read for that once in a process,
    not at every query. The manifest of a run that is being made lists no files yet: nothing is compared then.

    Parameters
    ----------
    folder
        The run's folder.
    manifest
        The run's manifest, as it was when the run was opened.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self._folder = folder
        self._listed: Mapping[str, Any] | None = manifest.get(FILES)

    def has(self, name: str) -> bool:
        """Return whether there is such a table, or should be."""
        path = self._path(name)
        return path.is_file() or path.name in (self._listed or {})

    def scan(self, name: str) -> pl.LazyFrame:
        """Check a table, and read what is chosen of it when it is collected.

        Columns are compared with those of ``schemas.SCHEMAS``, if the table is declared there.

        Raises
        ------
        UserError
            If the table is missing, damaged, not the one that the manifest knows, lacks a column, or has one of another
            type.
        """
        path, schema = self._path(name), SCHEMAS.get(name, {})
        self.check(path.name)
        try:
            table = scan_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _unusable(path, f"is damaged: {one_line(error)}") from error
        columns = table.collect_schema()
        if schema is CONCEPTS and not LABELS.keys() & columns:  # the run is not named yet
            table = table.with_columns(pl.lit(None, kind).alias(name) for name, kind in LABELS.items())
            columns = table.collect_schema()
        if (fault := schema_fault(columns, schema)) is not None:
            raise _unusable(path, fault)
        return table

    def collect(self, name: str, table: pl.LazyFrame, engine: EngineType = "auto") -> pl.DataFrame:
        """Read what was chosen of a table that was scanned; raises UserError if polars cannot."""
        try:
            return collect(table, engine)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _unusable(self._path(name), f"is damaged: {one_line(error)}") from error

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.parquet"

    def check(self, name: str) -> None:
        """Compare a file with what the manifest says of it, if it lists files."""
        path = self._folder / name
        if not path.is_file():
            raise _unusable(path, "is missing: the run is damaged")
        if self._listed is None:
            return
        if name not in self._listed:
            raise _unusable(path, "is not part of this run: its manifest does not list the file")
        if (fault := fault_of(path, self._listed[name])) is not None:
            is_run = (self._folder / FILE).is_file()
            known = read_manifest(self._folder).get(FILES, {}).get(name) if is_run else None
            if known != self._listed[name] and fault_of(path, known) is None:
                raise UserError(f"{path} changed since the run was opened: open the run again.")
            raise _unusable(path, fault)


def _unusable(path: Path, fault: str) -> UserError:
    """The error of a file that cannot be used."""
    again = "Repeat the command that made the run to rebuild the tables from its shards"
    if path.name == SCORES_FILE:
        again = "Delete it, repeat the command that made the run, and add the scores again"
    return UserError(f"{path} {fault}. {again}; or restore the file from a copy.")
