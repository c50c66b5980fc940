"""Texts as vectors: order, equality, length; and, where the model is there, meaning."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from competency_gaps.errors import UserError
from competency_gaps.model import embed
from competency_gaps.model.embed import TEXT_LIMIT, embed_texts


@pytest.fixture
def stand_in(monkeypatch):
    """A model whose vector depends on the text alone, and which records its input."""
    seen: dict = {"texts": [], "made": []}

    class Stand:
        def __init__(self, name, **options) -> None:
            if name == "nowhere/model":
                raise OSError("cannot reach\nthe hub \x1b[31m")
            seen["made"].append((name, options))

        def eval(self):
            return self

        def encode(self, texts, **options):
            seen["texts"].append(list(texts))
            seen["options"] = options
            return np.array([[len(text), sum(map(ord, text)) % 97 + 1, 3] for text in texts], dtype=np.float64)

    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = Stand
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    embed._load.cache_clear()
    yield seen
    embed._load.cache_clear()


def expected(texts: list[str]) -> np.ndarray:
    rows = np.array([[len(text), sum(map(ord, text)) % 97 + 1, 3] for text in texts], dtype=float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_rows_follow_the_callers_order_and_have_length_one(stand_in):
    texts = ["a longer text", "b", "a longer text", "", "cc"]
    vectors = embed_texts(texts)
    assert vectors.shape == (5, 3) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(texts), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_equal_texts_are_embedded_once(stand_in):
    texts = ["dd", "a", "ccc", "dd", "bb"]
    embed_texts(texts)
    embed_texts(texts[::-1])
    assert stand_in["texts"] == [["a", "bb", "dd", "ccc"]] * 2
    assert len(stand_in["made"]) == 1, "the model is loaded once"


def test_long_texts_are_cut_and_none_give_no_rows(stand_in):
    embed_texts(["x" * 100_000])
    assert [len(text) for text in stand_in["texts"][0]] == [TEXT_LIMIT]
    assert embed_texts([]).shape == (0, 3) and embed_texts([]).dtype == np.float32


def test_a_model_out_of_reach_says_what_to_do(stand_in):
    with pytest.raises(UserError, match=r"'nowhere/model' cannot be loaded: cannot reach.*install.*local folder"):
        embed_texts(["a"], "nowhere/model")
