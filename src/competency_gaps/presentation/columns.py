"""The columns of every table of concepts, on the page and in the terminal, and what their words mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from competency_gaps import text
from competency_gaps.findings.words import alike

Kind = Literal["text", "word", "flag", "integer", "tenths", "decimal", "signed", "magnitude", "probability", "percent"]


def _words(value: str | None) -> str:
    return value or text.NOT_DEFINED


def _percent(value: float | None) -> str:
    return text.NOT_DEFINED if value is None else text.percent(value, 1)


def _probability(value: float | None) -> str:
    return text.NOT_DEFINED if value is None else "<1e−9" if value < 1e-9 else text.magnitude(value)


_SHOWN: Mapping[Kind, Callable[[Any], str]] = {
    **dict.fromkeys(("text", "word"), _words),
    "integer": text.integer,
    "tenths": text.tenths,
    "decimal": text.decimal,
    "signed": text.signed,
    "magnitude": text.magnitude,
    "probability": _probability,
    "percent": _percent,
}
"""How a terminal writes a value; None is ``N/A``."""


@dataclass(frozen=True)
class Column:
    """One quantity of a concept."""

    key: str
    """Column of the run's table."""
    title: str
    hint: str
    """What the quantity is, in one line."""
    kind: Kind
    """How a value is written."""
    face: Literal["model", "benchmark", "both"] = "both"
    """Which question it belongs to: how well, how much, or both."""
    optional: bool = False
    """Left out if no row has a value, as lift without a reference text."""
    interval: bool = False
    """Shown with its interval, from the columns ``key_low`` and ``key_high``."""

    def cell(self, row: Mapping[str, Any]) -> str:
        """Write a row's value, with its interval where it has one."""
        value, show = row[self.key], _SHOWN[self.kind]
        if value is None or not self.interval or row.get(f"{self.key}_low") is None:
            return show(value)
        return f"{show(value)} [{show(row[f'{self.key}_low'])}, {show(row[f'{self.key}_high'])}]"


COVERAGE = Column(
    "chi_bench",
    "χ bench",
    "Coverage: mean activation of the concept over items, relative to the mean over alive concepts",
    "magnitude",
    "benchmark",
)
PERFORMANCE = Column(
    "chi_model",
    "χ model",
    "Performance: mean score of items, weighted by the concept's activation (0 to 1), with its interval",
    "decimal",
    "model",
    interval=True,
)
GAP = Column(
    "gap",
    "gap",
    "Net gap: weighted mean, over the items where the concept is active, of the score less the mean of its stratum "
    "(the items of the same benchmark that the run compares with each other), with its interval; negative = weaker",
    "signed",
    "model",
    interval=True,
)
PLAIN_GAP = Column(
    "plain_gap",
    "plain gap",
    "The same against the mean of the whole benchmark; the verdict is about the net gap",
    "signed",
    "model",
)
Q_VALUE = Column(
    "q_value",
    "q",
    "False-discovery rate of the list, of weak or of strong concepts, that ends with this one; N/A = not tested",
    "probability",
    "model",
)
PERFORMANCE_STATUS = Column(
    "performance_status",
    "verdict",
    "weak or strong: there is a net gap, at the run's false-discovery rate; negligible: there is one, smaller than the "
    "run's least gap; typical: no such evidence; insufficient: too small an n_eff to test; untested: of a kind that is "
    "not ranked, missing, or scores that do not vary",
    "word",
    "model",
)
SUPPORT = Column("support", "support", "Items in which the concept is active, out of all kept", "integer")
N_EFF = Column(
    "n_eff",
    "n_eff",
    "Effective sample size: how many equally weighted, different items the average is worth; a cluster counts once",
    "tenths",
    "model",
)
N_BENCHMARKS = Column("n_benchmarks", "benchmarks", "Benchmarks in which χ model is defined", "integer")
LIFT = Column(
    "lift",
    "lift",
    "log₂ of the concept's share of activation here over its share in the reference text",
    "signed",
    "benchmark",
    optional=True,
)
DENSITY = Column(
    "density",
    "density",
    "Share of tokens on which the concept is active: of the reference text, else of a sample of the run",
    "percent",
    "benchmark",
)
STATUS = Column(
    "coverage_status",
    "coverage",
    "missing; by lift against the reference text under, typical or over (N/A without one)",
    "word",
    "benchmark",
)
CHANCE = Column(
    "chance_seen",
    "chance",
    "Chance that as many tokens of the reference text would show the concept: near 100% its absence is news",
    "percent",
    "benchmark",
    optional=True,
)
KIND = Column(
    "kind",
    "kind",
    "contextual (topics, skills and ways of talking are among these), mixed (no meaning in common), or what a text "
    "looks like: token, format, position, template, dense; N/A = not known",
    "word",
)
LEXICAL = Column(
    "lexical_share",
    "by token",
    "Share of the variance of its activation on reference text that the token explains, corrected for chance; near "
    "100% for a concept that stands for a token, near 0 for one that depends on the context",
    "percent",
    optional=True,
)
COHERENCE = Column(
    "coherence",
    "coherence",
    "How alike in meaning its ten strongest windows of reference text are, beside windows drawn at random: near 0 if "
    "they have nothing in common",
    "decimal",
    optional=True,
)
LABEL = Column("label", "concept", "What activates the concept, as its dictionary says; N/A = no label", "text")
LABEL_SCORE = Column(
    "label_score",
    "label score",
    "How well the label foretells where the concept is active (detection or embedding; 0.5 = chance), or what "
    "its source states; N/A = not scored",
    "decimal",
    optional=True,
)
PEAK = Column("peak_token", "peak token", "The token on which it is strongest most often", "text")

