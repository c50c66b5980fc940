"""Scores of other models on a run's items: ``scores.parquet``, one row per item and model.

What the items are about is read once, with the run's model and SAE (the *lens*); how well any model does on them is a
column of scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.runs.files import RunFiles
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import files_of_former, read_manifest, write_tables
from competency_gaps.runs.matched_scores import Added, match_scores
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.schemas import SCORES
from competency_gaps.util.checked import FILES
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.lock import hold

NAME = "scores"
FILE = f"{NAME}.parquet"


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

    def named(self, model: str) -> str:
        """The name of a model; a packaged one may be given as screens show it, without ``embedded:``."""
        packaged = f"embedded:{model}"
        return packaged if packaged in self.models and model not in self.models else model

    def row(self, model: str) -> int:
        """The number of a model; raises UserError if the run has no scores of it."""
        if model not in self.models:
            raise no_such("the run has no scores of the model", model, self.models)
        return self.models.index(model)


def model_scores(run: RunFolder) -> ModelScores:
    """Read the scores of all models, the run's own first if it has any; once, until the run changes.

    The scores of ``items.parquet`` belong to the lens, or to the model of the logs that the items came from.
    """
    written = tuple(path.stat().st_mtime_ns for name in (MANIFEST, FILE) if (path := run.base / name).is_file())
    return _model_scores(str(run.base.resolve()), written)


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
    """Read ``scores.parquet`` as it is on disk now, or some columns; empty where no model was added.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    return _files(folder).collect(NAME, scan_scores(folder).select(columns or pl.all()))


def scan_scores(folder: Path) -> pl.LazyFrame:
    """The same, read when it is collected, and only what is chosen of it."""
    files = _files(folder)
    return files.scan(NAME) if files.has(NAME) else pl.LazyFrame(schema=SCORES)


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


def add_scores(run: RunFolder, rows: pl.DataFrame, *, replace: bool = False) -> list[Added]:
    """Add models to a run.

    Parameters
    ----------
    rows
        As :func:`match_scores`.
    replace
        Whether a score that an item has of a model already is replaced; else another one is an error. The same score
        with the same response is none: a command that was stopped may be typed again.

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
    return matched.added


def write_scores(folder: Path, table: pl.DataFrame) -> None:
    """Add rows to ``scores.parquet``; they replace rows of the same model and item."""
    rows = pl.concat([read_scores(folder), table]).unique(["model", "item"], keep="last", maintain_order=True)
    write_tables(folder, {FILE: rows})
