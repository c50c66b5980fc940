"""What was found of each model, on which slices, and all models side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.names import scored_of
from competency_gaps.explorer.parts.records import from_row
from competency_gaps.explorer.parts.records.answers import (
    ListedAnswer,
    ListedFinding,
    ListedModel,
    ListedSlice,
    ModelAnswers,
    ModelCell,
    ModelsFile,
    SlicesFile,
)
from competency_gaps.explorer.parts.records.details import BenchmarkDifference, Difference, PairedScores, Pairing
from competency_gaps.explorer.parts.tables import parquet
from competency_gaps.findings import words
from competency_gaps.findings.coverage import Coverage, coverage
from competency_gaps.findings.finding import Answer, Finding
from competency_gaps.runs.open import RunFolder
from competency_gaps.slices import Family
from competency_gaps.stages.compare import compare_runs
from competency_gaps.stages.models import models_table


def model_answers(context: Context, place: int) -> ModelAnswers:
    """``answers/K.json``: what was found of the model at a place."""
    peers, own = context.answer(place, None), context.answer(place, "benchmark")
    # Without peers the answer is the model's own scores already.
    against_peers = peers if peers is not None and peers.kind == "peers" else None
    return ModelAnswers(
        None if against_peers is None else listed(context, against_peers),
        None if own is None else listed(context, own),
    )


def listed(context: Context, answer: Answer) -> ListedAnswer:
    """An answer with its words; without texts, no word of an item names a slice."""
    if not context.texts:
        answer = replace(answer, findings=tuple(_renamed(context, finding) for finding in answer.findings))
    bad = [caveat for caveat in answer.caveats if caveat.code in words.BAD]
    return ListedAnswer(
        answer.kind,
        answer.against,
        words.headline(answer),
        words.coverage_of_scores(answer),
        [words.caveat_words(caveat) for caveat in bad],
        [words.caveat_words(caveat) for caveat in answer.caveats if caveat not in bad],
        [_line(context, finding) for finding in answer.findings],
    )


def _line(context: Context, finding: Finding) -> ListedFinding:
    return from_row(
        ListedFinding,
        vars(finding),
        points=words.signed_points(finding.gap),
        spread=words.interval(finding.low, finding.high),
        size=words.size(finding),
        again=words.found_again(finding),
        rests_on=words.rests_on(finding),
        quote=None if finding.example is None else context.excerpts["excerpt"][finding.example],
    )


def _renamed(context: Context, finding: Finding) -> Finding:
    names = context.slice_names
    return replace(
        finding,
        name=names.get(finding.slice, finding.name),
        rests_on=tuple((name, part) for name, part in finding.rests_on if name not in context.quoting_names),
    )


def _kept(context: Context) -> Iterator[tuple[Family, np.ndarray]]:
    """The families with the rows of them that a page has: all, but of concepts only those that an answer names."""
    for family in context.families:
        rows = np.arange(len(family.names))
        if family.name == "concepts":
            rows = rows[np.isin(family.number, [*context.named_slices])]
        if len(rows):
            yield family, rows


def slices_file(context: Context) -> SlicesFile:
    """``slices.json``: the slices that a page knows, in the order of ``slice_items.parquet``."""
    return SlicesFile(
        [
            ListedSlice(
                number=int(family.number[row]),
                family=family.name,
                family_words=words.family_name(family.name),
                name=context.slice_names.get(int(family.number[row]), family.names[row]),
                question=family.question[row],
                parent=int(family.parent[row]),
                words=family.words[row] if context.texts and family.words else [],
                typical=family.typical[row] if family.typical else [],
            )
            for family, rows in _kept(context)
            for row in rows
        ]
    )


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


def coverage_part(context: Context, number: int) -> Coverage:
    """``coverage/K.json``: what the suite leaves out (0), or the benchmark at place K - 1."""
    return coverage(context.itself, context.names[number - 1] if number else None)


def scores_table(context: Context) -> bytes:
    """``scores.parquet``: one row per item, and a column per model, named by its place."""
    values = context.model_scores.values
    return parquet(
        pl.DataFrame({str(k): pl.Series(row, dtype=pl.Float32) for k, row in enumerate(values)}).fill_nan(None)
    )


def models_file(context: Context) -> ModelsFile:
    """``models.json``: every model with a sentence, and how each does on the slices that tell them apart."""
    from competency_gaps.findings.models import telling_slices

    known = context.model_scores.models
    rows = models_table(context.itself).iter_rows(named=True)
    answers = (context.answer(place, None) for place in range(len(known)))
    models = [
        from_row(ListedModel, row, sentence="" if answer is None else words.model_sentence(answer))
        for row, answer in zip(rows, answers, strict=True)
    ]
    table = telling_slices(context.itself)
    slices = table["slice"].unique(maintain_order=True).to_list()
    columns = [known.index(model) for model in table["model"].unique(maintain_order=True)]
    cells: dict[tuple[int, str], Any] = {(row["slice"], row["model"]): row for row in table.iter_rows(named=True)}
    return ModelsFile(
        models,
        columns,
        slices,
        [[_cell(cells.get((number, known[place]))) for place in columns] for number in slices],
    )


def _cell(row: dict[str, Any] | None) -> ModelCell:
    if row is None:
        return ModelCell(None, None, None, None, 0, passes=False)
    return from_row(ModelCell, row, passes=row["status"] is not None)


def pair_count(models: int) -> int:
    """Number of pairs of so many models."""
    return models * (models - 1) // 2


def pair_answer(context: Context, number: int) -> ListedAnswer:
    """``pairs/N.json``: the difference of two models; the later one in the list less the earlier one.

    Raises
    ------
    UserError
        If no item is scored for both.
    """
    later = next(later for later in range(1, number + 2) if pair_count(later + 1) > number)
    earlier = number - pair_count(later)
    answer = context.answer(later, context.model_scores.models[earlier])
    if answer is None:
        raise UserError("no item is scored for both models.")
    return listed(context, answer)


def against(key: str) -> str:
    """Name of the part that compares a run with the run of this key."""
    return f"against/{key}.json"


def paired_runs(candidate: Context, baseline: Context) -> Pairing:
    """Compare two runs item by item; slices are those of the baseline."""
    if not _any_pair(candidate.run, baseline.run):
        return Pairing("No item of the same benchmark, id and prompt is scored in both runs.", None, None)
    made = compare_runs(candidate.run, baseline.run)
    scores = PairedScores(
        scored_of(candidate.run).model,
        scored_of(baseline.run).model,
        made.paired,
        len(made.only_candidate),
        len(made.only_baseline),
        from_row(Difference, made.overall.row(0, named=True)),
        [from_row(BenchmarkDifference, row) for row in made.benchmarks.iter_rows(named=True)],
    )
    return Pairing(None, scores, listed(baseline, made.answer))


def _any_pair(candidate: RunFolder, baseline: RunFolder) -> bool:
    keys = ["benchmark", "item_id", "prompt"]
    known = pl.col("score").is_not_null() & pl.col("excluded").is_null()
    scored, others = (run.scan("items").filter(known).select(keys) for run in (candidate, baseline))
    alike = scored.join(others, on=keys, how="semi").select(pl.len())
    return bool(candidate.files.collect("items", alike).item())
