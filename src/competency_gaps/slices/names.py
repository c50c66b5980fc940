"""Names of the nodes of a tree of items: a labelled concept and the words that mark a node against its siblings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.dictionary.labelling.automatic import LABEL_STOP_WORDS, words_of
from competency_gaps.slices.concepts import readable
from competency_gaps.slices.family import Family

LIMIT = 60
"""Characters of a name."""
LABEL_LIMIT = 44
"""Characters of a label in it."""
SHORTEST = 12
"""Characters that are left of a label that is cut, at least."""
WORDS = 6
"""Words that are kept for a node."""
MARKS = 60
"""Words, and concepts, that are looked at."""
STEM = 5
"""Letters from which two words count as forms of one."""
_ASKING = """
according answer best calculate choose claim claims compute consider considered correct define describe determine
discuss distinguish evaluate explain express false fill find following give given identify incorrect information let
list mean meant means option passage problem question select sentence solve state statement statements suggest
suggests suppose true type value word words write
"""
ASKING = frozenset(_ASKING.split())
"""Words that ask, and name no subject."""
RARE = 5
"""Items that have a word, at least, if it is to mark a node."""
PRIOR = 10.0
"""Items that the prior of the log-odds counts as."""


class _Bar(NamedTuple):
    """What is asked of a mark of a node, at least."""

    share: float
    """Of the node's items that have it."""
    lift: float
    """Times as frequent as in all other items."""
    sibling_lift: float
    """Times as frequent as in the items of its siblings."""


_WORD, _LABEL = _Bar(0.015, 1.3, 1.1), _Bar(0.4, 2.5, 1.4)
_COMMAND = re.compile(r"\\[a-zA-Z]+|<[^>]+>")
"""Of LaTeX, and markup."""
_CUTS = ("; ", ", ", " (", " and ", " or ", " such as ", " with ", " in ", " for ", " from ", " by ", " on ")


def with_names(family: Family, items: pl.DataFrame, concepts: pl.DataFrame, by_concept: ByConcept) -> Family:
    """Name the nodes of a tree, and give the words that mark each against its siblings and all other items."""
    members = sp.csr_array((family.weights > 0).astype(np.float32))
    parent = np.where(family.parent >= 0, np.searchsorted(family.number, family.parent), -1)
    vocabulary, having = _words(items)
    labels, strong = _labelled(concepts, by_concept, items.height)
    words = _marking(members, parent, having, _WORD)
    marked = _marking(members, parent, strong, _LABEL)
    names: list[str] = []
    kept: list[list[str]] = []
    for own, concept in zip(words, marked, strict=True):
        spoken = [vocabulary[word] for word in own]
        label = next((labels[number] for number in concept if _speaks_of(labels[number], spoken)), None)
        subject = [word for word in spoken if word not in ASKING]
        kept.append(_different(subject or spoken))
        names.append(_name(label, kept[-1], set(names)))
    return replace(family, names=names, words=kept)


def _speaks_of(label: str, words: list[str]) -> bool:
    """Whether a node's words have one of the label's, up to its ending: what a concept meant where it was labelled may
    be something else here.
    """
    return any(a[:STEM] == b[:STEM] for a in words_of(label) - LABEL_STOP_WORDS for b in words if len(a) >= STEM - 1)


def _name(label: str | None, words: list[str], taken: set[str]) -> str:
    """At most ``LIMIT`` characters that no other node has: ``label: word, word`` or ``word, word, word``."""
    for first in range(max(1, len(words))):
        name, separator = label or "", ": "
        for word in [word for word in words[first:] if not label or not _speaks_of(label, [word])][: 2 if label else 4]:
            longer = f"{name}{separator}{word}" if name else word
            if len(longer) <= LIMIT:
                name, separator = longer, ", "
        if name and name not in taken:
            return name
    number = 2
    base = label or "items of no common subject"
    while f"{base} ({number})" in taken:
        number += 1
    return f"{base} ({number})" if base in taken else base


def _different(words: Iterable[str]) -> list[str]:
    """The first words, without forms of those before: plurals and other endings."""
    kept: list[str] = []
    for word in words:
        if not any(word.startswith(other[:-1]) or other.startswith(word[:-1]) for other in kept):
            kept.append(word)
        if len(kept) == WORDS:
            break
    return kept


