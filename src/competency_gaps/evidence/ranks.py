"""Which slices distinguish an entry's examples from the others: rank sums, on one half and again on the other [ours].

Examples are ranked within their stratum (domain or benchmark, and class of length), so that neither domain nor length
makes a match. On half of an entry's examples, the slices of each family that distinguish it best are chosen; the other
half tests these with membership permuted within strata. The false-discovery rate is controlled over all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import corrected

MIN_EXAMPLES = 6
"""Minimum number of examples of an entry to be compared: three to choose slices, three to confirm them."""
LENGTH_CLASSES = 4
"""Number of classes of length per domain, of about equal size."""
MAX_CHOSEN = 5
"""Maximum number of slices per family that are chosen for an entry."""
PERMUTATIONS = 1_999
_SLICES_PER_BLOCK = 128
"""Number of slices that are ranked at a time."""


@dataclass(frozen=True)
class Examples:
    """Examples and their slices. n examples, K slices, E entries."""

    values: sp.csr_array
    """float of shape (K, n), at least 0: weight of each example in each slice."""
    member: sp.csr_array
    """float64 of shape (E, n): 1 where an example belongs to an entry; it may belong to several."""
    stratum: np.ndarray
    """int64 of shape (n,): number of each example's stratum, from 0."""
    family: np.ndarray
    """Of shape (K,): family of each slice."""


@dataclass(frozen=True)
class Ties:
    """Confirmed pairs of an entry and a slice. P pairs, sorted by entry, the best first."""

    entry: np.ndarray
    """int64 of shape (P,)."""
    slice: np.ndarray
    """int64 of shape (P,)."""
    auc: np.ndarray
    """float64 of shape (P,), in (0.5, 1]: area under the ROC curve on the half that did not choose the slice."""
    q: np.ndarray
    """float64 of shape (P,): q-value, corrected over entries and the slices of each (:func:`by_entry`)."""


