"""Tables of concepts on the page and in the terminal: their columns, a glossary, and a search by label."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from competency_gaps.concepts.kinds import CONTEXTUAL
from competency_gaps.runs.open import RunFolder
from competency_gaps.util import text
from competency_gaps.util.errors import UserError, nearest
from competency_gaps.view.words import alike

Kind = Literal[
    "text", "word", "flag", "integer", "tenths", "decimal", "signed", "points", "magnitude", "probability", "percent"
]


_SHOWN: Mapping[Kind, Callable[[Any], str]] = {
    "text": str,
    "word": lambda value: f"goes with {value}" if value in ("failure", "success") else str(value),
    "integer": text.integer,
    "tenths": text.tenths,
    "decimal": text.decimal,
    "signed": text.signed,
    "points": lambda value: text.signed(100 * value, 1),
    "magnitude": text.magnitude,
    "probability": lambda value: "<1e−9" if value < 1e-9 else text.magnitude(value),
    "percent": lambda value: text.percent(value, 1),
}
"""Kind of a quantity -> function that formats a value for the terminal."""


@dataclass(frozen=True)
class Quantity:
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
        """Return a row's value as text, with its interval if it has one."""
        value, show = row[self.key], _SHOWN[self.kind]
        if value is None or value == "":
            return text.NOT_DEFINED
        if not self.interval or row.get(f"{self.key}_low") is None:
            return show(value)
        return f"{show(value)} [{show(row[f'{self.key}_low'])}, {show(row[f'{self.key}_high'])}]"


COVERAGE = Quantity(
    "chi_bench",
    "χ bench",
    "Coverage: the concept's mean activation over items, relative to the mean over alive concepts",
    "magnitude",
    "benchmark",
)
PERFORMANCE = Quantity(
    "chi_model",
    "χ model",
    "Performance: mean score of items, weighted by the concept's activation (0 to 1), with its interval",
    "decimal",
    "model",
    interval=True,
)
ASSOCIATION = Quantity(
    "association",
    "association",
    "In points of 100: mean, over items weighted by the concept's activation, of the score minus the mean of its "
    "stratum (the items of the same benchmark that the run compares with each other); negative: it goes with failure",
    "points",
    "model",
    interval=True,
)
PLAIN_ASSOCIATION = Quantity(
    "plain_association",
    "plain association",
    "The same beside the mean of the whole benchmark; the verdict rests on the association within strata",
    "points",
    "model",
)
Q_VALUE = Quantity(
    "q_value",
    "q",
    "False-discovery rate of the list, of failure or of success, that ends with this concept; N/A = not tested",
    "probability",
    "model",
)
PERFORMANCE_STATUS = Quantity(
    "performance_status",
    "verdict",
    "goes with failure or success: by the association, at the run's false-discovery rate; negligible: the same, but "
    "too small to be of interest; typical: no evidence of either; insufficient: n_eff too small to test; untested: not "
    "of a ranked kind, missing, or scores that do not vary",
    "word",
    "model",
)
SUPPORT = Quantity("support", "support", "Kept items in which the concept is active", "integer")
N_EFF = Quantity(
    "n_eff",
    "n_eff",
    "Effective sample size: how many equally weighted items the average is worth; a cluster counts once",
    "tenths",
    "model",
)
N_BENCHMARKS = Quantity("n_benchmarks", "benchmarks", "Benchmarks in which χ model is defined", "integer")
LIFT = Quantity(
    "lift",
    "lift",
    "log₂ of the concept's share of activation here relative to its share in the reference text",
    "signed",
    "benchmark",
    optional=True,
)
DENSITY = Quantity(
    "density",
    "density",
    "Share of tokens on which the concept is active, in the reference text or else in a sample of the run",
    "percent",
    "benchmark",
)
STATUS = Quantity(
    "coverage_status",
    "coverage",
    "missing, or under, typical or over by its lift against the reference text (N/A without one)",
    "word",
    "benchmark",
)
CHANCE = Quantity(
    "chance_seen",
    "chance",
    "Chance that as many tokens of the reference text would contain the concept; near 100%, its absence is news",
    "percent",
    "benchmark",
    optional=True,
)
KIND = Quantity(
    "kind",
    "kind",
    "contextual (including topics, skills and styles), mixed (no common meaning), or about what a text looks like: "
    "token, format, position, template, dense; N/A = unknown",
    "word",
)
LEXICAL = Quantity(
    "lexical_share",
    "by token",
    "Share of the variance of its activation on reference text explained by the token, corrected for chance: near "
    "100% if the concept stands for a token, near 0 if it depends on context",
    "percent",
    optional=True,
)
COHERENCE = Quantity(
    "coherence",
    "coherence",
    "How similar in meaning its ten strongest windows of reference text are, compared with random windows: near 0 if "
    "they have nothing in common",
    "decimal",
    optional=True,
)
LABEL = Quantity("label", "concept", "What activates the concept, according to its dictionary; N/A = no label", "text")
LABEL_SCORE = Quantity(
    "label_score",
    "label score",
    "How well the label predicts where the concept is active (detection or embedding; 0.5 = chance), or the score "
    "stated by its source; N/A = not scored",
    "decimal",
    optional=True,
)
PEAK = Quantity("peak_token", "peak token", "The token on which it most often peaks", "text")

