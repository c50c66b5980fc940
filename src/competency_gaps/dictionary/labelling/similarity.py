"""Score labels by embedding: are they more similar to windows with the concept than to its hard negatives?"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import rankdata

from competency_gaps.dictionary.embed import default_model, embed_texts
from competency_gaps.dictionary.exemplars.store import EXEMPLARS, WINDOWS
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.labelling.labeller import Taken, add_scores
from competency_gaps.dictionary.labelling.requests import plain
from competency_gaps.files import sha256, write_json
from competency_gaps.progress import Bar, Progress

CHUNK = 128
"""Concepts whose windows are embedded together."""
SAVE_SECONDS = 30.0
"""Seconds between two writes of the scores, each of which rewrites the label table."""
FILE = ".similarity.json"
"""File in the dictionary's folder during an unfinished pass: which labels are scored, and from which exemplars."""


@dataclass(frozen=True)
class _Task:
    """A label and the windows that it is compared with."""

    concept: int
    label: str
    windows: np.ndarray
    """int64 of shape (windows,): rows of ``windows.parquet``."""
    truth: np.ndarray
    """bool of shape (windows,): whether the concept is active; both values occur."""


def score_by_embedding(dictionary: Dictionary, concepts: Sequence[int] | None, progress: Progress) -> Taken:
    """Score the shown label of each concept: area under the ROC curve of cosine(label, window) [ours].

    Windows with the concept are the held-out ones (odd rank), those without its hard negatives. 0.5 = chance. A label
    of the text's subject scores well, one of a grammatical role need not: the score measures how useful the label is
    for search, not whether it is right. Each window is embedded once. Scores are stored on the way, and an interrupted
    pass is resumed after them.
    """
    done = _Done(dictionary.folder)
    held = dictionary.labels().filter(pl.col("embedding").is_not_null()).select("concept", "label")
    ready = done.scored & set(held.iter_rows())  # a label that was rewritten since has lost its score
    tasks = [task for task in _tasks(dictionary, concepts) if (task.concept, task.label) not in ready]
    vectors = _Vectors(dictionary, tasks)
    waiting: list[tuple[int, str, float]] = []
    stored = 0

    def store() -> None:
        nonlocal stored
        if waiting:
            add_scores(dictionary, "embedding", waiting)
            done.add(waiting)
            stored += len(waiting)
            waiting.clear()

    with progress.stage("scoring labels", total=len(vectors.rows), unit="windows") as bar:
        saved = time.monotonic()
        try:
            for start in range(0, len(tasks), CHUNK):
                waiting += _score(tasks[start : start + CHUNK], vectors, bar)
                if time.monotonic() - saved > SAVE_SECONDS:
                    store()
                    saved = time.monotonic()
        finally:
            store()
    done.remove()
    return Taken(stored=stored)


def _tasks(dictionary: Dictionary, concepts: Sequence[int] | None) -> list[_Task]:
    shown = dictionary.shown()["label"]
    table = dictionary.exemplars.table.select("concept", "window", with_it=pl.col("kind") != "negative", rank="rank")
    table = table.filter(~pl.col("with_it") | (pl.col("rank") % 2 == 1))
    concept, window = table["concept"].to_numpy(), table["window"].to_numpy().astype(np.int64)
    truth = table["with_it"].to_numpy()
    known, start = np.unique(concept, return_index=True)
    ends = np.append(start[1:], len(concept))
    wanted = np.ones(len(known), bool) if concepts is None else np.isin(known, np.asarray(concepts))
    tasks = []
    for i in np.flatnonzero(wanted).tolist():
        label, own = shown[int(known[i])], slice(int(start[i]), int(ends[i]))
        if label is not None and truth[own].any() and not truth[own].all():
            tasks.append(_Task(int(known[i]), str(label), window[own], truth[own]))
    return tasks


class _Vectors:
    """Vectors of the windows of all tasks, each embedded when it is first needed."""

    def __init__(self, dictionary: Dictionary, tasks: Sequence[_Task]) -> None:
        self.rows = np.unique(np.concatenate([task.windows for task in tasks])) if tasks else np.zeros(0, np.int64)
        self._texts = dictionary.exemplars.windows["text"]
        self._there = np.zeros(len(self.rows), bool)
        self._vectors = np.zeros((len(self.rows), 0), np.float32)

    def need(self, windows: np.ndarray, bar: Bar) -> None:
        """Embed those of these windows that are not embedded yet."""
        place = np.unique(np.searchsorted(self.rows, windows))
        new = place[~self._there[place]]
        if not len(new):
            return
        vectors = embed_texts([plain(text) for text in self._texts[self.rows[new]]])
        if not self._vectors.shape[1]:
            self._vectors = np.zeros((len(self.rows), vectors.shape[1]), np.float32)
        self._vectors[new] = vectors
        self._there[new] = True
        bar.advance(len(new))

    def of(self, windows: np.ndarray) -> np.ndarray:
        """Unit vectors: float32 of shape (windows, d)."""
        vectors: np.ndarray = self._vectors[np.searchsorted(self.rows, windows)]
        return vectors


def _score(tasks: list[_Task], vectors: _Vectors, bar: Bar) -> list[tuple[int, str, float]]:
    vectors.need(np.concatenate([task.windows for task in tasks]), bar)
    labels = embed_texts([task.label for task in tasks])
    return [
        (task.concept, task.label, area_under_roc(vectors.of(task.windows) @ label, task.truth))
        for task, label in zip(tasks, labels, strict=True)
    ]


@dataclass
class _Done:
    """Labels that an unfinished pass over the same exemplars has scored."""

    folder: Path
    scored: set[tuple[int, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._made_of: dict[str, Any] = {name: sha256(self.folder / name) for name in (EXEMPLARS, WINDOWS)}
        self._made_of["model"] = default_model()
        try:
            known = json.loads((self.folder / FILE).read_text(encoding="utf-8"))
            if known["made_of"] == self._made_of:
                self.scored = {(int(concept), str(label)) for concept, label in known["scored"]}
        except (OSError, ValueError, KeyError, TypeError):
            self.scored = set()  # none, or damaged: all are scored again

    def add(self, scores: Sequence[tuple[int, str, float]]) -> None:
        """Add stored scores."""
        self.scored |= {(concept, label) for concept, label, _ in scores}
        write_json(self.folder / FILE, {"made_of": self._made_of, "scored": sorted(self.scored)})

    def remove(self) -> None:
        """Delete the file: the pass is finished."""
        (self.folder / FILE).unlink(missing_ok=True)


def area_under_roc(values: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a true example has a higher value than a false one, ties counting half (Mann-Whitney)."""
    ranks = rankdata(values)
    positive = int(truth.sum())
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))
