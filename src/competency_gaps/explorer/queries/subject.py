"""The run that queries are about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.explorer.queries.values import foreign
from competency_gaps.once import made_once
from competency_gaps.presentation.rankings import with_followers
from competency_gaps.presentation.themes import theme_name
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from competency_gaps.explorer.parts import Parts

FLAGS = ("dense", "template", "exact_token")


@dataclass(frozen=True, eq=False)
class Subject:
    """A run, queried through the parts that the explorer shows, so that answers and page agree."""

    parts: Parts
    """With one concept and one item a part."""

    @property
    def key(self) -> str:
        """Key of the run among those that are open."""
        return self.parts.context.key

    @property
    def run(self) -> RunFolder:
        """The run itself."""
        return self.parts.context.run

    @made_once
    def info(self) -> dict[str, Any]:
        """The part ``run.json``."""
        return dict(json.loads(self.parts.read("run.json")))

    def concept_part(self, concept: int) -> dict[str, Any]:
        """The detail of one concept, as the page shows it."""
        return dict(json.loads(self.parts.read(f"concept/{concept}.json"))[0])

    def item_part(self, row: int) -> dict[str, Any]:
        """The detail of one item, as the page shows it."""
        return dict(json.loads(self.parts.read(f"item/{row}.json"))[0])

    def salient_concepts(self, row: int) -> list[dict[str, Any]]:
        """The concepts that are active in one item, the most salient first."""
        return list(json.loads(self.parts.read(f"active/{row}.json"))[0]["concepts"])

    @property
    def benchmarks(self) -> list[str]:
        """Names of the benchmarks, in order."""
        return self.parts.context.names

    @made_once
    def concepts(self) -> pl.DataFrame:
        """All concepts, with ``theme``, ``subtheme`` (null: in none) and ``followers`` (null: leads no group)."""
        table = self.parts.context.concepts
        if self.run.themes is None:
            nothing = pl.lit(None, dtype=pl.Int32)
            table = table.with_columns(theme=nothing, subtheme=nothing)
        else:
            places = self.run.themes.select("concept", "theme", "subtheme")
            table = table.join(places, on="concept", how="left", maintain_order="left")
        return with_followers(table)

    @made_once
    def theme_names(self) -> dict[tuple[str, int], str]:
        """Names of themes and subthemes by level and id."""
        if self.run.theme_results is None:
            return {}
        rows = self.run.theme_results.select("level", "id", "name").iter_rows(named=True)
        return {(row["level"], row["id"]): visible(theme_name(row)) for row in rows}

    def benchmark_rows(self, concept: int) -> list[dict[str, Any]]:
        """The numbers of one concept in every benchmark, in order."""
        return self.parts.context.sources.benchmark_rows(concept)

    def item_rows(self, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Some columns of some items, in the order asked for, with ``item``; no other texts are kept."""
        table = self.run.scan("items").select(columns)
        return [{"item": row, **table.slice(row, 1).collect().row(0, named=True)} for row in rows]

    def place_of(self, benchmark: str) -> int:
        """Position of a benchmark, by its name or by its name as answers show it.

        Raises
        ------
        UserError
            If the run has no such benchmark.
        """
        shown = [foreign(name) for name in self.benchmarks]
        for names in (self.benchmarks, shown):
            if benchmark in names:
                return names.index(benchmark)
        known = ", ".join(shorten(name, 60) for name in self.benchmarks[:40])
        raise UserError(
            f"the run has no benchmark {shorten(benchmark, 60)!r}: expected one of {known}."
            f"{nearest(benchmark, self.benchmarks)}"
        )

    def check_item(self, row: int) -> None:
        """Raise UserError if the run has no such item."""
        count = self.parts.context.items.height
        if not 0 <= row < count:
            raise UserError(f"item {row} does not exist: expected a row from 0 to {count - 1}.")
