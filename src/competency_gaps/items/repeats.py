"""Find items that are not independent evidence: repeats in a suite, and the clusters that they form.

Nearly equal questions have the same content in another order or with a trivial edit. Two questions are near-repeats if
all of this holds:

- the same right answer (if it is unknown: the same options), and the same context before them. A reordered
  subtraction has another answer: it asks something else, and a model may know the one and not the other;
- the same numbers, single letters, symbols, negations and words of quantity and order, however they are arranged;
- similar words: the weighted Jaccard similarity of their multisets of words is at least a threshold. A word weighs
  the logarithm of its rarity in the benchmark, so the words of a template weigh nearly nothing;
- no exchange of content: what only the first has, or what only the second has, weighs less than a rare word. So a word
  may be added, and *is* become *was*, but *Paris* not *Rome*;
- no coincidence: words in another order count as the same content only if their agreement is unlikely to be chance,
  that is, if the words or the right answer are rare enough in the benchmark. Expressions of *true*, *and*, *or* stay
  apart.

Punctuation and the article *a* never matter. Words are split at white space and punctuation; the lists of negations
and quantities are English; in other languages, rarity alone identifies content.

``docs/validation.md`` says what this finds in public benchmarks; ``validation/repeats.py`` computes those figures.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from competency_gaps.items.item import Benchmark, Item
from competency_gaps.util.text import plural

Kind = Literal["given", "equal", "near"]
"""What ties an item to others of its cluster, the first that applies: an ``equal`` question, the cluster ``given`` by
its source, a ``near``-repeat."""

_LINES = 5
"""Most benchmarks that :meth:`Repeats.lines` lists."""
_REFERS = re.compile(r"\b(?:above|below|these|those|both|neither|none|all of|options?|choices?)\b|^\(?[a-j]\)?[ ,&]")
"""Answers that refer to the other options, and mean nothing without them."""
DEFAULT = 0.8
"""Default for the similarity from which questions are near-repeats."""
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|-(?=\d)|[^\w\s.,;:!?'\"`´‘’“”«»…_–—-]")
_EXACT = frozenset(
    re.findall(
        r"\w+",
        """
        no not nor never none neither nobody nothing cannot without except unless only non
        zero one two three four five six seven eight nine ten eleven twelve twenty thirty hundred thousand million half
        first second third fourth fifth sixth seventh eighth ninth tenth last next double twice
        more less most least fewer fewest many all every some either both
        before after above below left right up down true false
        """,
    )
)
"""Function words that change what is asked."""

_PRIOR = 10.0
"""Pseudo-items without the word, added to each benchmark: words that all items of a small one share keep a weight."""
_CONTENT = 2.3
"""Rarity in nats of what one item in ten has: such words may not be exchanged; such an answer is evidence."""
_REORDERED = 0.97
"""Similarity at or above which words may stand in any order."""
_ENTRIES = 4_000_000
"""Approximate limit to the entries of sparse matrices that are in memory at once."""


@dataclass(frozen=True)
class Repeats:
    """The clusters of a suite's items, in the order of the benchmarks and their items."""

    sizes: dict[str, int]
    """Number of items by benchmark."""
    cluster: NDArray[np.int32]
    """int32 of shape (items,): each item's cluster, numbered from 0."""
    kind: list[Kind | None]
    """What ties each item to its cluster; None if it is alone."""

    def lines(self) -> list[str]:
        """Return lines for people: the benchmarks with the most items that add no evidence; empty without repeats."""
        parts = np.split(self.cluster, np.cumsum([*self.sizes.values()])[:-1])
        sizes = {name: (len(part), len(np.unique(part))) for name, part in zip(self.sizes, parts, strict=True)}
        most = sorted((name for name, (n, c) in sizes.items() if c < n), key=lambda name: -np.subtract(*sizes[name]))
        lines = []
        for name in most[:_LINES]:
            items, clusters = sizes[name]
            counted = f"{plural(items, 'item')} in {plural(clusters, 'cluster')} of repeats"
            lines.append(f"{name}: {counted}; each counts once as evidence")
        return lines + [f"{plural(len(most) - _LINES, 'more benchmark')} with repeats"] * (len(most) > _LINES)


