"""The quantities of a concept that a page shows, and what its words mean, as in the columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import ColumnSpec, Kind
from competency_gaps.explorer.parts.tables import BENCHMARK
from competency_gaps.findings.words import alike
from competency_gaps.matching.kept_lists import has_lists
from competency_gaps.presentation import columns
from competency_gaps.presentation.columns import Column, Term
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
    _Spec(columns.KIND, "word", "both"),
    _Spec(columns.LEXICAL, "percent", "both"),
    _Spec(columns.COHERENCE, "decimal", "both"),
    _Spec(columns.STABILITY, "decimal", "both"),
)


_TERMS = (
    Term(
        "score",
        "score",
        "How well an item was answered, from 0 to 1. Where items are right or wrong, a mean score of 57% means that "
        "57% are right.",
    ),
    Term("alive", "alive", "A concept that is active somewhere in the run or in the reference text."),
    Term(
        "ranked",
        "ranked",
        "An alive concept that may stand for what a text is about. Those of other kinds stand for what it looks like "
        "or for nothing that has a name, and no verdict counts them unless all kinds are ranked.",
    ),
    Term(
        "cas",
        "CAS",
        "Concept activation score: how strongly a concept is active in an item, averaged over the tokens that the run "
        "counts (its span).",
    ),
)
"""Words that the report does not use."""


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


def glossary(context: Context) -> list[Term]:
    """Explain every word that is no plain English, as the report does.

    Returns
    -------
    list of Term
        General words first, then the columns.
    """
    labelled = context.concepts["label"].null_count() < context.concepts.height
    # All but a concept's name, which needs no explanation.
    shown = [spec.column for spec in _shown(context) if spec.column is not LABEL]
    speaks = {"themes": context.themes is not None, "labelled": labelled, "lists": has_lists(context.run.path)}
    terms = columns.glossary(shown, context.manifest["evidence"], **speaks)
    keys = {column.key for column in shown}
    general = [term for term in terms if term.key not in keys]
    known = {term.key: term for term in [*general, *_TERMS, *terms]}
    return list(known.values())


def _shown(context: Context) -> list[_Spec]:
    computed = {columns.FOLLOWERS.key, FINDING.key}
    stored = [spec.column for spec in _SPECS if spec.column.key not in computed]
    shown = {column.key for column in columns.present(stored, context.concepts)} | computed
    return [spec._replace(column=_named(spec.column, context)) for spec in _SPECS if spec.column.key in shown]


def _named(column: Column, context: Context) -> Column:
    """Say in the title of what vanishes at equal values of what."""
    among = alike(context.manifest["evidence"])
    return replace(column, title=among) if column is VANISHES and among else column
