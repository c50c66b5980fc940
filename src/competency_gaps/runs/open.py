"""Open a finished run: no model and no torch needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.activations.store import CasBlock, CasStore
from competency_gaps.activations.tokens import TokenActivations, TokenReader
from competency_gaps.errors import UserError, nearest
from competency_gaps.metrics.saliency import saliency
from competency_gaps.runs.manifest import read_manifest

Order = Literal["best", "worst", "strongest"]


def open_run(path: Path | str) -> Run:
    """Open a run folder.

    Raises
    ------
    UserError
        If the folder is no finished run, or of an unknown schema version.
    """
    folder = Path(path)
    return Run(folder, read_manifest(folder))


@dataclass(frozen=True)
class Run:
    """A finished run. Tables are read when they are first asked for."""

    path: Path
    manifest: dict[str, Any]

    @cached_property
    def items(self) -> pl.DataFrame:
        """One row per item: benchmark, item_id, prompt, response, score (null = unscored), excluded, ..."""
        return self._table("items")

    @cached_property
    def concepts(self) -> pl.DataFrame:
        """One row per concept of the SAE: label, flags, chi_bench, chi_model (null = undefined), support, ..."""
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
    def themes(self) -> pl.DataFrame | None:
        """One row per concept: theme, subtheme, x, y (null: in none); None without a dictionary's themes."""
        return self._optional("themes")

    @cached_property
    def theme_results(self) -> pl.DataFrame | None:
        """One row per theme and subtheme: level, id, parent, name, kind, and the statistics of its summed activation.

        None without a dictionary's themes.
        """
        results, names = self._optional("theme_results"), self._optional("theme_names")
        if results is None or names is None:
            return None
        keys = ["level", "id"]
        return results.join(names.select(*keys, "name", "kind"), on=keys, how="left", maintain_order="left")

    @cached_property
    def theme_benchmarks(self) -> pl.DataFrame | None:
        """One row per theme or subtheme and benchmark; None without a dictionary's themes."""
        return self._optional("theme_benchmarks")

    @property
    def width(self) -> int:
        """Number of concepts of the SAE."""
        return int(self.manifest["sae"]["d_sae"])

    def cas(self, benchmark: str) -> sp.csr_array:
        """Concept activation scores of one benchmark.

        Returns
        -------
        csr_array of float32 of shape (items of the benchmark in the order of ``items``, SAE width)
            An excluded item's row is empty.

        Raises
        ------
        UserError
            If the run has no such benchmark.
        """
        entry = self._entry(benchmark)
        blocks = list(self._blocks(entry["shards"]))
        count = self.items.filter(pl.col("benchmark") == benchmark).height
        if not blocks:
            return sp.csr_array((count, self.width), dtype=np.float32)
        stacked = sp.vstack([block.cas for block in blocks], format="csr")
        place = sp.csr_array(
            (
                np.ones(stacked.shape[0], np.float32),
                (np.concatenate([b.items for b in blocks]), np.arange(stacked.shape[0])),
            ),
            shape=(count, stacked.shape[0]),
        )
        rows = sp.csr_array(place @ stacked)
        rows.sort_indices()
        return rows

    def concept_items(
        self, concept: int, *, benchmark: str | None = None, order: Order = "strongest", limit: int = 5
    ) -> pl.DataFrame:
        """Items in which a concept is active.

        Parameters
        ----------
        order
            ``strongest``: highest CAS first; ``best``: highest score first, ``worst``: lowest first,
            both among scored items and by CAS where scores tie.

        Returns
        -------
        polars.DataFrame
            benchmark, item_id, text, response, answer, score, cas, ncas (saliency in [0, 1]), peak_start and
            peak_end (character range of the peak token in ``text``), own_start and own_end (of the item's own text).

        Raises
        ------
        UserError
            If there is no such concept or benchmark.
        """
        self.check_concept(concept)
        if benchmark is not None:
            self._entry(benchmark)
        column = self._by_concept.column(concept)
        tau = self.concepts["tau"][concept]
        table = self.items[column.item].select(
            "benchmark", "item_id", "text", "response", "answer", "score", "own_start", "own_end"
        )
        table = table.with_columns(
            pl.Series("cas", column.cas, dtype=pl.Float32),
            pl.Series("ncas", saliency(column.cas, np.asarray(tau or 1.0)), dtype=pl.Float64),
            pl.Series("peak_start", column.peak[:, 0], dtype=pl.Int32),
            pl.Series("peak_end", column.peak[:, 1], dtype=pl.Int32),
        )
        if benchmark is not None:
            table = table.filter(pl.col("benchmark") == benchmark)
        if order == "strongest":
            return table.sort(["cas", "item_id"], descending=[True, False]).head(limit)
        scored = table.filter(pl.col("score").is_not_null())
        return scored.sort(["score", "cas", "item_id"], descending=[order == "best", True, False]).head(limit)

    def token_activations(self, concept: int, rows: Sequence[int]) -> list[TokenActivations | None]:
        """The tokens on which a concept is active, in some items.

        Parameters
        ----------
        rows
            Rows of ``items``.

        Returns
        -------
        list of TokenActivations or None, one per row
            Character ranges in ``items["text"]`` and activations; empty where the concept is active on no token.
            None: the item is excluded, or the run kept no activations of tokens (``keep_token_activations``).

        Raises
        ------
        UserError
            If there is no such concept or row.
        """
        self.check_concept(concept)
        return self._tokens.read(concept, rows)

    @cached_property
    def has_token_activations(self) -> bool:
        """Whether the run kept activations of single tokens, of some items at least."""
        return self._tokens.any()

    def check_concept(self, concept: int) -> None:
        """Raise UserError if the SAE has no such concept."""
        if not 0 <= concept < self.width:
            raise UserError(f"concept {concept} does not exist: the SAE has concepts 0 to {self.width - 1}.")

    @cached_property
    def _by_concept(self) -> ByConcept:
        return ByConcept(self.path / "activations")

    @cached_property
    def _tokens(self) -> TokenReader:
        store, shards, start = CasStore(self.path / "activations", self.width), {}, 0
        for entry in self.manifest["benchmarks"]:
            shards[start] = [store.shards.path(name) for name in entry["shards"]]
            start += int(entry["items"])
        return TokenReader(shards, start)

    def _blocks(self, names: list[str]) -> list[CasBlock]:
        store = CasStore(self.path / "activations", self.width)
        return [store.read(name) for name in names]

    def _entry(self, benchmark: str) -> dict[str, Any]:
        known = {entry["name"]: entry for entry in self.manifest["benchmarks"]}
        if benchmark not in known:
            raise UserError(
                f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.{nearest(benchmark, known)}"
            )
        return dict(known[benchmark])

    def _optional(self, name: str) -> pl.DataFrame | None:
        return self._table(name) if (self.path / f"{name}.parquet").is_file() else None

    def _table(self, name: str) -> pl.DataFrame:
        path = self.path / f"{name}.parquet"
        if not path.is_file():
            raise UserError(f"{path} is missing: the run is damaged. Run 'cgaps run' on the folder again.")
        return pl.read_parquet(path)