def find_clusters(suite: Sequence[Benchmark], near_repeats: float | None = DEFAULT) -> Repeats:
    """Return the clusters of items that are not independent evidence.

    Items share a cluster if they, or a chain of items between them, are tied by one of these:

    - *equal*: they ask the same, in any benchmark and under any id: the same prompt and context (system prompt, earlier
      messages, text around the prompt) after white space and case, and the same options in any order, or the same right
      answer. An equal prompt with other options and another answer ("Which of these is true?") is another question;
    - *given*: they are in one benchmark and name the same ``cluster``;
    - *near*: they are near-repeats (see the module).

    Parameters
    ----------
    suite
        Benchmarks with different names.
    near_repeats
        Least similarity of near-repeats, in (0, 1]; None: near-repeats are not searched for.
    """
    items = [item for benchmark in suite for item in benchmark.items]
    home = np.repeat(np.arange(len(suite)), [len(benchmark.items) for benchmark in suite])
    questions = [question_of(item) for item in items]
    equal = _connected(len(items), *map(_numbered, zip(*map(_keys, questions), strict=True)))
    _, first = np.unique(equal, return_index=True)
    pairs = np.empty((0, 2), np.int64)
    if near_repeats is not None:
        pairs = first[near_pairs([questions[i] for i in first.tolist()], home[first], near_repeats)]
    named = [(b, item.cluster) if item.cluster else None for b, item in zip(home.tolist(), items, strict=True)]
    named_clusters = _numbered(named)
    bound = _connected(len(items), equal, named_clusters, pairs=pairs)
    # Numbered in the order of the items, so that the numbers do not depend on how the graph is traversed.
    cluster = _numbered(bound.tolist()).astype(np.int32)
    shared = [np.bincount(numbers)[numbers] > 1 for numbers in (equal, named_clusters, cluster)]
    kinds = np.select(shared, ["equal", "given", "near"], default="").tolist()
    return Repeats({part.name: len(part.items) for part in suite}, cluster, [kind or None for kind in kinds])


class FoldedQuestion(NamedTuple):
    """What is compared of an item, with white space and case folded."""

    prompt: str
    context: str
    """Hash of what the model reads around the prompt (system prompt, earlier messages); empty if nothing."""
    choices: tuple[str, ...]
    """Sorted; empty if there are none."""
    answer: str | None
    """The right answer in words; None if it is unknown or refers to the other options."""


def question_of(item: Item) -> FoldedQuestion:
    """Return what an item asks, folded for comparison."""
    choices = tuple(sorted(_folded(choice) for choice in item.choices or ()))
    answer = item.answer
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(item.choices or ()):
        answer = (item.choices or ())[answer]
    elif answer is not None and not isinstance(answer, str):
        answer = "\n".join(sorted(map(str, answer))) if isinstance(answer, (list, tuple)) else str(answer)
    answer = _folded(answer) if answer else None
    return FoldedQuestion(
        _folded(item.prompt), _context(item), choices, None if answer and _REFERS.search(answer) else answer
    )


def _context(item: Item) -> str:
    """Return the hash of what the model reads around the prompt; empty if nothing."""
    if item.seen is not None:
        start, end = item.seen.body
        parts = [item.seen.text[:start], item.seen.text[end:]]
    elif item.messages is not None:
        last = item.messages[-1]["content"]
        start, end = item.body or (0, len(last))
        earlier = [f"{message['role']}: {message['content']}" for message in item.messages[:-1]]
        parts = [*earlier, last[:start], last[end:]]
    else:
        return ""
    text = _folded("\n".join(parts))
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _keys(question: FoldedQuestion) -> tuple[Any, Any]:
    """Return two keys of a question: items that share one ask the same. A key None matches nothing."""
    asked = (question.prompt, question.context)
    return (*asked, question.choices), None if question.answer is None else (*asked, question.answer)


