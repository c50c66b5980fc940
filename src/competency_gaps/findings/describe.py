"""Describe a finding's items: by a feature that distinguishes them and carries the difference in score by itself.

A candidate must (a) be more frequent among the finding's items than among others of the same benchmarks
(:func:`~competency_gaps.findings.features.log_odds`), and (b) items with it must score differently from those without
it, within benchmark and stratum, and (c) the items with it must carry at least half of the finding's weight, so that
what is shown is about the finding and not about a small part of it. (b) is chosen on one half of the clusters and
tested on the other, over many splits; the finding itself, and so (a) and (c), are of all items. The figures that are
then shown come from all items.

Candidates are kept as *scope and feature*: a feature within one benchmark, or within all benchmarks of the finding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Outcomes, block_sums, permutation_tails
from competency_gaps.findings.features import Candidates, log_odds
from competency_gaps.findings.words import topic

APART = 2.5
"""Least z-score of the log-odds of a candidate [ours]."""
PER_SCOPE = 10
"""Candidates of each scope: those with the largest log-odds."""
COVERED = 0.5
"""Part of a finding's weight that a feature must cover within its scope [ours]; a scope must hold as much of it."""
MOST_OF_IT = 0.8
"""Part of a finding's weight that the benchmarks of its widest scope hold."""
AGREE = 0.75
"""Part of the units with a feature that must lie in benchmarks where it goes with the same direction."""
FEWEST_SHOWN = 5
"""Fewest units with a feature, and without it, for a benchmark to have a direction."""
CHOSEN = 2
"""Candidates that the first half passes on to the second; their p-values are multiplied by this (Bonferroni)."""
CONFIRMED = 0.05
"""p-value at or below which a description is shown."""


@dataclass(frozen=True)
class Candidate:
    """A feature within a scope."""

    code: str
    scope: tuple[int, ...]
    """Numbers of benchmarks, those with most of the finding's weight first."""
    units: np.ndarray
    """int64: units of the scope, ascending."""
    values: np.ndarray
    """float64 of the shape of ``units``, in [0, 1]: part of the unit's items that have the feature."""


@dataclass(frozen=True)
class Description:
    """A feature that holds."""

    candidate: Candidate
    p_value: float
    """From the halves that did not choose it, over all candidates and splits; see :func:`describe`."""


def shortlist(
    weights: np.ndarray,
    benchmark: np.ndarray,
    features: Mapping[tuple[int, ...], Candidates],
    covered: Callable[[str, tuple[int, ...]], float],
) -> list[Candidate]:
    """Choose the features that distinguish a finding's units from others of the same benchmarks, without their scores.

    Parameters
    ----------
    weights : ndarray of float of shape (K,)
        The finding's weight in each unit, >= 0.
    benchmark : ndarray of int of shape (K,)
    features
        By scope, the candidates over the scope's units (ascending).
    covered
        Part of the finding's whole weight, in [0, 1], that its items with a feature within a scope carry.
    """
    positive = weights[weights > 0]
    if not len(positive):
        return []
    # A unit with the weight of the strongest tenth belongs to the finding entirely.
    inside = np.clip(weights / np.quantile(positive, 0.9), 0.0, 1.0)
    chosen = []
    for scope, own in features.items():
        units = np.flatnonzero(np.isin(benchmark, scope))
        z = log_odds(inside[units], _others(inside[units], benchmark[units]), own.values)
        order = [i for i in np.argsort(-z, kind="stable") if z[i] >= APART]
        wide = islice((i for i in order if covered(own.codes[i], scope) >= COVERED), PER_SCOPE)
        chosen += [Candidate(own.codes[i], scope, units, own.values[:, i]) for i in wide]
    return chosen


def _others(inside: np.ndarray, benchmark: np.ndarray) -> np.ndarray:
    """Weights of the units outside, which make up the same mix of benchmarks as those inside."""
    outside = 1 - inside
    _, place = np.unique(benchmark, return_inverse=True)
    own, rest = np.bincount(place, inside), np.bincount(place, outside)
    factor = np.divide(own, rest, out=np.zeros(len(own)), where=rest > 0)
    largest = factor.max(initial=0.0)
    return np.asarray(outside * (factor / largest if largest > 0 else factor)[place])


def scopes_of(weights: np.ndarray, benchmark: np.ndarray) -> list[tuple[int, ...]]:
    """Benchmarks in which a finding can be described, those with most of its weight first.

    First those that together hold most of it, then each that holds at least half by itself.
    """
    numbers, place = np.unique(benchmark, return_inverse=True)
    share = np.bincount(place, weights) / max(float(weights.sum()), 1e-300)
    order = np.argsort(-share, kind="stable")
    most = order[: int(np.searchsorted(np.cumsum(share[order]), MOST_OF_IT - 1e-9)) + 1]
    single: list[tuple[int, ...]] = [(int(numbers[i]),) for i in order if share[i] >= COVERED]
    together = tuple(int(n) for n in numbers[most])
    return [together, *single] if len(together) > 1 else single


