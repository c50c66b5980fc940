"""How much of a concept's activation the current token explains, computed in one pass and bounded memory.

The lexical share is the share of variance that a regression on one dummy variable per token explains, corrected for
chance. Two activations on the same token agree by chance in two ways. Few occurrences fit their own mean, which the
adjusted R squared corrects; and a word that occurs in one text alone goes with everything that sets this text apart,
which it does not. Therefore activations are compared only between texts: with ``z`` the activations on token ``v``,

    share = (A - B) / (mean z^2 - B)
    A = sum over v of n_v / N * mean of z_i z_j over pairs of occurrences of v in different texts
    B = mean of z_i z_j over all pairs of tokens in different texts

which is 1 for a concept that the token determines, and has a numerator of expectation 0 for a concept that has
nothing to do with tokens, whether its activations are scattered or fill whole texts. Tokens that occur in one text
alone are left out throughout.

A needs the sum of squares, over tokens, of each concept's sum on the token. For 65,536 concepts these are too many sums
to store: they are hashed with random signs into ``buckets`` sums per concept, whose squares add up to the same in
expectation (a count sketch; Charikar, Chen and Farach-Colton 2002). The contribution of a concept's mean is the same
for all concepts but for a factor, and is summed exactly. The standard error is at most ``sqrt(2 / buckets)`` of
the rest, far less if few tokens carry it, and 0 where there are no more tokens than buckets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_TEXTS = 5
"""Minimum number of texts in which a concept must be active for its share to be known."""
SKETCH_BYTES = 2**28
"""Memory of one sketch, in bytes."""
MAX_BUCKETS = 2**15


@dataclass(frozen=True)
class Recurring:
    """Tokens (or pairs of tokens) that occur in several texts, and their counts."""

    keys: np.ndarray
    """int64 of shape (keys,), ascending."""
    weight: np.ndarray
    """float64 of shape (keys,): ``n_v / (N P_v)``, with P_v the number of ordered pairs in different texts."""
    count: np.ndarray
    """float64 of shape (keys,): occurrences, ``n_v``."""
    tokens: int
    """N: occurrences of all of them."""
    pairs: float
    """Ordered pairs of these occurrences in different texts."""

    @classmethod
    def of(cls, keys: np.ndarray, texts: np.ndarray) -> Recurring:
        """Return a corpus's recurring tokens, from each token's key and text: two integer arrays of shape (tokens,)."""
        order = np.lexsort((texts, keys))
        k, t = keys[order].astype(np.int64), texts[order]
        starts = np.flatnonzero(np.r_[True, (k[1:] != k[:-1]) | (t[1:] != t[:-1])] if len(k) else np.zeros(0, bool))
        sizes = np.diff(np.r_[starts, len(k)]).astype(np.float64)
        unique, first = np.unique(k[starts], return_index=True)
        if not len(unique):
            return cls(unique, np.zeros(0), np.zeros(0), 0, 0.0)
        count = np.add.reduceat(sizes, first)
        pairs = count**2 - np.add.reduceat(sizes**2, first)
        recurs = pairs > 0
        used = np.repeat(recurs, np.diff(np.r_[first, len(starts)]))
        per_text = np.bincount(t[starts][used], weights=sizes[used]) if used.any() else np.zeros(1)
        total = float(count[recurs].sum())
        weight = count[recurs] / (total * pairs[recurs]) if total else np.zeros(0)
        return cls(unique[recurs], weight, count[recurs], int(total), total**2 - float((per_text**2).sum()))


class LexicalShare:
    """Running sums from which each concept's lexical share is computed; the order of texts does not matter."""

    def __init__(self, width: int, recurring: Recurring, buckets: int | None = None) -> None:
        self.recurring = recurring
        keys = len(recurring.keys)
        fitting = max(16, min(MAX_BUCKETS, SKETCH_BYTES // (8 * width)))  # 512 for 65,536 concepts
        self.buckets = min(max(1, keys), buckets or fitting)
        self._sketch = np.zeros((width, self.buckets))
        if keys <= self.buckets:
            self._bucket, sign = np.arange(keys), np.ones(keys)
        else:
            mixed = mix(recurring.keys.astype(np.uint64))
            self._bucket = ((mixed >> np.uint64(1)) % np.uint64(self.buckets)).astype(np.int64)
            sign = np.where(mixed & np.uint64(1), 1.0, -1.0)
        self._factor = sign * np.sqrt(recurring.weight)
        self._ones = np.bincount(self._bucket, self._factor * recurring.count, self.buckets)
        """Sketch of a constant concept, whose activation is 1 on every token."""
        self._with_ones = np.zeros(width)
        self._within = np.zeros(width)
        self._sum = np.zeros(width)
        self._squares = np.zeros(width)
        self._text_squares = np.zeros(width)
        self.texts = np.zeros(width, np.int64)
        """int64 of shape (concepts,): texts in which it is active, on a token that recurs in another text."""

    def add(self, concepts: np.ndarray, keys: np.ndarray, texts: np.ndarray, values: np.ndarray) -> None:
        """Add the activations of whole texts: four arrays of shape (activations,), values > 0.

        All activations of a text must come in one call.
        """
        index = np.searchsorted(self.recurring.keys, keys)
        index[index == len(self.recurring.keys)] = 0
        known = self.recurring.keys[index] == keys if len(self.recurring.keys) else np.zeros(len(keys), bool)
        if not known.any():
            return
        c, k, z = concepts[known].astype(np.int64), index[known], values[known].astype(np.float64)
        width = len(self._sum)
        np.add.at(self._sketch.reshape(-1), c * self.buckets + self._bucket[k], z * self._factor[k])
        self._with_ones += np.bincount(c, z * (self.recurring.weight * self.recurring.count)[k], width)
        self._sum += np.bincount(c, z, width)
        self._squares += np.bincount(c, z * z, width)
        _, text = np.unique(texts[known], return_inverse=True)
        of_text = c * (text.max() + 1) + text
        group, sums = _sums(of_text, z)
        concept = group // (text.max() + 1)
        self._text_squares += np.bincount(concept, sums**2, width)
        self.texts += np.bincount(concept, minlength=width)
        group, sums = _sums(of_text * len(self.recurring.keys) + k, z)
        concept, key = group // (len(self.recurring.keys) * (text.max() + 1)), group % len(self.recurring.keys)
        self._within += np.bincount(concept, self.recurring.weight[key] * sums**2, width)

    def share(self) -> np.ndarray:
        """Return the lexical share of each concept, at most about 1; NaN if it is active in too few texts.

        The estimate is unbiased, and so below 0 at times.
        """
        known = self.texts >= MIN_TEXTS
        tokens, pairs = max(1, self.recurring.tokens), max(1.0, self.recurring.pairs)
        mean = self._sum / tokens
        about_mean = np.einsum("ij,ij->i", self._sketch, self._sketch) - 2 * mean * (self._sketch @ self._ones)
        about_mean += mean**2 * (self._ones @ self._ones)
        squares_of_ones = float(self.recurring.weight @ self.recurring.count**2)
        same = about_mean + 2 * mean * self._with_ones - mean**2 * squares_of_ones - self._within
        any_two = (self._sum**2 - self._text_squares) / pairs
        variance = self._squares / tokens - any_two
        known &= variance > 1e-9 * self._squares / tokens
        return np.divide(same - any_two, variance, out=np.full(len(known), np.nan), where=known)


def mix(values: np.ndarray) -> np.ndarray:
    """Return integers scrambled by the splitmix64 finaliser: uint64 of the same shape."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))


def _sums(codes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct codes, ascending, and the sum of the values of each."""
    different, index = np.unique(codes, return_inverse=True)
    return different, np.bincount(index, values)


class MajorityToken:
    """Estimates the token with most of each concept's activation, in one pass."""

    def __init__(self, concepts: int) -> None:
        self.token = np.full(concepts, -1, dtype=np.int64)
        """int64 of shape (concepts,): the candidate; -1 = never active."""
        self.counter = np.zeros(concepts)
        """float64 of shape (concepts,): lower bound of the candidate's mass."""
        self.mass = np.zeros(concepts)
        """float64 of shape (concepts,): total mass (sum of activations)."""

    def add(self, concepts: np.ndarray, tokens: np.ndarray, weights: np.ndarray) -> None:
        """Count activations: three arrays of shape (activations,), weights >= 0."""
        if not len(concepts):
            return
        pair, mass = _sums(concepts.astype(np.int64) * (tokens.max() + 1) + tokens, weights)
        pair_concept, pair_token = np.divmod(pair, tokens.max() + 1)
        # Per concept the heaviest pair: last of its group when sorted by mass.
        by_mass = np.lexsort((pair_token, mass, pair_concept))
        last = np.flatnonzero(np.r_[pair_concept[by_mass][1:] != pair_concept[by_mass][:-1], True])
        best = by_mass[last]
        active = pair_concept[best]
        total = np.bincount(pair_concept, weights=mass, minlength=len(self.mass))[active]
        self._merge(active, pair_token[best], np.maximum(0.0, 2 * mass[best] - total), total)

    def _merge(self, concepts: np.ndarray, tokens: np.ndarray, counters: np.ndarray, mass: np.ndarray) -> None:
        """Merge one candidate per concept, with its counter, into the running ones (Boyer and Moore's vote)."""
        same = self.token[concepts] == tokens
        counter = self.counter[concepts]
        wins = counters > counter
        self.token[concepts] = np.where(same | ~wins & (self.token[concepts] >= 0), self.token[concepts], tokens)
        self.counter[concepts] = np.where(same, counter + counters, np.abs(counter - counters))
        self.mass[concepts] += mass

    def share(self) -> np.ndarray:
        """Return a lower bound of the majority token's share of each concept's mass; NaN where never active."""
        return np.divide(self.counter, self.mass, out=np.full(len(self.mass), np.nan), where=self.mass > 0)
