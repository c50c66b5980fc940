"""Scores of other models on a run's items: ``scores.parquet``, one row per item and model.

What the items are about is read once, with the run's model and SAE (the *lens*); how well any model does on them is a
column of scores. Rows are matched to the run's items by benchmark and id, else by the text of the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.errors import UserError, argument, nearest
from competency_gaps.files import write_atomic
from competency_gaps.items.remark import DTYPE, Remark
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import plural

FILE = "scores.parquet"
SCHEMA: dict[str, Any] = {
    "item": pl.Int32,
    "model": pl.String,
    "score": pl.Float64,
    "response": pl.String,
    "unscored": DTYPE,
}


@dataclass(frozen=True)
class Scored:
    """One model's result on one item, as a file states it."""

    model: str
    id: str
    benchmark: str | None
    """None: the id alone says which item it is."""
    score: float | None
    """In [0, 1]; None = unscored."""
    response: str | None = None
    prompt: str | None = None
    """The item's own text, by which it is matched where no item has the id; None: by the id alone."""
    unscored: Remark | None = None


@dataclass(frozen=True)
class Added:
    """What became of the rows of one model."""

    model: str
    matched: int
    """Items of the run that have a row now."""
    scored: int
    """Of these, those with a score."""
    by_prompt: int
    """Matched by the text of the prompt."""
    unmatched: int
    """Rows that belong to no item of the run."""
    examples: tuple[str, ...]
    """Ids of some of these."""

    def sentence(self) -> str:
        """Say what was added, and what was not."""
        text = f"{self.model}: scores of {self.scored:,} of {plural(self.matched, 'item')} that match the run's"
        if self.by_prompt:
            text += f" ({self.by_prompt:,} by their prompt)"
        if self.unmatched:
            text += f"; {plural(self.unmatched, 'row')} match none, such as {', '.join(self.examples)}"
        return text + "."


@dataclass(frozen=True)
class ModelScores:
    """Scores of all models of a run. M models, N items of ``items.parquet``."""

    models: tuple[str, ...]
    values: np.ndarray
    """float64 of shape (M, N), in [0, 1]; NaN = unscored or excluded."""

    def of(self, model: str) -> np.ndarray:
        """One model's scores: shape (N,).

        Raises
        ------
        UserError
            If the run has no scores of the model.
        """
        return np.asarray(self.values[self.row(model)])

    def row(self, model: str) -> int:
        """The number of a model; raises UserError if the run has no scores of it."""
        if model not in self.models:
            raise UserError(
                f"the run has no scores of the model {model!r}; it has those of "
                f"{', '.join(self.models) or 'no model'}.{nearest(model, self.models)}"
            )
        return self.models.index(model)


def model_scores(run: RunFolder) -> ModelScores:
    """Read the scores of all models, the run's own first if it has any.

    The scores of ``items.parquet`` belong to the model that the manifest names under ``scored_model``: the lens, or the
    model of the logs that the items came from.
    """
    items = run.scan("items").select("score", "excluded").collect()
    kept = items["excluded"].is_null().to_numpy()
    columns: dict[str, np.ndarray] = {}
    if items["score"].is_not_null().any():
        columns[run.scored_model] = items["score"].fill_null(float("nan")).to_numpy().copy()
    table = read_scores(run.path)
    for model in table["model"].unique(maintain_order=True):
        own = table.filter(pl.col("model") == model)
        values = np.full(items.height, np.nan)
        values[own["item"].to_numpy()] = own["score"].fill_null(float("nan")).to_numpy()
        columns[str(model)] = values
    matrix = np.stack([*columns.values()]) if columns else np.zeros((0, items.height))
    matrix[:, ~kept] = np.nan
    return ModelScores(tuple(columns), matrix)


def read_scores(folder: Path) -> pl.DataFrame:
    """Read ``scores.parquet``; empty where no model was added."""
    path = folder / FILE
    return pl.read_parquet(path) if path.is_file() else pl.DataFrame(schema=SCHEMA)


