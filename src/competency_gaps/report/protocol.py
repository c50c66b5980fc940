"""What the report needs of a run; any object with these attributes can be reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import polars as pl

Order = Literal["best", "worst", "strongest"]


class RunView(Protocol):
    """The read side of a run: its manifest and its tables."""

    @property
    def path(self) -> Path:
        """Folder of the run."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Model, SAE, gate, benchmarks, settings, versions and timings."""

    @property
    def items(self) -> pl.DataFrame:
        """One row per item, those excluded and those unscored among them."""

    @property
    def benchmarks(self) -> pl.DataFrame:
        """One row per benchmark."""

    @property
    def concepts(self) -> pl.DataFrame:
        """One row per latent of the SAE; the label's provenance where a dictionary named it."""

    @property
    def concept_benchmarks(self) -> pl.DataFrame:
        """One row per concept and benchmark."""

    @property
    def overlap(self) -> pl.DataFrame:
        """One row per pair of benchmarks."""

    @property
    def findings(self) -> pl.DataFrame:
        """One row per finding, weak ones first, with ``feature_words`` and ``sentence``."""

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
