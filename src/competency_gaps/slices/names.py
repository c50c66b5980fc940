"""Names of the nodes of a tree of items: a phrase or two of a vocabulary, a column's categories, or words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import count
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.activations.profiles import unit
from competency_gaps.dictionary.labelling.automatic import LABEL_STOP_WORDS, words_of
from competency_gaps.slices.columns import says_nothing
from competency_gaps.slices.concepts import readable
from competency_gaps.slices.family import Family, ones_at

NAME_LIMIT = 64
"""Characters of a name of two parts."""
CANDIDATES = 8
"""Phrases that are considered for a node."""
PHRASE_LEAD, LABEL_LEAD = 0.2, 0.4
"""Least lead of a phrase, as a cosine, and of a concept's label, as a share of items, inside a node over outside."""
SECOND_LEAD = 0.6
"""Least lead of a second phrase, as a share of the first's."""
SIBLING_WEIGHT = 0.3
"""Weight of the lead over a node's siblings, beside that over all other items."""
NEAREST = 0.03
"""Share of the vocabulary that counts as near to an item."""
COVERED = 0.5
"""Least share of a node's items that must be near to its phrases."""
CATEGORY_SHARE, CATEGORY_LIFT = 0.15, 1.3
"""Least share of a node's items in a category that names it, and least ratio to the category's share of all items."""
MOSTLY = 0.6
"""Least share of a node's items in the categories that name it."""
SAME = 0.7
"""F1 of a node's items and those of its categories from which these name it better than any phrase."""
PRIOR = 10.0
"""Items that the prior of the log-odds counts as."""
CLEAR = 3.0
"""Least log-odds of a word, in units of their standard error."""


class Vocabulary(NamedTuple):
    """Names that nodes may have, and how near each is to each item."""

    names: list[str]
    near: np.ndarray
    """float32 of shape (N, P): the higher, the nearer."""
    covers: np.ndarray
    """bool of shape (N, P): whether a name holds for an item."""
    lead: float
    """Least lead of a name."""


def phrases() -> list[str]:
    """Return the phrases that come with the package."""
    text = files("competency_gaps.slices").joinpath("phrases.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def phrases_near(names: list[str], phrase_vectors: np.ndarray, vectors: np.ndarray) -> Vocabulary:
    """Return how near phrases are to items, both without what all of their kind have in common.

    Parameters
    ----------
    phrase_vectors, vectors : ndarray of float32 of shape (P, d) and (N, d)
        Sentence embeddings; items without one have a row of zeros.
    """
    has = vectors.any(axis=1, keepdims=True)
    near = unit((vectors - vectors.mean(axis=0, where=has)) * has) @ unit(phrase_vectors - phrase_vectors.mean(axis=0)).T
    nearest = max(1, round(NEAREST * len(names)))
    return Vocabulary(names, near, near >= -np.partition(-near, nearest - 1, axis=1)[:, [nearest - 1]], PHRASE_LEAD)


def labels_near(concepts: pl.DataFrame, by_concept: ByConcept, items: int) -> Vocabulary:
    """Return in which items the concepts with a label that people can read are strong."""
    shown = readable(concepts).filter(pl.col("label").str.len_chars() <= NAME_LIMIT).unique("label", keep="first")
    scores = by_concept.cas(shown["concept"].to_numpy().astype(np.int64), items).toarray().T
    strong = (scores > 0) & (scores >= shown["tau"].fill_null(0).to_numpy() / 2)
    return Vocabulary(shown["label"].to_list(), strong.astype(np.float32), strong, LABEL_LEAD)


def with_names(
    family: Family, items: pl.DataFrame, vocabulary: Vocabulary | None = None, taken: Collection[str] = ()
) -> Family:
    """Name the nodes of a tree, each differently.

    Parameters
    ----------
    vocabulary
        None: columns and words name the nodes.
    taken
        Names of other slices, which no node gets.
    """
    members = family.member
    names, words = [""] * len(family.names), [list[str]() for _ in family.names]
    lead = _leads(members, family, vocabulary) if vocabulary else np.zeros((len(names), 0))
    category, used = _categories(items), set(taken)
    usual = Counter(category[row] for row in np.unique(members.indices))
    marks = _marking_words(members, items["prompt"].to_list())
    # Where several want the same phrase, the node that it fits best gets it.
    for node in np.argsort(-lead.max(axis=1, initial=0), kind="stable").tolist():
        inside = members[[node]].indices
        mostly, same = _mostly(Counter(category[row] for row in inside), usual)
        fitting = list(_phrases_of(lead[node], inside, vocabulary, mostly)) if vocabulary else []
        quoted = f"“{', '.join(marks[node])}”" if marks[node] else ""
        by_category = [f"mostly {mostly}"] if mostly else []
        by_words = [": ".join(filter(None, (mostly, quoted))), quoted, "mixed items"]
        wanted = [*by_category, *fitting, *by_words] if same else [*fitting, *by_category, *by_words]
        numbered = (f"{wanted[-2] or wanted[-1]} ({number})" for number in count(2))
        names[node] = next(name for name in (*filter(None, wanted), *_endless(numbered)) if name not in used)
        used.add(names[node])
        words[node] = marks[node] if quoted and quoted in names[node] else []
    return replace(family, names=names, words=words)
