"""The attributes of a run that the report needs."""

from __future__ import annotations

from typing import Literal, Protocol

import polars as pl

from competency_gaps.findings.answer_parts import AnsweredRun

Order = Literal["best", "worst", "strongest"]


class RunView(AnsweredRun, Protocol):
    """The read side of a run: its manifest and its tables."""

    @property
    def concept_benchmarks(self) -> pl.DataFrame:
        """One row per concept and benchmark."""

    @property
    def overlap(self) -> pl.DataFrame:
        """One row per pair of benchmarks."""

    @property
    def themes(self) -> pl.DataFrame | None:
        """One row per concept: theme, subtheme, x, y (null: in none); None without a dictionary's themes."""

    @property
    def theme_results(self) -> pl.DataFrame | None:
        """One row per theme and subtheme, tested like a concept; None without a dictionary's themes."""

    @property
    def theme_benchmarks(self) -> pl.DataFrame | None:
        """One row per theme or subtheme and benchmark; None without a dictionary's themes."""

    def concept_items(self, concept: int, *, benchmark: str | None = None, order: Order, limit: int) -> pl.DataFrame:
        """Give the items in which ``concept`` is active, at most ``limit`` of them."""
