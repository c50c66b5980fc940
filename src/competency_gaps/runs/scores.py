"""Scores of other models on a run's items, in ``scores.parquet``: matched to the items, added, and read.

The reader (a model and its SAE) reads the items once; any other model then only needs its scores on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from competency_gaps.items.item import NO_SCORE
from competency_gaps.items.options import stem
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import RunFiles, files_of_former, read_manifest, write_tables
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.schemas import SCORES, Schema
from competency_gaps.util.checked import FILES
from competency_gaps.util.errors import UserError, argument, no_such
from competency_gaps.util.lock import hold

NAME = "scores"
FILE = f"{NAME}.parquet"


@dataclass(frozen=True)
class ModelScores:
    """Scores of all of a run's models. M models, N items of ``items.parquet``."""

    models: tuple[str, ...]
    values: np.ndarray
    """float64 of shape (M, N), in [0, 1]; NaN = unscored or excluded."""
    asked: np.ndarray
    """bool of shape (M, N): whether the model is known to have been asked, which needs a row for the item; False for
excluded items."""

    def of(self, model: str) -> np.ndarray:
        """Return one model's scores: float64 of shape (N,).

        Raises
        ------
        UserError
            If the run has no scores of the model.
        """
        return np.asarray(self.values[self.row(model)])

    def named(self, model: str) -> str:
        """Return a model's full name, with the prefix ``embedded:`` where a bundled model is named without it."""
        packaged = f"embedded:{model}"
        return packaged if packaged in self.models and model not in self.models else model

    def row(self, model: str) -> int:
        """Return the row of a model in the arrays; raises UserError if the run has no scores of it."""
        if model not in self.models:
            raise no_such("the run has no scores of the model", model, self.models)
        return self.models.index(model)


def model_scores(run: RunFolder) -> ModelScores:
    """Return the scores of all models, the run's own model first if it has one; cached until the run changes.

    The own model is the one whose scores are in ``items.parquet``: the reader, or the model of the logs.
    """
    written = tuple(path.stat().st_mtime_ns for name in (MANIFEST, FILE) if (path := run.path / name).is_file())
    return _model_scores(str(run.path.resolve()), written)


@lru_cache(maxsize=4)
def _model_scores(path: str, written: tuple[int, ...]) -> ModelScores:
    run = open_folder(path)
    items = run.files.collect("items", run.scan("items").select("score", "scorer", "excluded"))
    table = read_scores(run.path, "model", "item", "score")
    added = table["model"].unique(maintain_order=True).to_list()
    models = [*added] if run.own_model is None else [run.own_model, *added]
    values = np.full((len(models), items.height), np.nan)
    asked = np.zeros(values.shape, bool)
    if run.own_model is not None:
        values[0], asked[0] = items["score"].fill_null(np.nan), items["scorer"] != "none"
    if added:
        row = table["model"].replace_strict(models, range(len(models)), return_dtype=pl.Int64)
        cell = row.to_numpy(), table["item"].to_numpy()
        values[cell], asked[cell] = table["score"].fill_null(np.nan), True
    kept = items["excluded"].is_null().to_numpy()
    values[:, ~kept] = np.nan
    return ModelScores(tuple(models), values, asked & kept)


def read_scores(folder: Path, *columns: str) -> pl.DataFrame:
    """Return ``scores.parquet`` as it is on disk now, or some of its columns; empty if no model was added.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    return _files(folder).collect(NAME, scan_scores(folder).select(columns or pl.all()))


def scan_scores(folder: Path) -> pl.LazyFrame:
    """Return ``scores.parquet`` as a lazy frame; empty if no model was added."""
    files = _files(folder)
    return files.scan(NAME) if files.has(NAME) else pl.LazyFrame(schema=SCORES)


def check_scores(folder: Path) -> None:
    """Raise UserError if the added scores in a run are damaged; call it before a new manifest records their checksum.

    Passes if the manifest is unreadable: then there is no checksum to compare with.
    """
    try:
        files = _files(folder)
    except UserError:
        return
    if (folder / FILE).is_file():
        files.scan(NAME)


def _files(folder: Path) -> RunFiles:
    """Return the reader of a run's tables by the manifest on disk now: scores may be added to a run that is open.

    While the tables are being rebuilt, the checksum of the scores comes from the previous manifest.
    """
    if (folder / MANIFEST).is_file():
        return RunFiles(folder, read_manifest(folder))
    known = files_of_former(folder).get(FILE)
    return RunFiles(folder, {} if known is None else {FILES: {FILE: known}})


ROWS: Schema = {
    "model": pl.String,
    "id": pl.String,
    # null: the id alone says which item it is.
    "benchmark": pl.String,
    # In [0, 1]; null: unscored.
    "score": pl.Float64,
    "response": pl.String,
    # The item's own text, by which a row is matched if no item of its id has this text; null: by the id alone.
    "prompt": pl.String,
}
"""Models' results as log files state them, not yet matched to items: one row per item and model."""
_KEYS = ["id", "benchmark", "prompt"]
"""Columns of ``ROWS`` that identify the item of a row."""


