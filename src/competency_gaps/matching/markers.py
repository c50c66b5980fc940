"""Concepts that mark an entry: they tell its example prompts from those of others of its domain [ours].

Half of an entry's examples choose its concepts, the other half confirms them, so that a concept which was chosen by
accident fails. An example is compared with the examples of other entries of its domain that are about as long: long
prompts excite other concepts than short ones, whatever they are about. Entries are selected by Benjamini and Hochberg's
method over Simes' p-values of their chosen concepts, and of a selected entry those concepts count that pass at the
level that is left (Benjamini and Bogomolov, Journal of the Royal Statistical Society B 76, 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.stats import false_discovery_control

from competency_gaps.matching.ranks import ShuffledRanks

FEWEST = 6
"""Fewest different examples of an entry that is compared: three choose, three confirm."""
CHOSEN = 5
"""Concepts of an entry that are put to the test."""
LENGTHS = 4
"""Classes of length in a domain, each with as many examples."""
ACTIVE = 2
"""Fewest examples, in either half, in which a concept is active."""
LEAST = 0.6
"""Least AUROC on the confirming half."""
LED = 0.5
"""Correlation of two concepts over a domain's examples from which the stronger leads the other."""
GROUPS = 256
"""Entries compared at a time."""


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
class Markers:
    """Pairs of an entry and a concept that half of its examples chose.

    Arrays of shape (pairs,), ordered by entry, then the strongest first.
    """

    entry: np.ndarray
    """int64: row of the entry."""
    concept: np.ndarray
    """int64."""
    choosing: np.ndarray
    """AUROC on the half that chose it, in [0, 1], net of length."""
    auroc: np.ndarray
    """AUROC on the other half, net of length."""
    p_value: np.ndarray
    """Of the AUROC on the other half."""
    confirmed: np.ndarray
    """bool: the entry was selected, and this concept counts."""
    leader: np.ndarray
    """int64: of a confirmed concept, the concept that leads it (itself if it leads); -1 for others."""
    compared: np.ndarray
    """bool of shape (E,): whether an entry was asked for, has enough examples, and others to compare them with."""

    @property
    def matched(self) -> np.ndarray:
        """Whether an entry has a confirmed concept: bool of shape (E,)."""
        return np.bincount(self.entry[self.confirmed], minlength=len(self.compared)) > 0


def find_markers(
    examples: Examples,
    able: np.ndarray,
    *,
    asked: np.ndarray | None = None,
    q: float = 0.05,
    seed: int = 0,
    groups: bool = True,
) -> Markers:
    """Choose concepts of each entry by half of its examples and test them on the other half.

    Parameters
    ----------
    able : ndarray of bool of shape (M,)
        Concepts that may be chosen.
    asked : ndarray of bool of shape (E,)
        Entries that are compared; the others' examples are still what these are compared with. None: all.
    q
        Share of the matched entries that may be matched by accident.
    seed
        Seed of the halves.
    groups
        Whether to find which concepts lead others.
    """
    stratum = strata(examples.domain, examples.length)
    choosing = halves(examples.member, seed)
    parts = [_part(examples, stratum, half) for half in (choosing, ~choosing)]
    compared = _compared(examples, choosing) & (True if asked is None else asked)
    own_domain = _domains(examples)
    rows: list[tuple[np.ndarray, ...]] = []
    for domain in np.unique(own_domain[compared]):
        entries = np.flatnonzero(compared & (own_domain == domain))
        ranked = [_in_domain(part, domain) for part in parts]
        for start in range(0, len(entries), GROUPS):
            rows += _choose(entries[start : start + GROUPS], ranked, able)
    nothing = [np.zeros(0, np.int64), np.zeros(0, np.int64), *[np.zeros(0)] * 3]
    pairs = [np.concatenate(column) for column in zip(nothing, *rows, strict=True)] if rows else nothing
    order = np.lexsort((-pairs[3], pairs[0]))
    entry, concept, first, second, p_value = (column[order] for column in pairs)
    confirmed = select(entry, p_value, int(compared.sum()), q) & (second >= LEAST)
    leader = np.where(confirmed, concept, -1)
    if groups:
        leader = _leaders(examples, entry, concept, confirmed, own_domain)
    return Markers(entry, concept, first, second, p_value, confirmed, leader, compared)


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


