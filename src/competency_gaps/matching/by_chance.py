"""How many entries have an outcome, and how many have it by chance [ours]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.matching.exchange import GroupExchange, support_classes
from competency_gaps.matching.shares import Share, share

DRAWS = 2000
"""Times that verdicts are exchanged, to see how many entries are recovered as weak by chance."""


@dataclass(frozen=True)
class ByChance:
    """How many entries have an outcome, and how many by chance."""

    observed: Share
    expected: float
    """Mean number of entries by chance."""
    low: float
    """Number that 97.5% of the draws reach."""
    high: float
    """Number that 97.5% of the draws do not exceed."""
    p_value: float
    """``(1 + draws with as many) / (1 + draws)``."""
    draws: int


def by_chance(observed: int, of: int, draws: np.ndarray) -> ByChance:
    """A number of entries beside the numbers that were drawn by chance: int of shape (draws,)."""
    p_value = (1 + int((draws >= observed).sum())) / (1 + len(draws))
    low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf")
    return ByChance(share(observed, of), float(draws.mean()), float(low), float(high), p_value, len(draws))


@dataclass(frozen=True)
class Matched:
    """Which concepts and themes the entries match, and the verdicts on these. E entries, M concepts, H themes."""

    concepts: sp.csr_array
    """float64 of shape (E, M): 1 where an entry has a confirmed concept."""
    themes: sp.csr_array
    """float64 of shape (E, H): 1 where an entry has a confirmed theme."""
    weak: np.ndarray
    """bool of shape (M,)."""
    weak_themes: np.ndarray
    """bool of shape (H,)."""
    lacking: np.ndarray
    """bool of shape (M,): missing or under-represented in the suite."""

    def outcomes(self, weak: np.ndarray, weak_themes: np.ndarray, lacking: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which entries are weak, and which are untested, with these verdicts: two of bool of shape (E,)."""
        by_weak = (self.concepts @ weak.astype(float) > 0) | (self.themes @ weak_themes.astype(float) > 0)
        some = np.diff(self.concepts.indptr) > 0
        return by_weak, some & (self.concepts @ (~lacking).astype(float) == 0) & ~by_weak


def exchanged(
    matched: Matched,
    groups: GroupExchange | None,
    theme_groups: GroupExchange | None,
    ranked: np.ndarray,
    active: np.ndarray,
    *,
    seed: int,
    draws: int = DRAWS,
) -> np.ndarray:
    """Count the entries that are weak, and untested, with exchanged verdicts.

    The pairs stay as they are. Groups of weak concepts and of weak themes are moved; verdicts on coverage are exchanged
    among ranked concepts that are active in about as many examples. (Support in the run would not do: the missing ones
    have none, and would only change places among themselves.) They are exchanged one by one, as the run does not know
    which of the missing ones go together.

    Parameters
    ----------
    groups, theme_groups
        Move the weak ones; None: there are none.
    ranked : ndarray of bool of shape (M,)
    active : ndarray of int of shape (M,)
        Examples in which each concept is active.

    Returns
    -------
    ndarray of int64 of shape (draws, 2)
        Weak, untested.
    """
    able = np.flatnonzero(ranked)
    own = support_classes(active[able])
    ordered = np.argsort(own, kind="stable")
    rng = np.random.default_rng([seed, 2**31])
    numbers = np.empty((draws, 2), np.int64)
    for number in range(draws):
        order = np.empty(len(able), np.int64)
        order[ordered] = np.lexsort((rng.random(len(able)), own))
        lacking = matched.lacking.copy()
        lacking[able] = matched.lacking[able[order]]
        weak = matched.weak if groups is None else groups.draw(rng)
        weak_themes = matched.weak_themes if theme_groups is None else theme_groups.draw(rng)
        numbers[number] = [int(part.sum()) for part in matched.outcomes(weak, weak_themes, lacking)]
    return numbers
