"""How near the label of a concept that an entry matches by examples is to the entry's description [ours]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from competency_gaps.matching.candidates import label_text
from competency_gaps.matching.embedding import Embed, embed_distinct
from competency_gaps.matching.taxonomy import TaxonomyEntry


def label_similarity(pairs: pl.DataFrame, entries: Sequence[TaxonomyEntry], embed: Embed | None) -> pl.Series:
    """Cosines of the embedded texts of entries and of the labels of their concepts, as matching by labels has them.

    Parameters
    ----------
    pairs
        ``entry`` (an id) and ``label`` of each pair.
    embed
        Maps texts to vectors; None: nothing is compared.

    Returns
    -------
    polars.Series
        ``label_similarity``, float64 in [-1, 1]; null: the concept has no label, or ``embed`` is None.

    Raises
    ------
    UserError
        If sentence embeddings are not installed, or their model cannot be loaded.
    """
    labels = pairs.select(text=label_text("label"))["text"].to_list()
    rows = [row for row, label in enumerate(labels) if label]
    values: list[float | None] = [None] * len(labels)
    if rows and embed is not None:
        text_of = {entry.id: entry.text for entry in entries}
        of_entries = embed_distinct(embed, [text_of[pairs["entry"][row]] for row in rows])
        cosines = np.einsum("ij,ij->i", of_entries, embed_distinct(embed, [labels[row] for row in rows]))
        for row, cosine in zip(rows, np.clip(cosines.astype(float), -1, 1).tolist(), strict=True):
            values[row] = cosine
    return pl.Series("label_similarity", values, dtype=pl.Float64)
