"""Does a finding that one half of the items gives again show on the other half too? Clusters are split many times.

This is no test on new items: findings, their members and their leaders were chosen on all items. It only separates the
half that finds a finding again from the half on which its gap is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import (
    ItemSample,
    Units,
    adjusted_gap,
    block_sums,
    evidence,
    gap_interval,
    units_of,
)
from competency_gaps.findings.pooled import Group

SPLITS = 20
"""Most random splits."""
FEWEST = 5
"""Fewest random splits."""
FOUND = 0.25
"""Smallest share of the splits that must find a finding again for a verdict."""
WORK = 400_000_000
"""Approximate limit on concepts x units x splits: a large run gets fewer splits."""


@dataclass(frozen=True)
class Unseen:
    """A finding on the other half of the items, where one half found it again."""

    gap: float | None
    """Mean gap on the second half, over the splits in which the first half found it again; None: in no split."""
    low: float | None
    """Mean lower end of that gap's interval: an interval for half of the items, which is wider than for all."""
    high: float | None
    splits: int
    """Splits in which it was found again."""

    def holds(self, tried: int, *, weak: bool) -> bool | None:
        """Whether the interval keeps to the finding's side of 0; None: too seldom found again in ``tried`` splits.

        Where the first half seldom finds it, half of the items are too few, and the splits that found it are those
        that left the other half the least evidence.
        """
        if self.low is None or self.high is None or self.splits < FOUND * tried:
            return None
        return self.high < 0 if weak else self.low > 0


def split_halves(units: Units, concepts: int, seed: int) -> list[np.ndarray]:
    """Draw halves of the units within each block: bool of shape (K,) for each split."""
    count = len(units.outcome)
    splits = int(np.clip(WORK // max(1, count * concepts), FEWEST, SPLITS))
    rng = np.random.default_rng(seed)
    halves = []
    for _ in range(splits):
        order = np.lexsort((rng.random(count), units.block))
        start = np.concatenate([[0], np.cumsum(np.bincount(units.block))])
        rank = np.empty(count, np.int64)
        rank[order] = np.arange(count) - start[units.block[order]]
        # Where a block has an odd number of units, either half gets the one that is left.
        odd = rng.integers(0, 2, len(start) - 1)
        halves.append((rank + odd[units.block]) % 2 == 0)
    return halves


def unseen_gaps(
    sample: ItemSample,
    weights: sp.csr_array,
    groups: Sequence[Group],
    halves: Sequence[np.ndarray],
    config: EvidenceConfig,
    tested: np.ndarray,
) -> list[Unseen]:
    """Look for each finding on one half of the clusters, and measure its gap on the other.

    The evidence of all concepts is gathered anew on the first half. A finding is *found again* there if one of its
    concepts gets its verdict: followers share the leader's items, and which of them leads is chance. Its gap on the
    second half is then free of the choice that the first half made; only that this finding is looked at, and no other,
    is due to all items.

    Parameters
    ----------
    weights : csr_array of shape (groups, N)
    halves
        Units of the first half of each split, as :func:`split_halves` draws them.
    tested : ndarray of bool of shape (concepts,)
        Concepts that were tested on all items.
    """
    units = units_of(sample)
    asked = np.flatnonzero(tested)
    rows = sample.rows(asked)
    part = replace(sample, rows=lambda chosen: sp.csr_array(rows[chosen]), support=np.diff(rows.indptr))
    place = {int(concept): i for i, concept in enumerate(asked)}
    members = [[place[concept] for concept in group.concepts if concept in place] for group in groups]
    gaps: list[list[tuple[float, ...]]] = [[] for _ in groups]
    for half in halves:
        first = evidence(_of_units(part, units, half), config, groups=False)
        again = [i for i, g in enumerate(groups) if (first.status[members[i]] == g.verdict).any()]
        if not again:
            continue
        second = _of_units(sample, units, ~half)
        own = units_of(second)
        sums = block_sums(own.rows(sp.csr_array(weights[again])), own.outcomes)
        low, high = gap_interval(sums, config.level)
        for i, *figures in zip(again, adjusted_gap(sums), low, high, strict=True):
            if not np.isnan(figures).any():
                gaps[i].append(tuple(sample.scale * float(figure) for figure in figures))
    return [_mean(own) for own in gaps]


def _of_units(sample: ItemSample, units: Units, chosen: np.ndarray) -> ItemSample:
    """The sample in which only the items of some units have scores."""
    kept = (units.unit >= 0) & chosen[units.unit]
    return replace(sample, scores=np.where(kept, sample.scores, np.nan))


def _mean(gaps: Sequence[tuple[float, ...]]) -> Unseen:
    if not gaps:
        return Unseen(None, None, None, 0)
    gap, low, high = np.mean(np.array(gaps), axis=0)
    return Unseen(float(gap), float(low), float(high), len(gaps))