LISTED = (ASSOCIATION, PERFORMANCE_STATUS, N_EFF)
LEAST_COVERED = (COVERAGE, SUPPORT)


def present(columns: Sequence[Quantity], frame: pl.DataFrame) -> list[Quantity]:
    """Return the columns that a frame has; an optional column only if some row has a value."""
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
        "Items with something in common: a value in a column, a range of numbers, similar concepts, similar texts, or "
        "a single concept. Each line of the answer is a slice that explains scores that no earlier line explains.",
    ),
    Term(
        "points",
        "points, gap",
        "Hundredths of a score: from 57% right to 50% right is 7 points. A slice's gap is the difference to expect "
        "between new items of the slice and comparable items, with its 95% interval.",
    ),
    Term(
        "unseen",
        "found again in half-samples",
        "Slices are chosen again on random halves of the items. When a half chooses this slice, or nearly the same "
        "one, its gap is measured on the items left out; the gap and interval given are the means of these.",
    ),
    Term(
        "concept",
        "concept",
        "One latent of the sparse autoencoder (SAE): a direction in the model's activations that is active on few "
        "tokens. It is alive if it is active anywhere in the reference text (ordinary text that shows how common each "
        "concept is) or in this run. Its label describes what activates it; it does not prove what the concept does. "
        "It has an association, but no gap: only a slice has one, such as the items where the concept is strongest.",
    ),
    Term(
        "stratum",
        "stratum, net",
        "Items of one benchmark that are compared with each other: in this run, {strata}. Gaps and associations are "
        "taken within strata, so neither a hard benchmark nor what is held equal can make a slice look weak.",
    ),
    Term(
        "cluster",
        "cluster, repeats",
        "Items that are not independent evidence: repeats, word for word or nearly, and items that belong together, "
        "such as several questions on one passage. A cluster counts as one item in every test and is never split "
        "across halves.",
    ),
    Term("missing", "missing", "Active in no item of a benchmark (or of any)."),
    Term(
        "saliency",
        "saliency",
        "How strongly an item activates the concept: 0 if absent, about 0.46 at the concept's typical activation, "
        "close to 1 if strong.",
    ),
    Term(
        "score",
        "score",
        "How well an item was answered, from 0 to 1. Where items are right or wrong, a mean score of 57% means that "
        "57% are right.",
    ),
    Term(
        "cas",
        "CAS",
        "Concept activation score: how strongly a concept is active in an item, averaged over the tokens that the run "
        "counts (its span).",
    ),
)
REGION = Term(
    "region",
    "region",
    "A part of the atlas, the map of what questions are about that comes with the dictionary. Items with similar "
    "concepts lie in one region, and a concept belongs to the region where it is most active. A region is named by a "
    "language model that saw some of its items, or by their words; “(unclear)” means that the name alone does not "
    "tell it from its neighbours. A line of the answer can be a region.",
)
ENTRY = Term(
    "entry",
    "entry",
    "A weakness, a skill or a probe from someone else's list: do its own items go with failure, which slices match it, "
    "and how often would that happen by chance?",
)
MARKS = Term("marks", "auto", "The label was built from words in the concept's exemplars; nobody has checked it.")
UNDEFINED = Term("na", "N/A", "Not defined; this is not zero.")


