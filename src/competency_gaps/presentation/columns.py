"""The columns of every table of concepts, on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import polars as pl

from competency_gaps import text

VANISHES = "vanishes"
"""Written instead of a verdict: the plain gap is real, and the net gap is not."""
TEXT_LIMIT = 40
"""Characters of a free text in a column; longer text is cut, with a count."""


@dataclass(frozen=True)
class Column:
    """One quantity of a concept."""

    key: str
    """Column of the run's table."""
    title: str
    hint: str
    """What the quantity is, in one line."""
    show: Callable[[Any], str]
    """Writes a value; None is written as ``N/A``."""
    optional: bool = False
    """Left out if no row has a value, as lift without a reference text."""
    interval: bool = False
    """Shown with its interval, from the columns ``key_low`` and ``key_high``."""
    words: bool = False
    """A word, not a number."""

    def cell(self, row: Mapping[str, Any]) -> str:
        """Write a row's value, with its interval where it has one."""
        value = row[self.key]
        if self.key == "performance_status" and row.get("vanishes"):
            return VANISHES
        if value is None or not self.interval or row.get(f"{self.key}_low") is None:
            return self.show(value)
        return f"{self.show(value)} [{self.show(row[f'{self.key}_low'])}, {self.show(row[f'{self.key}_high'])}]"


def _density(value: float | None) -> str:
    return text.NOT_DEFINED if value is None else text.percent(value, 1)


def _status(value: str | None) -> str:
    return value or text.NOT_DEFINED


def _probability(value: float | None) -> str:
    return text.NOT_DEFINED if value is None else "<1e−9" if value < 1e-9 else text.magnitude(value)


COVERAGE = Column(
    "chi_bench",
    "χ bench",
    "Coverage: mean activation of the concept over items, relative to the mean over alive concepts",
    text.magnitude,
)
PERFORMANCE = Column(
    "chi_model",
    "χ model",
    "Performance: mean score of items, weighted by the concept's activation (0 to 1), with its interval",
    text.decimal,
    interval=True,
)
GAP = Column(
    "gap",
    "gap",
    "Net gap: weighted mean, over the items where the concept is active, of the score less the mean of its stratum "
    "(the items of the same benchmark that the run compares with each other), with its interval; negative = weaker",
    text.signed,
    interval=True,
)
PLAIN_GAP = Column(
    "plain_gap",
    "plain gap",
    "The same against the mean of the whole benchmark; the verdict is about the net gap",
    text.signed,
)
THEME_GAP = replace(GAP, show=partial(text.signed, digits=3))
"""A theme's gap is the average of many concepts': small, so two decimals would write what is weak as 0.00."""
Q_VALUE = Column(
    "q_value",
    "q",
    "False-discovery rate of a list that ends with this concept (Benjamini-Hochberg); N/A = not tested",
    _probability,
)
PERFORMANCE_STATUS = Column(
    "performance_status",
    "verdict",
    "weak or strong: the net gap is larger than the run's least gap, at its false-discovery rate; negligible: "
    "there is a gap, smaller than that; vanishes: the plain gap is real, but net of the strata none is left; typical: "
    "no such evidence; insufficient: too small an n_eff to test; untested: of a kind that is not ranked, "
    "missing, or scores that do not vary",
    _status,
    words=True,
)
SUPPORT = Column("support", "support", "Items in which the concept is active, out of all kept", text.integer)
N_EFF = Column(
    "n_eff",
    "n_eff",
    "Effective sample size: how many equally weighted, different items the average is worth; a cluster counts once",
    text.tenths,
)
N_BENCHMARKS = Column("n_benchmarks", "benchmarks", "Benchmarks in which χ model is defined", text.integer)
LIFT = Column(
    "lift",
    "lift",
    "log₂ of the concept's share of activation here over its share in the reference text",
    text.signed,
    True,
)
DENSITY = Column(
    "density",
    "density",
    "Share of tokens on which the concept is active: of the reference text, else of a sample of the run",
    _density,
)
STATUS = Column(
    "coverage_status",
    "coverage",
    "missing, under, typical or over: by lift, or by tenths without a reference",
    _status,
    words=True,
)
CHANCE = Column(
    "chance_seen",
    "chance",
    "Chance that as many tokens of the reference text would show the concept: near 100% its absence is news",
    _density,
    True,
)
KIND = Column(
    "kind",
    "kind",
    "contextual (topics, skills and ways of talking are among these), mixed (no meaning in common), or what a text "
    "looks like: token, format, position, template, dense; N/A = not known",
    _status,
    words=True,
)
LEXICAL = Column(
    "lexical_share",
    "by token",
    "Share of the variance of its activation on reference text that the token explains, corrected for chance; near "
    "100% for a concept that stands for a token, near 0 for one that depends on the context",
    _density,
    True,
)
COHERENCE = Column(
    "coherence",
    "coherence",
    "How alike in meaning its ten strongest windows of reference text are, beside windows drawn at random: near 0 if "
    "they have nothing in common",
    text.decimal,
    True,
)
STABILITY = Column(
    "stability",
    "stability",
    "Largest correlation of its activation with that of a concept of another SAE",
    text.decimal,
    True,
)