def _numbered(keys: Sequence[Any]) -> NDArray[np.int64]:
    """Return a number for each key, equal for equal keys, in order of appearance; each None gets a new number."""
    known = _numbers()
    return np.array([known[object() if key is None else key] for key in keys], np.int64)


def _connected(count: int, *groups: NDArray[np.int64], pairs: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the component of each item, as int64 of shape (count,).

    Items are connected if they share a number in one of the groups, or are a pair.
    """
    rows = [np.arange(count)] * len(groups)
    columns, nodes = [], count
    for group in groups:
        columns.append(group + nodes)
        nodes += int(group.max(initial=-1)) + 1
    if pairs is not None:
        rows.append(pairs[:, 0])
        columns.append(pairs[:, 1])
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = sp.coo_array((np.ones(len(row), bool), (row, column)), shape=(nodes, nodes))
    return np.unique(connected_components(graph, directed=False)[1][:count], return_inverse=True)[1]


class _WithPartners(NamedTuple):
    """The questions with at least one other of the same answer, context and exact words; only these are compared."""

    where: NDArray[np.int64]
    """Shape (compared,): their indices among all questions."""
    block: NDArray[np.int64]
    """Shape (compared,): only questions of one block are compared."""
    words: sp.csr_array
    """float64 of shape (compared, words): square roots of the words' weights, which depend on the benchmark."""
    text: NDArray[np.int64]
    """The words of each question in the order of its text, as columns of ``words``; split by ``words.indptr``."""
    common: NDArray[np.int64]
    """Shape (words,): number of compared questions with each word; orders words from rare to frequent."""
    order: NDArray[np.int64]
    """Shape (compared,): questions with equal numbers have the same words in the same order."""
    anchors: NDArray[np.int64]
    """Shape (compared,): equal numbers mean the same exact words in the same order, each before the same word."""
    answer: NDArray[np.float64]
    """Shape (compared,): rarity of the right answer in the benchmark, in nats; 0 if unknown."""
    choices: NDArray[np.int64]
    """Shape (compared,): questions with equal numbers have the same options."""
    n_choices: NDArray[np.int64]
    size: NDArray[np.float64]
    """Shape (compared,): number of questions in the benchmark."""


def near_pairs(
    questions: Sequence[FoldedQuestion], benchmark: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """Return the pairs of near-repeats.

    Candidates come from a prefix filter (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007): of two sets
    as similar as the threshold, the rarest words must share one. It misses no pair.

    Parameters
    ----------
    questions
        All different.
    benchmark
        int64 of shape (questions,): number of each question's benchmark; words weigh by their rarity in it.
        Between benchmarks, a shared word weighs the geometric mean of its two weights.
    threshold
        Least similarity, in (0, 1].

    Returns
    -------
    ndarray of int64, shape (pairs, 2)
        Indices of the two questions, the smaller first.
    """
    compared = _compared(questions, benchmark)
    if not len(compared.where):
        return np.empty((0, 2), np.int64)
    confirmed = [_confirmed(compared, pairs, threshold) for pairs in _candidates(compared, threshold)]
    return np.concatenate([np.empty((0, 2), np.int64), *confirmed])


def _compared(questions: Sequence[FoldedQuestion], benchmark: NDArray[np.int64]) -> _WithPartners:
    """Return the questions that share a block with another, with what their comparison needs."""
    count = int(benchmark.max(initial=-1)) + 1
    totals = [Counter[tuple[str, int]]() for _ in range(count)]
    answers = [Counter[str | None]() for _ in range(count)]
    blocks = _numbers()
    block = np.empty(len(questions), np.int64)
    for i, (question, b) in enumerate(zip(questions, benchmark.tolist(), strict=True)):
        words = _words(question.prompt)
        totals[b].update(Counter(words).items())
        answers[b][question.answer] += 1
        asked = question.choices if question.answer is None else question.answer
        block[i] = blocks[question.context, asked, tuple(sorted(filter(_is_exact, words)))]
    having = [Counter[tuple[str, int]]() for _ in range(count)]
    for total, counts in zip(totals, having, strict=True):
        for (word, times), holders in total.items():
            for before in range(times):
                counts[word, before] += holders
    # Most questions are alone in their block: they are not compared, and their words are not kept.
    index = np.flatnonzero(np.bincount(block, minlength=len(blocks))[block] > 1)
    size = np.bincount(benchmark, minlength=count).astype(float)
    vocabulary, orders, anchors, options = _numbers(), _numbers(), _numbers(), _numbers()
    text, shares, ends, places, rarity = [], [], [0], [], []
    for i in index.tolist():
        b, words, answer = int(benchmark[i]), _words(questions[i].prompt), questions[i].answer
        for occurrence in _occurrences(words):
            text.append(vocabulary[occurrence])
            shares.append(having[b][occurrence] / (size[b] + _PRIOR))
        ends.append(len(text))
        places.append((orders[tuple(words)], anchors[_anchors(words)], options[questions[i].choices]))
        rarity.append(0.0 if answer is None else np.log(size[b] / answers[b][answer]))
    columns = np.array(text, np.int64)
    weights = np.sqrt(-np.log(np.array(shares, float)))
    order, anchor, choices = np.array(places, np.int64).reshape(-1, 3).T
    return _WithPartners(
        index,
        block[index],
        sp.csr_array((weights, columns.copy(), np.array(ends, np.int64)), shape=(len(index), len(vocabulary))),
        columns,
        np.bincount(columns, minlength=len(vocabulary)),
        order,
        anchor,
        np.array(rarity, float),
        choices,
        np.array([len(questions[i].choices) for i in index.tolist()], np.int64),
        size[benchmark[index]],
    )


def _numbers() -> defaultdict[Any, int]:
    """Numbers things in the order in which they are first asked for."""
    return defaultdict(itertools.count().__next__)


def _words(text: str) -> list[str]:
    """Return the words of a text that matter, in order."""
    return [word for word in _WORD.findall(text) if word != "a"]


@functools.cache
def _is_exact(word: str) -> bool:
    """Return whether a word is a number, a letter, a symbol, a negation or a word of quantity or order."""
    return len(word) == 1 or word in _EXACT or not word[0].isalpha() or word.endswith(("n't", "n’t"))


def _anchors(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return each exact word with the word after it (what is negated or counted), in the order of the text."""
    return tuple((word, after) for word, after in itertools.pairwise([*words, ""]) if _is_exact(word))


def _occurrences(words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each word with the number of its earlier occurrences: of a repeated *the*, each is another element."""
    before = Counter[str]()
    for word in words:
        yield word, before[word]
        before[word] += 1


def _candidates(compared: _WithPartners, threshold: float) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of questions of one block whose rarest words share one, in parts of bounded size.

    Each part is int64 of shape (pairs, 2): indices into ``compared``, the smaller first.
    """
    words = compared.words
    row = np.repeat(np.arange(words.shape[0]), np.diff(words.indptr))
    sort = np.lexsort((words.indices, compared.common[words.indices], row))
    column, weight = words.indices[sort], words.data[sort] ** 2
    total = np.bincount(row, weight, minlength=words.shape[0])
    before = np.cumsum(weight) - weight
    first = words.indptr[:-1].clip(max=max(len(weight) - 1, 0))
    left = total[row] - (before - before[first][row]) if len(weight) else weight
    # Let the words after the prefix of x weigh less than s W_x. If all that x and y share lies there, the overlap is
    # at most sqrt(s W_x W_y) (Cauchy), and similar questions share at least 2t / (1 + t) sqrt(W_x W_y).
    prefix = left >= (2 * threshold / (1 + threshold)) ** 2 * total[row] - 1e-9
    key = compared.block[row[prefix]] * words.shape[1] + column[prefix]
    key = np.unique(key, return_inverse=True)[1]
    holds = sp.csr_array(
        (np.ones(len(key), np.int32), (row[prefix], key)), shape=(words.shape[0], key.max(initial=0) + 1)
    )
    frequency = np.bincount(key, minlength=holds.shape[1])
    work = np.cumsum(holds @ frequency)
    transposed = holds.T.tocsr()
    start = 0
    while start < holds.shape[0]:
        done = work[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(work, done + _ENTRIES, side="right")))
        pairs = (holds[start:end] @ transposed).tocoo()
        i, j = pairs.row.astype(np.int64) + start, pairs.col.astype(np.int64)
        yield np.stack([i[i < j], j[i < j]], axis=1)
        start = end


def _confirmed(compared: _WithPartners, pairs: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """Return the candidates that are near-repeats, as indices among all questions."""
    total = compared.words.multiply(compared.words).sum(axis=1)
    shared = _shared(compared.words, pairs)
    i, j = pairs.T
    similarity = shared / (total[i] + total[j] - shared)
    size = np.minimum(compared.size[i], compared.size[j])
    content = np.minimum(_CONTENT, np.log(size + _PRIOR) / 2)
    exchanged = np.minimum(total[i], total[j]) - shared
    same_options = (compared.choices[i] == compared.choices[j]) & (compared.n_choices[i] > 0)
    answer = np.minimum(compared.answer[i], compared.answer[j])
    answer = np.where(same_options, np.minimum(answer, np.log(np.maximum(compared.n_choices[i], 1))), answer)
    rare = np.minimum(total[i], total[j]) + answer >= 2 * np.log(size)
    same_order = compared.order[i] == compared.order[j]
    telling = (answer >= _CONTENT) | (rare & (compared.anchors[i] == compared.anchors[j])) | same_order
    near = (similarity >= threshold - 1e-9) & (exchanged < content) & telling
    for pair in np.flatnonzero(near & (similarity < _REORDERED)).tolist():
        near[pair] = exchanged[pair] + _moved(compared, i[pair], j[pair]) < content[pair]
    return compared.where[pairs[near]]


def _shared(words: sp.csr_array, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weight of the words that the questions of each pair share, computed in parts of bounded size."""
    lengths = np.diff(words.indptr)
    part = np.cumsum(lengths[pairs].sum(axis=1)) // _ENTRIES
    parts = np.split(pairs, np.flatnonzero(np.diff(part)) + 1)
    return np.concatenate([words[part[:, 0]].multiply(words[part[:, 1]]).sum(axis=1) for part in parts])


def _moved(compared: _WithPartners, i: int, j: int) -> float:
    """Return the weight of the shared words in another order: those outside a longest common subsequence."""
    start = compared.words.indptr
    there = {word: index for index, word in enumerate(compared.text[start[j] : start[j + 1]].tolist())}
    words = [word for word in compared.text[start[i] : start[i + 1]].tolist() if word in there]
    # Each word occurs once there (a second *the* is another word): a common subsequence has increasing places.
    moved = np.ones(len(words), bool)
    moved[_longest_increasing([there[word] for word in words])] = False
    words_of = slice(start[i], start[i + 1])
    weights = dict(zip(compared.words.indices[words_of].tolist(), compared.words.data[words_of].tolist(), strict=True))
    return sum(weights[word] ** 2 for word, out in zip(words, moved, strict=True) if out)


def _longest_increasing(values: Sequence[int]) -> list[int]:
    """Return the indices of a longest increasing subsequence (Schensted 1961)."""
    ends: list[int] = []  # the smallest value that ends an increasing subsequence of each length
    last: list[int] = []  # its place
    previous: list[int] = []
    for index, value in enumerate(values):
        length = bisect.bisect_left(ends, value)
        ends[length : length + 1] = [value]
        last[length : length + 1] = [index]
        previous.append(last[length - 1] if length else -1)
    places = []
    index = last[-1] if last else -1
    while index >= 0:
        places.append(index)
        index = previous[index]
    return places[::-1]
