"""Find concepts by words in their labels, or by their verdicts."""

from __future__ import annotations

import difflib
import re

import polars as pl

from competency_gaps.errors import UserError

_SHORT = 3
"""Words of at most this many letters (of, the) count for near labels only if there are no longer words."""


def find_concepts(concepts: pl.DataFrame, words: str) -> pl.DataFrame:
    """Find the concepts whose labels contain all given words.

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
        Their rows, ordered: labels equal to the words; labels with the words as a phrase, whole words first; the
        others. Ties are ordered by support, the largest first.

    Raises
    ------
    UserError
        If ``words`` is blank, or no concept has a label.
    """
    terms = words.lower().split()
    if not terms:
        raise UserError("give one or more words to look for in the concepts' labels, or a concept's number.")
    labelled = _labelled(concepts)
    label = pl.col("_label")
    phrase = _start(terms[0]) + r"\s+".join(map(pl.escape_regex, terms))
    whole = phrase + (r"\b" if re.match(r"\w", terms[-1][-1]) else "")
    rank = (
        pl.when(label == " ".join(terms))
        .then(0)
        .when(label.str.contains(whole))
        .then(1)
        .when(label.str.contains(phrase))
        .then(2)
        .otherwise(3)
    )
    matches = labelled.filter(pl.all_horizontal(_has(term) for term in terms)).with_columns(_rank=rank)
    return matches.sort("_rank", "support", "concept", descending=[False, True, False]).drop("_rank", "_label")


def near_labels(concepts: pl.DataFrame, words: str, limit: int) -> pl.DataFrame:
    """Give the concepts whose labels contain the most of the given words; a misspelt word counts as the nearest one.

    Parameters
    ----------
    concepts : DataFrame
        ``run.concepts``.
    words : str
    limit : int
        Most rows.

    Returns
    -------
    DataFrame
        Empty if no label has any of the words.
    """
    labelled = _labelled(concepts)
    known = {word for label in labelled["_label"].unique().to_list() for word in re.findall(r"\w+", label)}
    terms = words.lower().split()
    terms = [_corrected(term, known) for term in terms if len(term) > _SHORT] or terms
    matches = labelled.with_columns(_count=pl.sum_horizontal(_has(term).cast(pl.Int32) for term in terms))
    matches = matches.filter(pl.col("_count") > 0).sort("_count", "support", "concept", descending=[True, True, False])
    return matches.head(limit).drop("_count", "_label")


def _labelled(concepts: pl.DataFrame) -> pl.DataFrame:
    """The labelled concepts, with ``_label``: the label in lower case with single blanks."""
    text = pl.col("label").fill_null("").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    labelled = concepts.with_columns(_label=text).filter(pl.col("_label") != "")
    if labelled.is_empty():
        raise UserError(
            "no concept of this run has a label, so none can be found by words. Label the SAE's concepts ('cgaps "
            "concepts label' or 'cgaps concepts import'), then put the labels on the run: 'cgaps concepts name RUN "
            "DICTIONARY'."
        )
    return labelled


def _has(term: str) -> pl.Expr:
    return pl.col("_label").str.contains(_start(term) + pl.escape_regex(term))


def _start(term: str) -> str:
    """Pattern before a term: a word boundary if the term begins with a letter or digit."""
    return r"\b" if re.match(r"\w", term) else ""


def _corrected(term: str, known: set[str]) -> str:
    if any(word.startswith(term) for word in known):
        return term
    return next(iter(difflib.get_close_matches(term, sorted(known), n=1, cutoff=0.7)), term)


def judged(concepts: pl.DataFrame, verdict: str, *, surest: bool = False) -> pl.DataFrame:
    """Give the weak (strong) concepts, the lowest (highest) gap first; of equal gaps the one with more items behind it.

    Parameters
    ----------
    concepts
        ``run.concepts``, or the rows of one benchmark.
    surest
        By p-value instead.
    """
    chosen = concepts.filter(pl.col("performance_status") == verdict)
    if surest:
        return chosen.sort("p_value", "concept")
    return chosen.sort("gap", "n_eff", "concept", descending=[verdict == "strong", True, False])
