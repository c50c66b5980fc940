"""The columns of every table of concepts, on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.report.text import NOT_DEFINED, decimal, integer, magnitude, percent, signed, tenths


@dataclass(frozen=True)
class Column:
    """One quantity of a concept."""

    key: str
    """Column of the run's table."""
    title: str
    hint: str
    """What the quantity is, in one line."""
    show: Callable[[Any], str]
    """Writes a value; null is written as ``N/A``."""
    optional: bool = False
    """Left out where it is null throughout, as lift is without a reference text."""


def _density(value: float | None) -> str:
    return NOT_DEFINED if value is None else percent(value, 1)


def _status(value: str | None) -> str:
    return value or NOT_DEFINED


COVERAGE = Column(
    "chi_bench",
    "χ bench",
    "Coverage: mean activation of the concept over items, relative to the mean over alive concepts",
    magnitude,
)
PERFORMANCE = Column(
    "chi_model", "χ model", "Performance: mean score of items, weighted by the concept's activation (0 to 1)", decimal
)
SUPPORT = Column("support", "support", "Items in which the concept is active, out of all kept", integer)
N_EFF = Column("n_eff", "n eff", "Effective sample size: how many equally weighted items the average is worth", tenths)
N_BENCHMARKS = Column("n_benchmarks", "benchmarks", "Benchmarks in which χ model is defined", integer)
LIFT = Column(
    "lift", "lift", "log₂ of the concept's share of activation here over its share in the reference text", signed, True
)
DENSITY = Column(
    "density",
    "density",
    "Share of tokens on which the concept is active: of the reference text, else of a sample of the run",
    _density,
)
STATUS = Column(
    "coverage_status", "coverage", "missing, under, typical or over: by lift, or by tenths without a reference", _status
)

EVIDENCE: tuple[Column, ...] = ()
"""Evidence enters here, and only here: gap, its interval, q-value and performance status, once a run has those columns.

Both the page and the terminal show these columns right after χ model wherever a table's frame has them; the caution in
``findings.caution`` must then speak of tests instead of their absence.
"""

CONCEPT: tuple[Column, ...] = (PERFORMANCE, *EVIDENCE, COVERAGE, SUPPORT, N_EFF, N_BENCHMARKS, LIFT)
PER_BENCHMARK: tuple[Column, ...] = (COVERAGE, PERFORMANCE, *EVIDENCE, SUPPORT, N_EFF, LIFT, STATUS)
MISSING: tuple[Column, ...] = (DENSITY,)


def present(columns: Sequence[Column], frame: pl.DataFrame) -> list[Column]:
    """Keep the columns that a frame has; an optional one only if it says something."""
    return [
        column
        for column in columns
        if column.key in frame.columns and not (column.optional and frame[column.key].null_count() == frame.height)
    ]
