"""How near the labels of matched concepts are to the descriptions: a column that is never a condition."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from matching_helpers import embed_words, entries_of
from test_by_examples import Suite, matched

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.matching.example_lines import example_lines
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


def test_nothing_is_embedded_where_there_is_no_label():
    def refuse(texts):
        pytest.fail(f"embedded {texts}")

    assert label_similarity(PAIRS[2:], ENTRIES, refuse).null_count() == 2
    assert label_similarity(PAIRS[:0], ENTRIES, refuse).to_list() == []
    assert label_similarity(PAIRS, ENTRIES, None).null_count() == 4


def test_a_matching_goes_on_without_sentence_embeddings_and_says_so():
    def missing(texts):
        raise MissingExtraError("sentence-transformers", "dictionary", "Comparing texts by meaning")

    def broken(texts):
        raise UserError("the embedding model \x1b[31m cannot be loaded")

    suite = Suite(weak={0})
    compared = matched(suite, embed=embed_words)
    assert compared.labels_not_compared is None and compared.pairs["label_similarity"].null_count() == 0
    columns = compared.pairs.columns
    assert columns.index("label_similarity") == columns.index("leader") + 1
    for embed in (missing, broken):
        without = matched(suite, embed=embed)
        assert without.pairs.drop("label_similarity").equals(compared.pairs.drop("label_similarity"))
        assert without.pairs["label_similarity"].null_count() == without.pairs.height > 0
        text = "\n".join(example_lines(without))
        assert "labels were not compared with descriptions: " in text and "\x1b" not in text
