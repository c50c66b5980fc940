"""All evidence of a suite, or of one of its benchmarks: which gaps are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr
from scipy.stats import false_discovery_control

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence.gap import adjusted_gap, gap_interval
from competency_gaps.evidence.groups import lead
from competency_gaps.evidence.interval import chi_model_interval, mean_interval
from competency_gaps.evidence.monte_carlo import ItemSample, drawn_tails, sample_of
from competency_gaps.evidence.permutation import PermutationTails, permutation_tails
from competency_gaps.evidence.sample import effective_sample
from competency_gaps.metrics.performance import chi_model
from competency_gaps.metrics.sums import Sums, add_all, sums_by_benchmark

SKEWED = 0.25
"""Skewness of T from which the closed form is poor in its shorter tail."""
REACHED = 10
"""Draws that must be as extreme for their share to be trusted."""
CANDIDATE = 0.2
"""p-value from which it does not matter how exact it is."""


@dataclass(frozen=True)
class Evidence:
    """How sure each concept's performance is. Arrays of shape (concepts,); NaN = undefined."""

    n_eff: np.ndarray
    """float64, >= 0: effective sample over all scored items."""
    low: np.ndarray
    """float64 in [0, 1]: lower end of chi_model's interval."""
    high: np.ndarray
    gap: np.ndarray
    """float64 in [-1, 1]: the adjusted gap."""
    gap_low: np.ndarray
    gap_high: np.ndarray
    p_value: np.ndarray
    """float64 in [0, 1], two-sided; NaN = not tested."""
    q_value: np.ndarray
    """float64 in [0, 1]: Benjamini-Hochberg over the tested concepts; NaN = not tested."""
    drawn: np.ndarray
    """bool: the p-value comes from drawn permutations, not from the closed form."""
    status: np.ndarray
    """object (str): weak, strong, typical, insufficient, untested."""
    leader: np.ndarray
    """int64: of a weak (strong) concept the one that leads its group, itself if it leads; -1 for all others."""

    def counts(self) -> dict[str, int]:
        """Concepts of each status, and how many were tested and how many of these by drawing."""
        found = {name: int((self.status == name).sum()) for name in ("weak", "strong", "typical", "insufficient")}
        groups = {
            f"{word}_groups": len(np.unique(self.leader[(self.status == word) & (self.leader >= 0)]))
            for word in ("weak", "strong")
        }
        return {"tested": int((~np.isnan(self.p_value)).sum()), "drawn": int(self.drawn.sum()), **found, **groups}


def evidence(
    sums: Mapping[str, Sums],
    config: EvidenceConfig,
    *,
    eligible: np.ndarray | None = None,
    sample: ItemSample | None = None,
    numbers: Mapping[str, int] | None = None,
    pooled: bool = False,
) -> Evidence:
    """Gather the evidence of every concept over some benchmarks.

    A concept is tested if it is eligible, its ``n_eff`` reaches the floor, and both its weights and the scores vary
    within some benchmark (a benchmark with one score throughout tells no concept from another).

    Parameters
    ----------
    eligible : ndarray of bool of shape (concepts,), optional
        Concepts that may be tested: those that bear no flag; null: all.
    sample
        The items, for the p-values that the closed form gives poorly and for the groups; null: the closed form serves
        throughout, and nobody leads.
    numbers
        Number of each benchmark in ``sample``; null: in the order of ``sums``.
    pooled
        Interval of the pooled chi_model instead of the mean over benchmarks.
    """
    parts = list(sums.values())
    total = add_all(parts)
    n_eff = effective_sample(total)
    low, high = _chi_model_intervals(parts, config.level, pooled=pooled)
    gap = adjusted_gap(parts)
    gap_low, gap_high = gap_interval(parts, config.level)
    tails = permutation_tails(parts)
    able = np.ones(len(gap), bool) if eligible is None else eligible
    tested = able & (n_eff >= config.min_n_eff) & ~np.isnan(tails.low)
    lower, upper = tails.low, tails.high
    drawn = np.zeros(len(gap), bool)
    places = np.array([numbers[name] if numbers else i for i, name in enumerate(sums)])
    if sample is not None:
        drawn = tested & _poor(lower, upper, tails.skewness)
        chosen = np.flatnonzero(drawn)
        if len(chosen):
            lower, upper = _drawn(tails, chosen, drawn_tails(sample, chosen, places, config.seed))
    p_value = np.where(tested, np.minimum(1.0, 2 * np.fmin(lower, upper)), np.nan)
    q_value = np.full(len(gap), np.nan)
    if tested.any():
        q_value[tested] = false_discovery_control(p_value[tested])
    status = _status(gap, q_value, n_eff, total.scored_support, able, config)
    leader = np.full(len(gap), -1)
    if sample is not None:
        own = replace(sample, scores=np.where(np.isin(sample.benchmark, places), sample.scores, np.nan))
        for word in ("weak", "strong"):
            chosen = np.flatnonzero(status == word)
            if len(chosen):
                leader[chosen] = lead(own, chosen, gap[chosen], p_value[chosen])
    return Evidence(n_eff, low, high, gap, gap_low, gap_high, p_value, q_value, drawn, status, leader)


