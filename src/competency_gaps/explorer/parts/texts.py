"""Texts of items, which may not fit in memory: one item's texts are read from disk, a search reads batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import polars as pl

from competency_gaps.explorer.parts.records.server import SearchResult
from competency_gaps.runs.open import RunFolder

TEXTS = (
    *("item_id", "text", "response", "answer", "own_start", "own_end", "logprobs", "details"),
    *("choices", "answer_index", "covariates"),
)
"""Columns of ``items.parquet`` that only an item's detail needs."""
SEARCHED = ("text", "response", "answer", "item_id")
"""Columns that a search looks at."""
BUDGET = 256 * 2**20
"""Searched texts up to this many bytes are kept in memory [ours]; more are read again at each search."""
BATCH = 16 * 2**20
"""Texts are read in batches of about this many bytes."""
_MOST = 65_536
"""Rows of a batch, at most."""


class Texts:
    """Reads texts of a run's items; what it keeps in memory is bounded.

    Parameters
    ----------
    run : RunFolder
    height : int
        Rows of ``items.parquet``.
    budget, batch : int
        Bytes of searched texts that are kept at most, and that are read at once, about.
    first : int
        Rows of the first batch, before anything is known of the texts' lengths.
    """

    def __init__(
        self, run: RunFolder, height: int, *, budget: int = BUDGET, batch: int = BATCH, first: int = 64
    ) -> None:
        self._run, self._height = run, height
        self._budget, self._batch, self._first = budget, batch, first
        self._lock = threading.Lock()
        self._kept: list[tuple[int, pl.DataFrame]] | None = None
        self._too_many = False

    def rows(self, first: int, count: int) -> pl.DataFrame:
        """Read some rows, one after the other: ``TEXTS``."""
        return self._run.files.collect("items", self._run.scan("items").slice(first, count).select(TEXTS))

    def search(self, query: str, limit: int, stop: Callable[[], bool] = lambda: False) -> SearchResult:
        """Find the items whose text, response, answer or id contains ``query``, regardless of case.

        Both are compared in lower case as Unicode has it (``str.lower``, JavaScript's ``toLowerCase``).

        Parameters
        ----------
        query
            Taken literally, stripped of blanks at its ends. Blank: no results.
        limit
            Most rows of the result, the first ones; its ``total`` counts all.
        stop
            Asked between batches; true ends the search with the results so far.
        """
        rows: list[int] = []
        query = query.strip()
        if not query:
            return SearchResult(rows, 0)
        for first, batch in self._lowered():
            if stop():
                break
            rows += (holding(batch, SEARCHED, query).arg_true() + first).to_list()
        return SearchResult(rows[:limit], len(rows))

    def keep(self) -> None:
        """Read now what the first search would keep; stop if it is too much."""
        for _ in self._lowered():
            if self._too_many:
                break

    def _lowered(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """All searched texts in lower case, in batches with their first rows.

        The first search keeps them if they are few enough; a second one waits for it.
        """
        if self._kept is None and not self._too_many:
            with self._lock:
                if self._kept is None and not self._too_many:
                    yield from self._keeping()
                    return
        yield from self._batches() if self._kept is None else self._kept

    def _keeping(self) -> Iterator[tuple[int, pl.DataFrame]]:
        kept: list[tuple[int, pl.DataFrame]] = []
        size = 0
        for first, batch in self._batches():
            size += int(batch.estimated_size())
            self._too_many = size > self._budget
            if self._too_many:
                kept.clear()
            else:
                kept.append((first, batch))
            yield first, batch
        if not self._too_many:
            self._kept = kept

    def _batches(self) -> Iterator[tuple[int, pl.DataFrame]]:
        first, count = 0, self._first
        while first < self._height:
            chosen = self._run.scan("items").slice(first, count).select(SEARCHED)
            frame = self._run.files.collect("items", chosen)
            batch = frame.select(pl.all().str.to_lowercase())
            del frame
            size = max(1, int(batch.estimated_size()))
            yield first, batch
            first += count
            # Texts of a benchmark are alike in length; the next batch is made of its neighbours.
            count = max(1, min(_MOST, 4 * count, count * self._batch // size))


def holding(lowered: pl.DataFrame, columns: tuple[str, ...], query: str) -> pl.Series:
    """Whether any column of texts in lower case holds a text; bool, one per row."""
    text = query.lower()
    matches = (pl.col(name).str.contains(text, literal=True).fill_null(value=False) for name in columns)
    return lowered.select(pl.any_horizontal(matches).alias("holding"))["holding"]