def glossary(
    columns: Iterable[Quantity], evidence: Mapping[str, Any], *, regions: bool, labelled: bool, lists: bool
) -> list[Term]:
    """Return the terms of a page with their meanings: general ones first, then its columns.

    Parameters
    ----------
    columns : iterable of Quantity
        Each is explained once.
    evidence : mapping
        The manifest's ``evidence``, with the strata within which items are compared.
    regions, labelled, lists : bool
        Whether the page uses regions, labels, and lists from elsewhere.
    """
    shown = [Term(column.key, column.title, f"{column.hint}.") for column in columns]
    strata = {"strata": alike(evidence) or "all of them"}
    general = [Term(term.key, term.title, term.meaning.format(**strata)) for term in GENERAL]
    more = [*([REGION] if regions else []), *([ENTRY] if lists else []), *([MARKS] if labelled else [])]
    return [*general, *more, UNDEFINED, *shown]


LABEL_LIMIT = 140


def badges_of(row: dict[str, Any]) -> list[str]:
    """Return a concept's badges: its kind if it is not contextual, and whether it is dead or missing."""
    dead = [] if row["alive"] else ["dead"]
    kind = [] if row["kind"] in (None, CONTEXTUAL) else [row["kind"]]
    return dead + kind + (["missing"] if row["missing"] else [])


def concept_name(row: dict[str, Any]) -> str:
    """Return a concept's label, or ``concept 123`` if it has none."""
    label = row["label"]
    return text.shorten(label, LABEL_LIMIT) if label else f"concept {row['concept']}"


def list_concepts(run: RunFolder, words: str | None = None) -> tuple[pl.DataFrame, tuple[Quantity, ...], str | None]:
    """Return concepts to list: rows of ``run.concepts`` in order, the columns to show, and a sentence on the search.

    Parameters
    ----------
    run : RunFolder
    words : str, optional
        Only concepts whose labels contain these words, tested or not. None: the tested concepts, the lowest association
        first; if there are none, the ranked concepts that are covered, the least first.

    Raises
    ------
    UserError
        If no label has the words; the nearest one is named.
    """
    run.check_reading("A list of concepts")
    table = run.concepts.drop("tau", strict=False)
    if words is not None:
        matches = find_concepts(run.concepts, words)
        if not matches.height:
            known = run.concepts["label"].drop_nulls().to_list()
            raise UserError(f"no concept's label has the words {text.shorten(words, 80)!r}.{nearest(words, known)}")
        table = matches.select("concept").join(table, on="concept", how="left", maintain_order="left")
        have = "has" if matches.height == 1 else "have"
        sentence = f"{text.plural(matches.height, 'label')} {have} the words {text.shorten(words, 80)!r}."
        return table, LISTED, sentence
    tested = table.filter(pl.col("ranked") & pl.col("q_value").is_not_null())
    if tested.height:
        return tested.sort("association", "concept"), LISTED, None
    covered = table.filter(pl.col("ranked") & (pl.col("chi_bench") > 0))
    return covered.sort("chi_bench", "concept"), LEAST_COVERED, None


def find_concepts(concepts: pl.DataFrame, words: str) -> pl.DataFrame:
    """Return the concepts whose labels contain all given words.

    Parameters
    ----------
    concepts : DataFrame
        ``run.concepts``, with the columns ``concept``, ``label`` and ``support``.
    words : str
        In any order and case. A word matches the beginning of a word: ``prime`` finds *primes*, but not *subprime*. A
        term that begins with a sign matches anywhere.

    Returns
    -------
    DataFrame
        Their rows, the largest support first.

    Raises
    ------
    UserError
        If ``words`` is blank, or no concept has a label.
    """
    terms = words.lower().split()
    if not terms:
        raise UserError("give words to look for in the concepts' labels, or a concept's number.")
    label = pl.col("label").str.strip_chars().str.to_lowercase()
    labelled = concepts.filter(label != "")
    if labelled.is_empty():
        raise UserError(
            "no concept of this run has a label, so none can be found by words. Label the SAE's concepts, or import "
            "labels, then name the run's concepts by that dictionary."
        )
    starts = (r"\b" if re.match(r"\w", term) else "" for term in terms)
    holds = (label.str.contains(start + pl.escape_regex(term)) for start, term in zip(starts, terms, strict=True))
    return labelled.filter(*holds).sort("support", "concept", descending=[True, False])
