"""Names of the nodes of a tree of items: groups, a labelled concept or how they begin, and words that mark a node."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.dictionary.labelling.automatic import LABEL_STOP_WORDS, words_of
from competency_gaps.slices.columns import telling
from competency_gaps.slices.concepts import readable
from competency_gaps.slices.family import Family, ones_at

LIMIT = 56
"""Characters of a name."""
LABEL_LIMIT = 40
"""Characters of a label in it."""
SHORTEST = 16
"""Characters that are left of a label that is cut, at least."""
WORDS = 6
"""Words that are kept for a node."""
MARKS = 60
"""Words, and concepts, that are looked at."""
SPOKEN = 12
"""Of a node's words, those that its label is held against."""
SHARED = 0.4
"""Share of a label's words that must be among them."""
BORNE_OUT = 0.5
"""Share of a node's items that must have a word of its label."""
GROUPS, GROUP, ALONE = 0.5, 0.15, 0.6
"""Share of a node's items in the groups that name it; in each of them; and from which the largest needs no other."""
GROUP_LIFT = 1.3
"""Times as frequent as in all items that such a group must be."""
SILENT = "group: "
"""With what the name of a group begins that says nothing by itself."""
WORDS_ALONE = 0.15
"""Share of a node's items that must have one of the words of which alone its name is made."""
WORD_OFTEN = 0.08
"""Share of a node's items that have a word of its name, where there are such words."""
MOST = 6
"""Words of an opening."""
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
_VAGUE = """
amount came day end evening everyone everything first half halves number part rest right second single third time times
total
"""
VAGUE = frozenset(_VAGUE.split())
"""Words of which no name consists; a label that has them may be about them."""
_NUMBERS = """
two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
twenty thirty forty fifty sixty seventy eighty ninety hundred thousand
"""
NUMBERS = dict.fromkeys(_NUMBERS.split(), "numbers in words")
"""Words that name no subject one by one."""
CLEAR = 8.0
"""How clear a mark must be: see :func:`_marking`."""
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


_WORD, _OPENING, _LABEL = _Bar(0.03, 1.3, 0.95), _Bar(0.25, 2.5, 1.2), _Bar(0.4, 2.5, 1.4)
_BEFORE = """
a about an any at between by each every for from her his in its my no of on our per some that the their these this those
three two with your
"""
BEFORE = frozenset(_BEFORE.split())
"""Words after which a noun stands."""
NOUN, PAIR = 0.1, 0.2
"""Share of the places of a word, and of a pair of words, where it stands as a noun, at least."""
FEW_NOUNS = 0.02
"""Share of all words below which nouns cannot be told."""
_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+|[^\w\s]")
_COMMAND = re.compile(r"\\[a-zA-Z]+|<[^>]+>")
"""Of LaTeX, and markup."""
_CUTS = ("; ", ", ", " (", " and ", " or ", " such as ", " with ", " in ", " for ", " from ", " by ", " on ")


def with_names(family: Family, items: pl.DataFrame, concepts: pl.DataFrame, by_concept: ByConcept | None) -> Family:
    """Name the nodes of a tree, and give the words that mark each against its siblings and all other items.

    ``by_concept`` None: no model has read the items.
    """
    members = sp.csr_array((family.weights > 0).astype(np.float32))
    parent = np.where(family.parent >= 0, np.searchsorted(family.number, family.parent), -1)
    vocabulary, having = _words(items)
    openings, begins = _openings(items)
    labels, strong = _labelled(concepts, by_concept, items.height)
    words, begun, marked = (
        _marking(members, parent, *own) for own in ((having, _WORD), (begins, _OPENING), (strong, _LABEL))
    )
    names: list[str] = []
    kept: list[list[str]] = []
    group, stems = _groups(items), [_stems(prompt or "") for prompt in items["prompt"]]
    usual = Counter(group[row] for row in np.unique(members.indices))
    frequent = (members @ having.T).toarray() >= WORD_OFTEN * np.diff(members.indptr)[:, None]
    for node, (own, beginning, concept) in enumerate(zip(words, begun, marked, strict=True)):
        inside = members[[node]].indices
        marks = [word for word in own if vocabulary[word] not in ASKING]
        head = groups = _most(Counter(group[row] for row in inside), usual)
        if not head:
            spoken, own_stems = [vocabulary[word] for word in marks[:SPOKEN]], [stems[row] for row in inside]
            fitting = [labels[at] for at in concept if _shared(labels[at], spoken) >= SHARED]
            fitting = [label for label in fitting if _speaking(label, own_stems) >= BORNE_OUT]
            head = max(fitting, key=lambda label: _shared(label, spoken), default="")
            head = head or max((openings[at] for at in beginning), key=len, default="")
        taken = VAGUE | set(usual) if groups else VAGUE
        marks = [word for word in marks if vocabulary[word] not in taken]
        marks.sort(key=lambda word: not frequent[node, word])
        told = [NUMBERS.get(vocabulary[word], vocabulary[word]) for word in marks]
        often = _different(told[: int(frequent[node, marks].sum())])
        # Rare words are better than none.
        kept.append(often if len(often) >= (2 if head else 3) else _different(told))
        named = (head and not head.startswith(SILENT)) or (
            having[marks[:4]][:, inside].sum(axis=0) > 0
        ).sum() >= WORDS_ALONE * len(inside)
        names.append(_name(head, kept[-1] if named else [], {*usual, *names}))
        if head in openings:
            kept[-1].append(head)  # it quotes the items, as words do
    return replace(family, names=names, words=kept)


