"""What the words of the explorer mean: a list that it shows as a whole, and behind the header of each column."""

from __future__ import annotations

from competency_gaps.explorer.parts.columns import shown_columns
from competency_gaps.explorer.parts.context import Context
from competency_gaps.presentation import glossary as shared
from competency_gaps.presentation.glossary import Term

_OWN = (
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
        "An alive concept without a flag. Flagged ones stand for the form of a text rather than for what it is about, "
        "and no verdict counts them.",
    ),
    Term(
        "cas",
        "CAS",
        "Concept activation score: how strongly a concept is active in an item, averaged over the tokens that the run "
        "counts (its span).",
    ),
)
"""Words that the report does not use."""


def glossary(context: Context) -> list[Term]:
    """Explain every word that is no plain English, as the report does.

    Returns
    -------
    list of Term
        General words first, then the columns.
    """
    labelled = context.concepts["label"].null_count() < context.concepts.height
    terms = shared.glossary(
        shown_columns(context), context.manifest["evidence"], themes=context.themes is not None, labelled=labelled
    )
    columns = {column.key for column in shown_columns(context)}
    general = [term for term in terms if term.key not in columns]
    known = {term.key: term for term in [*general, *_OWN, *terms]}
    return list(known.values())
