"""The answer of a run in a terminal: failed checks, findings, scores, scope, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.findings.answer import BenchmarkAnswer, RunAnswer, Statement, chosen
from competency_gaps.findings.sentences import again, sentence, short
from competency_gaps.report.tables import VERDICT_STYLES, plain
from competency_gaps.text import percent, shorten

LONGEST = 150
"""Characters of a finding's sentence in a list; a longer one gives way to its short form."""
MOST = 400
"""Characters of a sentence anywhere."""
LOWEST, HIGHEST = 5, 2
"""Benchmarks named at either end of a long list."""


def head(given: RunAnswer) -> list[RenderableType]:
    """Lay out what comes first: failed checks, then the model with its score."""
    failed = [plain(statement.text, f"bold {VERDICT_STYLES['weak']}") for statement in given.trust]
    return [*failed, plain(given.opening.text, "bold")]


def in_order(findings: pl.DataFrame) -> pl.DataFrame:
    """Order findings as they are listed: those of the answer first, then the others."""
    first = chosen(findings)
    return pl.concat([first, findings.filter(~pl.col("finding").is_in(first["finding"].to_list()))])


def findings_list(findings: pl.DataFrame, *, whole: bool = False) -> Table:
    """Lay out findings, in the order given: number, verdict and sentence; ``whole`` keeps long sentences."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", no_wrap=True, style="dim")
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in findings.iter_rows(named=True):
        verdict = Text(row["verdict"], style=VERDICT_STYLES[row["verdict"]])
        half = (f" · {again(row)}", "dim")
        grid.add_row(str(row["finding"]), verdict, Text.assemble(plain(_finding_text(row, whole)), half))
    return grid


def _finding_text(row: dict[str, Any], whole: bool) -> str:
    text = sentence(row)
    return shorten(text, MOST) if whole or len(text) <= LONGEST else short(row)


def scores(benchmarks: Sequence[BenchmarkAnswer]) -> str:
    """Name the benchmarks with their scores, the lowest first; of a long list only both ends."""
    known = [benchmark for benchmark in benchmarks if benchmark.mean_score is not None]
    words = [f"{shorten(benchmark.benchmark, 40)} {percent(benchmark.mean_score or 0.0, 1)}" for benchmark in known]
    left = len(words) - LOWEST - HIGHEST
    if left > 1:
        words = [*words[:LOWEST], f"({left} between)", *words[-HIGHEST:]]
    return f"Scores: {', '.join(words)}."


def tails(given: RunAnswer) -> list[list[RenderableType]]:
    """Lay out what follows the findings, at full length and then shorter and shorter, for screens of any height."""
    lines = [] if given.opening.numbers["mean_score"] is None else [plain(scores(given.benchmarks))]

    def with_(notes: int, scope: int, confidence: int) -> list[RenderableType]:
        first = (*given.notes[:notes], *given.scope[:scope], *given.confidence[:confidence])
        return [Text(), *lines, *map(statement_text, first)]

    levels = ((3, 3, 5), (2, 1, 4), (1, 1, 3), (1, 1, 2), (1, 1, 1), (1, 0, 1), (0, 0, 1), (0, 0, 0))
    return [*(with_(*level) for level in levels), []]


def statement_text(statement: Statement) -> Text:
    """Write a statement: failed checks stand out, and mere counts are dim."""
    return plain(
        statement.text, "dark_orange" if statement.tone == "bad" else "dim" if statement.code == "counted" else ""
    )
