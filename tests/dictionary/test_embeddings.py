"""Sentence embeddings: planted subjects are found and chance is not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from competency_gaps.dictionary.exemplars import EXEMPLARS, WINDOWS, Exemplars
from competency_gaps.dictionary.labelling import embeddings
from competency_gaps.progress import Progress

QUIET = Progress(quiet=True)
LIST = tuple(f"subject {i}" for i in range(40))


def embed(texts):
    """Subjects and windows of a subject lie near the same direction; other windows lie anywhere."""
    rows = []
    for text in texts:
        rng = np.random.default_rng(sum(text.encode()) * 7919 + len(text))
        vector = 0.7 * rng.normal(size=64)
        if "subject" in text:
            vector += 3 * np.random.default_rng(int(text.split("subject ")[1].split()[0])).normal(size=64)
        rows.append(vector / np.linalg.norm(vector))
    return np.asarray(rows, np.float32)


@pytest.fixture
def exemplars(tmp_path, monkeypatch):
    """Concepts 0 to 9 of one subject each, 10 to 59 of random windows, 60 of one word, 61 with three windows."""
    monkeypatch.setattr(embeddings, "subjects", lambda: LIST)
    rng = np.random.default_rng(0)
    windows, rows = [], []
    for concept in range(62):
        for rank in range(3 if concept == 61 else 20):
            about = f" about subject {concept} " if concept < 10 else " "
            noise = "".join(rng.choice(list("bcdfghjklm"), 8))
            text = f"zebra{about}{noise} x{concept}y{rank}"
            ends = [5, 5 + len(about), 5 + len(about) + 8, len(text)]
            windows.append((len(windows), text, ends))
            fired = [1.0, 0.0, 0.0, 0.0] if concept == 60 else [0.0, 0.0, float(rng.random()) + 0.1, 0.0]
            rows.append((concept, "top" if rank < 10 else "spread", rank % 10, len(windows) - 1, 1.0, fired))
    schema = {"concept": pl.Int32, "kind": pl.String, "rank": pl.Int32, "window": pl.Int32, "value": pl.Float32}
    pl.DataFrame(rows, schema={**schema, "activations": pl.List(pl.Float32)}, orient="row").write_parquet(
        tmp_path / EXEMPLARS
    )
    pl.DataFrame(
        windows, schema={"window": pl.UInt32, "text": pl.String, "ends": pl.List(pl.Int32)}, orient="row"
    ).select("window", pl.lit([], dtype=pl.List(pl.Int32)).alias("tokens"), "text", "ends").write_parquet(
        tmp_path / WINDOWS
    )
    return Exemplars(tmp_path)


def test_planted_subjects_are_named_and_chance_is_not(exemplars):
    labels = embeddings.subject_labels(exemplars, None, QUIET, embed)
    assert all(str(labels[c]).startswith(f"subject {c}") for c in range(10))
    chance = sum(labels[c] is not None for c in range(10, 60))
    assert chance <= 8, "5% of 50 are expected"
    assert labels[60] is None and labels[61] is None


def test_windows_of_odd_rank_are_held_out(exemplars):
    shown = embeddings._shown(exemplars, 0)
    assert {(e.kind, e.rank % 2) for e in shown} == {("top", 0), ("spread", 0)} and len(shown) == 10


def test_only_the_concepts_that_are_asked_for(exemplars):
    every = embeddings.subject_labels(exemplars, None, QUIET, embed)
    assert embeddings.subject_labels(exemplars, [3, 12, 999], QUIET, embed) == {c: every[c] for c in (3, 12)}
    assert embeddings.subject_labels(exemplars, [999], QUIET, embed) == {}


def test_the_list_holds_different_phrases():
    phrases = embeddings.subjects()
    assert len(phrases) >= 1500 and len({phrase.casefold() for phrase in phrases}) == len(phrases)
    assert all(phrase.isascii() and phrase == phrase.strip() and 1 < len(phrase) < 80 for phrase in phrases)
