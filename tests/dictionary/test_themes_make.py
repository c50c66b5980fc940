"""Themes of a dictionary: which concepts are grouped."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from labelling_helpers import WIDTH, WORDS, hand_made

from competency_gaps.dictionary.labels import SCHEMA, shown_labels
from competency_gaps.dictionary.theme_tables import make_themes, meanings, read_themes
from competency_gaps.progress import Progress
from competency_gaps.sae.reference import FILE, SURFACE, Reference

pytest.importorskip("umap")


def reference(lexical: np.ndarray) -> Reference:
    some = np.full(WIDTH, 0.1)
    surface = {**dict.fromkeys(SURFACE, some), "lexical_share": lexical, "word_share": np.full(WIDTH, np.nan)}
    return Reference(some, some / 10, some, some, some, some, some, **surface, token=[None] * WIDTH)


def grouped(folder) -> list[int]:
    dictionary = hand_made(folder)
    decoder = np.random.default_rng(0).normal(size=(WIDTH, 6)).astype(np.float32)
    make_themes(dictionary, decoder, Progress(quiet=True), fewest=2, most=3)
    themes, _ = read_themes(folder, WIDTH)
    return themes.drop_nulls("theme")["concept"].to_list()


def test_concepts_with_exemplars_are_grouped(tmp_path):
    assert grouped(tmp_path / "dictionary") == list(range(len(WORDS)))


def test_with_a_reference_only_contextual_and_unknown_kinds_are(tmp_path):
    folder = tmp_path / "dictionary"
    folder.mkdir()
    reference(np.array([0.1, 0.9, 0.2, 0.8, np.nan, 0.1, 0.1, 0.1])).write(folder / FILE)
    assert grouped(folder) == [0, 2, 4]


def labels(kinds: list[str | None]) -> pl.DataFrame:
    rows = [
        {"concept": c, "label": f"label {c}", "kind": kind, "placeholder": False, "date": "2026-01-01"}
        for c, kind in enumerate(kinds)
        if kind
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def test_automatic_labels_count_only_where_others_are_few():
    shown = shown_labels(labels(["automatic", "explained", "imported", "automatic", None]), 5)
    used = np.array([True, True, False, True, True])
    assert meanings(shown, used) == [None, "label 1", None, None, None], "a quarter of those in use"
    used[1] = False
    assert meanings(shown, used) == ["label 0", None, None, "label 3", None]
    shown = shown_labels(labels(["explained", *["automatic"] * 4]), 5)
    assert meanings(shown, np.ones(5, bool)) == [f"label {c}" for c in range(5)], "a fifth is not enough"


def test_themes_are_made_of_what_the_labels_mean(tmp_path, monkeypatch):
    dictionary = hand_made(tmp_path / "dictionary")
    dictionary.add_labels(labels(["explained", "automatic", "imported", None, "automatic", None, "explained", None]))
    asked: list[str] = []

    def embed(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return np.random.default_rng(0).normal(size=(len(texts), 4)).astype(np.float32)

    monkeypatch.setattr("competency_gaps.dictionary.theme_tables.embed_texts", embed)
    make_themes(dictionary, np.random.default_rng(1).normal(size=(WIDTH, 6)).astype(np.float32), Progress(quiet=True))
    assert asked == ["label 0", "label 2"], "read labels of concepts that have exemplars (0 to 4)"
