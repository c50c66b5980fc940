"""The files of a run: where its tables lie, and whether they are what its manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl

from competency_gaps.runs.manifest import BY_CONCEPT, read_manifest
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.schemas import (
    CONCEPTS,
    ITEMS,
    LABELS,
    OUTCOME_DETAILS,
    OUTCOME_ITEMS,
    SCHEMAS,
    Schema,
    schema_fault,
)
from competency_gaps.util.checked import FILES, fault_of
from competency_gaps.util.errors import UserError
from competency_gaps.util.table_files import collect, scan_parquet
from competency_gaps.util.text import one_line

if TYPE_CHECKING:
    from polars._typing import EngineType

SCORES = "scores.parquet"


class RunFiles:
    """The tables of a run, or those of an outcome before those of the run that it is of.

    A file is compared with the manifest's checksum before it is read; its content is read for that once in a process,
    not at every query. The manifest of a run that is being made lists no files yet: nothing is compared then.

    Parameters
    ----------
    path
        The run's folder, or the outcome's.
    base
        Folder of the run itself.
    manifest
        That of ``path``.
    """

    def __init__(self, path: Path, base: Path, manifest: Mapping[str, Any]) -> None:
        self.path, self.base = path, base
        self._manifest = manifest

    def find(self, name: str) -> Path:
        """Where a table lies, by its name without suffix; its file may be missing."""
        path = self.path / f"{name}.parquet"
        return path if self._knows(path) else self.base / path.name

    def has(self, name: str) -> bool:
        """Whether there is such a table, or should be."""
        return self._knows(self.find(name))

    def scan(self, name: str) -> pl.LazyFrame:
        """Check a table, and read what is chosen of it when it is collected.

        Columns are compared with those of ``schemas.SCHEMAS``, if the table is declared there. An outcome's own columns
        of items replace those of the run's, row by row.

        Raises
        ------
        UserError
            If the table is missing, damaged, not the one that the manifest knows, lacks a column, or has one of another
            type.
        """
        path = self.find(name)
        if name == "items" and path.parent != self.base:
            table = self._scan(path, OUTCOME_ITEMS, optional=OUTCOME_DETAILS)
            columns = [name for name in table.collect_schema() if name in OUTCOME_ITEMS or name in OUTCOME_DETAILS]
            rest = self._scan(self.base / path.name, ITEMS).drop(columns, strict=False)
            return pl.concat([rest, table.select(columns)], how="horizontal")
        return self._scan(path, SCHEMAS.get(name, {}))

    def collect(self, name: str, table: pl.LazyFrame, engine: EngineType = "auto") -> pl.DataFrame:
        """Read what was chosen of a table that was scanned; raises UserError if polars cannot."""
        try:
            return collect(table, engine)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._damaged(self.find(name), f"is damaged: {one_line(error)}") from error

    def check_arrays(self) -> None:
        """Check the list of checksums of the arrays of activations by concept."""
        self._check(self.base / BY_CONCEPT, BY_CONCEPT)

    def is_whole(self) -> bool:
        """Whether all tables of ``path`` are what its manifest says, with the columns that they should have."""
        try:
            for name in self._listed(self.path) or {}:
                self._check(self.path / name, name)
                if name.endswith(".parquet"):
                    self.scan(name.removesuffix(".parquet"))
        except UserError:
            return False
        return True

    def _scan(self, path: Path, schema: Schema, *, optional: Schema = MappingProxyType({})) -> pl.LazyFrame:
        self._check(path, path.name)
        try:
            table = scan_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._damaged(path, f"is damaged: {one_line(error)}") from error
        columns = table.collect_schema()
        if schema is CONCEPTS and not LABELS.keys() & columns:  # the run is not named yet
            table = table.with_columns(pl.lit(None, kind).alias(name) for name, kind in LABELS.items())
            columns = table.collect_schema()
        fault = schema_fault(columns, schema) or schema_fault(columns, optional, partial=True)
        if fault is not None:
            raise self._damaged(path, fault)
        return table

    def _knows(self, path: Path) -> bool:
        return path.is_file() or path.name in (self._listed(path.parent) or {})

    def _listed(self, folder: Path) -> Mapping[str, Any] | None:
        """What a folder's manifest says of its files; None: nothing of any."""
        return (self._manifest if folder == self.path else self._of_base).get(FILES)

    @cached_property
    def _of_base(self) -> Mapping[str, Any]:
        return self._manifest if self.path == self.base else read_manifest(self.base)

    def _check(self, path: Path, name: str) -> None:
        """Compare a file with what its folder's manifest says of it, if it lists files."""
        folder = self.path if path.parent == self.path else self.base
        files = self._listed(folder)
        if not path.is_file():
            raise self._damaged(path, "is missing: the run is damaged")
        if files is None:
            return
        if name not in files:
            raise self._damaged(path, "is not part of this run: its manifest does not list the file")
        if (fault := fault_of(path, files[name])) is not None:
            known = read_manifest(folder).get(FILES, {}).get(name) if (folder / MANIFEST).is_file() else None
            if known != files[name] and fault_of(path, known) is None:
                raise UserError(f"{path} changed since the run was opened: open the run again.")
            raise self._damaged(path, fault)

    def _damaged(self, path: Path, fault: str) -> UserError:
        """The error of a file that cannot be used."""
        again = "Repeat the command that made the run to rebuild the tables from its shards"
        if path.name == SCORES:
            again = "Delete it, repeat the command that made the run, and add the scores again"
        elif self.path != self.base and path.parent == self.path:
            again = f"Delete {self.path}: it is rebuilt when needed"
        return UserError(f"{path} {fault}. {again}; or restore the file from a copy.")