def add_scores(run: RunFolder, rows: Iterable[Scored], *, replace: bool = False) -> list[Added]:
    """Add models to a run.

    Parameters
    ----------
    replace
        Whether models that were added before are replaced.

    Raises
    ------
    UserError
        If a model is in the run already (and is not to be replaced, or is the run's own), an item has two rows of one
        model, a score is outside [0, 1], an id stands in several benchmarks, or no row of a model belongs to an item.
        Nothing is added then.
    """
    items = _Items(run)
    before = read_scores(run.path)
    taken = {run.scored_model, *(() if replace else before["model"].unique())}
    matched: dict[str, dict[int, Scored]] = {}
    lost: dict[str, list[str]] = {}
    by_prompt: dict[str, int] = {}
    for row in rows:
        if row.model in taken:
            raise UserError(
                f"the run has scores of {row.model!r} already: give the model another name"
                + (f", or {argument('replace')}." if row.model != run.scored_model else ".")
            )
        if row.score is not None and not 0 <= row.score <= 1:
            raise UserError(f"{row.model}, item {row.id!r}: the score {row.score:g} is outside [0, 1].")
        own = matched.setdefault(row.model, {})
        item, through_prompt = items.find(row)
        if item is None:
            lost.setdefault(row.model, []).append(row.id)
            continue
        if item in own:
            raise UserError(
                f"{row.model} has two rows for the item {row.id!r} (scores {_number(own[item].score)} and "
                f"{_number(row.score)}). Keep one, or average them first."
            )
        own[item] = row
        by_prompt[row.model] = by_prompt.get(row.model, 0) + through_prompt
    added = []
    for model, own in matched.items():
        gone = lost.get(model, [])
        if not own:
            raise UserError(
                f"none of the {len(gone)} rows of {model!r} belongs to an item of the run, e.g. {gone[:3]}; the run's "
                f"ids are such as {items.examples()}."
            )
        scored = sum(row.score is not None for row in own.values())
        added.append(Added(model, len(own), scored, by_prompt.get(model, 0), len(gone), tuple(gone[:3])))
    kept = before.filter(~pl.col("model").is_in(list(matched)))
    table = pl.concat([kept, *(_table(model, own) for model, own in matched.items())])
    write_atomic(run.path / FILE, table.write_parquet)
    return added


def _table(model: str, rows: dict[int, Scored]) -> pl.DataFrame:
    ordered = sorted(rows.items())
    return pl.DataFrame(
        {
            "item": [item for item, _ in ordered],
            "model": [model] * len(ordered),
            "score": [row.score for _, row in ordered],
            "response": [row.response for _, row in ordered],
            "unscored": [
                None if row.score is not None else (row.unscored or Remark("source_no_score")).as_dict()
                for _, row in ordered
            ],
        },
        schema=SCHEMA,
    )


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:g}"


class _Items:
    """The run's items by benchmark and id, and by prompt."""

    def __init__(self, run: RunFolder) -> None:
        table = run.items.select("benchmark", "item_id", "prompt")
        self._benchmarks: Sequence[str] = table["benchmark"].unique(maintain_order=True).to_list()
        self._by_id: dict[str, dict[str, int]] = {}
        self._by_prompt: dict[str, list[tuple[str, int]]] = {}
        for number, (benchmark, item, prompt) in enumerate(table.iter_rows()):
            self._by_id.setdefault(item, {})[benchmark] = number
            self._by_prompt.setdefault(prompt.strip(), []).append((benchmark, number))

    def find(self, row: Scored) -> tuple[int | None, bool]:
        """The number of a row's item, and whether it was found through its prompt; None: there is none."""
        if row.benchmark is not None and row.benchmark not in self._benchmarks:
            raise UserError(
                f"scores of {row.model!r} name the benchmark {row.benchmark!r}; the run has "
                f"{', '.join(self._benchmarks)}.{nearest(row.benchmark, self._benchmarks)}"
            )
        places = self._by_id.get(row.id, {})
        if row.benchmark is not None:
            places = {name: item for name, item in places.items() if name == row.benchmark}
        if len(places) > 1:
            raise UserError(
                f"the id {row.id!r} stands in several benchmarks ({', '.join(places)}): say which the scores are of."
            )
        if places:
            return next(iter(places.values())), False
        alike = [
            item
            for name, item in self._by_prompt.get((row.prompt or "").strip(), [])
            if row.prompt and row.benchmark in (None, name)
        ]
        # Items that ask the same cannot be told apart by their prompts.
        return (alike[0], True) if len(alike) == 1 else (None, False)

    def examples(self) -> list[str]:
        return list(self._by_id)[:3]
