"""Concepts as slices: the items in which they are strong."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.slices.family import CONCEPTS, Family, family_of, ones_at

MIN_ACTIVE_ITEMS = 30
"""Minimum number of items in which a concept must be active to become a slice."""
WEAKEST_SHARE = 0.25
"""Share of a concept's active items, the weakest, that its slice leaves out, or more: a slice has at most a quarter of
all items."""
_FORMAT = re.compile(
    r"\b(?:questions?|prompts?|answer\w*|options?|instruct\w*|assistants?|users?|request\w*|texts?|repl(?:y|ies)|"
    r"responses?|scenarios?|word problem|role-?play|dialogues?|tokeni\w+|lowercase|messages?|sentences?|paragraphs?|"
    r"placeholder\w*)\b",
    re.IGNORECASE,
)
"""Matches labels that name the form of an item, not its subject."""


def concepts(table: pl.DataFrame, by_concept: ByConcept, items: int) -> Family:
    """Return a slice for each ranked concept with a readable label that is active in enough items."""
    shown = readable(table)
    numbers = shown["concept"].to_numpy().astype(np.int64)
    enough = by_concept.support[numbers] >= MIN_ACTIVE_ITEMS
    weights = strongest(by_concept.cas(numbers[enough], items))
    family = family_of("concepts", weights, shown["label"].filter(enough).to_list())
    return replace(family, number=CONCEPTS + numbers[enough])


def readable(concepts: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of ranked concepts whose label is not automatic and names a subject."""
    shown = concepts.filter(pl.col("ranked") & pl.col("label").is_not_null() & (pl.col("label_kind") != "automatic"))
    return shown.filter([_FORMAT.search(label) is None for label in shown["label"]])


def strongest(scores: sp.csr_array) -> sp.csr_array:
    """Return, for each row, a 1 at the items with the highest values: float32 of shape (K, N), 0 or 1."""
    items = scores.shape[1]
    rows = []
    for a, b in zip(scores.indptr[:-1], scores.indptr[1:], strict=True):
        values = scores.data[a:b]
        share = max(WEAKEST_SHARE, 1 - items / 4 / max(1, b - a))
        least = math.ceil(share * (len(values) - 1))
        rows.append(scores.indices[a:b][values >= np.partition(values, least)[least]] if b > a else scores.indices[:0])
    return ones_at(rows, items)
