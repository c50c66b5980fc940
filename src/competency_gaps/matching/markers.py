"""Concepts that mark an entry: they tell its example prompts from those of others of its domain [ours].

Half of an entry's examples choose its concepts, the other half confirms them, so that a concept which was chosen by
accident fails. An example is compared with the examples of other entries of its domain that are about as long: long
prompts excite other concepts than short ones, whatever they are about. Entries are selected by Benjamini and Hochberg's
method over Simes' p-values of their chosen concepts, and of a selected entry those concepts count that pass at the
level that is left (Benjamini and Bogomolov, Journal of the Royal Statistical Society B 76, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.matching.division import Division, Examples, divide
from competency_gaps.matching.ranks import ShuffledRanks

CHOSEN = 5
"""Concepts of an entry that are put to the test."""
ACTIVE = 2
"""Fewest examples, in either half, in which a concept is active."""
LEAST = 0.6
"""Least AUROC on the confirming half."""
LED = 0.5
"""Correlation of two concepts over a domain's examples from which the stronger leads the other."""
AT_ONCE = 256
"""Pairs of concepts whose correlation is computed at a time."""


@dataclass(frozen=True)
class Markers:
    """Pairs of an entry and a concept that half of its examples chose.

    Arrays of shape (pairs,), ordered by entry, then the strongest first.
    """

    entry: np.ndarray
    """int64: row of the entry."""
    concept: np.ndarray
    """int64."""
    choosing: np.ndarray
    """AUROC on the half that chose it, among examples of equal length, in [0, 1]."""
    auroc: np.ndarray
    """The same on the other half."""
    p_value: np.ndarray
    """Of the AUROC on the other half."""
    confirmed: np.ndarray
    """bool: the entry was selected, and this concept counts."""
    leader: np.ndarray
    """int64: of a confirmed concept, the concept that leads it (itself if it leads); -1 for others."""
    compared: np.ndarray
    """bool of shape (E,): whether an entry was asked for and can be compared."""

    @property
    def matched(self) -> np.ndarray:
        """Whether an entry has a confirmed concept: bool of shape (E,)."""
        return np.bincount(self.entry[self.confirmed], minlength=len(self.compared)) > 0


class Comparison:
    """Examples that are ranked once, and compared by whichever entry they are of.

    Parameters
    ----------
    able : ndarray of bool of shape (M,)
        Concepts that may be chosen.
    asked : ndarray of bool of shape (E,)
        Entries that are compared; the others' examples are still what these are compared with. None: all.
    q
        Share of the matched entries that may be matched by accident.
    """

    def __init__(
        self, examples: Examples, division: Division, able: np.ndarray, *, asked: np.ndarray | None = None, q: float
    ) -> None:
        self._examples, self._division, self._able, self._q = examples, division, able, q
        can = np.array([why is None for why in division.not_compared], bool)
        self.compared = can if asked is None else can & asked
        self._halves = [
            (rows, ShuffledRanks(sp.csr_array(examples.values[rows]), _renumbered(division.stratum[rows])))
            for rows in (np.flatnonzero(division.choosing), np.flatnonzero(~division.choosing))
        ]

    def markers(self, member: sp.csr_array, *, groups: bool) -> Markers:
        """Choose concepts of each entry by half of its examples and test them on the other half.

        Parameters
        ----------
        member : csr_array of shape (E, N)
            Examples of the entries, or these dealt out anew (``Division.dealt``).
        groups
            Whether to find which concepts lead others.
        """
        entries = np.flatnonzero(self.compared)
        columns = sp.csc_array(sp.csr_array(member)[entries])
        (chose, choosing), (told, testing) = ((ranks, sp.csr_array(columns[:, rows])) for rows, ranks in self._halves)
        strongest, first = chose.strongest(choosing, self._able, CHOSEN, ACTIVE)
        row, place = np.nonzero(strongest >= 0)
        concept = strongest[row, place]
        tested = told.sums(testing, row, concept)
        p_value = np.where(tested.active >= ACTIVE, tested.p_value, 1.0)
        order = np.lexsort((-tested.auroc, row))
        entry, concept, p_value, auroc = entries[row[order]], concept[order], p_value[order], tested.auroc[order]
        confirmed = select(entry, p_value, len(entries), self._q) & (auroc >= LEAST)
        leader = np.where(confirmed, concept, -1)
        if groups:
            leader = _leaders(self._examples, self._division.domain, entry, concept, confirmed)
        return Markers(entry, concept, first[row, place][order], auroc, p_value, confirmed, leader, self.compared)


