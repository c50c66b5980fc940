"""Items of a finding beside comparable items: three that fail and three that pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from competency_gaps.findings.table import EXAMPLES

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
