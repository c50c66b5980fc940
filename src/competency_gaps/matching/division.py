"""Which examples are independent, how they are divided into halves, and which entries can be compared [ours]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.matching.outcomes import NotCompared

FEWEST = 6
"""Fewest examples of an entry that is compared: three choose, three confirm."""
LENGTHS = 4
"""Classes of length in a domain, each with as many examples."""
LEFT = 0.5
"""Least share of a comparison that must be left at equal length."""


@dataclass(frozen=True)
class Examples:
    """Example prompts and what they excite. N examples, M concepts or themes, E entries."""

    values: sp.csr_array
    """float of shape (N, M), at least 0: concept activation scores."""
    member: sp.csr_array
    """float64 of shape (E, N): 1 where an example is of an entry; it may be of several."""
    domain: np.ndarray
    """int of shape (N,): number of the domain."""
    length: np.ndarray
    """float of shape (N,): length in tokens."""


@dataclass(frozen=True)
class Division:
    """Examples divided into halves, and what can be compared."""

    stratum: np.ndarray
    """int64 of shape (N,): class of domain and length."""
    choosing: np.ndarray
    """bool of shape (N,): the half that chooses; the others confirm."""
    domain: np.ndarray
    """int64 of shape (E,): domain of each entry; -1: it has no example."""
    not_compared: np.ndarray
    """object of shape (E,): why an entry cannot be compared, of ``outcomes.NotCompared``; None: it can."""

    def dealt(self, member: sp.csr_array, rng: np.random.Generator) -> sp.csr_array:
        """The examples dealt out anew to the entries, within half, domain and class of length."""
        within = 2 * self.stratum + self.choosing
        order = np.argsort(within, kind="stable")
        column = np.empty(len(within), np.int64)
        column[order] = np.lexsort((rng.random(len(within)), within))
        return sp.csr_array((member.data, column[member.indices], member.indptr), shape=member.shape)


def divide(examples: Examples, seed: int) -> Division:
    """Divide examples into halves at random, and see which entries can be compared."""
    stratum = strata(examples.domain, examples.length)
    choosing = halves(examples.member, seed)
    own = np.full(examples.member.shape[0], -1)
    filled = np.flatnonzero(np.diff(examples.member.indptr))
    own[filled] = examples.domain[examples.member.indices[examples.member.indptr[filled]]]
    return Division(stratum, choosing, own, _not_compared(examples, stratum, choosing, own))


def one_of_each(cluster: np.ndarray, seed: int) -> np.ndarray:
    """Rows of one item of each cluster, drawn at random: int64, ascending.

    Items of a cluster are no independent evidence. One of them stands for it, whatever its tags and however many they
    are: the mean of several would be active more often than a single item, and the union of their tags would be the
    larger, the larger the cluster.
    """
    drawn = np.random.default_rng([seed, 2**29]).permutation(len(cluster))
    _, first = np.unique(cluster[drawn], return_index=True)
    return np.sort(drawn[first])


def strata(domain: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Number the classes of domain and length, of about equal size within a domain: int64 of shape (N,)."""
    stratum = np.zeros(len(domain), np.int64)
    for own in np.unique(domain):
        rows = np.flatnonzero(domain == own)
        place = np.argsort(np.argsort(length[rows], kind="stable"), kind="stable")
        stratum[rows] = own * LENGTHS + place * LENGTHS // max(1, len(rows))
    return stratum


def halves(member: sp.csr_array, seed: int) -> np.ndarray:
    """Tell which examples choose: bool of shape (N,).

    Of each entry about half, drawn at random; an example of several entries is in one half for all of them, so entries
    with few examples are divided first. Examples of no entry, which others are compared with, are divided too.
    """
    rng = np.random.default_rng(seed)
    choosing = np.full(member.shape[1], -1)
    counts = np.diff(member.indptr)
    for entry in np.argsort(counts, kind="stable"):
        own = rng.permutation(member.indices[member.indptr[entry] : member.indptr[entry + 1]])
        known = choosing[own]
        free, chosen = own[known < 0], int((known == 1).sum())
        wanted = np.clip((len(own) + rng.integers(2)) // 2 - chosen, 0, len(free))
        choosing[free] = np.arange(len(free)) < wanted
    rest = rng.permutation(np.flatnonzero(choosing < 0))
    choosing[rest] = np.arange(len(rest)) % 2
    return choosing == 1


def _not_compared(examples: Examples, stratum: np.ndarray, choosing: np.ndarray, own: np.ndarray) -> np.ndarray:
    member, domain = examples.member, np.maximum(own, 0)
    count = np.asarray(member.sum(axis=1)).ravel()
    least, others, pairs = np.full(len(own), np.inf), np.full(len(own), np.inf), np.full(len(own), np.inf)
    for half in (choosing, ~choosing):
        drawn = np.asarray(member @ half.astype(float)).ravel()
        there = np.bincount(examples.domain[half], minlength=int(examples.domain.max(initial=0)) + 1)
        least = np.minimum(least, drawn)
        others = np.minimum(others, there[domain] - drawn)
        pairs = np.minimum(pairs, _compared_weight(member, stratum, half))
    there = np.bincount(examples.domain, minlength=int(examples.domain.max(initial=0)) + 1)[domain]
    unstratified = count * (there - count) / np.maximum(1, there)
    left = _compared_weight(member, stratum, np.ones(len(stratum), bool))
    reasons: dict[NotCompared, np.ndarray] = {
        "few_examples": count < FEWEST,
        "one_half": least < FEWEST // 2,
        "length": left < LEFT * unstratified,
        "few_others": (others < FEWEST // 2) | (pairs <= 0),
    }
    why = np.full(len(own), None, object)
    for reason, holds in reversed(reasons.items()):
        why[holds] = reason
    return why


def _compared_weight(member: sp.csr_array, stratum: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Sum over strata of ``d (N - d) / N`` for d of N examples that are the entry's: what a comparison is worth."""
    rows = np.flatnonzero(part)
    numbers = np.unique(stratum[rows], return_inverse=True)[1]
    size = np.bincount(numbers).astype(float)
    of_stratum = sp.csr_array((np.ones(len(rows)), (rows, numbers)), shape=(len(part), len(size)))
    drawn = sp.csr_array(member @ of_stratum)
    drawn.data = drawn.data - drawn.data**2 / size[drawn.indices]
    return np.asarray(drawn.sum(axis=1)).ravel()