def _groups(items: pl.DataFrame) -> list[str]:
    """The group of each item, as ``group: x`` where it says nothing by itself, or, in a run of several benchmarks, the
    item's benchmark; empty: it has none.
    """
    several = items["benchmark"].n_unique() > 1
    found = []
    for group, benchmark in items.select("group", "benchmark").iter_rows():
        names = [name.replace("_", " ") for name in (group, benchmark if several else None) if name]
        own = next(
            (name for name in names if telling("group", name) == name), telling("group", names[0]) if names else ""
        )
        found.append(_cut(own, LIMIT))
    return found


def _most(inside: Counter[str], all_items: Counter[str]) -> str:
    """The largest groups of a node's items, three at most, that are more frequent there than in all; empty: they hold
    too few, or the largest is not among them.
    """
    size, often = inside.total(), list[tuple[str, int]]()
    for name, items in inside.most_common(3):
        if name.startswith(SILENT) and items < ALONE * size:
            continue
        if name and items >= GROUP * size and items / size >= GROUP_LIFT * all_items[name] / all_items.total():
            often.append((name, items))
    if not often or inside.most_common(1) != often[:1] or sum(items for _, items in often) < GROUPS * size:
        return ""
    names = [name for name, _ in often[: 1 if often[0][1] >= ALONE * size else None]]
    joined = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return joined if len(joined) <= LIMIT else names[0] if often[0][1] >= GROUPS * size else ""


def _speaking(label: str, texts: Sequence[set[str]]) -> float:
    """Share of texts, given by their stems, that have a word of a label."""
    own = _stems(label)
    return float(np.mean([not own.isdisjoint(text) for text in texts]))


def _stems(text: str) -> set[str]:
    return {word.rstrip("es")[:STEM] for word in words_of(text) - LABEL_STOP_WORDS}


def _shared(label: str, words: Iterable[str]) -> float:
    """Share of a label's words that others have too, up to their endings: what a concept meant where it was labelled
    may be something else here.
    """
    own, others = _stems(label), _stems(" ".join(words))
    return len(own & others) / max(1, len(own))


def _name(head: str, words: list[str], taken: set[str]) -> str:
    """At most ``LIMIT`` characters that no node or group has yet: ``head: word, word`` or ``word, word, word``."""
    for start in dict.fromkeys((head, "")):
        own = [word for word in words if word != start and not _shared(word, [start])]
        for skipped in range(max(1, len(own))):
            name, separator = start, ", " if start.startswith(SILENT) else ": "
            for word in (own[:1] + own[1 + skipped :])[: 3 if start else 4]:
                longer = f"{name}{separator}{word}" if name else word
                if len(longer) <= LIMIT:
                    name, separator = longer, ", "
            if name and name not in taken:
                return name
    base = _cut(f"part of {head}", LIMIT - 5) if head else "items without a common subject"
    return base if base not in taken else next(name for i in count(2) if (name := f"{base} ({i})") not in taken)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _different(words: Iterable[str]) -> list[str]:
    """The first words, without forms of those before: plurals and other endings."""
    kept: list[str] = []
    for word in words:
        if not _shared(word, kept):
            kept.append(word)
        if len(kept) == WORDS:
            break
    return kept