@dataclass(frozen=True)
class MatchedModel:
    """Counts of one model's matched and unmatched rows."""

    model: str
    matched: int
    """Number of items of the run that got a row."""
    scored: int
    """Of these, those with a score."""
    by_prompt: int
    """Of these, those matched by the text of the prompt, not by the id."""
    unmatched: int
    """Rows that belong to no item of the run."""
    other_text: int
    """Of these, rows with the id of an item that has another prompt."""
    examples: tuple[str, ...]
    """Ids of up to three unmatched rows."""


class MatchedScores(NamedTuple):
    """Models' scores by item of a run, and the counts of the matching."""

    table: pl.DataFrame
    """Columns of ``scores.parquet``."""
    models: list[MatchedModel]


def add_scores(run: RunFolder, rows: pl.DataFrame, *, replace: bool = False) -> list[MatchedModel]:
    """Add models' scores to a run and return the counts of matched rows, one per model.

    Parameters
    ----------
    rows
        Columns of ``ROWS``, as in :func:`match_scores`.
    replace
        Whether a model's new score of an item replaces another that the run has; if not, a conflict is an error. A row
        that is already there unchanged is never an error, so a stopped command can be repeated.

    Raises
    ------
    UserError
        As :func:`match_scores`. Nothing is added then.
    """
    with hold(run.path):
        present = None if replace else read_scores(run.path, "model", "item", "score", "response")
        items = run.items.select("benchmark", "item_id", "prompt").iter_rows()
        matched = match_scores(items, rows, run.own_model, present)
        write_scores(run.path, matched.table)
    return matched.models


def write_scores(folder: Path, table: pl.DataFrame) -> None:
    """Add rows to ``scores.parquet``, replacing rows of the same model and item."""
    rows = pl.concat([read_scores(folder), table]).unique(["model", "item"], keep="last", maintain_order=True)
    write_tables(folder, {FILE: rows})


def match_scores(
    items: Iterable[tuple[str, str, str]],
    rows: pl.DataFrame,
    own_model: str | None = None,
    present: pl.DataFrame | None = None,
    *,
    strict: bool = True,
) -> MatchedScores:
    """Match each score to an item, by benchmark and id or else by the text of the prompt.

    Parameters
    ----------
    items
        Benchmark, id and prompt of each item of the run, in order.
    rows
        The scores, with the columns of ``ROWS``.
    own_model
        Name of the model whose scores are in ``items.parquet``; None if these have no scores.
    present
        Scores and responses that the run has (columns of ``scores.parquet``) and that must not change; None: no check.
    strict
        Whether it is an error if no row of a model matches.

    Returns
    -------
    MatchedScores

    Raises
    ------
    UserError
        If a model is unnamed or the run's own, a model has two rows for an item or another result than in ``present``,
        a score is outside [0, 1], an id occurs in several benchmarks, or (``strict``) no row of a model matches.
    """
    _check(rows, own_model)
    index = _ItemIndex(items)
    asked = rows.unique(_KEYS, keep="first", maintain_order=True).select("model", *_KEYS)
    matches = pl.DataFrame(list(map(index.find, *asked)), _MATCH, orient="row")
    rows = rows.join(asked.drop("model").hstack(matches), _KEYS, "left", nulls_equal=True, maintain_order="left")
    matched = rows.filter(pl.col("item").is_not_null())
    _check_unique(matched, present)
    models = [_count(rows_of_model) for rows_of_model in rows.partition_by("model", maintain_order=True)]
    for model in models if strict else ():
        if not model.matched:
            other = f" ({model.other_text:,} of them have an item's id but another prompt)" if model.other_text else ""
            raise UserError(
                f"none of the {model.unmatched} rows of {model.model!r} belongs to an item of the run, such as "
                f"{', '.join(model.examples)}{other}; the run's ids look like {', '.join(index.examples())}."
            )
    why = pl.when(pl.col("score").is_null()).then(pl.lit(NO_SCORE.as_dict(), dtype=SCORES["unscored"]))
    tables = [part.sort("item") for part in matched.partition_by("model", maintain_order=True)]
    table = pl.concat([matched.clear(), *tables]).with_columns(why.alias("unscored")).select(*SCORES)
    return MatchedScores(table, models)