LISTED = (GAP, PERFORMANCE_STATUS, N_EFF)
LEAST_COVERED = (COVERAGE, SUPPORT)


def present(columns: Sequence[Column], frame: pl.DataFrame) -> list[Column]:
    """Keep the columns that a frame has; an optional column only if some row has a value."""
    return [
        column
        for column in columns
        if column.key in frame.columns
        and not (column.optional and frame.height and frame[column.key].null_count() == frame.height)
    ]


@dataclass(frozen=True)
class Term:
    """One word and its meaning."""

    key: str
    """Its address on the page; of a column, the column's key."""
    title: str
    meaning: str


GENERAL = (
    Term(
        "slice",
        "slice",
        "Items with something in common: a category of their columns, a number of theirs, like concepts, like texts, "
        "one concept. A line of the answer is a slice that explains scores which no earlier line explains.",
    ),
    Term(
        "points",
        "points, gap",
        "Hundredths of a score: from 57% right to 50% right are 7 points. A slice's gap is what to expect on new items "
        "beside comparable ones, with the interval in which it lies with a confidence of 95%.",
    ),
    Term(
        "unseen",
        "found again in half-samples",
        "Slices are chosen anew on random halves of the items. Where a half chooses this one, or nearly the same, its "
        "gap on the items left out is measured: ‘9 of 20 half-samples; there −7 (−12 to −2)’ gives the mean of these.",
    ),
    Term(
        "concept",
        "concept",
        "One latent of the sparse autoencoder (SAE): a direction in what the model computes, active on few tokens. It "
        "is alive if it is active somewhere in the reference text (ordinary text, read to know how often that is) or "
        "in this run. Its label describes what activates it and is no proof of what it does.",
    ),
    Term(
        "stratum",
        "stratum, net",
        "Items of one benchmark that are compared with each other: in this run {strata}. A net gap compares items "
        "within their stratum only, so that neither a hard benchmark nor what is held equal makes a slice weak.",
    ),
    Term(
        "cluster",
        "cluster, repeats",
        "Items that are no independent evidence: repeats, which ask the same, word for word or nearly, and items that "
        "their benchmark puts together, such as several questions on one passage. A cluster counts as one item in "
        "every test and stays together when items are split into halves.",
    ),
    Term("missing", "missing", "Active in no item of a benchmark (or of any)."),
    Term(
        "saliency",
        "saliency",
        "How strongly an item activates the concept: 0 absent, about 0.46 at the concept's typical activation, "
        "towards 1 when strong.",
    ),
    Term(
        "kind",
        "kinds of concepts",
        "contextual: topics, skills and ways of talking are among these. mixed: the texts in which it is strongest "
        "have no meaning in common. token, format, position: mostly on some tokens, on punctuation, white space, "
        "digits or markup, on the first tokens of texts. template: outside the item's own text. dense: on more than a "
        "tenth of the tokens. Only contextual concepts, and those whose kind is not known, are ranked.",
    ),
)
REGION = Term(
    "region",
    "region",
    "A part of the atlas, the map of what questions ask that comes with the dictionary: items whose concepts are alike "
    "lie in one region, and a concept hangs in the region where it is most active. Its name was written by readers who "
    "saw some of its items; “(unclear)”: others could not tell it from its neighbours by the name alone. Lists of weak "
    "and strong slices name regions too.",
)
ENTRY = Term(
    "entry",
    "entry",
    "A weakness, a quality or a probe of a list that others made, as a slice of the items: is it weak by its own "
    "items, which other slices go with it, and how often would chance alone say so?",
)
MARKS = Term("marks", "auto", "The label was put together from words of the concept's exemplars; nobody checked it.")
UNDEFINED = Term("na", "N/A", "Not defined, which is not zero.")


def glossary(
    columns: Iterable[Column], evidence: Mapping[str, Any], *, regions: bool, labelled: bool, lists: bool
) -> list[Term]:
    """Explain the words of a page: general ones first, then its columns.

    Parameters
    ----------
    columns : iterable of Column
        Each is explained once.
    evidence : mapping
        The manifest's ``evidence``, for what items are compared at equal values of.
    regions, labelled, lists : bool
        Whether the page speaks of regions, of labels, and of other people's lists.
    """
    shown = {column.key: Term(column.key, column.title, f"{column.hint}.") for column in columns}
    strata = {"strata": alike(evidence) or "all of them"}
    general = [Term(term.key, term.title, term.meaning.format(**strata)) for term in GENERAL]
    more = [*([REGION] if regions else []), *([ENTRY] if lists else []), *([MARKS] if labelled else [])]
    return [*general, *more, UNDEFINED, *shown.values()]
