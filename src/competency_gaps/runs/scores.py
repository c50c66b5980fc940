"""Scores of other models on a run's items: ``scores.parquet``, one row per item and model.

What the items are about is read once, with the run's model and SAE (the *lens*); how well any model does on them is a
column of scores. Rows are matched to the run's items by benchmark and id, else by the text of the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from competency_gaps.checked import FILES
from competency_gaps.errors import UserError, argument, nearest
from competency_gaps.items.remark import DTYPE, Remark
from competency_gaps.lock import hold
from competency_gaps.runs.files import RunFiles
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import files_of_former, read_manifest, write_table
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import plural

NAME = "scores"
FILE = f"{NAME}.parquet"
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
    """The item's own text, by which it is matched where no item of the id asks this; None: by the id alone."""
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
    other_text: int
    """Of these, rows that have an item's id, but ask something else."""
    examples: tuple[str, ...]
    """Ids of some of the unmatched."""

    def sentence(self) -> str:
        """Say what was added, and what was not."""
        text = f"{self.model}: scores of {self.scored:,} of {plural(self.matched, 'item')} that match the run's"
        if self.by_prompt:
            text += f" ({self.by_prompt:,} by their prompt)"
        if self.unmatched:
            text += f"; {plural(self.unmatched, 'row')} match none, such as {', '.join(self.examples)}"
            text += _other_text(self.other_text)
        return text + "."


@dataclass(frozen=True)
class ModelScores:
    """Scores of all models of a run. M models, N items of ``items.parquet``."""

    models: tuple[str, ...]
    values: np.ndarray
    """float64 of shape (M, N), in [0, 1]; NaN = unscored or excluded."""
    asked: np.ndarray
    """bool of shape (M, N): whether the model is known to have been asked: the item is kept and has a row of it."""

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

    The scores of ``items.parquet`` belong to the lens, or to the model of the logs that the items came from.
    """
    items = run.scan("items").select("score", "policy", "excluded").collect()
    kept = items["excluded"].is_null().to_numpy()
    columns: dict[str, np.ndarray] = {}
    asked: list[np.ndarray] = []
    if run.own_model is not None:
        columns[run.own_model] = items["score"].fill_null(float("nan")).to_numpy().copy()
        asked.append(kept & (items["policy"] != "none").to_numpy())
    table = read_scores(run.path)
    for model in table["model"].unique(maintain_order=True):
        own = table.filter(pl.col("model") == model)
        values = np.full(items.height, np.nan)
        values[own["item"].to_numpy()] = own["score"].fill_null(float("nan")).to_numpy()
        columns[str(model)] = values
        listed = np.zeros(items.height, bool)
        listed[own["item"].to_numpy()] = True
        asked.append(kept & listed)
    matrix = np.stack([*columns.values()]) if columns else np.zeros((0, items.height))
    matrix[:, ~kept] = np.nan
    return ModelScores(tuple(columns), matrix, np.array(asked, bool).reshape(matrix.shape))


def read_scores(folder: Path) -> pl.DataFrame:
    """Read ``scores.parquet`` as it is on disk now; empty where no model was added.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    files = _files(folder)
    return files.collect(NAME, files.scan(NAME)) if files.has(NAME) else pl.DataFrame(schema=SCHEMA)


def scan_scores(folder: Path) -> pl.LazyFrame:
    """The same, read when it is collected, and only what is chosen of it."""
    files = _files(folder)
    return files.scan(NAME) if files.has(NAME) else pl.LazyFrame(schema=SCHEMA)


def check_scores(folder: Path) -> None:
    """Raise UserError if scores that were added to a run are damaged, before they are taken into a new manifest.

    A manifest that cannot be read says nothing of them.
    """
    try:
        files = _files(folder)
    except UserError:
        return
    if (folder / FILE).is_file():
        files.scan(NAME)


def _files(folder: Path) -> RunFiles:
    """The files of a run, by its manifest as it is now; scores are added to a run that is open.

    While its tables are made anew, the former manifest knows the scores.
    """
    if (folder / MANIFEST).is_file():
        return RunFiles(folder, folder, read_manifest(folder))
    known = files_of_former(folder).get(FILE)
    return RunFiles(folder, folder, {} if known is None else {FILES: {FILE: known}})


class MatchedScores(NamedTuple):
    """Scores of models, matched to the items of a run."""

    table: pl.DataFrame
    """As ``scores.parquet``."""
    added: list[Added]
    """What became of each model's rows."""


def add_scores(run: RunFolder, rows: Iterable[Scored], *, replace: bool = False) -> list[Added]:
    """Add models to a run.

    Parameters
    ----------
    replace
        Whether a score that an item has of a model already is replaced; else another one is an error. The same score
        with the same response is none: a command that was stopped may be typed again.

    Raises
    ------
    UserError
        As :func:`match_scores`. Nothing is added then.
    """
    rows = list(rows)
    with hold(run.path):
        present: dict[tuple[str, int], Sequence[float | str | None]] = {}
        if not replace:
            held = read_scores(run.path).select("model", "item", "score", "response").iter_rows()
            present = {(model, item): result for model, item, *result in held}
        items = run.items.select("benchmark", "item_id", "prompt").iter_rows()
        matched = match_scores(items, rows, run.own_model, present)
        write_scores(run.path, matched.table)
    return matched.added


