"""A deterministic embedding without any model, and tables of concepts."""

from __future__ import annotations

import functools
import re
import zlib

import numpy as np
import polars as pl

from competency_gaps.matching import TaxonomyEntry

WIDTH = 256


@functools.cache
def direction(word):
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=WIDTH)


def embed_words(texts):
    """Sum of a random direction per word: cosine is the share of words in common, more or less."""
    rows = np.zeros((len(texts), WIDTH))
    for i, text in enumerate(texts):
        for word in re.findall(r"\w+", text.casefold()):
            rows[i] += direction(word)
    rows += 1e-9
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def concept_table(labels, **columns):
    """``run.concepts`` with these labels; every further column can be set."""
    n = len(labels)
    table = {
        "concept": np.arange(n, dtype=np.int32),
        "label": labels,
        "alive": [True] * n,
        "ranked": [True] * n,
        "missing": [False] * n,
        "chi_bench": [1.0] * n,
        "chi_model": [0.5] * n,
        "gap": [-0.01 * i for i in range(n)],
        "q_value": [0.2] * n,
        "performance_status": ["neither"] * n,
        "coverage_status": ["typical"] * n,
        "leader": [None] * n,
        "density": [0.01] * n,
    }
    return pl.DataFrame({**table, **columns}, schema_overrides={"label": pl.String, "leader": pl.Int32})


def entries_of(texts):
    return [TaxonomyEntry(f"e{i}", text, None, None, None, {}) for i, text in enumerate(texts)]


def made_up_labels(count, words=4, vocabulary=400, seed=0):
    """Labels of random words, all distinct."""
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{seed}x{k}" for k in rng.choice(vocabulary, words, replace=False)) for _ in range(count)]
