"""Each ranked concept as a slice: the items in which it is strong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.slices.family import CONCEPTS, Family, family_of

FEWEST = 30
"""Items in which a concept must be active, at least."""


def concepts(table: pl.DataFrame, by_concept: ByConcept, items: int) -> Family:
    """Slices of the ranked concepts that are active in enough items."""
    support = by_concept.support
    shown = table.filter(pl.col("ranked") & (pl.Series(support[: table.height]) >= FEWEST))
    numbers = shown["concept"].to_numpy().astype(np.int64)
    scores = by_concept.cas(numbers, items)
    rows = []
    for a, b in zip(scores.indptr[:-1], scores.indptr[1:], strict=True):
        values = scores.data[a:b]
        cut = np.quantile(values, 0.25) if b - a < items / 2 else np.quantile(values, max(0.0, 1 - items / 4 / (b - a)))
        rows.append(scores.indices[a:b][values >= cut])
    start = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    index = np.concatenate([[], *rows]).astype(np.int64)
    weights = sp.csr_array((np.ones(len(index), np.float32), index, start), shape=(len(numbers), items))
    names = [label or f"concept {number}" for number, label in zip(numbers, shown["label"], strict=True)]
    return replace(family_of("concepts", weights, names), number=CONCEPTS + numbers)
