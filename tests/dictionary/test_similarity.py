"""Embedding scores are those of a plain loop; each window is embedded once, and a stopped pass keeps its scores."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from competency_gaps.dictionary.labelling.similarity import FILE, score_by_embedding
from labelling_helpers import WORDS, hand_made

from competency_gaps.dictionary.labelling import labeller
from competency_gaps.dictionary.labels import write_label_table
from competency_gaps.progress import Progress
from core_helpers import seal_dictionary

LABELS = ("copper", "glacier", "glacier", None, "yeast")
"""The second is wrong; the fourth concept has none."""


class Embedder:
    """Turns texts into counts of a few words; records every text, and can be stopped."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls_left = 10**6

    def __call__(self, texts):
        self.calls_left -= 1
        if self.calls_left < 0:
            raise KeyboardInterrupt
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
    made.add_labels(labeller.label_rows(made, rows, "explained", "someone", None))
    return made


@pytest.fixture
def embedder():
    return Embedder()


def score(dictionary, embedder, concepts=None):
    return score_by_embedding(dictionary, concepts, Progress(quiet=True), embedder, together=1)


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


def test_scores_are_those_of_a_plain_loop_and_windows_are_embedded_once(dictionary, embedder):
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
    assert not (dictionary.folder / FILE).exists()


def test_only_the_requested_concepts_are_scored(dictionary, embedder):
    assert score(dictionary, embedder, [4, 3]).stored == 1
    assert list(stored(dictionary)) == [4] and len(embedder.windows) == 36


def test_a_stopped_pass_keeps_its_scores_and_resumes(dictionary, embedder):
    embedder.calls_left = 5  # windows and labels of two concepts, windows of the third
    with pytest.raises(KeyboardInterrupt):
        score(dictionary, embedder)
    assert sorted(stored(dictionary)) == [0, 1]
    embedder.texts, embedder.calls_left = [], 10**6
    assert score(dictionary, embedder).stored == 2
    assert stored(dictionary) == pytest.approx(expected(dictionary))
    assert not {"copper"} & set(embedder.texts), "what was scored is not embedded again"
    # A finished pass is no reason to skip anything: exemplars may have changed since.
    assert score(dictionary, embedder).stored == 4


@pytest.mark.parametrize("change", ["exemplars", "label", "score", "damaged"])
def test_what_changed_since_is_scored_again(change, dictionary, embedder):
    embedder.calls_left = 5
    with pytest.raises(KeyboardInterrupt):
        score(dictionary, embedder)
    embedder.calls_left = 10**6
    if change == "exemplars":
        path = dictionary.folder / "windows.parquet"
        pl.read_parquet(path).with_columns(text=pl.col("text") + " end").write_parquet(path)
        seal_dictionary(dictionary.folder)
    elif change == "label":
        dictionary.add_labels(labeller.label_rows(dictionary, [(0, "violin")], "explained", "someone", None))
    elif change == "score":
        lost = pl.when(pl.col("concept") != 0).then("embedding").alias("embedding")
        write_label_table(dictionary.folder, dictionary.labels().with_columns(lost))
    else:
        (dictionary.folder / FILE).write_text(json.dumps({"made_of": 3}))
    kept = 1 if change in {"label", "score"} else 0
    assert score(dictionary, embedder).stored == 4 - kept
