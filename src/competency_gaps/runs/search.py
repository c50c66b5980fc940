"""Find concepts by words in their labels."""

from __future__ import annotations

import re

import polars as pl

from competency_gaps.errors import UserError


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
        Their rows, the largest support first.

    Raises
    ------
    UserError
        If ``words`` is blank, or no concept has a label.
    """
    terms = words.lower().split()
    if not terms:
        raise UserError("give words to look for in the concepts' labels, or a concept's number.")
    labelled = _labelled(concepts)
    matches = labelled.filter(pl.all_horizontal(_has(term) for term in terms)).drop("_label")
    return matches.sort("support", "concept", descending=[True, False])


def _labelled(concepts: pl.DataFrame) -> pl.DataFrame:
    """The labelled concepts, with ``_label``: the label in lower case with single blanks."""
    text = pl.col("label").fill_null("").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    labelled = concepts.with_columns(_label=text).filter(pl.col("_label") != "")
    if labelled.is_empty():
        raise UserError(
            "no concept of this run has a label, so none can be found by words. Label the SAE's concepts, or import "
            "labels, then name the run's concepts by that dictionary."
        )
    return labelled


def _has(term: str) -> pl.Expr:
    return pl.col("_label").str.contains(_start(term) + pl.escape_regex(term))


def _start(term: str) -> str:
    """Pattern before a term: a word boundary if the term begins with a letter or digit."""
    return r"\b" if re.match(r"\w", term) else ""
