"""What several parts of a run need, made when it is first needed and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.amounts import SERVED, Amounts
from competency_gaps.explorer.parts.paths import command_line, last_names
from competency_gaps.explorer.parts.redacted import RedactedRun
from competency_gaps.explorer.parts.scored import display_names
from competency_gaps.explorer.parts.settings import PRIVATE, without_judge
from competency_gaps.explorer.parts.sources import Sources
from competency_gaps.matching.kept_lists import open_examples
from competency_gaps.presentation import rankings
from competency_gaps.presentation.themes import Themes, read_run_themes
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.scores import NAME as SCORES
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.stages.matrix import model_groups, model_themes

ITEM_COLUMNS = (
    *("benchmark", "item_id", "group", "score", "policy", "n_tokens", "n_span_tokens", "cluster", "cluster_kind"),
    *("excluded", "unscored"),
)
"""Columns of ``items.parquet`` without an item's texts, which may be a gigabyte."""


class Windows(NamedTuple):
    """The part of each item's text that is kept."""

    start: np.ndarray
    """int64 of shape (items,): first character."""
    end: np.ndarray
    """int64 of shape (items,): behind the last one."""
    length: np.ndarray
    """int64 of shape (items,): characters of the whole text."""


@dataclass(frozen=True, eq=False)
class Context:
    """A run, and how its parts are cut."""

    run: RunFolder
    key: str
    """Name of the run in addresses: letters, digits and dashes."""
    dictionary: Dictionary | None = None
    """Of the run's SAE: exemplars, promoted tokens, similar concepts; None: none is known."""
    portable: bool = False
    """Shorten absolute paths to their last names: the parts may leave this machine."""
    concepts_per_part: int = 1
    items_per_part: int = 1
    entries_per_part: int = 1
    amounts: Amounts = SERVED
    """How much details hold."""
    home: str = ""
    """Key of the run that gives the parts of items: an outcome leaves them to the run that it is of."""

    @cached_property
    def unredacted(self) -> RunFolder:
        """The run with everything in it, for statistics: what is shown of them holds no text of an item."""
        return open_folder(self.run.path)

    @cached_property
    def itself(self) -> RunFolder:
        """The run that this is an outcome of, or the run itself; with everything in it, as ``unredacted``."""
        return open_folder(self.run.base)

    @cached_property
    def model_scores(self) -> ModelScores:
        """Scores of all models on the items."""
        return model_scores(self.itself)

    @cached_property
    def model_names(self) -> list[str]:
        """Names of the models of ``model_scores`` as they are shown."""
        return display_names(self.model_scores.models)

    @cached_property
    def theme_cells(self) -> dict[Literal["score", "peers"], pl.DataFrame]:
        """How each model does on each theme, by scores and against peers; empty in a run without themes."""
        return {} if self.itself.theme_results is None else self._cells(model_themes)

    @cached_property
    def group_cells(self) -> dict[Literal["score", "peers"], pl.DataFrame]:
        """The same of groups of concepts that share their items."""
        return self._cells(model_groups)

    def _cells(self, cells: Callable[..., pl.DataFrame]) -> dict[Literal["score", "peers"], pl.DataFrame]:
        made: dict[Literal["score", "peers"], pl.DataFrame] = {"score": cells(self.itself, "score")}
        with suppress(UserError):  # no model has enough peers
            made["peers"] = cells(self.itself, "peers")
        return made

    @property
    def several_models(self) -> bool:
        """Whether scores of other models were added."""
        return self.itself.files.has(SCORES)

    @cached_property
    def names(self) -> list[str]:
        """Names of the benchmarks, in order."""
        return [str(entry["name"]) for entry in self.run.manifest["benchmarks"]]

    @cached_property
    def place(self) -> dict[str, int]:
        """Name of a benchmark -> its place in ``names``."""
        return {name: number for number, name in enumerate(self.names)}

    @property
    def redacted(self) -> bool:
        """Whether prompts, responses, and what is made of them or may quote them are withheld."""
        return isinstance(self.run, RedactedRun)

    def shown(self, path: Path) -> str:
        """A path of the run as it is shown."""
        return path.name if self.portable else str(path)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The run's manifest as it is shown.

        Where the parts are portable it has last names of paths, and does not say where a judge is, or its key. Names of
        benchmarks are as in the tables.
        """
        held = self.run.manifest
        if not self.portable:
            return held
        shown = last_names({key: value for key, value in held.items() if key != "command"})
        shown["command"] = command_line(without_judge(held["command"]))
        for name in PRIVATE:
            part, key = name.split(".")
            if isinstance(held_part := shown["settings"].get(part), dict):
                held_part.pop(key, None)
        for entry, name in zip(shown["benchmarks"], self.names, strict=True):
            entry["name"] = name
        # Names of benchmarks are keys here, so they must not be shortened as paths are.
        shown["evidence"] = held["evidence"]
        return dict(shown)

    @property
    def width(self) -> int:
        """Number of concepts."""
        return self.run.width

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self.run.path

    def document(self, file: Path) -> bytes:
        """Read a document of the run folder."""
        return self.run.document(file)

    @property
    def benchmarks(self) -> pl.DataFrame:
        """One row per benchmark."""
        return self.run.benchmarks

    @property
    def concepts(self) -> pl.DataFrame:
        """One row per concept."""
        return self.run.concepts

    @property
    def findings(self) -> pl.DataFrame:
        """One row per finding."""
        return self.run.findings

    @cached_property
    def items(self) -> pl.DataFrame:
        """One row per item: ``ITEM_COLUMNS``, the reasons of ``excluded`` and ``unscored`` in words."""
        table = self.run.files.collect("items", self.run.scan("items").select(ITEM_COLUMNS))
        for name in ("excluded", "unscored"):
            words = table[name].struct.field("text")
            table = table.with_columns((_each(words, last_names) if self.portable else words).alias(name))
        return table

    @cached_property
    def clusters(self) -> dict[int, list[int]]:
        """Number of a cluster of several items -> their rows of ``items.parquet``, ascending."""
        return self._rows_of_clusters(self.items.with_row_index("row"))

    @cached_property
    def repeated(self) -> dict[int, list[int]]:
        """The same of items that ask the same only: not of those that their benchmark puts together."""
        return self._rows_of_clusters(self.items.with_row_index("row").filter(pl.Series(repeats(self.items))))

    @staticmethod
    def _rows_of_clusters(items: pl.DataFrame) -> dict[int, list[int]]:
        rows = items.select("row", "cluster").drop_nulls("cluster")
        grouped = rows.group_by("cluster").agg(pl.col("row").sort()).filter(pl.col("row").list.len() > 1)
        return dict(grouped.iter_rows())

    def benchmark_concepts(self, place: int, columns: Sequence[str]) -> pl.DataFrame:
        """Read one benchmark's rows of ``concept_benchmarks.parquet``, and nothing else of it.

        Parameters
        ----------
        place : int
            The benchmark's place in ``names``.
        columns : sequence of str

        Returns
        -------
        DataFrame
            One row per concept, in order.
        """
        frame = self.run.scan("concept_benchmarks").slice(place * self.width, self.width)
        return self.run.files.collect("concept_benchmarks", frame.select(columns))

    @cached_property
    def sources(self) -> Sources:
        """What details of concepts and items are made of."""
        return Sources(self.run, self.dictionary, self.items)

    @cached_property
    def example_holders(self) -> list[Context | Literal["gone", "changed"]]:
        """Per list that was compared with the run, what holds its entries' examples, or why nothing does."""
        opened = [open_examples(kept) for kept in self.sources.lists]
        runs = [replace(self, run=held, dictionary=None) if isinstance(held, RunFolder) else held for held in opened]
        return [self if run is None else run for run in runs]

    @cached_property
    def windows(self) -> Windows:
        """Which part of each item's text is kept."""
        return _windows(self.sources, self.amounts.text)

    @cached_property
    def cut_items(self) -> int:
        """Items whose text, response or answer is longer than what is kept of it."""
        limit = self.amounts.text
        if limit is None:
            return 0
        longer = (pl.col(name).str.len_chars() > limit for name in ("text", "response", "answer"))
        counted = self.run.scan("items").select(pl.any_horizontal(*longer).sum())
        return int(self.run.files.collect("items", counted).item())

    @cached_property
    def ranked(self) -> rankings.Ranking:
        """Concepts by their adjusted gap."""
        return rankings.ranking(self.concepts, self.run.manifest["evidence"])

    @cached_property
    def themes(self) -> Themes | None:
        """Themes of the run; None: it has none."""
        return read_run_themes(self.run)


def _windows(sources: Sources, limit: int | None) -> Windows:
    """Choose at most ``limit`` characters of each text, around the item's own text, which may lie at its end.

    Parameters
    ----------
    limit : int, optional
        None keeps texts whole. Their lengths are then not needed and not read: each counts as of the largest length.
    """
    if limit is None:
        longest = np.full(sources.items.height, np.iinfo(np.int32).max, np.int64)
        return Windows(np.zeros_like(longest), longest, longest)
    table = sources.lengths.fill_null(0)
    length, first, last = (table[name].cast(int).to_numpy() for name in ("length", "own_start", "own_end"))
    room = np.maximum(limit - (last - first), 0)
    start = np.clip(first - room // 2, 0, np.maximum(length - limit, 0))
    return Windows(start, np.minimum(start + limit, length), length)


def _each(texts: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Change each text; most of those that are not null are alike."""
    known = texts.drop_nulls().unique().to_list()
    return (
        texts.cast(pl.String).replace_strict(known, [change(text) for text in known], default=None) if known else texts
    )
