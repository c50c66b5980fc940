"""The run that is asked about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.report.themes import theme_name
from competency_gaps.runs.open import Run
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from competency_gaps.explorer.parts import Parts

FLAGS = ("dense", "template", "exact_token")


@dataclass(frozen=True)
class Subject:
    """A run with the parts that the explorer shows of it, so that both say the same."""

    key: str
    """Names the run among those that are open."""
    run: Run
    parts: Parts
    """With one concept and one item a part."""

    @cached_property
    def info(self) -> dict[str, Any]:
        """The part ``run.json``."""
        return dict(json.loads(self.parts.read("run.json")))

    def concept_part(self, concept: int) -> dict[str, Any]:
        """The detail of one concept, as the page shows it."""
        return dict(json.loads(self.parts.read(f"concept/{concept}.json"))[0])

    def item_part(self, row: int) -> dict[str, Any]:
        """The detail of one item, as the page shows it."""
        return dict(json.loads(self.parts.read(f"item/{row}.json"))[0])

    @cached_property
    def benchmarks(self) -> list[str]:
        """Names of the benchmarks, in order."""
        return list(self.run.benchmarks["benchmark"])

    @cached_property
    def concepts(self) -> pl.DataFrame:
        """``run.concepts`` with ``theme``, ``subtheme`` (null: in none) and ``followers`` (null: leads no group)."""
        table = self.run.concepts
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

    def check_benchmark(self, name: str) -> None:
        """Raise UserError if the run has no such benchmark."""
        if name not in self.benchmarks:
            known = ", ".join(shorten(one, 60) for one in self.benchmarks[:40])
            raise UserError(
                f"the run has no benchmark {shorten(name, 60)!r}: expected one of {known}.{nearest(name, self.benchmarks)}"
            )

    def check_item(self, row: int) -> None:
        """Raise UserError if the run has no such item."""
        if not 0 <= row < self.run.items.height:
            raise UserError(f"item {row} does not exist: expected a row from 0 to {self.run.items.height - 1}.")


def with_followers(table: pl.DataFrame) -> pl.DataFrame:
    """Add how many others of its group each leader has; null for what leads none."""
    sizes = table.filter(pl.col("leader").is_not_null()).group_by("leader").agg(followers=pl.len() - 1)
    leads = pl.col("leader") == pl.col("concept")
    joined = table.join(sizes, on="leader", how="left", maintain_order="left")
    return joined.with_columns(followers=pl.when(leads).then(pl.col("followers").cast(pl.Int32)))
