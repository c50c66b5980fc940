"""What was found of each model, on which slices, and all models side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.findings.answer import slice_table
from competency_gaps.findings.compare import Comparison, compare_models, compare_runs
from competency_gaps.findings.coverage import coverage
from competency_gaps.findings.finding import Answer, Finding
from competency_gaps.findings.items import against_of, sides_of
from competency_gaps.findings.kept import model_slices
from competency_gaps.findings.model_scores import models_table
from competency_gaps.findings.models import scores_by, scores_overall
from competency_gaps.slices import Family
from competency_gaps.util.errors import UserError
from competency_gaps.view import words
from competency_gaps.view.coverage_words import coverage_answer, coverage_words
from competency_gaps.view.page.parts.context import Context
from competency_gaps.view.page.parts.records import from_row
from competency_gaps.view.page.parts.records.answers import (
    CategoryScores,
    ColumnScores,
    ListedAnswer,
    ListedFinding,
    ListedModel,
    ListedSlice,
    ModelAnswers,
    ModelGaps,
    ModelsFile,
    SliceGap,
    WordedCoverage,
)
from competency_gaps.view.page.parts.records.details import CategoryChange, Pairing
from competency_gaps.view.page.parts.tables import parquet
from competency_gaps.view.terminal.compare import sentences as comparison_words
from competency_gaps.view.terminal.tables import cut_names


def model_answers(context: Context, model: int) -> ModelAnswers:
    """``answers/K.json``: what was found of the model at a place."""
    return ModelAnswers(*(None if answer is None else listed(context, answer) for answer in _both(context, model)))


def model_gaps(context: Context, model: int) -> ModelGaps:
    """``gaps/K.json``: the gap of every slice for the model at a place."""
    return ModelGaps(*(None if answer is None else slice_gaps(context, answer) for answer in _both(context, model)))


def _both(context: Context, model: int) -> tuple[Answer | None, Answer | None]:
    """What was found against peers, and of the model's scores alone."""
    peers, alone = context.answer(model, None), context.answer(model, "benchmark")
    # Without peers the answer is the model's own scores already.
    return peers if peers is not None and peers.kind == "peers" else None, alone


def slice_gaps(context: Context, answer: Answer) -> list[SliceGap]:
    """The gaps of the slices that a page has, as an answer has them, with the items that show them best."""
    asked = context.run, answer.model, against_of(answer)
    rows, sides = {row["slice"]: row for row in slice_table(*asked).iter_rows(named=True)}, sides_of(*asked)
    listed, gaps = {finding.slice: finding for finding in answer.findings}, []
    for family, numbers in _kept(context):
        for at in numbers:
            row, finding = rows[int(family.number[at])], listed.get(int(family.number[at]))
            weights = family.weights[[at]].toarray()[0]
            shown = finding is not None or context.amounts.sides
            failing, passing = sides.choose(weights, finding) if shown else ([], [])
            names = ("change", "change_low", "change_high") if answer.kind == "difference" else ("gap", "low", "high")
            ends = {key: row[name] for key, name in zip(("gap", "low", "high"), names, strict=True)}
            gaps.append(from_row(SliceGap, row, **ends, failing=failing, passing=passing))
    return gaps


def listed(context: Context, answer: Answer) -> ListedAnswer:
    """An answer with its words; without texts, no word of an item names a slice."""
    if not context.texts:
        answer = replace(answer, findings=tuple(_renamed(context, finding) for finding in answer.findings))
    bad = [caveat for caveat in answer.caveats if caveat.code in words.BAD]
    return ListedAnswer(
        answer.kind,
        answer.against,
        words.headline(answer),
        f"{words.coverage_of_scores(answer)}." + (f" {words.beliefs(answer.findings)}" if answer.findings else ""),
        [words.caveat_words(caveat) for caveat in bad],
        [words.caveat_words(caveat) for caveat in answer.caveats if caveat not in bad],
        [_line(context, answer, finding) for finding in answer.findings],
    )