def _drawn(
    tails: PermutationTails, chosen: np.ndarray, found: tuple[np.ndarray, np.ndarray, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Put drawn tails in the place of closed ones.

    Draws cannot tell tails apart that hardly any of them reaches. There the normal tail counts, which is on the safe
    side where the distribution leans the other way, or the closed one if that is larger.
    """
    lower, upper, draws = tails.low.copy(), tails.high.copy(), found[2]
    short_is_low = tails.skewness[chosen] > 0
    for tail, drawn, z, short in (
        (lower, found[0], tails.z[chosen], short_is_low),
        (upper, found[1], -tails.z[chosen], ~short_is_low),
    ):
        safe = np.minimum(drawn, np.maximum(tail[chosen], ndtr(z)))
        tail[chosen] = np.where(short & (drawn < REACHED / (1 + draws)), safe, drawn)
    return lower, upper


def _poor(low: np.ndarray, high: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Skewed, and small in the shorter tail: there a Pearson curve ends where the true distribution goes on."""
    with np.errstate(invalid="ignore"):
        shorter = np.where(skewness > 0, low, high)
        return (np.abs(skewness) > SKEWED) & (shorter < CANDIDATE / 2)


def _chi_model_intervals(parts: list[Sums], level: float, *, pooled: bool) -> tuple[np.ndarray, np.ndarray]:
    if pooled or len(parts) == 1:
        return chi_model_interval(add_all(parts), level)
    values = [chi_model(s) for s in parts]
    ends = [chi_model_interval(s, level) for s in parts]
    return mean_interval(values, [low for low, _ in ends], [high for _, high in ends])


def _status(
    gap: np.ndarray,
    q_value: np.ndarray,
    n_eff: np.ndarray,
    support: np.ndarray,
    able: np.ndarray,
    config: EvidenceConfig,
) -> np.ndarray:
    status = np.full(len(gap), "untested", dtype=object)
    status[able & (support > 0) & (n_eff < config.min_n_eff)] = "insufficient"
    tested = ~np.isnan(q_value)
    status[tested] = "typical"
    with np.errstate(invalid="ignore"):
        real = tested & (q_value <= config.q)
    status[real & (gap < 0)] = "weak"
    status[real & (gap > 0)] = "strong"
    return status


def suite_evidence(
    cas: sp.csr_array,
    scores: np.ndarray,
    benchmarks: np.ndarray,
    *,
    config: EvidenceConfig | None = None,
    eligible: np.ndarray | None = None,
) -> Evidence:
    """Evidence over a suite from plain arrays; parameters as of :func:`~competency_gaps.metrics.suite_metrics`.

    Raises
    ------
    ValueError
        If the lengths differ, there are no items, or a value is out of its range.
    """
    names = np.asarray(benchmarks)
    sums = sums_by_benchmark(cas, scores, names)
    place = {name: i for i, name in enumerate(sums)}
    numbers = np.array([place[str(name)] for name in names.tolist()])
    sample = sample_of(cas, scores, numbers)
    return evidence(sums, config or EvidenceConfig(), eligible=eligible, sample=sample)
