"""Score labels by embedding: are they more similar to windows with the concept than to its hard negatives?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import rankdata

from competency_gaps.dictionary.exemplars import EXEMPLARS, WINDOWS
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.labelling.labeller import Taken, add_scores
from competency_gaps.dictionary.labelling.requests import plain
from competency_gaps.files import sha256, write_json
from competency_gaps.model.embed import default_model, embed_texts
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
    """int32 of shape (windows,): rows of ``windows.parquet``."""
    truth: np.ndarray
    """bool of shape (windows,): whether the concept is active; both values occur."""


def score_by_embedding(
    dictionary: Dictionary,
    concepts: Sequence[int] | None,
    progress: Progress,
    embed: Callable[[Sequence[str]], np.ndarray] = embed_texts,
    together: int = CHUNK,
) -> Taken:
    """Score the shown label of each concept: area under the ROC curve of cosine(label, window) [ours].

    The concept's held-out windows (odd rank) are compared with its hard negatives; 0.5 = chance. A label that names the
    text's subject scores well, one that names a grammatical role may not: the score measures how useful the label is
    for search, not whether it is right. Each window is embedded once. Scores are stored at intervals, and an
    interrupted pass resumes after the stored ones.

    Parameters
    ----------
    embed
        Makes unit vectors of texts.
    together
        Concepts whose windows are embedded together.
    """
    done = _Done(dictionary.folder)
    held = dictionary.labels().filter(pl.col("embedding").is_not_null()).select("concept", "label")
    ready = done.scored & set(held.iter_rows())  # a label that was rewritten since has lost its score
    tasks = [task for task in _tasks(dictionary, concepts) if (task.concept, task.label) not in ready]
    vectors = _Vectors(dictionary.exemplars.windows["text"], embed)
    windows = {window for task in tasks for window in task.windows.tolist()}
    waiting: list[tuple[int, str, float]] = []
    stored = 0

    def store() -> None:
        nonlocal stored
        if waiting:
            add_scores(dictionary, "embedding", waiting)
            done.add(waiting)
            stored += len(waiting)
            waiting.clear()

    with progress.stage("scoring labels", total=len(windows), unit="windows") as bar:
        saved = time.monotonic()
        try:
            for start in range(0, len(tasks), together):
                waiting += _score(tasks[start : start + together], vectors, bar)
                if time.monotonic() - saved > SAVE_SECONDS:
                    store()
                    saved = time.monotonic()
        finally:
            store()
    done.remove()
    return Taken(stored=stored)


def _tasks(dictionary: Dictionary, concepts: Sequence[int] | None) -> list[_Task]:
    shown = dictionary.shown()["label"]
    table = dictionary.exemplars.table.with_columns(active=pl.col("kind") != "negative")
    table = table.filter(~pl.col("active") | (pl.col("rank") % 2 == 1))
    if concepts is not None:
        table = table.filter(pl.col("concept").is_in(list(concepts)))
    tasks = []
    for (concept,), rows in table.group_by("concept", maintain_order=True):
        label, truth = shown[int(str(concept))], rows["active"].to_numpy()
        if label is not None and truth.any() and not truth.all():
            tasks.append(_Task(int(str(concept)), str(label), rows["window"].to_numpy(), truth))
    return tasks


class _Vectors:
    """Vectors of windows, each embedded when it is first needed."""

    def __init__(self, texts: pl.Series, embed: Callable[[Sequence[str]], np.ndarray]) -> None:
        self._texts = texts
        self.embed = embed
        self._of: dict[int, np.ndarray] = {}

    def of(self, windows: np.ndarray) -> np.ndarray:
        """Unit vectors of embedded windows: float32 of shape (windows, d)."""
        return np.stack([self._of[window] for window in windows.tolist()])

    def need(self, windows: np.ndarray, bar: Bar) -> None:
        """Embed those of these windows that are not embedded yet."""
        new = [window for window in np.unique(windows).tolist() if window not in self._of]
        if new:
            self._of |= zip(new, self.embed([plain(text) for text in self._texts[new]]), strict=True)
            bar.advance(len(new))


def _score(tasks: list[_Task], vectors: _Vectors, bar: Bar) -> list[tuple[int, str, float]]:
    vectors.need(np.concatenate([task.windows for task in tasks]), bar)
    labels = vectors.embed([task.label for task in tasks])
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