def _line(context: Context, answer: Answer, finding: Finding) -> ListedFinding:
    """A finding with its words."""
    return ListedFinding(
        **vars(finding),
        side=words.side(answer, finding),
        points=words.points_of(finding),
        spread=words.spread_of(finding),
        size=words.size_and_level(answer, finding),
        believed=words.believed(finding),
        replication=words.found_again(finding),
        explained=words.rests_on(answer, finding),
        quote=None if finding.example is None else context.excerpts["excerpt"][finding.example],
    )


def _renamed(context: Context, finding: Finding) -> Finding:
    """A finding without names that quote items."""
    names = context.slice_names
    return replace(
        finding,
        name=names.get(finding.slice, finding.name),
        rests_on=tuple((name, part) for name, part in finding.rests_on if name not in context.quoting_names),
    )


MAX_WEIGHTS = 2_000_000
"""Weights of concepts that a server gives whole; of more, and in an export, only those that an answer names [ours]."""


def _kept(context: Context) -> Iterator[tuple[Family, np.ndarray]]:
    """The families with the rows of them that a page has."""
    for family in context.families:
        rows = np.arange(len(family.names))
        if family.name == "concepts" and (context.portable or family.weights.nnz > MAX_WEIGHTS):
            rows = rows[np.isin(family.number, [*context.named_slices])]
        if len(rows):
            yield family, rows


def slices_file(context: Context) -> list[ListedSlice]:
    """``slices.json``: the slices that a page knows, in the order of ``slice_items.parquet``."""
    return [
        ListedSlice(
            number=int(family.number[row]),
            family=family.name,
            family_words=words.FAMILIES.get(family.name, family.name),
            name=context.slice_names.get(int(family.number[row]), family.names[row]),
            column=family.column[row],
            parent=int(family.parent[row]),
            words=family.words[row] if context.texts and family.words else [],
            typical=family.typical[row] if family.typical else [],
        )
        for family, rows in _kept(context)
        for row in rows
    ]


def slice_items(context: Context) -> bytes:
    """``slice_items.parquet``: per slice (its place in ``slices.json``) its items with their weights."""
    parts, first = [], 0
    for family, rows in _kept(context):
        weights = family.weights[rows].tocoo()
        columns = {"slice": weights.row + first, "item": weights.col, "weight": weights.data}
        parts.append(pl.DataFrame(columns, schema={"slice": pl.Int32, "item": pl.Int32, "weight": pl.Float32}))
        first += len(rows)
    empty = pl.DataFrame(schema={"slice": pl.Int32, "item": pl.Int32, "weight": pl.Float32})
    # Neighbouring numbers are alike, so the file packs well.
    return parquet(pl.concat([empty, *parts]).sort("slice", "item").with_columns(pl.col("weight").round(3)))


def coverage_part(context: Context, number: int) -> WordedCoverage:
    """``coverage/K.json``: what the suite leaves out (0), or the benchmark at place K - 1."""
    report = coverage(context.run, context.names[number - 1] if number else None)
    regions = tuple(replace(part, name=context.region_names[part.region]) for part in report.regions)
    report = replace(report, regions=regions)
    return from_row(WordedCoverage, vars(report), answer=coverage_answer(report), words=coverage_words(report))


def scores_table(context: Context) -> bytes:
    """``scores.parquet``: one row per item, and a column per model, named by its place."""
    values = context.model_scores.values
    return parquet(
        pl.DataFrame({str(k): pl.Series(row, dtype=pl.Float32) for k, row in enumerate(values)}).fill_nan(None)
    )


