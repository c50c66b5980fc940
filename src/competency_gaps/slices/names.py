"""Names of the nodes of a tree of items: a phrase of a vocabulary, or categories, with distinctive words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import count
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.concepts.labelling.automatic import LABEL_STOP_WORDS, words_of
from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.reading.profiles import unit
from competency_gaps.slices.columns import readable_category
from competency_gaps.slices.concepts import readable
from competency_gaps.slices.family import Family, ones_at

NAME_LIMIT = 72
"""Maximum number of characters of a category or label that names a node."""
PHRASE_LEAD, LABEL_LEAD = 0.2, 0.4
"""Minimum lead (mean inside a node less mean outside) of a phrase, as a cosine, and of a label, as a share of items."""
LEAD_ALONE, LEAD_OF_WORDS = 0.38, 0.15
"""Minimum lead of a phrase that no item spells out, and by how much less is enough if every item has a word of it."""
NEAR_SHARE = 0.03
"""Share of the vocabulary, the nearest phrases, that counts as near to an item."""
MIN_NAMED_SHARE, MIN_WORDED_SHARE = 0.6, 0.3
"""Minimum share of a node's items that are near to its phrase, are in its categories, or have one of its words, for
words that name it alone; and for words that only follow its categories."""
PURE_SHARE = 0.95
"""If at least this share of a node's items is in one category, the category is preferred to phrases, which mislead
most there."""
CATEGORY_SHARE, CATEGORY_LIFT, CATEGORY_F1 = 0.15, 1.3, 0.7
"""Minimum share of a node's items in a category that names it; minimum ratio of this to the category's share of all
items; and F1 of the node and its categories from which these alone name it."""
NAME_WORDS, MAX_NAME_WORDS = 3, 5
"""Number of words that name a node, and maximum number if other nodes have the same first ones."""
CANDIDATES, OVERLAP = 12, 0.1
"""Number of best words from which the name's words are chosen; and weight of an item that has a chosen word already
(an item without one has weight 1)."""
WORD_ITEMS, WORD_SHARE, WORD_SCORE = 3, 0.05, 2.0
"""Minimum number and share of a node's items with a word that names it, and its minimum log-odds in standard errors."""
STEM, NOUN = 5, 0.1
"""Number of initial letters by which two words count as forms of one; and minimum share of a word's occurrences in
the position of a noun for it to count as a noun."""
_BEFORE = "a an any each every her his its many my no of our some that the their this three two your"
_ASKING = """
answer appropriate best blank calculate case choose claim claims compute correct correctly determine example false find
first following gives good identify important imply information kind let lot mean name need new number option part
passage problem question rest result right say second smallest solve state statement statements suitable sure third time
total true type value want whereas write yes
"""
BEFORE, ASKING = frozenset(_BEFORE.split()), frozenset(_ASKING.split())
"""Words that precede nouns; words that ask or count, and name no subject."""
_TOKEN = re.compile(r"\\?[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+|[^\w\s]")


class Vocabulary(NamedTuple):
    """Candidate names for the K nodes of a tree. P names, N items."""

    names: list[str]
    lead: np.ndarray
    """float of shape (K, P): mean nearness of a name to the items inside a node, less that to those outside."""
    covers: sp.csr_array
    """float32 of shape (P, N): 1 where a name applies to an item."""
    least: float
    """Minimum lead of a name."""
    alone: float
    """Minimum lead of a name that no item spells out."""


