"""Sentence embeddings: planted subjects are found and chance is not; scores of labels are those of a plain loop."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from labelling_helpers import WORDS, hand_made

from competency_gaps.dictionary.exemplars import EXEMPLARS, WINDOWS, Exemplars
from competency_gaps.dictionary.labelling import embeddings
from competency_gaps.dictionary.labelling.embeddings import area_under_roc, score_by_embedding
from competency_gaps.dictionary.labelling.labeller import label_rows
from competency_gaps.progress import Progress
from core_helpers import seal_dictionary

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


LABELS = ("copper", "glacier", "glacier", None, "yeast")
"""The second is wrong; the fourth concept has none."""


class Embedder:
    """Turns texts into counts of a few words, and records every text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts):
        self.texts += texts
        return np.stack([vector(text) for text in texts])

    @property
    def windows(self) -> list[str]:
        return [text for text in self.texts if " " in text]


def vector(text):
    counts = np.array([1 + 3 * text.split().count(word) for word in WORDS] + [len(text) % 7], np.float32)
    return counts / np.linalg.norm(counts)


@pytest.fixture
def dictionary(tmp_path):
    """The same windows serve several concepts."""
    made = hand_made(tmp_path / "dictionary")
    path = made.folder / "exemplars.parquet"
    negative = pl.col("kind") == "negative"
    shared = pl.read_parquet(path).with_columns(
        window=pl.when(negative).then(((pl.col("concept") + 1) % 5) * 50 + pl.col("rank")).otherwise("window")
    )
    shared.with_columns(pl.col("window").cast(pl.Int32)).write_parquet(path)
    seal_dictionary(made.folder)
    rows = [(i, label) for i, label in enumerate(LABELS)]
    made.add_labels(label_rows(made, rows, "explained", "someone", None))
    return made


@pytest.fixture
def embedder():
    return Embedder()


def score(dictionary, embedder, concepts=None):
    return score_by_embedding(dictionary, concepts, QUIET, embedder)


def expected(dictionary):
    """Share of pairs in which the window with the concept is nearer."""
    areas = {}
    for concept, label in enumerate(LABELS):
        if label is not None:
            near = {"with": [], "without": []}
            for exemplar in dictionary.exemplars.of(concept):
                if exemplar.kind == "negative":
                    near["without"].append(vector(exemplar.text) @ vector(label))
                elif exemplar.rank % 2:
                    near["with"].append(vector(exemplar.text) @ vector(label))
            pairs = [(a > b) + (a == b) / 2 for a in near["with"] for b in near["without"]]
            areas[concept] = float(np.mean(pairs))
    return areas


def stored(dictionary):
    return dict(dictionary.labels().drop_nulls("embedding").select("concept", "embedding").iter_rows())


def test_scores_equal_a_plain_loop_windows_are_embedded_once(dictionary, embedder):
    taken = score(dictionary, embedder)
    assert taken.stored == 4 and stored(dictionary) == pytest.approx(expected(dictionary))
    assert min(stored(dictionary).values()) < 0.5 < 0.9 < max(stored(dictionary).values())
    needed = {
        exemplar.text
        for concept in stored(dictionary)
        for exemplar in dictionary.exemplars.of(concept)
        if exemplar.kind == "negative" or exemplar.rank % 2
    }
    assert len(embedder.windows) == len(needed) and set(embedder.windows) == needed


def test_only_the_requested_concepts_are_scored(dictionary, embedder):
    assert score(dictionary, embedder, [4, 3]).stored == 1
    assert list(stored(dictionary)) == [4] and len(embedder.windows) == 36


def test_area_under_roc_counts_pairs():
    values, truth = [0.1, 0.4, 0.4, 0.9, 0.2], [False, True, False, True, False]
    high = [value for value, true in zip(values, truth, strict=True) if true]
    low = [value for value, true in zip(values, truth, strict=True) if not true]
    pairs = [(a > b) + 0.5 * (a == b) for a in high for b in low]
    assert area_under_roc(np.array(values), np.array(truth)) == pytest.approx(sum(pairs) / len(pairs))
