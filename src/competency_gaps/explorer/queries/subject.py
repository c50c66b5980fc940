"""The run that queries are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.explorer.parts.concept import concept_details
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.item import item_concepts, item_details
from competency_gaps.explorer.parts.records.details import ConceptDetail, ItemConcepts, ItemDetail
from competency_gaps.explorer.parts.records.run import RunInfo
from competency_gaps.explorer.parts.run_info import run_info
from competency_gaps.explorer.queries.values import foreign
from competency_gaps.presentation.rankings import with_followers
from competency_gaps.presentation.themes import theme_name
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import shorten, visible


@dataclass(frozen=True, eq=False)
class Subject:
    """A run, queried through what the explorer shows of it, so that answers and page agree."""

    context: Context

    @property
    def run(self) -> RunFolder:
        """The run itself."""
        return self.context.run

    @cached_property
    def info(self) -> RunInfo:
        """The part ``run.json``."""
        return run_info(self.context)

    def concept_detail(self, concept: int) -> ConceptDetail:
        """One concept as the page shows it."""
        return concept_details(self.context, range(concept, concept + 1))[0]

    def item_detail(self, row: int) -> tuple[ItemDetail, ItemConcepts]:
        """One item as the page shows it, and the concepts that are active in it, the most salient first.

        Raises
        ------
        UserError
            If the run has no such item.
        """
        count = self.context.items.height
        if not 0 <= row < count:
            raise UserError(f"item {row} does not exist: expected a row from 0 to {count - 1}.")
        rows = range(row, row + 1)
        return item_details(self.context, rows)[0], item_concepts(self.context, rows)[0]

    @cached_property
    def concepts(self) -> pl.DataFrame:
        """All concepts, with ``theme``, ``subtheme`` (null: in none) and ``followers`` (null: leads no group)."""
        table = self.context.concepts
        if self.run.themes is None:
            nothing = pl.lit(None, dtype=pl.Int32)
            table = table.with_columns(theme=nothing, subtheme=nothing)
        else:
            places = self.run.themes.select("concept", "theme", "subtheme")
            table = table.join(places, on="concept", how="left", maintain_order="left")
        return with_followers(table)

    @cached_property
    def theme_names(self) -> dict[tuple[str, int], str]:
        """Names of themes and subthemes by level and id."""
        if self.run.theme_results is None:
            return {}
        rows = self.run.theme_results.select("level", "id", "name").iter_rows(named=True)
        return {(row["level"], row["id"]): visible(theme_name(row)) for row in rows}

    def item_rows(self, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Some columns of some items, in the order asked for, with ``item``; no other texts are kept."""
        table = self.run.scan("items").select(columns)
        read = (self.run.files.collect("items", table.slice(row, 1)) for row in rows)
        return [{"item": row, **held.row(0, named=True)} for row, held in zip(rows, read, strict=True)]

    def place_of(self, benchmark: str) -> int:
        """Position of a benchmark, by its name or by its name as answers show it.

        Raises
        ------
        UserError
            If the run has no such benchmark.
        """
        names = self.context.names
        for known in (names, [foreign(name) for name in names]):
            if benchmark in known:
                return known.index(benchmark)
        listed = ", ".join(shorten(name, 60) for name in names[:40])
        raise UserError(
            f"the run has no benchmark {shorten(benchmark, 60)!r}: expected one of {listed}.{nearest(benchmark, names)}"
        )