def describe(
    shortlists: Sequence[list[Candidate]],
    weak: Sequence[bool],
    outcome: np.ndarray,
    benchmark: np.ndarray,
    block: np.ndarray,
    halves: Sequence[np.ndarray],
    order: Sequence[int] | None = None,
) -> list[Description | None]:
    """Find the feature, if any, that carries each finding's difference in score on the half that did not choose it.

    Of several features that hold, the surest on a topic that no earlier finding has is taken; else the surest of all.

    On each split, the ``CHOSEN`` candidates with the smallest p-values on the first half are tested on the second; the
    others get 1. A candidate's p-value is twice the median over the splits, which is valid however the splits depend on
    one another (Meinshausen, Meier and Buehlmann, "p-Values for High-Dimensional Regression", JASA 104 (2009)). The
    p-values of a split are one-sided, in the finding's direction: outcomes permuted within blocks, as of every gap.

    Parameters
    ----------
    shortlists
        Of each finding.
    weak
        Of each finding, whether its items score lower; else higher.
    outcome : ndarray of float of shape (K,)
    benchmark, block : ndarray of int of shape (K,)
    halves
        Of each split, the units of the first half: bool of shape (K,).
    order
        The findings as they are shown; None: as they are given.
    """
    every = [(i, candidate) for i, own in enumerate(shortlists) for candidate in own]
    if not every or not len(halves):
        return [None] * len(shortlists)
    owner = np.array([i for i, _ in every])
    lower = np.array([weak[i] for i in owner])
    rows = _rows([candidate for _, candidate in every], len(outcome))
    p_values = np.ones((len(halves), len(every)))
    for split, half in enumerate(halves):
        first = _p_values(rows, lower, outcome, block, half)
        chosen = np.concatenate([_smallest(first, np.flatnonzero(owner == i)) for i in np.unique(owner)])
        if len(chosen):
            second = _p_values(rows[chosen], lower[chosen], outcome, block, ~half)
            p_values[split, chosen] = np.minimum(1.0, CHOSEN * second)
    final = np.minimum(1.0, 2 * np.median(p_values, axis=0))
    descriptions: list[Description | None] = [None] * len(shortlists)
    topics: set[tuple[bool, str]] = set()
    for i in order if order is not None else range(len(shortlists)):
        own = [
            j
            for j in np.flatnonzero(owner == i)
            if final[j] <= CONFIRMED and _consistent(every[j][1], outcome, benchmark, weak[i])
        ]
        about = {j: (weak[i], topic(every[j][1].code)) for j in own}
        best = min(own, key=lambda j: (about[j] in topics, final[j]), default=None)
        if best is not None:
            topics.add(about[best])
            descriptions[i] = Description(every[best][1], float(final[best]))
    return descriptions


def _rows(candidates: Sequence[Candidate], units: int) -> sp.csr_array:
    parts = [
        (candidate.units[candidate.values > 0], candidate.values[candidate.values > 0]) for candidate in candidates
    ]
    indptr = np.cumsum([0, *(len(where) for where, _ in parts)])
    data = (np.concatenate([v for _, v in parts]), np.concatenate([w for w, _ in parts]), indptr)
    return sp.csr_array(data, shape=(len(parts), units))


def _p_values(
    rows: sp.csr_array, lower: np.ndarray, outcome: np.ndarray, block: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """One-sided p-values on some units; 1 where nothing varies."""
    kept = np.flatnonzero(half)
    _, own = np.unique(block[kept], return_inverse=True)
    sums = block_sums(sp.csr_array(rows[:, kept]), Outcomes.of(outcome[kept], own, int(own.max(initial=-1)) + 1))
    tails = permutation_tails(sums)
    return np.nan_to_num(np.where(lower, tails.low, tails.high), nan=1.0)


def _smallest(p_values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Choose candidates on the first half: the smallest p-values, in the finding's direction."""
    order = own[np.argsort(p_values[own], kind="stable")][:CHOSEN]
    return np.asarray(order[p_values[order] < 0.5], np.int64)


def _consistent(candidate: Candidate, outcome: np.ndarray, benchmark: np.ndarray, weak: bool) -> bool:
    """Whether plain means differ in the finding's direction too, over the scope and in most of its benchmarks.

    What is shown must not contradict what was tested.
    """
    having, values = candidate.values, outcome[candidate.units]
    if not _differs(having, values, weak):
        return False
    agreeing, known = 0.0, 0.0
    for number in candidate.scope:
        own = benchmark[candidate.units] == number
        with_it = having[own].sum()
        if min(with_it, own.sum() - with_it) >= FEWEST_SHOWN:
            known += with_it
            agreeing += with_it * _differs(having[own], values[own], weak)
    return bool(agreeing >= AGREE * known)


def _differs(having: np.ndarray, outcome: np.ndarray, weak: bool) -> bool:
    difference = having @ outcome / having.sum() - (1 - having) @ outcome / (1 - having).sum()
    return bool(difference < 0) if weak else bool(difference > 0)
