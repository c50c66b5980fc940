"""Data that several parts of a run share, computed once; texts of items are read again for each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl
import polars.selectors as cs

from competency_gaps.concepts.exemplars import Exemplars
from competency_gaps.concepts.folder import Dictionary
from competency_gaps.concepts.labels import empty_labels
from competency_gaps.findings import kept
from competency_gaps.findings.answer import slices_of
from competency_gaps.findings.finding import Answer
from competency_gaps.findings.match import Matching, read_matchings
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.schemas import SCORES
from competency_gaps.runs.scores import ModelScores, model_scores, scan_scores
from competency_gaps.slices import Family
from competency_gaps.util.errors import UserError
from competency_gaps.view.page.parts.excerpts import excerpts
from competency_gaps.view.page.parts.names import display_names, last_names
from competency_gaps.view.page.parts.records import names
from competency_gaps.view.page.parts.records.details import ConceptInBenchmark, ConceptLabel, SearchResult


@dataclass(frozen=True)
class Amounts:
    """Maximum lengths of lists and texts; the defaults are those of a server."""

    strongest: int = 3
    """Items of a concept in which it is strongest."""
    best: int = 5
    """Its items of the best score, and as many of the worst."""
    similar: int = 10
    """Concepts with a similar decoder direction."""
    promoted: int = 10
    """Tokens that it promotes, and as many that it suppresses."""
    exemplars: int = 5
    """Windows of text."""
    exemplar_tokens: int | None = None
    """Tokens of a window, around its strongest; None: all."""
    active_tokens: int | None = None
    """Tokens of an item on which a concept is active, the strongest; None: all."""
    benchmarks: bool = True
    """Whether a concept's detail holds its numbers in each benchmark, or leaves them to the benchmarks' tables."""
    salient: int | None = None
    """Concepts of an item, the most salient; None: all that are active in it."""
    text: int | None = None
    """Characters of an item's text, response or answer; None: whole."""
    sides: bool = True
    """Whether every slice has its failing and passing items, or only those that an answer lists."""


SERVED = Amounts()
EXPORTED = Amounts(
    strongest=2,
    best=3,
    similar=5,
    promoted=8,
    exemplars=2,
    exemplar_tokens=24,
    active_tokens=8,
    benchmarks=False,
    salient=12,
    text=6_000,
)
"""[ours] For a folder."""
ONE_FILE = replace(EXPORTED, benchmarks=True, salient=0, text=None, sides=False)
"""[ours] For one file: what findings rest on, and as many concepts and items as there is room for."""
ITEM_COLUMNS = (
    *("benchmark", "item_id", "group", "score", "scorer", "n_tokens", "n_span_tokens", "cluster", "cluster_kind"),
    *("epochs", "excluded", "unscored"),
)
"""Columns of ``items.parquet`` without an item's texts, which may be a gigabyte."""
TEXTS = (
    *("item_id", "text", "response", "answer", "body_start", "body_end", "logprobs", "details"),
    *("choices", "answer_index"),
)
"""Columns of ``items.parquet`` that only an item's detail needs."""
SEARCHED = ("text", "response", "answer", "item_id")
"""Columns that a search looks at."""
_PRIVATE = ("base_url", "key_env", "extra")
"""Settings of the judge that no export includes: its address, the source of its key, and extra parameters."""


Numbers = TypeVar("Numbers", pl.Series, pl.Expr)
Answers = Mapping[tuple[int, str], Mapping[str, Any]]
"""By item and model: ``response`` and ``unscored``."""


