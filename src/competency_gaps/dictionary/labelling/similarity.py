"""A cheap score of labels: are a label's words nearer to windows with the concept than to near ones without?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from competency_gaps.dictionary.embed import embed_texts
from competency_gaps.dictionary.labelling.labeller import Taken, add_scores
from competency_gaps.dictionary.labelling.marking import plain
from competency_gaps.dictionary.open import Dictionary
from competency_gaps.progress import Progress

CHUNK = 128
"""Concepts whose windows are embedded together."""


def score_by_embedding(
    dictionary: Dictionary, concepts: Sequence[int] | None, progress: Progress, model: str | None = None
) -> Taken:
    """Score the shown label of each concept: area under the ROC curve of cosine(label, window) [ours].

    Windows with the concept are the held-out ones (odd rank), those without its hard negatives. 0.5 = chance. A label
    of the text's subject does well, one of a grammatical role need not: the score says how far the label can be
    searched by, not whether it is right.
    """
    shown = dictionary.shown()["label"]
    known = dictionary.exemplars.concepts
    chosen = known if concepts is None else known[np.isin(known, np.asarray(concepts))]
    labelled = [int(c) for c in chosen if shown[int(c)] is not None]
    scores: list[tuple[int, str, float]] = []
    with progress.stage("scores", total=len(labelled), unit="labels") as bar:
        for start in range(0, len(labelled), CHUNK):
            part = labelled[start : start + CHUNK]
            scores += _score(dictionary, [(c, str(shown[c])) for c in part], model)
            bar.advance(len(part))
    if scores:
        add_scores(dictionary, "embedding", scores)
    return Taken(stored=len(scores))


def _score(dictionary: Dictionary, labelled: list[tuple[int, str]], model: str | None) -> list[tuple[int, str, float]]:
    texts: list[str] = []
    places: list[tuple[int, str, slice, np.ndarray]] = []
    for concept, label in labelled:
        every = dictionary.exemplars.of(concept)
        used = [one for one in every if one.kind == "negative" or one.rank % 2]
        truth = np.asarray([one.kind != "negative" for one in used], bool)
        if truth.any() and not truth.all():
            places.append((concept, label, slice(len(texts), len(texts) + len(used)), truth))
            texts += [plain(one.text) for one in used]
    if not places:
        return []
    windows = embed_texts(texts, model)
    labels = embed_texts([label for _, label, _, _ in places], model)
    return [
        (concept, label, area_under_roc(windows[part] @ labels[i], truth))
        for i, (concept, label, part, truth) in enumerate(places)
    ]


def area_under_roc(values: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a true one has a higher value than a false one, ties counting half (Mann-Whitney)."""
    ranks = rankdata(values)
    positive = int(truth.sum())
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))