def select(entry: np.ndarray, p_value: np.ndarray, compared: int, q: float) -> np.ndarray:
    """Select entries, and concepts within them: bool of shape (pairs,).

    Parameters
    ----------
    compared
        Entries that were compared; those without a chosen concept have the p-value 1.
    """
    confirmed = np.zeros(len(entry), bool)
    entries = np.unique(entry)
    if not len(entries):
        return confirmed
    within = np.ones(compared)
    adjusted = [false_discovery_control(p_value[entry == own]) for own in entries]
    within[: len(entries)] = [values.min() for values in adjusted]  # the least of them is Simes' p-value
    passed = false_discovery_control(within)[: len(entries)] <= q
    level = q * passed.sum() / compared
    for own, values, chosen in zip(entries, adjusted, passed, strict=True):
        if chosen:
            confirmed[entry == own] = values <= level
    return confirmed


@dataclass(frozen=True)
class _Half:
    """One half of the examples."""

    values: sp.csr_array
    member: sp.csr_array
    domain: np.ndarray
    stratum: np.ndarray


@dataclass(frozen=True)
class _Ranked:
    """The examples of a half in one domain, ranked."""

    ranks: ShuffledRanks
    member: sp.csr_array


def _part(examples: Examples, stratum: np.ndarray, half: np.ndarray) -> _Half:
    rows = np.flatnonzero(half)
    member = sp.csr_array(sp.csc_array(examples.member)[:, rows])
    return _Half(sp.csr_array(examples.values[rows]), member, examples.domain[rows], stratum[rows])


def _in_domain(half: _Half, domain: int) -> _Ranked:
    rows = np.flatnonzero(half.domain == domain)
    _, stratum = np.unique(half.stratum[rows], return_inverse=True)
    member = sp.csr_array(sp.csc_array(half.member)[:, rows])
    return _Ranked(ShuffledRanks(sp.csr_array(half.values[rows]), stratum), member)


def _domains(examples: Examples) -> np.ndarray:
    """Domain of each entry, that of its first example; -1 without any."""
    own = np.full(examples.member.shape[0], -1)
    filled = np.flatnonzero(np.diff(examples.member.indptr))
    own[filled] = examples.domain[examples.member.indices[examples.member.indptr[filled]]]
    return own


def _compared(examples: Examples, choosing: np.ndarray) -> np.ndarray:
    own = _domains(examples)
    counts = [examples.member @ half.astype(float) for half in (choosing, ~choosing)]
    enough = np.minimum(*counts) >= FEWEST // 2
    for i, half in enumerate((choosing, ~choosing)):
        others = np.bincount(examples.domain[half], minlength=int(examples.domain.max(initial=0)) + 1)
        enough &= others[np.maximum(own, 0)] - counts[i] >= FEWEST // 2
    return np.asarray(enough & (own >= 0))


def _choose(entries: np.ndarray, ranked: Sequence[_Ranked], able: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Pairs of entries and their strongest concepts: entry, concept, both halves' AUROC, p-value of the second."""
    first, second = (sp.csr_array(half.member[entries]) for half in ranked)
    strongest = ranked[0].ranks.strongest(first, able, CHOSEN, ACTIVE)
    row, place = np.nonzero(strongest >= 0)
    concept = strongest[row, place]
    chosen = ranked[0].ranks.sums(first, row, concept)
    tested = ranked[1].ranks.sums(second, row, concept)
    p_value = np.where(tested.active >= ACTIVE, tested.p_value, 1.0)
    return [(entries[row], concept, chosen.auroc, tested.auroc, p_value)]


def _leaders(
    examples: Examples, entry: np.ndarray, concept: np.ndarray, confirmed: np.ndarray, own_domain: np.ndarray
) -> np.ndarray:
    """Of confirmed concepts that go together over the domain's examples, the strongest leads."""
    leader = np.full(len(entry), -1)
    for domain in np.unique(own_domain[entry[confirmed]]):
        columns = sp.csc_array(examples.values[np.flatnonzero(examples.domain == domain)])
        for own in np.unique(entry[confirmed & (own_domain[entry] == domain)]):
            pairs = np.flatnonzero(confirmed & (entry == own))
            _lead(pairs, concept, columns[:, concept[pairs]].toarray(), leader)
    return leader


def _lead(pairs: np.ndarray, concept: np.ndarray, dense: np.ndarray, leader: np.ndarray) -> None:
    """Fill in the leaders of an entry's pairs, the strongest first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.nan_to_num(np.atleast_2d(np.corrcoef(dense.T)))
    for i, pair in enumerate(pairs):
        led = [j for j in range(i) if leader[pairs[j]] == concept[pairs[j]] and correlation[i, j] >= LED]
        leader[pair] = concept[pairs[led[0]]] if led else concept[pair]