class TextRanges(NamedTuple):
    """The range of each item's text that the parts hold."""

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
    texts: bool = True
    """Whether prompts, responses, expected answers and what quotes them are in the parts."""
    concepts_per_part: int = 1
    items_per_part: int = 1
    amounts: Amounts = SERVED
    """How much details hold."""

    @cached_property
    def names(self) -> list[str]:
        """Names of the benchmarks, in order."""
        return [str(entry["name"]) for entry in self.run.manifest["benchmarks"]]

    @cached_property
    def benchmark_index(self) -> dict[str, int]:
        """Index in ``names`` by a benchmark's name."""
        return {name: number for number, name in enumerate(self.names)}

    def shown(self, path: Path) -> str:
        """Return a path as it is shown: only its last name if the parts are portable."""
        return path.name if self.portable else str(path)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The run's manifest as it is shown.

        Where the parts are portable it has last names of paths, and does not say where a judge is, or its key. Without
        texts, nothing is left of what may quote one. Names of benchmarks are as in the tables.
        """
        content = self.run.manifest
        if not self.portable:
            return content
        shown = last_names(content)
        for key in _PRIVATE:
            (shown["settings"].get("judge") or {}).pop(key, None)
        if not self.texts:
            shown = {**_without_quotes(shown), "command": "", "settings": {}}
        for entry, name in zip(shown["benchmarks"], self.names, strict=True):
            entry["name"] = name
        # Names of benchmarks are keys here, so they must not be shortened as paths are.
        shown["evidence"] = content["evidence"]
        return dict(shown)

    @cached_property
    def model_scores(self) -> ModelScores:
        """Scores of all models on the items."""
        return model_scores(self.run)

    @cached_property
    def model_names(self) -> list[str]:
        """Names of the models of ``model_scores`` as they are shown."""
        return display_names(self.model_scores.models)

    @cached_property
    def families(self) -> list[Family]:
        """The slices of the run's items."""
        return slices_of(self.run)

    def answer(self, model: int, against: str | None) -> Answer | None:
        """Return the answer about a model, by its index; None: no item is scored."""
        with suppress(UserError):
            return kept.answer(self.run, self.model_scores.models[model], against)
        return None

    @property
    def all_answers(self) -> list[Answer]:
        """All answers that a page shows: of every model, against its peers and by its scores alone."""
        models = range(len(self.model_scores.models))
        wanted = [(model, against) for model in models for against in (None, "benchmark")]
        return [answer for of in wanted if (answer := self.answer(*of)) is not None]

    @cached_property
    def named_slices(self) -> set[int]:
        """Slices that an answer names."""
        return {finding.slice for answer in self.all_answers for finding in answer.findings}

    @cached_property
    def slice_names(self) -> dict[int, str]:
        """Names of slices without words of their items, in the place of those that have some; without texts only."""
        if self.texts:
            return {}
        return {
            int(number): " ".join([*filter(None, [name.partition("“")[0].rstrip(": ")]), f"({family.name} {number})"])
            for family in self.families
            for number, name, words in zip(family.number, family.names, family.words, strict=False)
            if any(word in name for word in words)
        }

    @cached_property
    def quoting_names(self) -> set[str]:
        """The names that these stand for."""
        return {
            name
            for family in self.families
            for number, name in zip(family.number, family.names, strict=True)
            if int(number) in self.slice_names
        }

    @cached_property
    def excerpts(self) -> pl.DataFrame:
        """The beginnings of each item's texts."""
        return excerpts(self.run, self.items.height, texts=self.texts)

    @cached_property
    def items(self) -> pl.DataFrame:
        """One row per item: ``ITEM_COLUMNS``, the reasons of ``excluded`` and ``unscored`` in words.

        ``together`` counts the items of its cluster, ``repeats`` those that ask the same: itself too, so both are at
        least 1.
        """
        table = self.run.files.collect("items", self.run.scan("items").select(ITEM_COLUMNS))
        for name in ("excluded", "unscored"):
            # A reason's text may quote; its code does not.
            words = table[name].struct.field("text" if self.texts else "code")
            words = words.map_elements(last_names, pl.String) if self.portable else words
            table = table.with_columns(words.alias(name))
        size, same = pl.len().over("cluster"), pl.Series(repeats(table))
        return table.with_columns(together=size, repeats=pl.when(same).then(size).otherwise(1))

    def item_texts(self, first: int, count: int) -> pl.DataFrame:
        """Return ``TEXTS`` of consecutive items; null if the parts have no texts."""
        shown = self.run.scan("items").slice(first, count).select(TEXTS)
        if not self.texts:
            kept = ("item_id", "body_start", "body_end", "logprobs")
            schema = shown.collect_schema()
            shown = shown.with_columns(pl.lit(None, schema[name]).alias(name) for name in TEXTS if name not in kept)
        return self.run.files.collect("items", shown)

    def answers(self, rows: Sequence[int]) -> pl.DataFrame:
        """What other models answered to items, as ``scores.parquet`` has it."""
        of_rows = pl.col("item").is_in(list(rows))
        if self.portable:
            return self._answers.filter(of_rows)
        return self.run.files.collect("scores", scan_scores(self.run.path).filter(of_rows))

    def answers_of(self, wanted: Sequence[tuple[int, str]]) -> Answers:
        """Return the answers of the given pairs of item and model."""
        of = pl.LazyFrame(wanted, {name: SCORES[name] for name in ("item", "model")}, orient="row")
        shown = scan_scores(self.run.path).join(of, on=["item", "model"], how="semi")
        return by_item_and_model(self.run.files.collect("scores", shown))

    @cached_property
    def _answers(self) -> pl.DataFrame:
        """All of them, read once. Those that say no more than the score are left out."""
        is_known = pl.any_horizontal(pl.col("response", "unscored").is_not_null())
        shown = scan_scores(self.run.path).filter(is_known).select("item", "model", "unscored", "response")
        return self.run.files.collect("scores", shown, "streaming")

    def search(self, query: str, limit: int) -> SearchResult:
        """Return the items whose text, response, answer or id contains ``query``, regardless of case.

        Parameters
        ----------
        query
            Taken literally, stripped of blanks at its ends. Blank: no results.
        limit
            Maximum number of rows; the result's ``total`` counts all.
        """
        wanted = query.strip().lower()
        if not wanted:
            return SearchResult([], 0)
        holds = (pl.col(name).str.to_lowercase().str.contains(wanted, literal=True) for name in SEARCHED)
        answers = self.run.scan("items").select(pl.any_horizontal(holds).fill_null(value=False).arg_true().alias("row"))
        rows = self.run.files.collect("items", answers, "streaming")["row"].to_list()
        return SearchResult(rows[:limit], len(rows))

    @cached_property
    def in_benchmarks(self) -> pl.DataFrame:
        """How each concept stands in each benchmark, in the order of the benchmarks."""
        # In the types in which a hundred thousand concepts take least room.
        small = cs.integer().cast(pl.Int32), cs.float().cast(pl.Float32), cs.string().cast(pl.Categorical)
        scanned = self.run.scan("concept_benchmarks").select(names(ConceptInBenchmark)).with_columns(*small)
        if self.portable:
            scanned = scanned.with_columns(pl.col(pl.Float32).cast(pl.Float64).fill_nan(None).round_sig_figs(4))
        return self.run.files.collect("concept_benchmarks", scanned)

    @cached_property
    def scores(self) -> np.ndarray:
        """float64 of shape (items,): NaN = unscored."""
        return self.items["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    @cached_property
    def rank(self) -> np.ndarray:
        """int32 of shape (items,): each item's place by item_id, then by row; it settles ties."""
        return self.items["item_id"].rank("ordinal").cast(pl.Int32).to_numpy()

    @cached_property
    def tau(self) -> np.ndarray:
        """float64 of shape (width,): a typical CAS, > 0; 1 where a concept is never active."""
        tau = self.run.concepts["tau"].cast(pl.Float64).fill_null(1.0).fill_nan(1.0).to_numpy()
        return np.where(tau > 0, tau, 1.0)

    def rounded(self, values: Numbers, digits: int = 4) -> Numbers:
        """Return numbers rounded if the parts are exported: numbers are most of an export, and the page shows three
        digits.
        """
        return significant(values, digits) if self.portable else values

    @cached_property
    def exemplars(self) -> Exemplars | None:
        """Windows of text; None: there are none, or they are left out, since they may be of the run's own items."""
        dictionary = self.dictionary
        return dictionary.exemplars if self.texts and dictionary is not None and dictionary.has_exemplars else None

    @cached_property
    def labels(self) -> tuple[list[dict[str, Any]], np.ndarray]:
        """All labels, by concept, those first that the dictionary would rather show; and where each concept's start."""
        table = self.dictionary.labels() if self.dictionary is not None else empty_labels()
        table = table.filter(pl.col("label").is_not_null()).sort("concept", maintain_order=True)
        start = np.searchsorted(table["concept"].to_numpy(), np.arange(self.run.width + 1))
        return table.select(names(ConceptLabel)).to_dicts(), start

    @cached_property
    def lists(self) -> list[Matching]:
        """Other people's lists that were compared with the run."""
        return read_matchings(self.run)

    @cached_property
    def region_names(self) -> list[str]:
        """Names of the atlas's regions; without texts no words, as the map's texts may be those of the run."""
        if self.run.regions is None:
            return []
        regions = self.run.regions.select("region", "name", "kind").iter_rows()
        return [name if self.texts or kind != "words" else f"region {number}" for number, name, kind in regions]

    @cached_property
    def text_ranges(self) -> TextRanges:
        """The range of each text that the parts hold: at most ``amounts.text`` characters around the item's own."""
        limit = self.amounts.text
        if limit is None:
            # Lengths are then not needed and not read: each counts as of the largest length.
            longest = np.full(self.items.height, np.iinfo(np.int32).max, np.int64)
            return TextRanges(np.zeros_like(longest), longest, longest)
        shown = self.run.scan("items").select(pl.col("text").str.len_chars().alias("length"), "body_start", "body_end")
        table = self.run.files.collect("items", shown, "streaming").fill_null(0)
        length, first, last = (table[name].cast(int).to_numpy() for name in ("length", "body_start", "body_end"))
        room = np.maximum(limit - (last - first), 0)
        start = np.clip(first - room // 2, 0, np.maximum(length - limit, 0))
        return TextRanges(start, np.minimum(start + limit, length), length)

    @cached_property
    def cut_items(self) -> int:
        """Items whose text, response or answer is longer than what is kept of it."""
        limit = self.amounts.text
        if limit is None:
            return 0
        longer = (pl.col(name).str.len_chars() > limit for name in ("text", "response", "answer"))
        counted = self.run.scan("items").select(pl.any_horizontal(*longer).sum())
        return int(self.run.files.collect("items", counted).item())


def by_item_and_model(answers: pl.DataFrame) -> Answers:
    """Return rows of ``scores.parquet`` by item and model."""
    return {(row["item"], row["model"]): row for row in answers.iter_rows(named=True)}


def significant(values: Numbers, digits: int = 4) -> Numbers:
    """Return values rounded to this many significant digits."""
    return values.cast(pl.Float64).round_sig_figs(digits)


def _without_quotes(value: Any) -> Any:
    """Return a manifest without the texts of reasons, and without the places that they name."""
    if isinstance(value, Mapping):
        if value.keys() >= {"code", "text"}:
            return {**value, "text": value["code"]}
        cleared: dict[str, Any] = {"where": None, "figures": {}}
        return {key: cleared[key] if key in cleared else _without_quotes(item) for key, item in value.items()}
    return [_without_quotes(item) for item in value] if isinstance(value, list) else value
