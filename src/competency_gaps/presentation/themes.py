"""The themes of a run: which are weak, and the concepts in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import percent, plural, share_of, shorten

NAME_LIMIT = 100


@dataclass(frozen=True)
class Themes:
    """The themes of a run, in the order in which they are read."""

    themes: pl.DataFrame
    """Rows of ``run.theme_results``: weak ones by gap, strong ones by gap (highest first), other tested, untested."""
    subthemes: pl.DataFrame
    """Its rows of level subtheme, in the same order."""
    members: pl.DataFrame
    """concept, theme, subtheme (None: in none), x, y of every concept."""
    q: float
    """False-discovery rate at which themes are called weak or strong."""

    @property
    def tested(self) -> int:
        """Number of themes with a p-value."""
        return self.themes.height - self.themes["q_value"].null_count()

    @property
    def weak(self) -> pl.DataFrame:
        """Weak themes, the lowest gap first."""
        return self.themes.filter(pl.col("performance_status") == "weak")

    @property
    def strong(self) -> pl.DataFrame:
        """Strong themes, the highest gap first."""
        return self.themes.filter(pl.col("performance_status") == "strong")

    def children(self, theme: int) -> pl.DataFrame:
        """Give the subthemes of a theme, in reading order."""
        return self.subthemes.filter(pl.col("parent") == theme)

    def concepts(self, theme: int, concepts: pl.DataFrame) -> pl.DataFrame:
        """Give a theme's rows of ``run.concepts``: weak ones by gap, strong ones, other tested, untested."""
        own = self.members.filter(pl.col("theme") == theme)["concept"].to_list()
        return _ordered(concepts.filter(pl.col("concept").is_in(own)), "concept")

    def of_concept(self, concept: int) -> list[dict[str, Any]]:
        """Give the rows of a concept's theme and subtheme; fewer where it is in none."""
        own = self.members.filter(pl.col("concept") == concept)
        if own.is_empty():
            return []
        frames = [
            frame.filter(pl.col("id") == own[level][0])
            for level, frame in (("theme", self.themes), ("subtheme", self.subthemes))
            if own[level][0] is not None
        ]
        return [frame.row(0, named=True) for frame in frames if frame.height]

    def path(self, concept: int) -> str:
        """Write a concept's theme and subtheme: ``time (theme 3) › months (subtheme 14)``, or ``in none``."""
        rows = self.of_concept(concept)
        return " › ".join(f"{theme_name(row)} ({row['level']} {row['id']})" for row in rows) or "in none"

    def caption(self) -> str:
        """Say how many are weak and strong, of how many, and how they were tested."""
        if not self.tested:
            return f"None of {plural(self.themes.height, 'theme')} could be tested for being weak or strong."
        text = (
            f"{share_of(self.weak.height, self.tested)} themes are weak and {self.strong.height:,} strong at a "
            f"false-discovery rate of {percent(self.q, 1)}, tested like concepts (Benjamini-Hochberg over themes): the "
            "activation of a theme is that of its ranked concepts, summed."
        )
        untested = self.themes.height - self.tested
        if untested:
            text += f" {plural(untested, 'theme')} of {self.themes.height:,} could not be tested."
        return text


def read_run_themes(run: RunFolder) -> Themes | None:
    """Read the themes of a run; None where no dictionary gave it any."""
    results, members = run.theme_results, run.themes
    if results is None or members is None:
        return None
    themes, subthemes = (_ordered(results.filter(pl.col("level") == level), "id") for level in ("theme", "subtheme"))
    return Themes(themes, subthemes, members, float(run.manifest["evidence"]["q"]))


def asked_theme(themes: Themes, theme: int) -> dict[str, Any]:
    """Give a theme's row.

    Raises
    ------
    UserError
        If there is no such theme.
    """
    rows = themes.themes.filter(pl.col("id") == theme)
    if rows.is_empty():
        raise UserError(
            f"there is no theme {theme} in this run: it has {themes.themes.height} themes, "
            f"0 to {themes.themes.height - 1}. List them with: cgaps show RUN --list themes"
        )
    return rows.row(0, named=True)


def theme_name(row: Mapping[str, Any]) -> str:
    """Give a theme's name, or its number where it has none."""
    return shorten(row["name"], NAME_LIMIT) if row["name"] else f"{row['level']} {row['id']}"


def is_automatic(row: Mapping[str, Any]) -> bool:
    """Whether a theme's name was made from words, without an explainer."""
    return bool(row["name"]) and row.get("kind") == "automatic"


def _ordered(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    status, tested = pl.col("performance_status"), pl.col("q_value").is_not_null()
    part = pl.when(status == "weak").then(0).when(status == "strong").then(1).when(tested).then(2).otherwise(3)
    size = pl.when(status == "strong").then(-pl.col("gap")).otherwise(pl.col("gap"))
    return frame.sort(part, size, key, nulls_last=True, maintain_order=True)