def _words(items: pl.DataFrame) -> tuple[list[str], sp.csr_array]:
    """What may mark items: nouns of their texts, pairs of words that end in one, and their groups; and which items have
    it: csr_array of shape (words, N).

    A noun is what often stands between an article or a preposition and a word that names nothing; where hardly any word
    does, as in other languages, all count.
    """
    seen, nouns, own = Counter[str](), Counter[str](), list[set[str]]()
    for prompt in items["prompt"]:
        phrase, before, words = list[str](), "", set[str]()
        for token in [*_TOKEN.findall(_COMMAND.sub(" ", prompt or "").casefold()), "."]:
            if len(token) > 2 and token.isalpha() and token not in LABEL_STOP_WORDS:
                phrase.append(token)
                continue
            told = [*phrase, *map(" ".join, pairwise(phrase))]
            words.update(told)
            seen.update(told)
            if before in BEFORE and 0 < len(phrase) < 3:
                nouns[" ".join(phrase)] += 1
            phrase, before = [], token
        own.append(words)
    if nouns.total() < FEW_NOUNS * seen.total():
        nouns = seen
    is_noun = {word: nouns[word] >= (PAIR if " " in word else NOUN) * times for word, times in seen.items()}
    groups = [
        {group.replace("_", " ")} if group and telling("group", group) == group else set() for group in items["group"]
    ]
    kept = [{word for word in words if is_noun[word] and is_noun[word.split()[-1]]} for words in own]
    return _having([words | group for words, group in zip(kept, groups, strict=True)], RARE)


def _having(own: Sequence[set[str]], least: int) -> tuple[list[str], sp.csr_array]:
    """The words that at least so many items have, and at most half of them, and which items have them."""
    counts = Counter(word for words in own for word in words)
    frequent = sorted(word for word, count in counts.items() if least <= count <= len(own) / 2)
    number = {word: i for i, word in enumerate(frequent)}
    places = [np.array([number[word] for word in words if word in number], np.int64) for words in own]
    return frequent, sp.csr_array(ones_at(places, len(frequent)).T.tocsr())


def _openings(items: pl.DataFrame) -> tuple[list[str], sp.csr_array]:
    """How texts begin, in two to six words of which one does more than ask; and which items do: csr_array of shape
    (openings, N).
    """
    own = list[set[str]]()
    for prompt in items["prompt"]:
        words = (prompt or "").casefold().split()[:MOST]
        texts = (" ".join(words[:n]) for n in range(2, len(words) + 1))
        saying = (text for text in texts if words_of(text) - LABEL_STOP_WORDS - ASKING)
        own.append({shown for text in saying if len(shown := f"“{text.capitalize()} …”") <= LABEL_LIMIT})
    return _having(own, max(RARE, len(own) // 1000))


def _labelled(concepts: pl.DataFrame, by_concept: ByConcept | None, items: int) -> tuple[list[str], sp.csr_array]:
    """Short labels of the readable concepts, and the items in which each is strong, (labels, N)."""
    if by_concept is None:
        return [], sp.csr_array((0, items), dtype=np.float32)
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

    Clear is what has high log-odds with a Dirichlet prior, in units of their error (Monroe, Colaresi and Quinn,
    Political Analysis 16, 2008, equations 16 and 22, with presence in place of counts), times the logarithm of how many
    times as frequent it is, so that general words stand behind: the sum of that against the node's siblings and of that
    against all other items.
    """
    everything = sp.csr_array((members.sum(axis=0) > 0).astype(np.float32).reshape(1, -1))
    inside = (members @ having.T).toarray()
    size = np.asarray(members.sum(axis=1)).ravel()[:, None]
    clear = np.zeros(inside.shape)
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
        clear = np.where(count >= 0.1 * size, clear + score, clear)
    clear[inside < bar.share * size] = -np.inf
    best = np.argsort(-clear, axis=1, kind="stable")[:, :MARKS]
    return [[int(j) for j in row if clear[k, j] > CLEAR] for k, row in enumerate(best)]


def _log_odds(inside: np.ndarray, size: np.ndarray, out: np.ndarray, count: np.ndarray) -> np.ndarray:
    share = (inside + out + 0.5) / (size + count + 1)
    delta, variance = np.zeros(inside.shape), np.zeros(inside.shape)
    for sign, having, of in ((1, inside, size), (-1, out, count)):
        present = having + PRIOR * share
        absent = of + PRIOR - present
        delta += sign * np.log(present / absent)
        variance += 1 / present + 1 / absent
    return np.asarray(delta / np.sqrt(variance))
