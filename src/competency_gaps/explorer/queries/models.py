"""Questions about all models that a run has scores of."""

from __future__ import annotations

from competency_gaps.errors import UserError, nearest
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.models import compared_models, models_file
from competency_gaps.explorer.queries.arguments import ModelThemes, Nothing, TwoModels
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


class ThemeOfModel(QueryAnswer):
    """How a model does on a theme."""

    model: str
    theme: int
    name: str | None
    gap: Number
    gap_low: Number
    gap_high: Number
    q_value: Number
    n_eff: Number
    status: str


class ThemesOfModels(QueryAnswer):
    """``total`` cells qualify; those whose gap is lowest first."""

    read_by: Sentence
    against_peers: bool
    total: int
    cells: list[ThemeOfModel]


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
    file = models_file(_with_models(subject))
    kind = "peers" if arguments.against_peers else "score"
    matrix = next((matrix for matrix in file.matrices if matrix.kind == kind), None)
    if matrix is None:
        what = "scores against peers: they need three models" if file.themes else "themes"
        raise UserError(f"this run has no {what}.")
    model = None if arguments.model is None else _number(subject, arguments.model)
    if arguments.theme is not None and arguments.theme not in {theme.id for theme in file.themes}:
        raise UserError(f"there is no theme {arguments.theme} in this run: themes lists them.")
    cells = [
        ThemeOfModel.model_validate(
            {**vars(cell), "model": file.models[row].name, "theme": theme.id, "name": theme.name}
        )
        for row, line in zip(matrix.models, matrix.cells, strict=True)
        for theme, cell in zip((file.themes[place] for place in matrix.themes), line, strict=True)
        if model in (None, row) and arguments.theme in (None, theme.id) and arguments.status in (None, cell.status)
    ]
    ordered = sorted(cells, key=lambda cell: (cell.gap is None, cell.gap))
    return ThemesOfModels(
        read_by=subject.info.scored.reader,
        against_peers=arguments.against_peers,
        total=len(cells),
        cells=ordered[: arguments.limit],
    )


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
