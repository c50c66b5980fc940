"""``themes.json``: the themes of a run with their statistics, in the suite and in each benchmark."""

from __future__ import annotations

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.details import Theme, ThemeBenchmark, ThemeFile
from competency_gaps.explorer.parts.records.plain import from_row
from competency_gaps.presentation.themes import NAME_LIMIT
from competency_gaps.text import shorten


def theme_file(context: Context) -> ThemeFile:
    """Give all themes and subthemes, in the order of the report: weak ones first, by gap."""
    themes, within = context.themes, context.run.theme_benchmarks
    if themes is None or within is None:
        return ThemeFile([])
    by_benchmark = {
        (row["level"], row["id"], row["benchmark"]): from_row(ThemeBenchmark, row)
        for row in within.iter_rows(named=True)
    }
    table = pl.concat([themes.themes, themes.subthemes])
    rows = []
    for row in table.iter_rows(named=True):
        # Every benchmark of the run has a row of every theme.
        own = [by_benchmark[row["level"], row["id"], name] for name in context.names]
        name = None if row["name"] is None else shorten(row["name"], NAME_LIMIT)
        rows.append(from_row(Theme, row, name=name, benchmarks=own))
    return ThemeFile(rows)