FOLLOWERS = Column(
    "followers",
    "more",
    "Other concepts of the list whose gap is explained by this one's items: they occur together",
    text.integer,
)

EVIDENCE = (GAP, PLAIN_GAP, Q_VALUE, PERFORMANCE_STATUS, FOLLOWERS)
CONCEPT = (PERFORMANCE, *EVIDENCE, SUPPORT, N_EFF, COVERAGE, LIFT, N_BENCHMARKS)
PER_BENCHMARK = (PERFORMANCE, *EVIDENCE, SUPPORT, N_EFF, COVERAGE, LIFT, STATUS)
MISSING = (DENSITY, CHANCE)
# In a terminal: the most important first, because the last are left out where it is narrow.
LISTED = (GAP, PERFORMANCE_STATUS, N_EFF, PERFORMANCE, PLAIN_GAP, Q_VALUE, SUPPORT, COVERAGE, LIFT, N_BENCHMARKS)
LEADERS = (GAP, N_EFF, FOLLOWERS, PERFORMANCE, PLAIN_GAP, Q_VALUE, SUPPORT, COVERAGE, LIFT, N_BENCHMARKS)
LEAST_COVERED = (COVERAGE, LIFT, SUPPORT)
ONE_BENCHMARK = (
    GAP,
    N_EFF,
    PERFORMANCE,
    PLAIN_GAP,
    Q_VALUE,
    PERFORMANCE_STATUS,
    SUPPORT,
    COVERAGE,
    LIFT,
    STATUS,
    FOLLOWERS,
)

_KNOWN = {column.key: column for column in (*CONCEPT, STATUS, *MISSING, KIND, LEXICAL, COHERENCE, STABILITY)}
_SHOWN: dict[str, Callable[[Any], str]] = {
    "p_value": _probability,
    "plain_q": _probability,
    "detectable": text.decimal,
    "design_effect": text.decimal,
    "gap_low": text.signed,
    "gap_high": text.signed,
    "chi_model_low": text.decimal,
    "chi_model_high": text.decimal,
    "label_score": text.decimal,
    **dict.fromkeys(("pair_share", "word_share", "punctuation", "space", "digits", "markup", "first_share"), _density),
    "token_entropy": text.decimal,
    "peak_token": lambda token: text.visible(text.show_token(token)) if token else text.NOT_DEFINED,
    "leader": lambda concept: text.NOT_DEFINED if concept is None else str(concept),
}
"""How further columns of a run's tables are written; columns that are not listed are written by their type."""


def key_named(name: str, keys: Collection[str]) -> str | None:
    """Find the key of a named column; None: there is no such column.

    Parameters
    ----------
    name : str
        A key, or the title of a column in any case: ``q_value`` or ``q``.
    keys : collection of str
        Columns of the run's table.
    """
    if name in keys:
        return name
    titles = {(_KNOWN[key].title if key in _KNOWN else key).casefold(): key for key in keys}
    return titles.get(name.casefold())


def column_of(key: str, dtype: pl.DataType) -> Column:
    """Give the column that shows a key of ``run.concepts`` or ``run.concept_benchmarks``.

    Parameters
    ----------
    key : str
    dtype : polars.DataType
        Type of its values, by which a column without a format of its own is written.

    Returns
    -------
    Column
        Never optional. A column that is in no table of the report has its key as title.
    """
    if key in _KNOWN:
        return replace(_KNOWN[key], optional=False)
    show = _SHOWN.get(key)
    if show is None:
        show = _flag if dtype == pl.Boolean else _free_text if dtype == pl.String else text.magnitude
        show = text.integer if dtype.is_integer() else show
    return Column(key, key, f"Column {key!r} of the run's table", show, words=dtype in (pl.Boolean, pl.String))


def _flag(value: bool | None) -> str:
    return text.NOT_DEFINED if value is None else "yes" if value else "no"


def _free_text(value: str | None) -> str:
    return text.visible(text.shorten(value, TEXT_LIMIT)) if value else text.NOT_DEFINED


def present(columns: Sequence[Column], frame: pl.DataFrame) -> list[Column]:
    """Keep the columns that a frame has; an optional column only if some row has a value."""
    return [
        column
        for column in columns
        if column.key in frame.columns
        and not (column.optional and frame.height and frame[column.key].null_count() == frame.height)
    ]