def models_file(context: Context) -> ModelsFile:
    """``models.json``: every model with a sentence, and how each does on the slices that tell them apart."""
    known = context.model_scores.models
    rows = models_table(context.run).iter_rows(named=True)
    short = cut_names(context.model_names, 28)
    answers = (context.answer(column, None) for column in range(len(known)))
    models = [
        from_row(ListedModel, row, short=short[name], sentence="" if answer is None else words.model_sentence(answer))
        for row, name, answer in zip(rows, context.model_names, answers, strict=True)
    ]
    apart = model_slices(context.run)
    order = [known.index(model) for model in apart.cells["model"].unique(maintain_order=True)]
    cells = {(row["slice"], row["model"]): row for row in apart.cells.iter_rows(named=True)}
    slices = apart.slices.select("slice", "name").rows()
    gaps = [[cells[number, known[column]]["gap"] or 0.0 for number, _ in slices] for column in order]
    columns = [order[column] for column in similar_order(np.array(gaps))]
    return ModelsFile(
        models,
        _by_category(context, scores_overall(context.run))[0],
        _scores(context),
        "peers" in apart.cells["against"],
        columns,
        [(number, context.slice_names.get(number, name)) for number, name in slices],
        [[from_row(SliceGap, cells[number, known[column]]) for column in columns] for number, _ in slices],
    )


MAX_COLUMNS, MAX_CATEGORIES = 12, 60
"""Columns that a page has scores by, and categories of such a column [ours]."""


def _scores(context: Context) -> list[ColumnScores]:
    """Scores by the run's first columns of several categories, the benchmarks first where there are several."""
    count = Counter(column for family in context.families for column in family.column if column is not None)
    columns = [column for column in count if 2 <= count[column] <= MAX_CATEGORIES][:MAX_COLUMNS]
    return [ColumnScores(column, _by_category(context, scores_by(context.run, column))) for column in columns]


def _by_category(context: Context, table: pl.DataFrame) -> list[CategoryScores]:
    """Scores of all models, one record per category, the largest first."""
    order = pl.col("model").cast(pl.Enum(context.model_scores.models))
    rounded = table.sort(order).with_columns(pl.col(pl.Float64).round(4))
    rows = rounded.group_by("slice", "category", "items").all().sort("items", "slice", descending=[True, False])
    names = context.slice_names
    return [
        from_row(CategoryScores, row, category=names.get(row["slice"], row["category"]))
        for row in rows.iter_rows(named=True)
    ]


def similar_order(values: np.ndarray) -> list[int]:
    """Order rows so that similar ones stand side by side: the leaves of average linkage."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(values) < 3 or not values.size:
        return list(range(len(values)))
    return [int(row) for row in leaves_list(linkage(values, "average", optimal_ordering=True))]


def model_pair(context: Context, number: int) -> Pairing:
    """``pairs/N.json``: of M models the one at place N // M against the one at place N % M."""
    models = context.model_scores.models
    candidate, baseline = divmod(number, len(models))
    if candidate == baseline:
        return Pairing("It is one model.", [], [], [], None, None)
    return _pairing(context, partial(compare_models, context.run, models[candidate], models[baseline]), slice_gaps)


def against(key: str) -> str:
    """Name of the part that compares a run with the run of this key."""
    return f"against/{key}.json"


def paired_runs(candidate: Context, baseline: Context) -> Pairing:
    """Compare two runs item by item; slices are those of the baseline."""
    return _pairing(baseline, partial(compare_runs, candidate.run, baseline.run), lambda _, __: None)


def _pairing(
    context: Context, compare: Callable[[], Comparison], gaps: Callable[[Context, Answer], list[SliceGap] | None]
) -> Pairing:
    """A comparison with its words, or the reason why there is none."""
    try:
        comparison = compare()
    except UserError as error:
        return Pairing(str(error), [], [], [], None, None)
    return Pairing(
        None,
        *comparison_words(comparison),
        [_category(row) for row in comparison.slices.iter_rows(named=True)],
        None if comparison.answer is None else listed(context, comparison.answer),
        None if comparison.answer is None else gaps(context, comparison.answer),
    )


def _category(row: Mapping[str, Any]) -> CategoryChange:
    """A category of a comparison, with its change in words."""
    points, spread = "", ""
    if row["change"] is not None:
        points, spread = words.signed_points(row["change"]), words.interval(row["low"], row["high"])
    return from_row(CategoryChange, row, points=points, spread=spread)
