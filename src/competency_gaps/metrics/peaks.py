"""The token string on which each concept is most active: a mergeable majority vote per concept.

A Misra-Gries summary with one counter per concept: memory is a few vectors of the SAE's width, whatever the number of
tokens. The counter never exceeds the true mass of its token, and a token with a share f of the mass has a counter of at
least (2 f - 1) of it. So "counter >= 0.9 of the mass" holds only for concepts with a share of at least 0.9 on one
token, and for all with a share of at least 0.95.
"""

from __future__ import annotations

import numpy as np


class MajorityToken:
    """Majority token per concept, weighted by activation."""

    def __init__(self, concepts: int) -> None:
        self.token = np.full(concepts, -1, dtype=np.int64)
        """int64 of shape (concepts,): the candidate; -1 = never active."""
        self.counter = np.zeros(concepts)
        """float64 of shape (concepts,): lower bound of the candidate's mass."""
        self.mass = np.zeros(concepts)
        """float64 of shape (concepts,): total mass."""

    def add(self, concepts: np.ndarray, tokens: np.ndarray, weights: np.ndarray) -> None:
        """Count activations: three arrays of shape (activations,), weights >= 0."""
        if not len(concepts):
            return
        order = np.lexsort((tokens, concepts))
        c, t, w = concepts[order], tokens[order], weights[order].astype(np.float64)
        starts = np.flatnonzero(np.r_[True, (c[1:] != c[:-1]) | (t[1:] != t[:-1])])
        mass = np.add.reduceat(w, starts)
        pair_concept, pair_token = c[starts], t[starts]
        # Per concept the heaviest pair: last of its group when sorted by mass.
        by_mass = np.lexsort((pair_token, mass, pair_concept))
        last = np.flatnonzero(np.r_[pair_concept[by_mass][1:] != pair_concept[by_mass][:-1], True])
        best = by_mass[last]
        active = pair_concept[best]
        total = np.bincount(pair_concept, weights=mass, minlength=len(self.mass))[active]
        self._merge(active, pair_token[best], np.maximum(0.0, 2 * mass[best] - total), total)

    def _merge(self, concepts: np.ndarray, tokens: np.ndarray, counters: np.ndarray, mass: np.ndarray) -> None:
        same = self.token[concepts] == tokens
        counter = self.counter[concepts]
        wins = counters > counter
        self.token[concepts] = np.where(same | ~wins & (self.token[concepts] >= 0), self.token[concepts], tokens)
        self.counter[concepts] = np.where(same, counter + counters, np.abs(counter - counters))
        self.mass[concepts] += mass

    def share(self) -> np.ndarray:
        """Lower bound of the majority token's share of each concept's mass; NaN where never active."""
        return np.divide(self.counter, self.mass, out=np.full(len(self.mass), np.nan), where=self.mass > 0)