def phrases() -> list[str]:
    """Return the phrases that come with the package, as candidate names."""
    text = files("competency_gaps.slices").joinpath("phrases.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def phrases_for(family: Family, rows: np.ndarray, vectors: np.ndarray, phrase_vectors: np.ndarray) -> Vocabulary:
    """Return the package's phrases as a vocabulary for the nodes of a tree.

    Parameters
    ----------
    rows : ndarray of int of shape (n,)
        Items that have a vector.
    vectors, phrase_vectors : ndarray of float32 of shape (n, d) and (P, d)
        Sentence embeddings of the items and phrases; the mean of each is subtracted.
    """
    space, words = (unit(values - values.mean(axis=0)) for values in (vectors, phrase_vectors))
    names, nearest = phrases(), max(1, round(NEAR_SHARE * len(words)))
    parts = np.array_split(space, 1 + len(space) // 4096)
    near = np.concatenate([np.argpartition(-(part @ words.T), nearest - 1, axis=1)[:, :nearest] for part in parts])
    row, column = near.ravel(), np.repeat(rows, nearest)
    covers = sp.csr_array((np.ones(row.size, np.float32), (row, column)), shape=(len(words), family.weights.shape[1]))
    return Vocabulary(names, _lead(family.member[:, rows], space @ words.T), covers, PHRASE_LEAD, LEAD_ALONE)


def labels_for(family: Family, concepts: pl.DataFrame, by_concept: ByConcept) -> Vocabulary:
    """Return readable concept labels as a vocabulary; a label applies to the items in which its concept is strong."""
    shown = readable(concepts).filter(pl.col("label").str.len_chars() <= NAME_LIMIT).unique("label", keep="first")
    strong = by_concept.cas(shown["concept"].to_numpy().astype(np.int64), family.weights.shape[1])
    typical = shown["tau"].fill_null(0).to_numpy()
    strong.data = (strong.data >= np.repeat(typical / 2, np.diff(strong.indptr))).astype(np.float32)
    names = [f"mostly {label}" for label in shown["label"]]  # the concept itself is a slice as well
    return Vocabulary(names, _lead(family.member, strong.T), strong, LABEL_LEAD, LABEL_LEAD + LEAD_OF_WORDS / 2)


def _lead(members: sp.csr_array, near: np.ndarray | sp.csr_array) -> np.ndarray:
    """Return the mean of ``near`` (N, P) over the items of each node (K, N), less that over all other items: (K, P)."""
    size, whole = members.sum(axis=1)[:, None], members.shape[1]
    inside = members @ near
    inside = inside.toarray() if sp.issparse(inside) else inside
    everywhere = np.asarray(near.sum(axis=0)).ravel()
    return np.asarray(inside / size - (everywhere - inside) / np.maximum(1, whole - size))


def with_names(
    family: Family, items: pl.DataFrame, vocabulary: Vocabulary | None = None, taken: Sequence[str] = ()
) -> Family:
    """Return a tree with its nodes named, each differently.

    Parameters
    ----------
    vocabulary
        Candidate names; None: only categories and words name the nodes.
    taken
        Names of other slices, which no node gets.

    Returns
    -------
    Family
        A node that cannot be named has the name "".
    """
    members, used = family.member, {name.casefold() for name in taken}
    lead = vocabulary.lead if vocabulary else np.zeros((len(family.names), 0))
    category, stems = _categories(items), [_stems(text or "") for text in items["prompt"]]
    by_noun, by_word = (_marking_words(members, sets) for sets in _nouns_and_words(items["prompt"].to_list()))
    usual = Counter(category[row] for row in np.unique(members.indices))
    names, words = [""] * len(family.names), [list[str]() for _ in family.names]
    for node in np.argsort(-members.sum(axis=1), kind="stable").tolist():  # parents before their children
        inside, (chosen, covered) = members[[node]].indices, by_noun[node]
        if covered < MIN_WORDED_SHARE:
            chosen, covered = by_word[node]
        within = Counter(category[row] for row in inside)
        categories, same = _by_category(within, usual)
        phrase = list[str]()
        if vocabulary and vocabulary.names:
            phrase = _by_phrase(vocabulary, lead[node], [stems[row] for row in inside], inside)
        quoted = [f"“{', '.join(chosen[:most])}”" for most in range(NAME_WORDS, MAX_NAME_WORDS + 1) if chosen]
        bare = [f"mostly {text}" for text in categories]
        # With words behind it, a phrase misleads readers less often.
        by_phrase = [*(f"{phrase[0]}: {text}" for text in quoted if phrase), *phrase]
        worded = [f"{text}: {quote}" for text in categories for quote in quoted]
        by_category = worded + bare if covered >= MIN_WORDED_SHARE else bare + worded
        pure = bool(categories) and max(within.values()) >= PURE_SHARE * len(inside)
        wanted = bare if same else []
        wanted = wanted + (by_category + by_phrase if pure else by_phrase + by_category)
        if covered >= MIN_NAMED_SHARE:
            wanted += quoted
        if not wanted:
            continue
        numbered = (f"{(phrase or wanted)[0]} ({number})" for number in count(2))
        names[node] = next(name for some in (wanted, numbered) for name in some if name.casefold() not in used)
        used.add(names[node].casefold())
        words[node] = chosen if "“" in names[node] else []
    return replace(family, names=names, words=words)


def _by_phrase(vocabulary: Vocabulary, lead: np.ndarray, stems: list[set[str]], inside: np.ndarray) -> list[str]:
    """Return the phrase with the largest lead, if it is near most items and they spell it out or the lead is large.

    Otherwise an empty list.
    """
    best = int(lead.argmax())
    name, spoken = vocabulary.names[best], _stems(vocabulary.names[best])
    spelled = np.mean([not spoken.isdisjoint(text) for text in stems])
    least = max(vocabulary.least, vocabulary.alone - LEAD_OF_WORDS * spelled)
    return [name] if lead[best] >= least and vocabulary.covers[[best]][:, inside].mean() >= MIN_NAMED_SHARE else []


def _stems(text: str) -> set[str]:
    """Return the stems of a text's words, except those that name no subject."""
    return {word.rstrip("es")[:STEM] for word in words_of(text) - LABEL_STOP_WORDS if len(word) > 2}


def _categories(items: pl.DataFrame) -> list[str]:
    """Return the category of each item: its group, or its benchmark if that says more; empty: none."""
    several = items["benchmark"].n_unique() > 1
    names = []
    for group, benchmark in items.select("group", "benchmark").iter_rows():
        name = (group or "").replace("_", " ")
        says = name and readable_category("group", name) == name
        names.append(name if says else benchmark if several else "")
    return names


def _by_category(inside: Counter[str], usual: Counter[str]) -> tuple[list[str], bool]:
    """Return up to three categories of most of a node's items, joined into one name, and whether they have few others.

    An empty list if there are no such categories.
    """
    size, chosen, within = inside.total(), list[str](), 0
    for name, items in inside.most_common(3):
        lift = items / size / (usual[name] / usual.total())
        if not name or items < CATEGORY_SHARE * size or lift < CATEGORY_LIFT or within >= MIN_NAMED_SHARE * size:
            break
        chosen, within = [*chosen, name], within + items
    text = " and ".join(filter(None, (", ".join(chosen[:-1]), *chosen[-1:])))
    if len(text) > NAME_LIMIT or within < MIN_NAMED_SHARE * size:
        return [], False
    return [text], 2 * within >= CATEGORY_F1 * (size + sum(usual[name] for name in chosen))


def _nouns_and_words(texts: Sequence[str | None]) -> tuple[list[set[str]], list[set[str]]]:
    """Return the nouns of each text, and all its words except those that name no subject."""
    places, as_noun, sets = Counter[str](), Counter[str](), list[set[str]]()
    for text in texts:
        tokens = [".", *_TOKEN.findall((text or "").casefold()), "."]
        sets.append(set())
        for before, word, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
            if len(word) > 2 and word.isalpha() and word not in LABEL_STOP_WORDS and word not in ASKING:
                sets[-1].add(word)
                places[word] += 1
                ends = not after.isalpha() or after in LABEL_STOP_WORDS
                as_noun[word] += ends and (before in BEFORE or before.isdigit())
    return [{word for word in words if as_noun[word] >= NOUN * places[word]} for words in sets], sets


def _marking_words(members: sp.csr_array, sets: Sequence[set[str]]) -> list[tuple[list[str], float]]:
    """Return each node's distinctive words, and the share of its items that have one of the first ``NAME_WORDS``.

    Words are scored by log-odds with a Dirichlet prior, in standard errors (Monroe, Colaresi and Quinn, Political
    Analysis 16, 2008), times the logarithm of the ratio of frequencies. Each further word is chosen to cover many items
    without the earlier words.
    """
    counts = Counter(word for words in sets for word in words)
    frequent = sorted(word for word, items in counts.items() if 5 <= items <= len(sets) / 2)
    number = {word: index for index, word in enumerate(frequent)}
    having = ones_at(
        [np.array([number[word] for word in words if word in number], np.int64) for words in sets], len(frequent)
    )
    inside, size = (members @ having).toarray(), members.sum(axis=1)[:, None]
    outside, rest = np.asarray(having.sum(axis=0))[None, :] - inside, len(sets) - size
    share = 10 * (inside + outside + 0.5) / (len(sets) + 1)  # the prior counts as ten items
    odds = [np.log((a + share) / (n - a + 10 - share)) for a, n in ((inside, size), (outside, rest))]
    score = (odds[0] - odds[1]) / np.sqrt(1 / (inside + share) + 1 / (outside + share))
    score[(score < WORD_SCORE) | (inside < WORD_ITEMS) | (inside < WORD_SHARE * size)] = 0
    score *= np.log(np.maximum(1, (inside + 0.5) / (size + 1) * (rest + 1) / (outside + 0.5)))
    marks = []
    for node, best in enumerate(np.argsort(-score, axis=1, kind="stable")[:, :CANDIDATES]):
        forms = dict[str, int]()
        for i in best[score[node, best] > 0].tolist():
            forms.setdefault(frequent[i].rstrip("es")[:STEM], i)
        able, weight = np.array([*forms.values()], np.int64), np.sqrt(score[node, [*forms.values()]])
        has, chosen = having[members[[node]].indices][:, able].toarray() > 0, list[int]()
        while len(chosen) < min(MAX_NAME_WORDS, len(able)):
            more = ~has[:, chosen].any(axis=1)
            gain = (has[more].sum(axis=0) + OVERLAP * has.sum(axis=0)) * weight
            gain[chosen] = -1
            chosen.append(int(gain.argmax()))
        covered = has[:, chosen[:NAME_WORDS]].any(axis=1)
        marks.append(([frequent[able[i]] for i in chosen], float(covered.mean())))
    return marks