def strata(domain: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return the stratum of each example: its class of length within its domain, as int64 of shape (n,).

    The classes of a domain are of about equal size.
    """
    stratum = np.zeros(len(domain), np.int64)
    for number in np.unique(domain):
        rows = np.flatnonzero(domain == number)
        rank = np.argsort(np.argsort(length[rows], kind="stable"), kind="stable")
        stratum[rows] = number * LENGTH_CLASSES + rank * LENGTH_CLASSES // len(rows)
    return np.unique(stratum, return_inverse=True)[1].astype(np.int64)


def rank_sums(examples: Examples, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how well each slice distinguishes each entry's examples from the others of their strata.

    Parameters
    ----------
    part : ndarray of bool of shape (n,)
        Examples to use.

    Returns
    -------
    tuple of two ndarray of shape (K, E)
        Area under the ROC curve (share of pairs of an example of the entry and another of its stratum in which the
        former has more of the slice, ties counted half: Mann-Whitney's U; 0.5 without a pair), and its z-score when
        membership is permuted within strata.
    """
    count = examples.values.shape[0], examples.member.shape[0]
    auc, z = np.full(count, 0.5), np.zeros(count)
    member = sp.csr_array(examples.member[:, part])
    groups = [np.flatnonzero(examples.stratum[part] == number) for number in np.unique(examples.stratum[part])]
    drawn = np.stack([np.asarray(member[:, rows].sum(axis=1)).ravel() for rows in groups])
    size = np.array([len(rows) for rows in groups], float)[:, None]
    pairs = (drawn * (size - drawn)).sum(axis=0)
    spread = drawn * (size - drawn) / np.maximum(size * (size - 1), 1)
    for start in range(0, count[0], _SLICES_PER_BLOCK):
        ranks = _centred_ranks(examples.values[start : start + _SLICES_PER_BLOCK], part, groups)
        total = (member @ ranks.T).T
        squares = np.stack([(ranks[:, rows] ** 2).sum(axis=1) for rows in groups])
        deviation = np.sqrt(squares.T @ spread)
        rows = slice(start, start + _SLICES_PER_BLOCK)
        auc[rows] = 0.5 + np.divide(total, pairs, out=np.zeros_like(total), where=pairs > 0)
        z[rows] = np.divide(total, deviation, out=np.zeros_like(total), where=deviation > 1e-9)
    return auc, z


def _centred_ranks(values: sp.csr_array, part: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """Return ranks within strata, ties averaged, less their mean: float64 of shape (slices, examples in ``part``)."""
    from scipy.stats import rankdata

    dense = sp.csr_array(values)[:, part].toarray()
    ranks = np.zeros(dense.shape)
    for rows in groups:
        ranks[:, rows] = rankdata(dense[:, rows], axis=1) - (len(rows) + 1) / 2
    return ranks


def halves(member: sp.csr_array, seed: int) -> np.ndarray:
    """Return which examples are used to choose slices: bool of shape (n,).

    About half of each entry's, at random. An example of several entries is in the same half for all of them, so entries
    with few examples are divided first. Examples of no entry, which serve for comparison, are divided too.
    """
    rng = np.random.default_rng(seed)
    choosing = np.full(member.shape[1], -1)
    for entry in np.argsort(np.diff(member.indptr), kind="stable"):
        shuffled = rng.permutation(member.indices[member.indptr[entry] : member.indptr[entry + 1]])
        free, chosen = shuffled[choosing[shuffled] < 0], int((choosing[shuffled] == 1).sum())
        wanted = np.clip((len(shuffled) + rng.integers(2)) // 2 - chosen, 0, len(free))
        choosing[free] = np.arange(len(free)) < wanted
    rest = rng.permutation(np.flatnonzero(choosing < 0))
    choosing[rest] = np.arange(len(rest)) % 2
    return choosing == 1


def tell(examples: Examples, *, level: float = 0.05, seed: int = 0) -> Ties:
    """Return the slices that distinguish the entries.

    Parameters
    ----------
    level
        False-discovery rate of the pairs.
    seed
        Seed of the halves and permutations.
    """
    choosing = halves(examples.member, seed)
    area, first = rank_sums(examples, choosing)
    enough = np.diff(sp.csr_array(examples.member).indptr) >= MIN_EXAMPLES
    entry, chosen = [], []
    families = [np.flatnonzero(examples.family == name) for name in np.unique(examples.family)]
    for entry_number in np.flatnonzero(enough):
        for family in families:
            order = family[np.argsort(-area[family, entry_number], kind="stable")]
            best = order[first[order, entry_number] > 2][:MAX_CHOSEN]
            entry += [entry_number] * len(best)
            chosen += best.tolist()
    pairs = np.array(entry, np.int64), np.array(chosen, np.int64)
    if not len(entry):
        return Ties(*pairs, np.zeros(0), np.zeros(0))
    auc, _ = rank_sums(examples, ~choosing)
    area = auc[pairs[1], pairs[0]]
    q = by_entry(permuted(examples, ~choosing, *pairs, seed=seed), pairs[0], level)
    kept = np.flatnonzero((q <= level) & (area > 0.5))
    kept = kept[np.lexsort((-area[kept], pairs[0][kept]))]
    return Ties(pairs[0][kept], pairs[1][kept], area[kept], q[kept])


def permuted(examples: Examples, part: np.ndarray, entry: np.ndarray, chosen: np.ndarray, *, seed: int) -> np.ndarray:
    """Return one-sided p-values of pairs' rank sums, with membership permuted within strata: float64 of shape (P,)."""
    stratum = examples.stratum[part]
    groups = [np.flatnonzero(stratum == number) for number in np.unique(stratum)]
    numbers, index = np.unique(chosen, return_inverse=True)
    ranks = _centred_ranks(examples.values[numbers], part, groups)
    member = sp.csr_array(examples.member[:, part])
    of_pair = [member.indices[member.indptr[e] : member.indptr[e + 1]] for e in entry]
    size = np.array([len(number) for number in of_pair])
    row = np.repeat(index, size)
    column = np.concatenate([*of_pair, np.zeros(0, np.int64)]).astype(np.int64)
    pair = np.repeat(np.arange(len(entry)), size)

    def sums(where: np.ndarray) -> np.ndarray:
        """Sum the ranks of each pair's items under a permutation."""
        return np.bincount(pair, ranks[row, where[column]], minlength=len(entry))

    rng = np.random.default_rng([seed, 1])
    home = np.argsort(stratum, kind="stable")
    observed, above = sums(np.arange(len(stratum))) - 1e-9, np.ones(len(entry))
    where = np.empty(len(stratum), np.int64)
    for _ in range(PERMUTATIONS):
        where[home] = np.lexsort((rng.random(len(stratum)), stratum))
        above += sums(where) >= observed
    return above / (1 + PERMUTATIONS)


def by_entry(p: np.ndarray, entry: np.ndarray, level: float) -> np.ndarray:
    """Return q-values of pairs, corrected over entries; 1 for pairs of entries that do not pass.

    If S of E entries pass by their Simes p-values, the q-values within these are multiplied by E / S. By Benjamini and
    Bogomolov (JRSS B 76, 2014), the false-discovery rate of the entries that pass, and on average that of their pairs,
    is at most the level.
    """
    names, index = np.unique(entry, return_inverse=True)
    within = np.ones(len(p))
    simes = np.ones(len(names))
    for number in range(len(names)):
        tests = np.flatnonzero(index == number)
        within[tests] = corrected(p[tests])
        simes[number] = within[tests].min()
    passing = corrected(simes) <= level
    return np.where(passing[index], np.minimum(1, within * len(names) / max(1, int(passing.sum()))), 1.0)


def dealt(examples: Examples, rng: np.random.Generator) -> Examples:
    """Return the examples with membership permuted within strata, so that no slice truly distinguishes an entry."""
    home = np.argsort(examples.stratum, kind="stable")
    where = np.empty(len(home), np.int64)
    where[home] = np.lexsort((rng.random(len(home)), examples.stratum))
    matrix = sp.csr_array(examples.member)
    member = sp.csr_array((matrix.data, where[matrix.indices], matrix.indptr), shape=matrix.shape)
    return Examples(examples.values, member, examples.stratum, examples.family)
