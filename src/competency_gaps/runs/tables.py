"""The tables of a run folder, read when they are first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.runs.files import RunFiles
from competency_gaps.runs.schemas import READING, SCHEMAS

if TYPE_CHECKING:
    from competency_gaps.outcomes import Kind


@dataclass(frozen=True)
class RunTables:
    """The tables of a finished run, or of one outcome of it.

    Tables are read when they are first asked for. The folder of an outcome holds the tables that differ; it takes the
    others from the run's folder, which its manifest names.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def base(self) -> Path:
        """The folder that holds the items and activations: the run's, also for an outcome of it."""
        if "outcome" not in self.manifest:
            return self.path
        return Path(self.manifest["outcome"]["run"])

    @property
    def has_reading(self) -> bool:
        """Whether a model and its SAE have read the items; else there are no concepts, and their tables are empty."""
        return self.manifest["sae"] is not None

    @property
    def reader(self) -> str | None:
        """Name of the model that read the items; None: none has."""
        return str(self.manifest["model"]["name"]) if self.has_reading else None

    @property
    def shown_path(self) -> Path:
        """What the user gave to open it: its folder, or the logs that it was made of in the cache folder."""
        return Path(self.manifest.get("logs", self.path))

    @property
    def scored_model(self) -> str:
        """Name of the model whose scores these are: the run's own, or another whose scores were added."""
        return str(self.manifest["scored_model"])

    @cached_property
    def own_model(self) -> str | None:
        """The model whose scores a run's items have of its own; None: they have none, as where they were only read."""
        scored = self.scan("items").select(pl.col("score").is_not_null().any())
        return self.scored_model if self.files.collect("items", scored).item() else None

    @property
    def kind(self) -> Kind:
        """What the evidence rests on: ``score``, ``peers`` (scores against peers), ``difference`` or ``parsed``."""
        kind: Kind = self.manifest["outcome"]["kind"] if "outcome" in self.manifest else "score"
        return kind

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest outcome that is possible: 0 and 1 for scores."""
        low, high = self.manifest["outcome"]["limits"] if "outcome" in self.manifest else (0.0, 1.0)
        return float(low), float(high)

    @cached_property
    def outcomes(self) -> np.ndarray:
        """float64 of shape (items,): what the evidence rests on, a score or another outcome.

        NaN = unscored or excluded.
        """
        column = "score" if self.kind == "score" else "outcome"
        kept = pl.when(pl.col("excluded").is_null()).then(pl.col(column)).fill_null(float("nan"))
        return self.items.select(kept.alias("outcome"))["outcome"].to_numpy()

    @cached_property
    def items(self) -> pl.DataFrame:
        """One row per item: benchmark, item_id, prompt, response, score (null = unscored), excluded, ..."""
        return self._table("items")

    @cached_property
    def concepts(self) -> pl.DataFrame:
        """One row per concept of the SAE: label, kind, chi_bench, chi_model (null = undefined), support, ..."""
        return self._table("concepts")

    @cached_property
    def concept_benchmarks(self) -> pl.DataFrame:
        """One row per concept and benchmark."""
        return self._table("concept_benchmarks")

    @cached_property
    def benchmarks(self) -> pl.DataFrame:
        """One row per benchmark: items, kept, excluded, scored, mean_score, covered, missing, alive, ..."""
        return self._table("benchmarks")

    @cached_property
    def overlap(self) -> pl.DataFrame:
        """One row per ordered pair of benchmarks: jaccard, cosine, spearman, n_concepts."""
        return self._table("overlap")

    @cached_property
    def regions(self) -> pl.DataFrame | None:
        """One row per region of the atlas: region, level, parent, name, kind, x, y, items; None without an atlas."""
        return self._optional("regions")

    @cached_property
    def region_counts(self) -> pl.DataFrame | None:
        """Items of the benchmarks that the atlas was made from, by region: benchmark, region, items; None likewise."""
        return self._optional("region_counts")

    @cached_property
    def item_regions(self) -> pl.DataFrame | None:
        """One row per item: region, likeness, unlike, x, y (null: excluded); None without an atlas."""
        return self._optional("item_regions")

    @cached_property
    def scopes(self) -> pl.DataFrame | None:
        """One row per benchmark and region of the atlas that belongs to the scope that it states, the nearest first.

        None where no benchmark states a scope, or the run has no atlas.
        """
        return self._optional("scopes")

    def scan(self, name: str) -> pl.LazyFrame:
        """Read a table when it is collected, and only what is chosen of it.

        Raises
        ------
        UserError
            As :meth:`RunFiles.scan`.
        """
        return self.files.scan(name)

    @cached_property
    def files(self) -> RunFiles:
        """Its files, which are checked before they are read."""
        return RunFiles(self.path, self.base, self.manifest)

    def _optional(self, name: str) -> pl.DataFrame | None:
        return self._table(name) if self.files.has(name) else None

    def _table(self, name: str) -> pl.DataFrame:
        if name in READING and not self.has_reading:
            return pl.DataFrame(schema=SCHEMAS[name])
        return self.files.collect(name, self.scan(name))
