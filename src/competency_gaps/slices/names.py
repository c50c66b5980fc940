"""Names of the nodes of a tree of items: a phrase or two of a vocabulary, categories, or words that mark the items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import combinations, count
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.activations.profiles import unit
from competency_gaps.dictionary.labelling.automatic import LABEL_STOP_WORDS, words_of
from competency_gaps.slices.columns import readable_category
from competency_gaps.slices.concepts import readable
from competency_gaps.slices.family import Family, ones_at

NAME_LIMIT = 72
"""Characters of a name; longer categories, labels and pairs of phrases name nothing."""
PHRASE_LEAD, LABEL_LEAD = 0.2, 0.4
"""Least lead of a phrase, as a cosine, and of a concept's label, as a share of items, inside a node over outside."""
CANDIDATES = 6
"""Phrases that are considered for a node."""
CLOSE_LEAD, SECOND_LEAD = 0.9, 0.7
"""Least lead of a phrase in place of the best, and beside another, as a share of the lead of the best."""
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
WORD_SHARE, WORD_SCORE = 0.15, 3.0
"""Least share of a node's items with a word that names it, and its least log-odds, in units of their standard error."""


class Vocabulary(NamedTuple):
    """What the K nodes of a tree may be called. P names, N items."""

    names: list[str]
    lead: np.ndarray
    """float of shape (K, P): how much nearer a name is to the items inside a node than to those outside."""
    covers: sp.csr_array
    """float32 of shape (P, N): 1 where a name holds for an item."""
    least: float
    """Least lead of a name."""


