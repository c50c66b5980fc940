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
"""Subfolder of a run with the results of ``cgaps match``."""
ASSESSMENT = "robustness.json"
"""File with the results of ``cgaps check``."""
SLICES_FILE = "slices.parquet"
SCORES_FILE = "scores.parquet"
_DERIVED = (ASSESSMENT, SLICES_FILE)
"""Files computed from a run's tables; when the tables are rebuilt, these and the lists are removed."""
BY_CONCEPT = "activations/by-concept/checks.json"
"""Checksums of the arrays in the same folder. The only file in the manifest that is not a table."""
_FORMER = ".manifest.json.former"
"""The previous manifest of a run whose tables are being rebuilt."""


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest, with the checksums of the tables in the folder.

    This finishes the run, so call it once all tables are written: a folder with a manifest is a finished run.
    """
    names = sorted(path.name for path in folder.glob("*.parquet") if not path.name.startswith("."))
    files = {name: entry_of(folder / name) for name in (*names, BY_CONCEPT) if (folder / name).is_file()}
    write_document(folder / FILE, {"schema_version": SCHEMA_VERSION, **content, FILES: files})
    (folder / _FORMER).unlink(missing_ok=True)


def set_aside(folder: Path) -> None:
    """Turn a finished run into an unfinished one whose tables will be rebuilt.

    The manifest is renamed, so that :func:`files_of_former` can still read its checksums. Lists, slices and the
    results of ``cgaps check`` are deleted. Does nothing to the manifest of an unfinished run.
    """
    if (folder / FILE).is_file():
        (folder / FILE).replace(folder / _FORMER)
    for stale in (*map(folder.joinpath, _DERIVED), *(folder / LISTS).glob("*.json")):
        stale.unlink(missing_ok=True)  # lists name slices by their numbers


def files_of_former(folder: Path) -> Mapping[str, Any]:
    """Return the entries (checksums) of files in the previous manifest, by file name; empty if it cannot be read."""
    try:
        return dict(read_document(folder / _FORMER).get(FILES, {}))
    except (OSError, ValueError):
        return {}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a finished run's manifest.

    If a process was killed while it committed a change to the run, the change is completed first.

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
    """Return the names of a benchmark's shards from its entry in the manifest.

    Raises
    ------
    UserError
        If a name is not a plain shard name: a run folder may come from a stranger, and a name must not lead outside it.
    """
    names = list(entry["shards"])
    if strange := [name for name in names if not is_shard_name(name)]:
        raise UserError(
            f"the manifest names a shard {shorten(repr(strange[0]), 80)}: expected a name such as 'b000-0000'. The run "
            "is damaged; get a new copy from its source."
        )
    return names


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame | None], **changed: Any) -> None:
    """Write tables of a run, by file name; None deletes the file.

    If the run is finished, the tables and the manifest (updated by the keys in ``changed``) change together or not at
    all.

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
    """Lock a run while results computed from its tables are written beside them.

    Parameters
    ----------
    manifest
        The run's manifest as it was when those tables were read.

    Raises
    ------
    UserError
        If another process writes to the run, or the run's items or concepts have changed since.
    """
    with hold(folder):
        if (folder / FILE).is_file():
            _check_same(folder, read_manifest(folder), manifest)
        yield


def _check_same(folder: Path, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Raise UserError if the items or concepts of a run have changed; added scores of other models do not count."""
    tables = ("items.parquet", "concepts.parquet")
    if now["created"] != then["created"] or any(now[FILES].get(key) != then[FILES].get(key) for key in tables):
        raise UserError(f"the run {folder} changed while it was being read. Repeat the command.")


def read_assessment(folder: Path) -> dict[str, Any] | None:
    """Return the results of ``cgaps check`` on the run in a folder; None if it was not checked.

    Each entry of ``verdicts`` has the fields of :class:`~competency_gaps.findings.robustness.RobustnessVerdict`.

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
    """Reads the tables in a run's folder, each checked against its checksum in the manifest first.

    A checksum is computed once per process, not at every query. While a run is being made, its manifest lists no files,
    and nothing is checked.

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
        """Return whether the table exists, or is missing although the manifest lists it."""
        path = self._path(name)
        return path.is_file() or path.name in (self._listed or {})

    def scan(self, name: str) -> pl.LazyFrame:
        """Return a table as a lazy frame, after checking its checksum and its columns.

        Columns are compared with those in ``schemas.SCHEMAS``, if the table is declared there.

        Raises
        ------
        UserError
            If the table is missing or damaged, is not the file that the manifest lists, or has a missing or mistyped
            column.
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
        """Return the rows of a query on a scanned table; raises UserError if the file turns out to be damaged."""
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
    """Return the error for a file that cannot be used, with what to do about it."""
    again = "Repeat the command that made the run to rebuild the tables from its shards"
    if path.name == SCORES_FILE:
        again = "Delete it, repeat the command that made the run, and add the scores again"
    return UserError(f"{path} {fault}. {again}; or restore the file from a copy.")
