"""The groups that findings are made of, their pooled evidence, and whether half of the items shows them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import (
    Evidence,
    ItemSample,
    Units,
    adjusted_gap,
    block_sums,
    evidence,
    gap_interval,
    units_of,
)
from competency_gaps.findings.words import Verdict
from competency_gaps.metrics.suite import saliency

LEAST_WEIGHT = 0.1
"""Weight below which an item does not belong to a group: a quarter of what the leader gives at a typical activation."""


@dataclass(frozen=True)
class Group:
    """A leader with its followers."""

    verdict: Verdict
    concepts: tuple[int, ...]
    """The leader first, then by p-value."""

    @property
    def leader(self) -> int:
        """The concept that leads."""
        return self.concepts[0]


def groups_of(concepts: pl.DataFrame, q: float) -> list[Group]:
    """Choose the groups that are findings, so that their false-discovery rate is at most ``q``: weak ones first.

    Concepts are weak or strong by Benjamini and Hochberg over the tested ones. That rate does not carry over to
    groups: concepts of one cause collapse into a single group, while each concept that is an accident leads its own.
    Focused BH asks for more: of the ``m`` tested concepts, leaders with ``p <= t`` are kept for the largest ``t`` with
    ``m t / #(leaders with p <= t) <= q`` (Katsevich, Sabatti and Bogomolov, "Filtering the Rejection Set While
    Preserving False Discovery Rate Control", JASA 118 (2023)). Concepts of the other groups stay weak or strong.

    Parameters
    ----------
    concepts
        The table of concepts; ``p_value`` is null where a concept was not tested.
    q
        In (0, 1).
    """
    groups = led_groups(concepts)
    of_concept = dict(concepts.select("concept", "p_value").iter_rows())
    leading = np.array([of_concept[group.leader] for group in groups], np.float64)
    tested = concepts["p_value"].drop_nulls().len()
    rank = np.searchsorted(np.sort(leading), leading, side="right")
    last = leading[tested * leading <= q * rank].max(initial=-np.inf)
    return [group for group, p_value in zip(groups, leading, strict=True) if p_value <= last]


def led_groups(concepts: pl.DataFrame) -> list[Group]:
    """Give all groups in a table of concepts, findings or not: weak ones first."""
    led = concepts.filter(pl.col("performance_status").is_in(["weak", "strong"]) & pl.col("leader").is_not_null())
    groups = []
    for (verdict, leader), part in led.sort("p_value", "concept").group_by(
        "performance_status", "leader", maintain_order=True
    ):
        others = [concept for concept in part["concept"].to_list() if concept != leader]
        groups.append(Group(verdict, (leader, *others)))
    return sorted(groups, key=lambda group: (group.verdict != "weak", group.leader))


def group_weights(sample: ItemSample, groups: Sequence[Sequence[int]]) -> sp.csr_array:
    """Weigh every item for every group: its concepts, the leader first.

    ``W(x) = nCAS(leader, x) + sum over followers of r(c)^2 * nCAS(c, x)``. Saliencies make concepts comparable where
    CAS does not; here ``tau`` is the mean of the concept's non-zero CAS over the run. ``r(c)`` is the correlation of a
    follower's saliency with the leader's within benchmarks (0 if negative), so that a follower counts by the part of
    its variance that it shares with the leader: one that hardly goes with it does not thin out the group. Weights
    below ``LEAST_WEIGHT`` are 0.

    Returns
    -------
    csr_array of float64 of shape (groups, items)
    """
    rows = []
    for group in groups:
        own = sp.csr_array(sample.rows(np.array(group)), dtype=np.float64)
        count = np.diff(own.indptr)
        tau = np.asarray(own.sum(axis=1)).ravel() / np.maximum(1, count)
        own.data = saliency(own.data, np.repeat(tau, count))
        weights = np.asarray(_likeness(own, sample.benchmark) ** 2 @ own)
        rows.append(sp.csr_array(np.where(weights >= LEAST_WEIGHT, weights, 0.0)[None, :]))
    return sp.csr_array(sp.vstack(rows, format="csr")) if rows else sp.csr_array((0, len(sample.scores)))


def _likeness(rows: sp.csr_array, benchmark: np.ndarray) -> np.ndarray:
    """Correlation of each row with the first within benchmarks, at least 0; 1 for the first."""
    _, place = np.unique(benchmark, return_inverse=True)
    count = np.bincount(place)
    join = sp.csr_array((np.ones(len(place)), (np.arange(len(place)), place)), shape=(len(place), len(count)))
    sums = np.asarray((rows @ join).todense())
    lead = rows[[0]].toarray()[0]
    product = rows @ lead - (sums * sums[0] / count).sum(axis=1)
    scatter = np.asarray(rows.power(2).sum(axis=1)).ravel() - (sums**2 / count).sum(axis=1)
    size = np.sqrt(np.maximum(scatter * scatter[0], 0.0))
    correlation = np.divide(product, size, out=np.zeros(rows.shape[0]), where=size > 1e-12)
    correlation[0] = 1.0
    return np.asarray(np.maximum(correlation, 0.0))


def as_sample(sample: ItemSample, weights: sp.csr_array) -> ItemSample:
    """The sample in which each group stands as a concept."""
    return replace(sample, rows=lambda asked: sp.csr_array(weights[asked]), support=np.diff(weights.indptr))


def pooled_evidence(sample: ItemSample, weights: sp.csr_array, config: EvidenceConfig) -> Evidence:
    """The evidence of every group, as a concept's; q-values are over the groups.

    All groups are tested, whatever their effective sample: the leader of each was.
    """
    return evidence(as_sample(sample, weights), config.model_copy(update={"min_n_eff": 2.0}), pooled=True)


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