def phrases() -> list[str]:
    """Return the phrases that come with the package."""
    text = files("competency_gaps.slices").joinpath("phrases.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def phrases_for(family: Family, rows: np.ndarray, vectors: np.ndarray, phrase_vectors: np.ndarray) -> Vocabulary:
    """Return how near the phrases are to the nodes of a tree.

    Parameters
    ----------
    rows : ndarray of int of shape (n,)
        Items that have a vector.
    vectors, phrase_vectors : ndarray of float32 of shape (n, d) and (P, d)
        Sentence embeddings; what all of a kind have in common is taken away.
    """
    space, words = (unit(values - values.mean(axis=0)) for values in (vectors, phrase_vectors))
    names, nearest = phrases(), max(1, round(NEAREST * len(words)))
    parts = np.array_split(space, 1 + len(space) // 4096)
    near = np.concatenate([np.argpartition(-(part @ words.T), nearest - 1, axis=1)[:, :nearest] for part in parts])
    row, column = near.ravel(), np.repeat(rows, nearest)
    covers = sp.csr_array((np.ones(row.size, np.float32), (row, column)), shape=(len(words), family.weights.shape[1]))
    return Vocabulary(names, _lead(family.member[:, rows], space @ words.T), covers, PHRASE_LEAD)


def labels_for(family: Family, concepts: pl.DataFrame, by_concept: ByConcept) -> Vocabulary:
    """Return in which items the concepts with a label that people can read are strong."""
    shown = readable(concepts).filter(pl.col("label").str.len_chars() <= NAME_LIMIT).unique("label", keep="first")
    strong = by_concept.cas(shown["concept"].to_numpy().astype(np.int64), family.weights.shape[1])
    typical = shown["tau"].fill_null(0).to_numpy()
    strong.data = (strong.data >= np.repeat(typical / 2, np.diff(strong.indptr))).astype(np.float32)
    names = [f"mostly {label}" for label in shown["label"]]  # the concept itself is a slice as well
    return Vocabulary(names, _lead(family.member, strong.T), strong, LABEL_LEAD)


def _lead(members: sp.csr_array, near: np.ndarray | sp.csr_array) -> np.ndarray:
    """Mean of ``near`` (N, P) over the items of each node (K, N), less that over all others."""
    size, whole = members.sum(axis=1)[:, None], members.shape[1]
    inside = members @ near
    inside = inside.toarray() if sp.issparse(inside) else inside
    everywhere = np.asarray(near.sum(axis=0)).ravel()
    return np.asarray(inside / size - (everywhere - inside) / np.maximum(1, whole - size))


def with_names(
    family: Family, items: pl.DataFrame, vocabulary: Vocabulary | None = None, taken: Sequence[str] = ()
) -> Family:
    """Name the nodes of a tree, each differently.

    Parameters
    ----------
    vocabulary
        None: columns and words name the nodes.
    taken
        Names of other slices, which no node gets.
    """
    members, used = family.member, {name.casefold() for name in taken}
    lead = vocabulary.lead if vocabulary else np.zeros((len(family.names), 0))
    category, marks = _categories(items), _marking_words(members, items["prompt"].to_list())
    usual = Counter(category[row] for row in np.unique(members.indices))
    names, words = [""] * len(family.names), [list[str]() for _ in family.names]
    # Where several want the same phrase, the node that it fits best gets it.
    for node in np.argsort(-lead.max(axis=1, initial=0), kind="stable").tolist():
        inside = members[[node]].indices
        whole, part, same = _by_category(Counter(category[row] for row in inside), usual)
        fitting, partly = _by_phrases(vocabulary, lead[node], inside) if vocabulary else ([], [])
        quoted = [f"“{', '.join(marks[node])}”"] if marks[node] else []
        wanted = [*whole, *fitting] if same else [*fitting, *whole]
        wanted += [
            *(f"{name}: {text}" for name in wanted[:1] for text in quoted),
            *part,
            *partly,
            *quoted,
            "mixed items",
        ]
        numbered = (f"{wanted[0]} ({number})" for number in count(2))
        names[node] = next(name for some in (wanted, numbered) for name in some if name.casefold() not in used)
        used.add(names[node].casefold())
        words[node] = marks[node] if quoted and quoted[0] in names[node] else []
    return replace(family, names=names, words=words)


def _by_phrases(vocabulary: Vocabulary, lead: np.ndarray, inside: np.ndarray) -> tuple[list[str], list[str]]:
    """Phrases and pairs of them that hold for most of a node's items, and such as hold for a part; the best first."""
    best = np.argsort(-lead, kind="stable")[:CANDIDATES]
    highest = lead[best].max(initial=0)
    best = best[lead[best] >= SECOND_LEAD * max(vocabulary.least, highest)]
    clear, close = (lead[best] >= vocabulary.least).sum(), (lead[best] >= CLOSE_LEAD * highest).sum()
    covers = vocabulary.covers[best][:, inside].toarray() > 0
    fitting, partly = list[str](), list[str]()
    pairs = list(combinations(range(len(best)), 2))
    with_best, others = pairs[: max(0, len(best) - 1)], pairs[max(0, len(best) - 1) :]
    for chosen in ((0,), *with_best, *((i,) for i in range(1, close)), *others) if len(best) else ():
        name, hold = "; ".join(vocabulary.names[best[i]] for i in chosen), covers[list(chosen)]
        if len(name) > NAME_LIMIT:
            continue
        if chosen[-1] < clear and hold.any(axis=0).mean() >= COVERED:
            fitting.append(name)
        elif hold.mean(axis=1).min() >= COVERED / 2:
            partly.append(f"partly {name.replace('mostly ', '')}")  # of labels
    return fitting, partly


def _categories(items: pl.DataFrame) -> list[str]:
    """The group of each item, or its benchmark in a run of several where that says more; empty: it has none."""
    several = items["benchmark"].n_unique() > 1
    names = []
    for group, benchmark in items.select("group", "benchmark").iter_rows():
        name = (group or "").replace("_", " ")
        says = name and readable_category("group", name) == name
        names.append(name if says else benchmark if several else "")
    return names


def _by_category(inside: Counter[str], usual: Counter[str]) -> tuple[list[str], list[str], bool]:
    """A name by up to three categories that hold most of a node's items, or by such as hold a part, if there are any.

    Third: whether the categories hold few other items.
    """
    size, chosen, within = inside.total(), list[str](), 0
    for name, items in inside.most_common(3):
        lift = items / size / (usual[name] / usual.total())
        if not name or items < CATEGORY_SHARE * size or lift < CATEGORY_LIFT or within >= MOSTLY * size:
            break
        chosen, within = [*chosen, name], within + items
    text = " and ".join(filter(None, (", ".join(chosen[:-1]), *chosen[-1:])))
    if not text or len(text) > NAME_LIMIT or within < COVERED / 2 * size:
        return [], [], False
    if within < MOSTLY * size:
        return [], [f"partly {text}"], False
    return [f"mostly {text}"], [], 2 * within >= SAME * (size + sum(usual[name] for name in chosen))


def _marking_words(members: sp.csr_array, texts: Sequence[str | None]) -> list[list[str]]:
    """Up to three words for each node that are more frequent in its texts than in all others.

    By log-odds with a Dirichlet prior, in units of their standard error (Monroe, Colaresi and Quinn, Political Analysis
    16, 2008), of the items that have a word.
    """
    sets = [
        {word for word in words_of(text or "") - LABEL_STOP_WORDS if len(word) > 2 and word.isalpha()} for text in texts
    ]
    counts = Counter(word for words in sets for word in words)
    frequent = sorted(word for word, items in counts.items() if 5 <= items <= len(texts) / 2)
    number = {word: place for place, word in enumerate(frequent)}
    having = ones_at(
        [np.array([number[word] for word in words if word in number], np.int64) for words in sets], len(frequent)
    )
    inside, size = (members @ having).toarray(), members.sum(axis=1)[:, None]
    everywhere, whole = np.asarray(having.sum(axis=0))[None, :], len(texts)
    share = 10 * (everywhere + 0.5) / (whole + 1)  # the prior counts as ten items
    odds = [
        np.log((a + share) / (n - a + 10 - share)) for a, n in ((inside, size), (everywhere - inside, whole - size))
    ]
    score = (odds[0] - odds[1]) / np.sqrt(1 / (inside + share) + 1 / (everywhere - inside + share))
    score[inside < WORD_SHARE * size] = 0
    best = np.argsort(-score, axis=1, kind="stable")[:, :3]
    return [[frequent[word] for word in row if score[node, word] >= WORD_SCORE] for node, row in enumerate(best)]
