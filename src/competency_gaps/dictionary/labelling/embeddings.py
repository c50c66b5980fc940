"""Sentence embeddings: labels by subject without a language model [ours].

A concept of a topic has no word of its own. Its windows are embedded as sentences; the direction in which their mean
differs from that of all windows is compared with a fixed list of topics, skills and ways of talking (``subjects.txt``),
and the nearest is taken if it is nearer than the nearest to windows drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from competency_gaps.dictionary.exemplars import Exemplar, Exemplars
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.labelling.automatic import (
    Background,
    add_automatic,
    distinctive_words,
    lexical_head,
)
from competency_gaps.dictionary.labelling.labeller import Taken, plain
from competency_gaps.dictionary.labels import SUBJECTS
from competency_gaps.model.embed import embed_texts
from competency_gaps.progress import Progress

WINDOWS = (5, 5)
"""Strongest and spread windows that are embedded, of even rank: the others are held out for scores."""
FEWEST = 5
"""Fewest windows from which a concept is labelled."""
SAMPLE = 8192
"""Windows, drawn at random from all exemplars, that say what is usual."""
DRAWS = 400
"""Sets of random windows that the null is drawn from."""
LEVEL = 0.95
"""Quantile of the null that the similarity has to exceed."""
CHUNK = 8192
"""Windows that are embedded together."""


@cache
def subjects() -> tuple[str, ...]:
    """The list of topics, skills and ways of talking."""
    text = files("competency_gaps.dictionary.labelling").joinpath("subjects.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.split("\n") if line)


def subject_labels(
    exemplars: Exemplars,
    concepts: Sequence[int] | None,
    progress: Progress,
    embed: Callable[[Sequence[str]], np.ndarray] = embed_texts,
    seed: int = 0,
) -> dict[int, str | None]:
    """Label concepts by subject, as ``photosynthesis in leaves: chlorophyll, stomata``.

    Parameters
    ----------
    concepts
        Which of those that have exemplars; None: all.
    embed
        Makes unit vectors of texts.
    seed
        Seed of the windows that say what is usual.

    Returns
    -------
    dict of int to str or None
        None: it stands for a word or a mark, has fewer than five windows, or no subject is nearer to them than to
        windows drawn at random.
    """
    known = exemplars.concepts if concepts is None else np.intersect1d(exemplars.concepts, np.asarray(concepts))
    shown = {concept: _shown(exemplars, concept) for concept in known.tolist()}
    # What is usual does not depend on which concepts are asked for.
    rng = np.random.default_rng(seed)
    windows = len(exemplars.windows)
    usual = rng.choice(windows, min(windows, SAMPLE), replace=False)
    used = np.unique(np.concatenate([usual, *([e.window for e in chosen] for chosen in shown.values())]).astype(int))
    vectors = _vectors(exemplars, used, embed, progress)
    phrases = embed(subjects())
    phrases = _directions(phrases - phrases.mean(axis=0))
    sample = vectors[np.searchsorted(used, usual)]
    centre = sample.mean(axis=0)
    background = Background.of(exemplars.windows["text"])
    thresholds = _null(sample - centre, phrases, rng)
    labels: dict[int, str | None] = {}
    with progress.stage("naming subjects", total=len(shown), unit="concepts") as bar:
        for concept, chosen in shown.items():
            bar.advance(1)
            labels[concept] = None
            if len(chosen) < FEWEST or lexical_head(chosen)[0] is not None:
                continue
            rows = np.searchsorted(used, [e.window for e in chosen])
            similar = phrases @ _directions(vectors[rows].mean(axis=0) - centre)
            best = int(similar.argmax())
            if similar[best] > thresholds[len(chosen)]:
                labels[concept] = _with_words(subjects()[best], chosen, background)
    return labels


def _shown(exemplars: Exemplars, concept: int) -> list[Exemplar]:
    top, spread = ([e for e in exemplars.of(concept, kind) if e.rank % 2 == 0] for kind in ("top", "spread"))
    return top[: WINDOWS[0]] + spread[: WINDOWS[1]]


def _vectors(
    exemplars: Exemplars, used: np.ndarray, embed: Callable[[Sequence[str]], np.ndarray], progress: Progress
) -> np.ndarray:
    """Unit vectors of some windows: float32 of shape (windows, d)."""
    texts = exemplars.windows["text"]
    with progress.stage("embedding windows", total=len(used), unit="windows") as bar:
        parts = []
        for start in range(0, len(used), CHUNK):
            parts.append(embed([plain(text) for text in texts.gather(used[start : start + CHUNK])]))
            bar.advance(len(parts[-1]))
    return np.concatenate(parts)


def _null(centred: np.ndarray, phrases: np.ndarray, rng: np.random.Generator) -> dict[int, float]:
    """For each number of windows, the similarity that the nearest subject of random ones exceeds in 5% of draws."""
    thresholds = {}
    for count in range(FEWEST, sum(WINDOWS) + 1):
        means = centred[rng.integers(len(centred), size=(DRAWS, count))].mean(axis=1)
        thresholds[count] = float(np.quantile((_directions(means) @ phrases.T).max(axis=1), LEVEL))
    return thresholds


def _directions(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    directions: np.ndarray = vectors / np.maximum(norms, 1e-12)
    return directions


def _with_words(subject: str, exemplars: Sequence[Exemplar], background: Background) -> str:
    """The subject and up to two words that tell the concept from others of the same subject."""
    words = [word for word in distinctive_words([e.text for e in exemplars], background, set()) if word not in subject]
    return f"{subject}: {', '.join(words[:2])}" if words else subject


def label_by_subject(dictionary: Dictionary, concepts: Sequence[int] | None, progress: Progress) -> Taken:
    """Give concepts that stand for no word a label from the list of subjects."""
    return add_automatic(dictionary, subject_labels(dictionary.exemplars, concepts, progress), SUBJECTS)
