"""Items that are not independent evidence: repeats in a suite, and the clusters that they form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from competency_gaps.benchmarks.near_repeats import DEFAULT, FoldedQuestion, near_pairs
from competency_gaps.items.item import Benchmark, Item
from competency_gaps.text import plural

Kind = Literal["given", "equal", "near"]
"""What binds an item to others of its cluster; the first that holds: an ``equal`` question, the cluster ``given`` by
its source, a ``near``-repeat."""

_LINES = 5
"""Most benchmarks that are listed."""
_REFERS = re.compile(r"\b(?:above|below|these|those|both|neither|none|all of|options?|choices?)\b|^\(?[a-j]\)?[ ,&]")
"""Answers that refer to the other options, and mean nothing without them."""


@dataclass(frozen=True)
class Repeats:
    """The clusters of a suite's items, benchmark after benchmark."""

    sizes: dict[str, int]
    """Benchmark -> number of its items."""
    cluster: NDArray[np.int32]
    """int32 of shape (items,): numbered from 0."""
    kind: list[Kind | None]
    """What binds each item to its cluster; None: it is alone."""

    def lines(self) -> list[str]:
        """Lines for people: the benchmarks with the most items that add no evidence. Empty: nothing repeats."""
        parts = np.split(self.cluster, np.cumsum([*self.sizes.values()])[:-1])
        sizes = {name: (len(own), len(np.unique(own))) for name, own in zip(self.sizes, parts, strict=True)}
        most = sorted((name for name, (n, c) in sizes.items() if c < n), key=lambda name: -np.subtract(*sizes[name]))
        lines = []
        for name in most[:_LINES]:
            items, clusters = sizes[name]
            counted = f"{plural(items, 'item')} in {plural(clusters, 'cluster')} of repeats"
            lines.append(f"{name}: {counted}; each counts once as evidence")
        return lines + [f"{plural(len(most) - _LINES, 'more benchmark')} with repeats"] * (len(most) > _LINES)


def find_clusters(suite: Sequence[Benchmark], near_repeats: float | None = DEFAULT) -> Repeats:
    """Group items that are not independent evidence into clusters.

    Items share a cluster if they, or a chain of items between them, are bound by one of these:

    - *equal*: they ask the same, wherever they stand and whatever their ids: the same prompt and context (system
      prompt, earlier messages, text around the prompt) after white space and case, and the same options in any order,
      or the same right answer. An equal prompt with other options and another answer ("Which of these is true?") is
      another question;
    - *given*: they are of one benchmark and name one ``cluster``;
    - *near*: see :mod:`~competency_gaps.benchmarks.near_repeats`.

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
    given = _numbered(named)
    bound = _connected(len(items), equal, given, pairs=pairs)
    # Numbered in the order of the items, so that the numbers do not depend on how the graph is traversed.
    cluster = _numbered(bound.tolist()).astype(np.int32)
    shared = [np.bincount(numbers)[numbers] > 1 for numbers in (equal, given, cluster)]
    kinds = np.select(shared, ["equal", "given", "near"], default="").tolist()
    return Repeats({own.name: len(own.items) for own in suite}, cluster, [kind or None for kind in kinds])


def question_of(item: Item) -> FoldedQuestion:
    """What an item asks, folded, for comparison."""
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
    if item.seen is not None:
        start, end = item.seen.own
        parts = [item.seen.text[:start], item.seen.text[end:]]
    elif item.messages is not None:
        last = item.messages[-1]["content"]
        start, end = item.own or (0, len(last))
        earlier = [f"{message['role']}: {message['content']}" for message in item.messages[:-1]]
        parts = [*earlier, last[:start], last[end:]]
    else:
        return ""
    text = _folded("\n".join(parts))
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _keys(question: FoldedQuestion) -> tuple[Any, Any]:
    """Two keys of a question; items that share one ask the same. None matches nothing."""
    asked = (question.prompt, question.context)
    return (*asked, question.choices), None if question.answer is None else (*asked, question.answer)


def _numbered(keys: Sequence[Any]) -> NDArray[np.int64]:
    """Number equal keys alike, in the order in which they come; each None gets a number of its own."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(object() if key is None else key, len(known)) for key in keys], np.int64)


def _connected(count: int, *groups: NDArray[np.int64], pairs: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Component of each item, as int64; items are connected if they share a number in a group, or are a pair."""
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
