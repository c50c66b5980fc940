"""The quantities of a concept that a page shows: their titles and hints are the report's."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import ColumnSpec, Kind
from competency_gaps.explorer.parts.tables import BENCHMARK
from competency_gaps.findings.answer_parts import alike
from competency_gaps.presentation import columns
from competency_gaps.presentation.columns import Column
from competency_gaps.text import decimal, integer


class _Spec(NamedTuple):
    column: Column
    kind: Kind
    face: Literal["model", "benchmark", "both"]


LABEL = Column(
    "label", "concept", "What activates the concept, as its dictionary says; N/A = no label", str, words=True
)
LABEL_SCORE = Column(
    "label_score",
    "label score",
    "How well the label foretells where the concept is active (detection, fuzzing or embedding; 0.5 = chance), or what "
    "its source states; N/A = not scored",
    decimal,
    optional=True,
)
VANISHES = Column(
    "vanishes",
    "net of strata",
    "vanishes: the plain gap is real, but against comparable items none is left, so that what is held equal there is "
    "the likelier reason",
    lambda value: "vanishes" if value else "",
)
DETECTABLE = Column(
    "detectable",
    "detectable",
    "Smallest gap, up or down, that these items would most likely (8 times of 10) have shown",
    decimal,
    optional=True,
)
FINDING = Column("finding", "finding", "Number of the finding that the concept is evidence for", integer)
PEAK = Column("peak_token", "peak token", "The token on which it is strongest most often", str, words=True)

_SPECS = (
    _Spec(LABEL, "text", "both"),
    _Spec(columns.GAP, "signed", "model"),
    _Spec(columns.PLAIN_GAP, "signed", "model"),
    _Spec(VANISHES, "flag", "model"),
    _Spec(columns.PERFORMANCE_STATUS, "word", "model"),
    _Spec(columns.PERFORMANCE, "decimal", "model"),
    _Spec(columns.Q_VALUE, "probability", "model"),
    _Spec(columns.FOLLOWERS, "integer", "model"),
    _Spec(FINDING, "integer", "model"),
    _Spec(DETECTABLE, "decimal", "model"),
    _Spec(columns.COVERAGE, "magnitude", "benchmark"),
    _Spec(columns.LIFT, "signed", "benchmark"),
    _Spec(columns.STATUS, "word", "benchmark"),
    _Spec(columns.CHANCE, "percent", "benchmark"),
    _Spec(columns.SUPPORT, "integer", "both"),
    _Spec(columns.N_EFF, "tenths", "model"),
    _Spec(columns.N_BENCHMARKS, "integer", "both"),
    _Spec(columns.DENSITY, "percent", "benchmark"),
    _Spec(LABEL_SCORE, "decimal", "both"),
    _Spec(PEAK, "text", "both"),
)


def column_specs(context: Context) -> list[ColumnSpec]:
    """Describe the columns of ``concepts.parquet``, in the order in which they are read.

    Left out is what the report calls optional where it is null throughout.
    """
    return [
        ColumnSpec(
            key=spec.column.key,
            title=spec.column.title,
            hint=spec.column.hint,
            kind=spec.kind,
            face=spec.face,
            interval=spec.column.interval,
            per_benchmark=spec.column.key in BENCHMARK,
        )
        for spec in _shown(context)
    ]


def shown_columns(context: Context) -> list[Column]:
    """The columns of quantities that need an explanation: all but a concept's name."""
    return [spec.column for spec in _shown(context) if spec.column is not LABEL]


def _shown(context: Context) -> list[_Spec]:
    computed = {columns.FOLLOWERS.key, FINDING.key}
    stored = [spec.column for spec in _SPECS if spec.column.key not in computed]
    shown = {column.key for column in columns.present(stored, context.concepts)} | computed
    return [spec._replace(column=_named(spec.column, context)) for spec in _SPECS if spec.column.key in shown]


def _named(column: Column, context: Context) -> Column:
    """Say in the title of what vanishes at equal values of what."""
    among = alike(context.manifest["evidence"])
    return replace(column, title=among) if column is VANISHES and among else column
