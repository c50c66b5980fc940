"""The items that a finding shows, with what differs between prompts of their benchmark split from the template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from competency_gaps.findings.words import EXAMPLES
from competency_gaps.runs.covariates import repeats

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
COMPARED = 12
"""Prompts, evenly chosen, that a template is formed from."""
LONGEST = 2_000
"""Most tokens of a prompt, beyond the shared beginning and end, that are compared; where there are more, all differ."""
FEWEST = 3
"""Fewest words of a constant part inside a prompt: single words that happen to be shared are not a template."""


class Piece(NamedTuple):
    """A piece of a prompt."""

    text: str
    is_constant: bool
    """Whether all prompts of its benchmark have it."""


def template_of(prompts: Sequence[str]) -> list[str]:
    """Find the tokens that all prompts have, in the same order.

    Parameters
    ----------
    prompts
        Of one benchmark; at most ``COMPARED`` of them are compared.

    Returns
    -------
    list of str
        Words, white space and marks. Empty where there are fewer than two different prompts, as nothing shows
        what is constant.
    """
    distinct = list(dict.fromkeys(prompts))
    if len(distinct) < 2:
        return []
    step = max(1, len(distinct) // COMPARED)
    template: list[str] | None = None
    for prompt in distinct[::step][:COMPARED]:
        tokens = _TOKEN.findall(prompt)
        template = tokens if template is None else [template[i] for i, _ in _shared(template, tokens)]
    return template or []


def fold(prompt: str, template: Sequence[str]) -> list[Piece]:
    """Split a prompt into pieces that its template has and pieces of its own; their texts add up to the prompt.

    Parameters
    ----------
    template
        As :func:`template_of` gives it; empty: all of the prompt is its own.
    """
    tokens = _TOKEN.findall(prompt)
    constant = [False] * len(tokens)
    for _, place in _shared(list(template), tokens):
        constant[place] = True
    pieces: list[Piece] = []
    start = 0
    for i in range(1, len(tokens) + 1):
        if i == len(tokens) or constant[i] != constant[start]:
            run = tokens[start:i]
            at_an_end = start == 0 or i == len(tokens)
            words = sum(token[0].isalnum() for token in run)
            kept = constant[start] and words >= (1 if at_an_end else FEWEST)
            pieces.append(Piece("".join(run), kept))
            start = i
    return _joined(pieces)


def own_part(pieces: Sequence[Piece]) -> str:
    """The differing part of a prompt on one line, with an ellipsis where a constant part stood between two pieces."""
    text = " … ".join(" ".join(piece.text.split()) for piece in pieces if not piece.is_constant and piece.text.strip())
    return text or " ".join("".join(piece.text for piece in pieces).split())


def _shared(first: list[str], second: list[str]) -> list[tuple[int, int]]:
    """Places of the tokens that two texts share, in order: beginnings and ends that are equal, and blocks between."""
    most = min(len(first), len(second))
    head = next((i for i in range(most) if first[i] != second[i]), most)
    tail = next((i for i in range(most - head) if first[-1 - i] != second[-1 - i]), most - head)
    places = [(i, i) for i in range(head)]
    inner = first[head : len(first) - tail], second[head : len(second) - tail]
    if max(map(len, inner)) <= LONGEST:
        for a, b, size in SequenceMatcher(None, *inner, autojunk=False).get_matching_blocks():
            places += [(head + a + i, head + b + i) for i in range(size)]
    return places + [(len(first) - tail + i, len(second) - tail + i) for i in range(tail)]


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Put neighbours of one kind together."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].is_constant == piece.is_constant:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.is_constant)
        else:
            joined.append(piece)
    return joined


POOL = 200
"""Most items of a finding that are considered as examples."""


class Pool(NamedTuple):
    """The items of a run, as examples are chosen from them. N items."""

    scores: np.ndarray
    """float64 of shape (N,); NaN = unscored or excluded."""
    benchmark: np.ndarray
    """int of shape (N,)."""
    cluster: np.ndarray
    """int of shape (N,): at most one item of each is shown."""
    length: np.ndarray
    """float of shape (N,), > 0: tokens of the span."""


def side_by_side(
    pool: Pool, weights: np.ndarray, feature: np.ndarray | None, *, weak: bool
) -> tuple[list[int], list[int]]:
    """Choose failing and passing items, pair by pair.

    Of a weak finding, the failing ones are its heaviest, and each has beside it a passing item of the same benchmark
    and of similar length, outside the finding where there is one; of a strong finding the other way round. An item
    *fails* below its benchmark's mean score and *passes* above it: for scores of 0 and 1, wrong and right.

    Parameters
    ----------
    weights : ndarray of float of shape (N,)
        The finding's weight in each item; 0: not one of its items.
    feature : ndarray of bool of shape (N,), optional
        Items with the feature that describes the finding; None: it has no description. Its own examples have the
        feature and those beside them lack it, where the run has such items.

    Returns
    -------
    failing, passing : list of int
        Rows, at most three each; no two of one cluster.
    """
    above = _above(pool)
    own_side = -above if weak else above
    outside = weights == 0
    has = np.zeros(len(weights), bool) if feature is None else feature
    own = np.flatnonzero((weights > 0) & (own_side > 0))
    own = own[np.lexsort((own, -weights[own], ~has[own]))][:POOL]
    used: set[int] = set()
    own_examples: list[int] = []
    partners: list[int] = []
    for row in own.tolist():
        if len(own_examples) == EXAMPLES:
            break
        if int(pool.cluster[row]) in used:
            continue
        own_examples.append(row)
        used.add(int(pool.cluster[row]))
        partner = _partner(row, pool, np.flatnonzero(own_side < 0), has | ~outside, used)
        if partner is not None:
            partners.append(partner)
            used.add(int(pool.cluster[partner]))
    return (own_examples, partners) if weak else (partners, own_examples)


def _above(pool: Pool) -> np.ndarray:
    """Sign of each item's score less its benchmark's mean; 0 where it is not known."""
    known = ~np.isnan(pool.scores)
    _, place = np.unique(pool.benchmark, return_inverse=True)
    total = np.bincount(place[known], pool.scores[known], int(place.max(initial=0)) + 1)
    mean = total / np.maximum(1, np.bincount(place[known], minlength=len(total)))
    return np.asarray(np.nan_to_num(np.sign(pool.scores - mean[place])))


def _partner(row: int, pool: Pool, others: np.ndarray, inside: np.ndarray, used: set[int]) -> int | None:
    """The item of the same benchmark that is nearest in length, those outside the finding first."""
    near = others[pool.benchmark[others] == pool.benchmark[row]]
    near = near[~np.isin(pool.cluster[near], list(used))]
    if not len(near):
        return None
    apart = np.abs(np.log(pool.length[near] / pool.length[row]))
    return int(near[np.lexsort((near, apart, inside[near]))[0]])


@dataclass(frozen=True)
class ShownItem:
    """An item as an example of a finding. Texts are as read; what shows them must escape them."""

    row: int
    """Row in ``items.parquet``."""
    benchmark: str
    item_id: str
    prompt: tuple[Piece, ...]
    """The prompt in pieces that its benchmark's other prompts share or not."""
    choices: tuple[str, ...] | None
    answer: str | None
    """What was expected."""
    response: str | None
    score: float | None
    repeats: int
    """Items that ask the same, this one included; 1 where its cluster holds different texts that belong together."""


def shown_items(run: RunFolder, finding: Mapping[str, Any]) -> tuple[list[ShownItem], list[ShownItem]]:
    """Give the failing and the passing items of a finding.

    Parameters
    ----------
    finding
        A row of ``Run.findings``.

    Returns
    -------
    failing, passing : list of ShownItem
        Items at the same position are compared with each other; one list may be shorter.
    """
    templates: dict[str, list[str]] = {}
    same = run.items.filter(pl.Series(repeats(run.items)))
    sizes = dict(same["cluster"].value_counts().iter_rows())

    def shown(row: int) -> ShownItem:
        item = run.items.row(row, named=True)
        benchmark = item["benchmark"]
        if benchmark not in templates:
            templates[benchmark] = template_of(run.items.filter(pl.col("benchmark") == benchmark)["prompt"].to_list())
        return ShownItem(
            row,
            benchmark,
            item["item_id"],
            tuple(fold(item["prompt"], templates[benchmark])),
            None if item["choices"] is None else tuple(item["choices"]),
            item["answer"],
            item["response"],
            item["score"],
            int(sizes.get(item["cluster"], 1)),
        )

    return [shown(row) for row in finding["failing"]], [shown(row) for row in finding["passing"]]
