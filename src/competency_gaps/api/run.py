"""A finished run: its tables, concepts, figures and actions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.api.actions import Actions
from competency_gaps.api.concept import Concept, notebook_card
from competency_gaps.api.lists import Lists
from competency_gaps.api.models import Models
from competency_gaps.api.scores import Scores
from competency_gaps.errors import UserError
from competency_gaps.presentation.rankings import judged, missing
from competency_gaps.runs.open import open_folder
from competency_gaps.runs.search import find_concepts
from competency_gaps.text import plural


class Rows(NamedTuple):
    """The kept items of one benchmark. N items, C concepts."""

    cas: sp.csr_array
    """float32 of shape (N, C), >= 0: concept activation scores."""
    scores: np.ndarray
    """float64 of shape (N,), in [0, 1]; NaN = unscored."""
    ids: list[str]
    """Their ``item_id``."""


class Run(Actions, Lists, Models, Scores):
    """A finished run. Tables are polars frames, read when they are first asked for; none needs torch.

    Two runs are equal if they lie in one folder and have the same manifest. A run is pickled as its path.
    """

    def __hash__(self) -> int:
        return hash(self.path)

    def __reduce__(self) -> tuple[Callable[[Path], Run], tuple[Path]]:
        return as_run, (self.path,)

    def __repr__(self) -> str:
        evidence = self.manifest["evidence"]
        return (
            f"Run({str(self.path)!r}: {self.scored_model}, "
            f"{plural(len(self.manifest['benchmarks']), 'benchmark')}, "
            f"{plural(sum(benchmark['items'] for benchmark in self.manifest['benchmarks']), 'item')}, "
            f"{evidence['weak']} weak and {evidence['strong']} strong concepts)"
        )

    def _repr_html_(self) -> str:
        return notebook_card(self)

    def weak(self, *, benchmark: str | None = None, leaders: bool = False) -> pl.DataFrame:
        """Concepts on which the model does worse than on other items of the same benchmarks, lowest gap first.

        Parameters
        ----------
        benchmark
            By one benchmark's items alone; None: the whole suite.
        leaders
            Only the concept that leads each group of concepts with the same items.

        Returns
        -------
        polars.DataFrame
            Rows of ``concepts``, or of ``concept_benchmarks`` with ``label``.

        Raises
        ------
        UserError
            If there is no such benchmark.
        """
        return self._judged("weak", benchmark, leaders=leaders)

    def strong(self, *, benchmark: str | None = None, leaders: bool = False) -> pl.DataFrame:
        """Concepts on which the model does better, highest gap first; parameters as of :meth:`weak`."""
        return self._judged("strong", benchmark, leaders=leaders)

    def missing(self, *, benchmark: str | None = None) -> pl.DataFrame:
        """Ranked concepts that no item exercises.

        Parameters
        ----------
        benchmark
            Concepts that this benchmark does not exercise; None: that no benchmark does.

        Returns
        -------
        polars.DataFrame
            Rows of ``concepts`` or ``concept_benchmarks``, those that a reference corpus has most often first.

        Raises
        ------
        UserError
            If there is no such benchmark.
        """
        if benchmark is None:
            return missing(self.concepts)
        ranked = self.concepts.filter(pl.col("alive") & pl.col("ranked")).select("concept", "density")
        table = self._of_benchmark(benchmark).join(ranked, on="concept", maintain_order="left")
        return table.filter(pl.col("coverage_status") == "missing").sort("density", descending=True, nulls_last=True)

    def concept(self, number: int) -> Concept:
        """One concept with its figures, its items and the tokens that excite it.

        Raises
        ------
        UserError
            If the SAE has no such concept.
        """
        self.check_concept(number)
        return Concept(self, number)

    def find(self, words: str) -> pl.DataFrame:
        """Find the concepts whose labels contain all given words, in any order and regardless of case.

        Parameters
        ----------
        words
            ``prime`` finds *primes* too, but not *subprime*: each is the beginning of a word of the label.

        Returns
        -------
        polars.DataFrame
            Rows of ``concepts``, the best match first; empty if none matches.

        Raises
        ------
        UserError
            If ``words`` is blank, or no concept of the run has a label.
        """
        return find_concepts(self.concepts, words)

    def rows(self, benchmark: str) -> Rows:
        """Concept activation scores of a benchmark's kept items, with their scores and ids.

        Raises
        ------
        UserError
            If there is no such benchmark.
        """
        cas = self.cas(benchmark)
        items = self.items.filter(pl.col("benchmark") == benchmark)
        kept = items["excluded"].is_null().to_numpy()
        chosen = items.filter(pl.col("excluded").is_null())
        scores = chosen["score"].fill_null(float("nan")).to_numpy()
        return Rows(sp.csr_array(cas[kept]), scores, chosen["item_id"].to_list())

    def _judged(self, status: str, benchmark: str | None, *, leaders: bool) -> pl.DataFrame:
        table = self.concepts if benchmark is None else self._of_benchmark(benchmark)
        return judged(table, status, leaders=leaders)

    def _of_benchmark(self, benchmark: str) -> pl.DataFrame:
        known = self.benchmarks["benchmark"].to_list()
        if benchmark not in known:
            raise UserError(f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.")
        table = self.concept_benchmarks.filter(pl.col("benchmark") == benchmark)
        labels = self.concepts.select("concept", "label")
        return table.join(labels, on="concept", maintain_order="left").select(
            "concept", "label", pl.exclude("concept", "label")
        )


def as_run(path: Path) -> Run:
    """Open a run by its absolute path, so that it stays valid if the working directory changes."""
    folder = open_folder(path.resolve())
    return Run(folder.path, folder.manifest)
