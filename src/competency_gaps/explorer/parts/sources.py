"""What the details of concepts and items are made of. Arrays are read once and kept, texts of items are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.labels import empty_labels
from competency_gaps.explorer.parts.records.details import ConceptInBenchmark, MatchedEntry
from competency_gaps.explorer.parts.texts import Texts
from competency_gaps.matching.kept_lists import read_lists
from competency_gaps.matching.kept_records import KeptList
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import shorten

IN_BENCHMARK = {
    "support": pl.Int32,
    **dict.fromkeys(("n_eff", "chi_bench", "chi_model", "gap", "gap_low", "gap_high"), pl.Float32),
    "performance_status": pl.Categorical,
}
"""What a concept's detail says of each benchmark, in the types in which a hundred thousand concepts take least room."""
_ENTRY_LIMIT = 200
"""Characters of a list's entry beside a concept."""
_FURTHER = {
    **dict.fromkeys(("chi_model_low", "chi_model_high", "lift"), pl.Float32),
    "q_value": pl.Float64,
    "coverage_status": pl.Categorical,
}
"""What the queries also say."""


@dataclass(frozen=True, eq=False)
class Sources:
    """Arrays and files of a run."""

    run: RunFolder
    dictionary: Dictionary | None
    """Of the run's SAE; None: none is known."""
    items: pl.DataFrame
    """One row per item: at least item_id and score."""

    @cached_property
    def support(self) -> np.ndarray:
        """int64 of shape (width,): items in which each concept is active."""
        return self.run.by_concept.support

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
        """bool of shape (width,): concepts of the kind ``dense``."""
        return (self.run.concepts["kind"] == "dense").fill_null(False).to_numpy()

    @cached_property
    def texts(self) -> Texts:
        """What the model read, responses and answers, on disk."""
        return Texts(self.run, self.items.height)

    @cached_property
    def lengths(self) -> pl.DataFrame:
        """One row per item: ``length`` of its text in characters, ``own_start``, ``own_end``."""
        length = pl.col("text").str.len_chars().alias("length")
        chosen = self.run.scan("items").select(length, "own_start", "own_end")
        return self.run.files.collect("items", chosen, "streaming")

    def epochs(self, row: int) -> int:
        """How often an item was asked."""
        return self._epochs[row]

    @cached_property
    def _epochs(self) -> list[int]:
        return self.run.files.collect("items", self.run.scan("items").select("epochs"))["epochs"].to_list()

    def in_benchmarks(self, concept: int) -> list[ConceptInBenchmark]:
        """How a concept stands in each benchmark, in the order of the benchmarks."""
        return [ConceptInBenchmark(**row) for row in self._benchmark_rows(concept).select(*IN_BENCHMARK).to_dicts()]

    def benchmark_rows(self, concept: int) -> list[dict[str, Any]]:
        """The same with ``benchmark``, intervals, ``q_value``, ``lift`` and ``coverage_status``."""
        names = [entry["name"] for entry in self.run.manifest["benchmarks"]]
        return self._benchmark_rows(concept).with_columns(pl.Series("benchmark", names, pl.String)).to_dicts()

    def _benchmark_rows(self, concept: int) -> pl.DataFrame:
        return self._in_benchmarks[concept :: self.run.width]

    @cached_property
    def _in_benchmarks(self) -> pl.DataFrame:
        kinds = {**IN_BENCHMARK, **_FURTHER}
        columns = [pl.col(name).cast(kind) for name, kind in kinds.items()]
        chosen = self.run.scan("concept_benchmarks").select(columns)
        return self.run.files.collect("concept_benchmarks", chosen)

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
    def lists(self) -> list[KeptList]:
        """Other people's lists that were compared with the run."""
        return read_lists(self.run)

    @cached_property
    def matched(self) -> dict[int, list[MatchedEntry]]:
        """Per concept the entries of these lists that match it."""
        matches: dict[int, list[MatchedEntry]] = {}
        every = [(kept, entry) for kept in self.lists for entry in kept.entries]
        for number, (kept, entry) in enumerate(every):
            title = shorten(entry.title, _ENTRY_LIMIT)
            for pair in entry.pairs:
                if pair.concept is not None:
                    match = MatchedEntry(kept.taxonomy, kept.by, number, title, pair.strength, pair.verdict)
                    matches.setdefault(pair.concept, []).append(match)
        return matches
