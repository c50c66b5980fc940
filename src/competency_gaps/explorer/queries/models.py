"""Questions about all models that a run has scores of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from competency_gaps.errors import UserError, nearest
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.models import compared_models, groups_file, models_file
from competency_gaps.explorer.parts.records.models import Matrix
from competency_gaps.explorer.queries.arguments import ModelGroups, ModelThemes, Nothing, TwoModels
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import Number, QueryAnswer, Sentence
from competency_gaps.text import shorten


class ModelLine(QueryAnswer):
    """A model that the run has scores of."""

    name: str
    reads: bool
    scored: int
    unscored: int
    mean: Number
    low: Number
    high: Number


class ModelList(QueryAnswer):
    """All models, the best first."""

    read_by: Sentence
    models: list[ModelLine]


class CellOfModel(QueryAnswer):
    """How a model does on a theme or group."""

    model: str
    gap: Number
    gap_low: Number
    gap_high: Number
    q_value: Number
    n_eff: Number
    status: str


class ThemeOfModel(CellOfModel):
    """How a model does on a theme."""

    theme: int
    name: str | None


class GroupOfModel(CellOfModel):
    """How a model does on a group of concepts that share their items."""

    concept: int
    label: str | None
    concepts: int


class ThemesOfModels(QueryAnswer):
    """``total`` cells qualify; those whose gap is lowest first."""

    read_by: Sentence
    against_peers: bool
    total: int
    cells: list[ThemeOfModel]


class GroupsOfModels(QueryAnswer):
    """``total`` cells qualify; those whose gap is lowest first. A group is named after the concept that leads it."""

    read_by: Sentence
    against_peers: bool
    total: int
    cells: list[GroupOfModel]


class DifferenceLine(QueryAnswer):
    """Candidate less baseline, paired item by item."""

    clusters: int
    difference: Number
    low: Number
    high: Number
    p_value: Number
    q_value: Number
    better: int
    worse: int
    detectable: Number
    status: str


class BenchmarkDifferenceLine(DifferenceLine):
    """The same in one benchmark."""

    benchmark: str


class ThemeDifferenceLine(DifferenceLine):
    """The same on one theme's items; the gap is by how much the difference is larger there than on other items."""

    theme: int
    name: str | None
    gap: Number
    gap_low: Number
    gap_high: Number
    gap_q: Number


class ModelComparison(QueryAnswer):
    """Two models side by side; themes whose difference is surest first."""

    read_by: Sentence
    candidate: str
    baseline: str
    paired: int
    only_candidate: int
    only_baseline: int
    overall: DifferenceLine
    benchmarks: list[BenchmarkDifferenceLine]
    themes: list[ThemeDifferenceLine]


def models(subject: Subject, arguments: Nothing) -> ModelList:
    """List the models that the run has scores of, with their mean scores."""
    listed = models_file(_with_models(subject)).models
    ordered = sorted(listed, key=lambda model: -1.0 if model.mean is None else model.mean, reverse=True)
    return ModelList(read_by=subject.info.scored.reader, models=[ModelLine.model_validate(model) for model in ordered])


def model_themes(subject: Subject, arguments: ModelThemes) -> ThemesOfModels:
    """How models do on themes, false discoveries controlled over all cells."""
    matrices = models_file(_with_models(subject)).matrices
    if not matrices:
        raise UserError("this run has no themes.")
    cells = [
        ThemeOfModel.model_validate({**cell, "theme": cell["id"]})
        for cell in _cells(subject, matrices, arguments, arguments.theme, "theme", "themes lists them")
    ]
    return ThemesOfModels(
        read_by=subject.info.scored.reader,
        against_peers=arguments.against_peers,
        total=len(cells),
        cells=cells[: arguments.limit],
    )


def model_groups(subject: Subject, arguments: ModelGroups) -> GroupsOfModels:
    """How models do on groups of concepts that share their items."""
    matrices = groups_file(_with_models(subject)).matrices
    cells = [
        GroupOfModel.model_validate({**cell, "concept": cell["id"], "label": cell["name"]})
        for cell in _cells(subject, matrices, arguments, arguments.concept, "group led by concept", "leave it out")
    ]
    return GroupsOfModels(
        read_by=subject.info.scored.reader,
        against_peers=arguments.against_peers,
        total=len(cells),
        cells=cells[: arguments.limit],
    )


def _cells(
    subject: Subject,
    matrices: Sequence[Matrix],
    arguments: ModelThemes | ModelGroups,
    column: int | None,
    what: str,
    advice: str,
) -> list[dict[str, Any]]:
    """The cells that are asked for, with their model and column, the lowest gap first."""
    kind = "peers" if arguments.against_peers else "score"
    matrix = next((matrix for matrix in matrices if matrix.kind == kind), None)
    if matrix is None:
        raise UserError("this run has no scores against peers: they need three models.")
    model = None if arguments.model is None else _number(subject, arguments.model)
    if column is not None and column not in {known.id for known in matrix.columns}:
        raise UserError(f"there is no {what} {column} in this run: {advice}.")
    names = subject.context.model_names
    cells = [
        {**vars(cell), **vars(known), "model": names[row]}
        for row, line in zip(matrix.models, matrix.cells, strict=True)
        for known, cell in zip(matrix.columns, line, strict=True)
        if model in (None, row) and column in (None, known.id) and arguments.status in (None, cell.status)
    ]
    return sorted(cells, key=lambda cell: (cell["gap"] is None, cell["gap"]))


def compare_models(subject: Subject, arguments: TwoModels) -> ModelComparison:
    """Compare two models of the run item by item."""
    context = _with_models(subject)
    candidate, baseline = (_number(subject, name) for name in (arguments.candidate, arguments.baseline))
    if candidate == baseline:
        raise UserError("candidate and baseline are the same model: give two.")
    made = compared_models(context, candidate, baseline)
    surest = sorted(made.themes, key=lambda theme: (theme.gap_q is None, theme.gap_q, theme.q_value))
    facts = {"read_by": subject.info.scored.reader, "themes": surest[: arguments.limit]}
    return ModelComparison.model_validate({**vars(made), **facts})


def _with_models(subject: Subject) -> Context:
    context = subject.context
    if not context.several_models:
        raise UserError("this run has the scores of one model only. Others are added with 'cgaps score'.")
    return context


def _number(subject: Subject, name: str) -> int:
    names = subject.context.model_names
    if name not in names:
        listed = ", ".join(names[:40])
        raise UserError(
            f"the run has no scores of {shorten(name, 60)!r}: expected one of {listed}.{nearest(name, names)}"
        )
    return names.index(name)
