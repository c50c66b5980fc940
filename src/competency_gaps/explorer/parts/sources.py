"""What the details of concepts and items are made of, read once and kept while a run is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.activations.by_item import ItemRows
from competency_gaps.dictionary.label_table import empty_labels
from competency_gaps.dictionary.open import Dictionary
from competency_gaps.errors import UserError
from competency_gaps.matching.kept import read_matches
from competency_gaps.runs.open import Run
from competency_gaps.text import shorten

TEXTS = (
    *("item_id", "text", "response", "answer", "own_start", "own_end"),
    *("logprobs", "details"),
)
"""Columns of ``items.parquet`` that only an item's detail and the search need."""
_ENTRY_LIMIT = 200


IN_BENCHMARK = {
    "support": pl.Int32,
    **dict.fromkeys(("n_eff", "chi_bench", "chi_model", "gap", "gap_low", "gap_high"), pl.Float32),
    "performance_status": pl.Categorical,
}
"""What a concept's detail says of each benchmark, in the types in which a hundred thousand concepts take least room."""


@dataclass(frozen=True, eq=False)
class Sources:
    """Arrays and files of a run."""

    run: Run
    dictionary: Dictionary | None
    """Of the run's SAE; null: none is known."""
    items: pl.DataFrame
    """One row per item: at least item_id and score."""

    @cached_property
    def by_concept(self) -> ByConcept:
        """Items of each concept, on disk."""
        return ByConcept(self._folder)

    @cached_property
    def support(self) -> np.ndarray:
        """int64 of shape (width,): items in which each concept is active."""
        return self.by_concept.support

    @cached_property
    def item_rows(self) -> ItemRows:
        """Concepts of each item, on disk."""
        shards, start = {}, 0
        for entry in self.run.manifest["benchmarks"]:
            shards[start] = [self._folder / f"{name}.safetensors" for name in entry["shards"]]
            start += entry["items"]
        return ItemRows(shards, self.items.height)

    @cached_property
    def scores(self) -> np.ndarray:
        """float64 of shape (items,): NaN = unscored."""
        return self.items["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    @cached_property
    def rank(self) -> np.ndarray:
        """int32 of shape (items,): each item's place by item_id, then by row; it settles ties."""
        order = self.items.select("item_id").with_row_index("row").sort("item_id", "row")["row"].to_numpy()
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return rank

    @cached_property
    def tau(self) -> np.ndarray:
        """float64 of shape (width,): a typical CAS, > 0; 1 where a concept is never active."""
        tau = self.run.concepts["tau"].cast(pl.Float64).fill_null(1.0).fill_nan(1.0).to_numpy()
        return np.where(tau > 0, tau, 1.0)

    @cached_property
    def dense(self) -> np.ndarray:
        """bool of shape (width,): concepts with the flag ``dense``."""
        return self.run.concepts["dense"].fill_null(False).to_numpy()

    @cached_property
    def texts(self) -> pl.DataFrame:
        """One row per item: ``TEXTS``; of a column that an older run lacks null."""
        frame = pl.scan_parquet(self._table)
        known = set(frame.collect_schema().names())
        return frame.select(pl.col(name) if name in known else pl.lit(None).alias(name) for name in TEXTS).collect()

    @cached_property
    def lengths(self) -> pl.DataFrame:
        """One row per item: ``length`` of its text in characters, ``own_start``, ``own_end``."""
        own = ("own_start", "own_end")
        return pl.scan_parquet(self._table).select(pl.col("text").str.len_chars().alias("length"), *own).collect()

    def epochs(self, row: int) -> int:
        """How often an item was asked; 1 in older runs, which asked once."""
        return self._epochs[row]

    @cached_property
    def _epochs(self) -> list[int]:
        if "epochs" not in pl.scan_parquet(self._table).collect_schema().names():
            return [1] * self.items.height
        return pl.read_parquet(self._table, columns=["epochs"])["epochs"].fill_null(1).to_list()

    def in_benchmarks(self, concept: int) -> list[dict[str, Any]]:
        """How a concept stands in each benchmark: ``IN_BENCHMARK``, in the order of the benchmarks.

        Raises
        ------
        UserError
            If ``concept_benchmarks.parquet`` does not hold every concept in every benchmark, in order.
        """
        width, count = self.run.width, len(self.run.manifest["benchmarks"])
        table = self._in_benchmarks
        rows = (
            table[[place * width + concept for place in range(count)]] if table.height == width * count else table[:0]
        )
        if rows["concept"].to_list() != [concept] * count:
            file = self.run.path / "concept_benchmarks.parquet"
            raise UserError(
                f"{file} does not hold {width} concepts of {count} benchmarks in order: the run is damaged. "
                "Run 'cgaps run' on the folder again."
            )
        return rows.drop("concept").to_dicts()

    @cached_property
    def _in_benchmarks(self) -> pl.DataFrame:
        columns = [pl.col("concept"), *(pl.col(name).cast(kind) for name, kind in IN_BENCHMARK.items())]
        return pl.scan_parquet(self.run.path / "concept_benchmarks.parquet").select(columns).collect()

    def labels_of(self, concept: int, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Labels that the dictionary has of a concept, those that it would rather show first."""
        table, start = self._labels
        return table[int(start[concept]) : int(start[concept + 1])].select(columns).rows()

    @cached_property
    def _labels(self) -> tuple[pl.DataFrame, np.ndarray]:
        """All labels, sorted by concept, and where each concept's start."""
        table = self.dictionary.labels() if self.dictionary is not None else empty_labels()
        table = table.filter(pl.col("label").is_not_null()).sort("concept", maintain_order=True)
        start = np.searchsorted(table["concept"].to_numpy(), np.arange(self.run.width + 1))
        return table, start

    @cached_property
    def matched(self) -> dict[int, list[dict[str, Any]]]:
        """Per concept the entries of other people's lists that match its label, without the folders of their files."""
        found: dict[int, list[dict[str, Any]]] = {}
        for one in read_matches(self.run):
            if one.concept is not None:
                same = one.description == one.entry
                entry = one.entry if same else shorten(f"{one.entry}: {one.description}", _ENTRY_LIMIT)
                found.setdefault(one.concept, []).append(
                    {
                        "taxonomy": Path(one.taxonomy).name,
                        "entry": entry,
                        "similarity": one.similarity,
                        "verdict": one.verdict,
                    }
                )
        return found

    @property
    def _folder(self) -> Path:
        return self.run.path / "activations"

    @property
    def _table(self) -> Path:
        return self.run.path / "items.parquet"
