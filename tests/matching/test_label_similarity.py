"""How near the labels of matched concepts are to the descriptions: a column that is never a condition."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from matching_helpers import embed_words, entries_of

from competency_gaps.matching.label_similarity import label_similarity

ENTRIES = entries_of(["adding long numbers", "old poems"])
PAIRS = pl.DataFrame(
    {
        "entry": ["e1", "e0", "e0", "e0"],
        "label": ["poems about old kings", "adding numbers", None, " \n"],
    },
    schema={"entry": pl.String, "label": pl.String},
)


def test_similarity_is_the_cosine_and_null_without_a_label():
    values = label_similarity(PAIRS, ENTRIES, embed_words)
    for value, (text, label) in zip(
        values[:2], (("old poems", "poems about old kings"), ("adding long numbers", "adding numbers")), strict=True
    ):
        first, second = embed_words([text])[0].astype(float), embed_words([label])[0].astype(float)
        assert value == pytest.approx(first @ second / np.sqrt((first @ first) * (second @ second)), abs=1e-6)
    assert values[2:].to_list() == [None, None] and values.name == "label_similarity"