def _words(items: pl.DataFrame) -> tuple[list[str], sp.csr_array]:
    """Words of the items' texts, and which items have them: csr_array of shape (words, N)."""
    own = [words_of(_COMMAND.sub(" ", prompt or "")) - LABEL_STOP_WORDS for prompt in items["prompt"]]
    counts = Counter(word for words in own for word in words if len(word) > 2 and word.isalpha())
    frequent = sorted(word for word, count in counts.items() if RARE <= count <= items.height / 2)
    number = {word: i for i, word in enumerate(frequent)}
    places = [[number[word] for word in words if word in number] for words in own]
    start = np.concatenate([[0], np.cumsum([len(place) for place in places])]).astype(np.int64)
    index = np.array([word for place in places for word in place], np.int64)
    by_item = sp.csr_array((np.ones(len(index), np.float32), index, start), shape=(items.height, len(frequent)))
    return frequent, sp.csr_array(by_item.T.tocsr())


def _labelled(concepts: pl.DataFrame, by_concept: ByConcept, items: int) -> tuple[list[str], sp.csr_array]:
    """Short labels of the readable concepts, and the items in which each is strong, (labels, N)."""
    shown = readable(concepts)
    short = [_short(label) for label in shown["label"]]
    usable = np.array([label is not None for label in short], bool)
    scores = by_concept.cas(shown["concept"].to_numpy().astype(np.int64)[usable], items)
    typical = shown["tau"].fill_null(0).to_numpy()[usable]
    scores.data = (scores.data >= np.repeat(typical / 2, np.diff(scores.indptr))).astype(np.float32)
    scores.eliminate_zeros()
    return [label for label in short if label is not None], scores


def _short(label: str) -> str | None:
    """A label cut at its last natural end; None: it cannot be cut."""
    head = label.partition(": ")[0]
    label = head if len(head) >= SHORTEST else label
    if len(label) <= LABEL_LIMIT:
        return label
    ends = [label.rfind(cut, SHORTEST, LABEL_LIMIT + len(cut)) for cut in _CUTS]
    return label[: max(ends)].rstrip(" ,:;(") if max(ends) > 0 else None


def _marking(members: sp.csr_array, parent: np.ndarray, having: sp.csr_array, bar: _Bar) -> list[list[int]]:
    """For each node, the rows of ``having`` (M, N) that mark it, the clearest first.

    Clear is what has high log-odds with a Dirichlet prior, in units of their error, against the node's siblings and
    against all other items (Monroe, Colaresi and Quinn, Political Analysis 16, 2008, equations 16 and 22, with presence
    in place of counts), times the logarithm of how many times as frequent it is, so that general words stand behind.
    """
    everything = sp.csr_array((members.sum(axis=0) > 0).astype(np.float32).reshape(1, -1))
    inside = (members @ having.T).toarray()
    size = np.asarray(members.sum(axis=1)).ravel()[:, None]
    clear = np.full(inside.shape, np.inf)
    above = sp.csr_array(sp.vstack([members, everything], format="csr"))
    for rest, lift in (
        (above[np.where(parent >= 0, parent, -1)], bar.sibling_lift),
        (above[np.full(len(parent), -1)], bar.lift),
    ):
        others = sp.csr_array(rest - members.multiply(rest))
        out, count = (others @ having.T).toarray(), np.asarray(others.sum(axis=1)).ravel()[:, None]
        times = (inside + 0.5) / (size + 1) * (count + 1) / (out + 0.5)
        score = _log_odds(inside, size, out, count) * np.log(times)
        score[times < lift] = -np.inf
        # Nearly all of a parent's items are the child's: nothing tells them apart.
        clear = np.where(count >= 0.1 * size, np.minimum(clear, score), clear)
    clear[inside < bar.share * size] = -np.inf
    best = np.argsort(-clear, axis=1, kind="stable")[:, :MARKS]
    return [[int(j) for j in row if 2 < clear[k, j] < np.inf] for k, row in enumerate(best)]


def _log_odds(inside: np.ndarray, size: np.ndarray, out: np.ndarray, count: np.ndarray) -> np.ndarray:
    share = (inside + out + 0.5) / (size + count + 1)
    delta, variance = np.zeros(inside.shape), np.zeros(inside.shape)
    for sign, having, of in ((1, inside, size), (-1, out, count)):
        present = having + PRIOR * share
        absent = of + PRIOR - present
        delta += sign * np.log(present / absent)
        variance += 1 / present + 1 / absent
    return np.asarray(delta / np.sqrt(variance))
