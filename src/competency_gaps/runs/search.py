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
    text = pl.col("label").str.strip_chars().str.to_lowercase()
    labelled = concepts.filter(text != "")
    if labelled.is_empty():
        raise UserError(
            "no concept of this run has a label, so none can be found by words. Label the SAE's concepts, or import "
            "labels, then name the run's concepts by that dictionary."
        )
    starts = (r"\b" if re.match(r"\w", term) else "" for term in terms)
    holds = (text.str.contains(start + pl.escape_regex(term)) for start, term in zip(starts, terms, strict=True))
    return labelled.filter(*holds).sort("support", "concept", descending=[True, False])
