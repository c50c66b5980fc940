"""What several parts of a run need: narrow tables, read once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.dictionary.open import Dictionary
from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.amounts import SERVED, Amounts
from competency_gaps.explorer.parts.sources import Sources
from competency_gaps.explorer.parts.windows import Windows, windows
from competency_gaps.report import findings, headline
from competency_gaps.report.protocol import Order
from competency_gaps.report.themes import Themes, read_run_themes
from competency_gaps.runs.open import Run

ITEM_COLUMNS = ("benchmark", "item_id", "group", "score", "policy", "n_tokens", "excluded", "unscored")
"""Columns of ``items.parquet`` without an item's texts, which may be a gigabyte."""

_UNQUOTED = r"(?s)^(.*?)\s*(?:[:(\"“‘«`]|\s'|$)"
"""Groups what a reason says before it may quote a text: a judge's answer, a record, an error."""


@dataclass(frozen=True, eq=False)
class Context:
    """A run, and how its parts are cut. What it holds is read when it is first asked for."""

    run: Run
    key: str
    """Name of the run in addresses: letters, digits and dashes."""
    dictionary: Dictionary | None = None
    """Of the run's SAE: exemplars, promoted tokens, similar concepts; null: none is known."""
    redact: bool = False
    """Leave out prompts, responses, and what is made of them."""
    concepts_per_part: int = 1
    items_per_part: int = 1
    digits: int | None = None
    """Significant digits of measures; null: as float32 has them."""
    amounts: Amounts = SERVED
    """How much details hold."""

    @cached_property
    def names(self) -> list[str]:
        """Names of the benchmarks, in order."""
        return [str(entry["name"]) for entry in self.run.manifest["benchmarks"]]

    @cached_property
    def place(self) -> dict[str, int]:
        """Name of a benchmark -> its place in ``names``."""
        return {name: number for number, name in enumerate(self.names)}

    @property
    def width(self) -> int:
        """Number of concepts."""
        return self.run.width

    @cached_property
    def concepts(self) -> pl.DataFrame:
        """``run.concepts``; where prompts are left out, without tokens that come from them."""
        table = self.run.concepts
        if self.redact:
            # A peak token is the run's own wherever the run has one (runs/tables.py), so only missing concepts have
            # theirs from the reference text.
            table = table.with_columns(pl.when("missing").then("peak_token"))
        return table

    @cached_property
    def items(self) -> pl.DataFrame:
        """One row per item, without texts: ``ITEM_COLUMNS``; of a column that an older run lacks null."""
        table = self.read_items(ITEM_COLUMNS)
        if self.redact:
            reasons = pl.col("excluded", "unscored").cast(pl.String)
            table = table.with_columns(reasons.str.extract(_UNQUOTED).replace("", "not told"))
        return table

    def told(self, reason: str) -> str:
        """A reason; redacted, without what it may quote of a text."""
        found = re.match(_UNQUOTED, reason)
        return (found[1] or "not told") if self.redact and found else reason

    def read_items(self, columns: Sequence[str]) -> pl.DataFrame:
        """Read some columns of ``items.parquet``."""
        frame = pl.scan_parquet(self._file("items"))
        known = set(frame.collect_schema().names())
        return frame.select(pl.col(name) if name in known else pl.lit(None).alias(name) for name in columns).collect()

    def benchmark_concepts(self, place: int, columns: Sequence[str]) -> pl.DataFrame:
        """Read one benchmark's rows of ``concept_benchmarks.parquet``, and nothing else of it.

        Parameters
        ----------
        place : int
            The benchmark's place in ``names``.
        columns : sequence of str

        Returns
        -------
        DataFrame
            One row per concept, in order.

        Raises
        ------
        UserError
            If the table does not hold the benchmark's concepts where they must be.
        """
        file = self._file("concept_benchmarks")
        frame = pl.scan_parquet(file).slice(place * self.width, self.width)
        table = frame.select("benchmark", "concept", *columns).collect()
        names = table["benchmark"].unique().to_list()
        if table.height != self.width or names != [self.names[place]] or table["concept"][-1] != self.width - 1:
            raise UserError(
                f"{file} does not hold the {self.width} concepts of {self.names[place]!r} from row "
                f"{place * self.width}: the run is damaged. Run 'cgaps run' on the folder again."
            )
        return table.select(columns)

    def _file(self, name: str) -> Path:
        path = self.run.path / f"{name}.parquet"
        if not path.is_file():
            raise UserError(f"{path} is missing: the run is damaged. Run 'cgaps run' on the folder again.")
        return path

    @cached_property
    def sources(self) -> Sources:
        """What details of concepts and items are made of."""
        return Sources(self.run, self.dictionary, self.items)

    @cached_property
    def windows(self) -> Windows:
        """Which part of each item's text is kept."""
        return windows(self.sources, self.amounts.text)

    @cached_property
    def view(self) -> View:
        """The run as the report's functions take it, without texts of items."""
        return View(self)

    @cached_property
    def overview(self) -> headline.Overview:
        """Counts of the run."""
        return headline.overview(self.view)

    @cached_property
    def ranked(self) -> findings.Ranking:
        """Concepts by their adjusted gap."""
        return findings.ranking(self.concepts, self.run.manifest["evidence"])

    @cached_property
    def themes(self) -> Themes | None:
        """Themes of the run; null: it has none."""
        return read_run_themes(self.run)


class View:
    """A run as the report's functions take it: its items without texts, nothing that is left out in redacted parts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._run = context.run

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self._run.path

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The run's manifest."""
        return self._run.manifest

    @property
    def items(self) -> pl.DataFrame:
        """``Context.items``."""
        return self._context.items

    @property
    def benchmarks(self) -> pl.DataFrame:
        """One row per benchmark."""
        return self._run.benchmarks

    @property
    def concepts(self) -> pl.DataFrame:
        """``Context.concepts``."""
        return self._context.concepts

    @property
    def concept_benchmarks(self) -> pl.DataFrame:
        """One row per concept and benchmark."""
        return self._run.concept_benchmarks

    @property
    def overlap(self) -> pl.DataFrame:
        """One row per pair of benchmarks."""
        return self._run.overlap

    @property
    def themes(self) -> pl.DataFrame | None:
        """One row per concept."""
        return self._run.themes

    @property
    def theme_results(self) -> pl.DataFrame | None:
        """One row per theme and subtheme."""
        return self._run.theme_results

    @property
    def theme_benchmarks(self) -> pl.DataFrame | None:
        """One row per theme or subtheme and benchmark."""
        return self._run.theme_benchmarks

    def concept_items(self, concept: int, *, benchmark: str | None = None, order: Order, limit: int) -> pl.DataFrame:
        """Items in which a concept is active."""
        return self._run.concept_items(concept, benchmark=benchmark, order=order, limit=limit)