def write_scores(folder: Path, table: pl.DataFrame) -> None:
    """Add rows to ``scores.parquet``; they replace rows of the same model and item."""
    rows = pl.concat([read_scores(folder), table]).unique(["model", "item"], keep="last", maintain_order=True)
    write_table(folder, FILE, rows.write_parquet)


def match_scores(
    items: Iterable[tuple[str, str, str]],
    rows: Iterable[Scored],
    own_model: str | None = None,
    present: Mapping[tuple[str, int], Sequence[float | str | None]] = MappingProxyType({}),
) -> MatchedScores:
    """Find the items that scores belong to.

    Parameters
    ----------
    items
        Benchmark, id and prompt of each item of the run, in order.
    rows
        The scores.
    own_model
        The model whose scores the items have already; None: they have none.
    present
        Score and response of models and items of which the run has a score that must not be replaced by another.

    Raises
    ------
    UserError
        If a model is the run's own, an item has a row of the model already or two rows of it, a score is outside
        [0, 1], an id stands in several benchmarks, or no row of a model belongs to an item.
    """
    known = _Items(items)
    matched: dict[str, dict[int, Scored]] = {}
    lost: dict[str, list[_Match]] = {}
    by_prompt: dict[str, int] = {}
    for row in rows:
        if not row.model.strip():
            raise UserError(
                f"the scores of item {row.id!r} are of a model without a name: name it, or drop the column."
            )
        if row.model == own_model:
            raise UserError(f"{row.model!r} is the run's own model: give the model another name.")
        if row.score is not None and not 0 <= row.score <= 1:
            raise UserError(f"{row.model}, item {row.id!r}: the score {row.score:g} is outside [0, 1].")
        own = matched.setdefault(row.model, {})
        match = known.find(row)
        if match.item is None:
            lost.setdefault(row.model, []).append(match)
            continue
        item = match.item
        if list(present.get((row.model, item), (row.score, row.response))) != [row.score, row.response]:
            raise UserError(
                f"the run has another score of {row.model!r} on the item {row.id!r} already: give the model another "
                f"name, or {argument('replace')}."
            )
        if item in own:
            raise UserError(
                f"{row.model} has two rows for the item {row.id!r} (scores {_number(own[item].score)} and "
                f"{_number(row.score)}). Keep one, or average them first."
            )
        own[item] = row
        by_prompt[row.model] = by_prompt.get(row.model, 0) + match.by_prompt
    added = []
    for model, own in matched.items():
        gone = lost.get(model, [])
        examples = tuple(match.id for match in gone[:3])
        other_text = sum(match.other_text for match in gone)
        if not own:
            raise UserError(
                f"none of the {len(gone)} rows of {model!r} belongs to an item of the run, e.g. {', '.join(examples)}"
                f"{_other_text(other_text)}; the run's ids are such as {', '.join(known.examples())}."
            )
        scored = sum(row.score is not None for row in own.values())
        added.append(Added(model, len(own), scored, by_prompt.get(model, 0), len(gone), other_text, examples))
    tables = [_table(model, own) for model, own in matched.items()]
    return MatchedScores(pl.concat([pl.DataFrame(schema=SCHEMA), *tables]), added)


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


def _other_text(count: int) -> str:
    return f" ({count:,} of them have an item's id, but ask something else)" if count else ""


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:g}"


class _Match(NamedTuple):
    """The item that a row belongs to."""

    id: str
    """The row's."""
    item: int | None = None
    """Its number; None: there is none."""
    by_prompt: bool = False
    other_text: bool = False
    """Whether an item has the row's id, but asks something else."""


class _Items:
    """The run's items by benchmark and id, and by prompt."""

    def __init__(self, items: Iterable[tuple[str, str, str]]) -> None:
        self._benchmarks: list[str] = []
        self._by_id: dict[str, dict[str, int]] = {}
        self._prompts: list[str] = []
        self._by_prompt: dict[str, list[tuple[str, int]]] = {}
        for number, (benchmark, item, prompt) in enumerate(items):
            self._prompts.append(_words(prompt))
            self._by_id.setdefault(item, {})[benchmark] = number
            self._by_prompt.setdefault(self._prompts[number], []).append((benchmark, number))
            if benchmark not in self._benchmarks:
                self._benchmarks.append(benchmark)

    def find(self, row: Scored) -> _Match:
        """The item of a row: of its id, unless that asks something else, or of its prompt."""
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
        asked = _words(row.prompt or "")
        for item in places.values():
            # A log may hold the options, examples or a template as well.
            if not asked or asked in self._prompts[item] or self._prompts[item] in asked:
                return _Match(row.id, item)
        alike = [item for name, item in self._by_prompt.get(asked, []) if asked and row.benchmark in (None, name)]
        # Items that ask the same cannot be told apart by their prompts.
        if len(alike) == 1:
            return _Match(row.id, alike[0], by_prompt=True)
        return _Match(row.id, other_text=bool(places))

    def examples(self) -> list[str]:
        return list(self._by_id)[:3]


def _words(text: str) -> str:
    return " ".join(text.split())