def find_markers(
    examples: Examples,
    able: np.ndarray,
    *,
    asked: np.ndarray | None = None,
    q: float = 0.05,
    seed: int = 0,
    groups: bool = True,
) -> Markers:
    """Compare examples (:class:`Comparison`), divided at random by a seed."""
    comparison = Comparison(examples, divide(examples, seed), able, asked=asked, q=q)
    return comparison.markers(examples.member, groups=groups)


def select(entry: np.ndarray, p_value: np.ndarray, compared: int, q: float) -> np.ndarray:
    """Select entries, and concepts within them: bool of shape (pairs,).

    Parameters
    ----------
    entry
        Ascending.
    compared
        Entries that were compared; those without a chosen concept have the p-value 1.
    """
    from scipy.stats import false_discovery_control

    if not len(entry):
        return np.zeros(0, bool)
    order = np.lexsort((p_value, entry))
    _, first, number, count = np.unique(entry, return_index=True, return_inverse=True, return_counts=True)
    place = np.arange(len(entry)) - first[number]  # of a pair among its entry's, by p-value
    table = np.ones((len(first), int(count.max())))
    table[number, place] = p_value[order] * count[number] / (place + 1)
    adjusted = np.minimum.accumulate(table[:, ::-1], axis=1)[:, ::-1]
    within = np.ones(compared)
    within[: len(first)] = adjusted[:, 0]  # the least of them is Simes' p-value
    passed = false_discovery_control(within)[: len(first)] <= q
    confirmed = np.zeros(len(entry), bool)
    confirmed[order] = passed[number] & (adjusted[number, place] <= q * passed.sum() / compared)
    return confirmed


def _renumbered(stratum: np.ndarray) -> np.ndarray:
    numbers: np.ndarray = np.unique(stratum, return_inverse=True)[1]
    return numbers


def _leaders(
    examples: Examples, domain: np.ndarray, entry: np.ndarray, concept: np.ndarray, confirmed: np.ndarray
) -> np.ndarray:
    """Of confirmed concepts that go together over the domain's examples, the strongest leads."""
    leader = np.full(len(entry), -1)
    for own in np.unique(domain[entry[confirmed]]):
        pairs = np.flatnonzero(confirmed & (domain[entry] == own))
        values = sp.csr_array(sp.csc_array(examples.values[np.flatnonzero(examples.domain == own)]).T)
        # Every pair beside each stronger one of its entry.
        start = np.searchsorted(entry[pairs], entry[pairs])
        stronger = np.arange(len(pairs)) - start
        weak = np.repeat(np.arange(len(pairs)), stronger)
        strong = np.repeat(start, stronger) + np.arange(len(weak)) - np.repeat(np.cumsum(stronger) - stronger, stronger)
        together = _correlations(values, concept[pairs[weak]], concept[pairs[strong]]) >= LED
        leader[pairs] = concept[pairs]
        # In order, so that what is led leads nothing itself; the strongest leader counts.
        led = np.zeros(len(pairs), bool)
        for follower, first in zip(weak[together].tolist(), strong[together].tolist(), strict=True):
            if not led[first] and not led[follower]:
                leader[pairs[follower]], led[follower] = concept[pairs[first]], True
    return leader


def _correlations(values: sp.csr_array, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of rows of ``values``, 0 where one is constant: of row ``first[i]`` and row ``second[i]``."""
    count = values.shape[1]
    mean = np.asarray(values.sum(axis=1)).ravel() / count
    spread = np.sqrt(np.maximum(0.0, np.asarray(values.power(2).sum(axis=1)).ravel() / count - mean**2))
    product = np.zeros(len(first))
    for start in range(0, len(first), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        product[part] = np.asarray(values[first[part]].multiply(values[second[part]]).sum(axis=1)).ravel() / count
    scale = spread[first] * spread[second]
    covariance = product - mean[first] * mean[second]
    return np.divide(covariance, scale, out=np.zeros_like(product), where=scale > 0)
