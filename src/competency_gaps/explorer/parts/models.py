"""All models that a run has scores of: ``models.json``, ``groups.json``, and the pairs of them, ``pairs/N.json``."""

from __future__ import annotations

import shlex
from typing import Literal

import numpy as np
import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.names import command_line, scored_of
from competency_gaps.explorer.parts.records import from_row
from competency_gaps.explorer.parts.records.details import (
    BenchmarkDifference,
    Difference,
    GroupsFile,
    ListedModel,
    Matrix,
    MatrixCell,
    MatrixColumn,
    ModelsFile,
    PairedScores,
    Pairing,
    ThemeDifference,
)
from competency_gaps.presentation.themes import NAME_LIMIT
from competency_gaps.runs.open import RunFolder
from competency_gaps.stages.compare import Comparison, compare_models, compare_runs
from competency_gaps.stages.models import models_table
from competency_gaps.text import shorten


def models_file(context: Context) -> ModelsFile:
    """Give every model with its mean score, and how each does on each theme."""
    rows = models_table(context.itself).iter_rows(named=True)
    models = [
        from_row(ListedModel, row, name=name, command=_command(context, row["model"]))
        for name, row in zip(context.model_names, rows, strict=True)
    ]
    return ModelsFile(models, [_matrix(context, kind, cells) for kind, cells in context.theme_cells.items()])


def groups_file(context: Context) -> GroupsFile:
    """Give how each model does on each group of concepts that share their items."""
    return GroupsFile([_matrix(context, kind, cells) for kind, cells in context.group_cells.items()])


def _command(context: Context, model: str) -> str:
    """The command that makes a model's tables; on the run itself, also in an outcome of it."""
    folder = context.run.base
    words = ["cgaps", "show", folder.resolve().name if context.portable else str(folder), "--model", model]
    return command_line(words) if context.portable else shlex.join(words)


def _column_name(name: str | None) -> str | None:
    return None if name is None else shorten(name, NAME_LIMIT)


def _matrix(context: Context, kind: Literal["score", "peers"], table: pl.DataFrame) -> Matrix:
    """Models against the themes or groups of a table of cells."""
    known = context.model_scores.models
    shown = table["model"].unique(maintain_order=True).to_list()
    count = table.height // max(1, len(shown))
    gaps = table["gap"].fill_null(0.0).to_numpy().reshape(len(shown), count)
    rows, columns = similar_order(gaps), similar_order(gaps.T)
    cells = [from_row(MatrixCell, row) for row in table.iter_rows(named=True)]
    groups = "group" in table.columns
    kept = [
        MatrixColumn(
            row["group" if groups else "theme"], _column_name(row["name"]), len(row["concepts"]) if groups else 0
        )
        for row in table.head(count).iter_rows(named=True)
    ]
    return Matrix(
        kind,
        [known.index(shown[row]) for row in rows],
        [kept[column] for column in columns],
        [[cells[row * count + column] for column in columns] for row in rows],
    )


def similar_order(values: np.ndarray) -> list[int]:
    """Order rows so that similar ones stand side by side: the leaves of average linkage."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(values) < 3:
        return list(range(len(values)))
    return [int(row) for row in leaves_list(linkage(values, "average", optimal_ordering=True))]


def pair_count(models: int) -> int:
    """Number of pairs of so many models."""
    return models * (models - 1) // 2


def pair_number(first: int, second: int) -> int:
    """Number of a pair of models, whichever comes first: those of model 1 first, then those of model 2, ..."""
    later, earlier = max(first, second), min(first, second)
    return pair_count(later) + earlier


def model_pair(context: Context, number: int) -> Pairing:
    """Compare the two models of a pair; the later of them in the list is the candidate."""
    later = next(later for later in range(1, number + 2) if pair_count(later + 1) > number)
    earlier = number - pair_count(later)
    if np.isnan(context.model_scores.values[[later, earlier]]).any(axis=0).all():
        return Pairing("No item is scored for both models.", None)
    return Pairing(None, compared_models(context, later, earlier))


def compared_models(context: Context, candidate: int, baseline: int) -> PairedScores:
    """Compare two models of the run: overall, by benchmarks and by themes.

    Raises
    ------
    UserError
        If no item is scored for both.
    """
    known, names = context.model_scores.models, context.model_names
    made = compare_models(context.itself, known[candidate], known[baseline], answer=False)
    return _paired(made, names[candidate], names[baseline])


def against(key: str) -> str:
    """Name of the part that compares a run with the run of this key."""
    return f"against/{key}.json"


def paired_runs(candidate: Context, baseline: Context) -> Pairing:
    """Compare two runs item by item; concepts and themes are those of the baseline."""
    runs = candidate.run, baseline.run
    if any(run.kind != "score" for run in runs):
        return Pairing("Only scores are compared item by item, and one of these runs shows another outcome.", None)
    if not _any_pair(*runs):
        return Pairing("No item of the same benchmark, id and prompt is scored in both runs.", None)
    names = (scored_of(side.run).model for side in (candidate, baseline))
    return Pairing(None, _paired(compare_runs(*runs), *names))


def _any_pair(candidate: RunFolder, baseline: RunFolder) -> bool:
    keys = ["benchmark", "item_id", "prompt"]
    known = pl.col("score").is_not_null() & pl.col("excluded").is_null()
    scored, others = (run.scan("items").filter(known).select(keys) for run in (candidate, baseline))
    alike = scored.join(others, on=keys, how="semi").select(pl.len())
    return bool(candidate.files.collect("items", alike).item())


def _paired(made: Comparison, candidate: str, baseline: str) -> PairedScores:
    return PairedScores(
        candidate,
        baseline,
        made.paired,
        len(made.only_candidate),
        len(made.only_baseline),
        from_row(Difference, made.overall.row(0, named=True)),
        [from_row(BenchmarkDifference, row) for row in made.benchmarks.iter_rows(named=True)],
        [from_row(ThemeDifference, row, theme=row["slice"]) for row in made.slices.iter_rows(named=True)],
        [],
    )