def _check(rows: pl.DataFrame, own_model: str | None) -> None:
    """Raise UserError if a model has no name or is the run's own, or a score is outside [0, 1]."""
    for item in rows.filter(pl.col("model").str.strip_chars() == "")["id"]:
        raise UserError(f"the scores of item {item!r} belong to a model without a name: name it or drop the column.")
    if own_model is not None and own_model in rows["model"]:
        raise UserError(f"{own_model!r} is the run's own model: choose another name.")
    for model, item, score in rows.filter(~pl.col("score").is_between(0, 1)).select("model", "id", "score").iter_rows():
        raise UserError(f"{model}, item {item!r}: the score {score:g} is outside [0, 1].")


def _check_unique(rows: pl.DataFrame, present: pl.DataFrame | None) -> None:
    """Raise UserError if a model has two rows for an item, or a result that differs from the ``present`` one."""
    keys = ["model", "item"]
    if present is not None:
        joined = rows.join(present, keys, suffix="_present", maintain_order="left")
        changed = [pl.col(name).ne_missing(pl.col(f"{name}_present")) for name in ("score", "response")]
        for model, item in joined.filter(pl.any_horizontal(changed)).select("model", "id").iter_rows():
            raise UserError(
                f"the run already has another score of {model!r} on the item {item!r}: choose another name or "
                f"give {argument('replace')}."
            )
    twice = rows.group_by(keys, maintain_order=True).agg("id", "score").filter(pl.col("id").list.len() > 1)
    for model, _, ids, scores in twice.iter_rows():
        first, second = ("none" if score is None else f"{score:g}" for score in scores[:2])
        raise UserError(
            f"{model} has two rows for the item {ids[1]!r} (scores {first} and {second}). "
            "Keep one, or average them first."
        )


def _count(rows: pl.DataFrame) -> MatchedModel:
    """Return the counts of one model's rows."""
    matched, unmatched = rows.filter(pl.col("item").is_not_null()), rows.filter(pl.col("item").is_null())
    return MatchedModel(
        model=rows["model"][0],
        matched=matched.height,
        scored=matched["score"].count(),
        by_prompt=int(matched["by_prompt"].sum()),
        unmatched=unmatched.height,
        other_text=int(unmatched["other_text"].sum()),
        examples=tuple(unmatched["id"].head(3)),
    )


_MATCH: Schema = {
    # Number of the item that a row belongs to; null: there is none.
    "item": pl.Int32,
    "by_prompt": pl.Boolean,
    # Whether an item with the row's id has another prompt.
    "other_text": pl.Boolean,
}


class _ItemIndex:
    """Looks up the run's items by benchmark and id, and by prompt."""

    def __init__(self, items: Iterable[tuple[str, str, str]]) -> None:
        self._benchmarks: list[str] = []
        self._by_id: dict[str, dict[str, int]] = {}
        self._prompts: list[str] = []
        self._stems: list[str] = []
        # By the whole text and, since a log may lack the options, by the stem.
        self._by_prompt: dict[str, list[tuple[str, int]]] = {}
        for number, (benchmark, item, prompt) in enumerate(items):
            self._prompts.append(_words(prompt))
            self._stems.append(_words(stem(prompt)))
            self._by_id.setdefault(item, {})[benchmark] = number
            for text in {self._prompts[number], self._stems[number]}:
                self._by_prompt.setdefault(text, []).append((benchmark, number))
            if benchmark not in self._benchmarks:
                self._benchmarks.append(benchmark)

    def find(self, model: str, row_id: str, benchmark: str | None, prompt: str | None) -> tuple[int | None, bool, bool]:
        """Return a row's item as in ``_MATCH``: by id unless the prompt differs, else by an unambiguous prompt."""
        if benchmark is not None and benchmark not in self._benchmarks:
            raise no_such(f"scores of {model!r}: the run has no benchmark", benchmark, self._benchmarks)
        same_id = self._by_id.get(row_id, {})
        if benchmark is not None:
            same_id = {name: item for name, item in same_id.items() if name == benchmark}
        if len(same_id) > 1:
            raise UserError(
                f"the id {row_id!r} occurs in several benchmarks ({', '.join(same_id)}): name the benchmark of the "
                "scores."
            )
        asked = _words(prompt or "")
        for item in same_id.values():
            # A log may hold the options in another form, and examples or a template around the item.
            if not asked or asked in self._prompts[item] or self._stems[item] in asked:
                return item, False, False
        same_prompt = [item for name, item in self._by_prompt.get(asked, []) if asked and benchmark in (None, name)]
        # Items with equal prompts cannot be distinguished by them.
        return (same_prompt[0], True, False) if len(same_prompt) == 1 else (None, False, bool(same_id))

    def examples(self) -> list[str]:
        """Return up to three ids, for messages."""
        return list(self._by_id)[:3]


def _words(text: str) -> str:
    """Return the text with white space folded to single blanks."""
    return " ".join(text.split())
