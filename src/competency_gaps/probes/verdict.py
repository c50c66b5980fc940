"""Does a concept's weakness (or strength) hold on fresh items? [ours]

One of two comparisons is made, chosen by the items' activations and never by their scores:

``contrast``
    Items that excite the concept against items of the same families that do not. The difference is
    ``sum over families w (m1 - m0) / sum w`` with ``w = n1 n0 / (n1 + n0)`` (Mantel and Haenszel's weights, as in
    Greenland and Robins, 1985). Its interval joins those of the two weighted
    means by squares (MOVER: Zou and Donner, 2008; Newcombe, 1998), each from the variance within families. The test
    permutes scores within families; its statistic is the same sum. For scores of 0 and 1 it is exact (the number of
    right answers among exciting items is a sum of hypergeometric numbers).
``graded``
    Where families do not hold enough items of both kinds (mostly because almost all excite the concept), there is no
    such contrast. Then strength counts: the adjusted gap, the statistic that made the claim, tested by permutation.

Neither gives a verdict if fewer than ``FEWEST`` scored items excite the concept.

NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Outcomes, adjusted_gap, block_sums, drawn_tails, effective_sample, gap_interval
from competency_gaps.probes.rates import binary, stratified_mean, weighted_mean

Claim = Literal["weak", "strong"]
FEWEST = 10
"""Least number of scored (or effective) items on either side for a verdict."""
OF_A_KIND = 5
"""Least number of items of either kind in a family that is compared."""
COVERED = 0.5
"""Least share of the concept's activation in families with both kinds of items for a contrast."""


@dataclass(frozen=True)
class ProbeResult:
    """Result of the comparison for one concept."""

    claim: Claim
    kind: Literal["contrast", "graded"]
    exciting: int
    """Scored items that count as exciting; graded: in which the concept is active at all."""
    comparison: int
    """Scored items beside them; graded: the others of their families."""
    unscored: int
    """Items without a score; they take no part."""
    apart: int
    """Exciting scored items of families without enough of the other kind, which the contrast leaves out."""
    families: int
    """Families that took part."""
    mean: float
    """Mean score of exciting items, each family by its weight (graded: by activation); in [0, 1], NaN: none."""
    mean_low: float
    mean_high: float
    expected: float
    """What items of the same families score without the concept, families weighted as in ``mean`` (graded: what all
    score); in [0, 1]."""
    difference: float
    """``mean - expected``, in [-1, 1]."""
    difference_low: float
    difference_high: float
    p_value: float
    """Of a difference as far in the claimed direction, in [0, 1]; NaN = too few items."""
    p_opposite: float
    """The same in the other direction."""
    q_value: float = float("nan")
    """Benjamini-Hochberg over the probed concepts."""
    q_opposite: float = float("nan")
    verdict: Literal["holds", "not shown", "reversed", "too few items"] = "too few items"


def examine(
    cas: np.ndarray,
    exciting: np.ndarray,
    scores: np.ndarray,
    families: np.ndarray,
    claim: Claim,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> ProbeResult:
    """Compare a concept's fresh items.

    Parameters
    ----------
    cas : ndarray of float of shape (items,)
        Concept activation scores, >= 0.
    exciting : ndarray of bool of shape (items,)
        Which items excite the concept.
    scores : ndarray of float of shape (items,)
        In [0, 1]; NaN = unscored.
    families : ndarray of shape (items,)
        Where each item comes from; only items of one family are compared.
    claim
        What the run claims about the concept.
    seed
        Of drawn permutations.

    Returns
    -------
    ProbeResult
        Without verdict and q-values, which :func:`decide` adds.
    """
    scored = ~np.isnan(scores)
    unscored = int((~scored).sum())
    cas, exciting, scores = np.asarray(cas, np.float64)[scored], exciting[scored], np.asarray(scores)[scored]
    _, family = np.unique(np.asarray(families)[scored], return_inverse=True)
    with_it = np.bincount(family[exciting], minlength=family.max(initial=-1) + 1)
    without = np.bincount(family[~exciting], minlength=len(with_it))
    usable = (np.minimum(with_it, without) >= OF_A_KIND)[family] if len(family) else np.zeros(0, bool)
    apart = int((exciting & ~usable).sum())
    covered = float(cas[usable].sum()) >= COVERED * float(cas.sum())
    if covered and min((exciting & usable).sum(), (~exciting & usable).sum()) >= FEWEST:
        return _contrast(exciting[usable], scores[usable], family[usable], claim, unscored, apart, level, seed)
    return _graded(cas, int(exciting.sum()), scores, family, claim, unscored, level, seed)


def _contrast(
    exciting: np.ndarray,
    scores: np.ndarray,
    family: np.ndarray,
    claim: Claim,
    unscored: int,
    apart: int,
    level: float,
    seed: int,
) -> ProbeResult:
    _, family = np.unique(family, return_inverse=True)
    with_it, without = np.bincount(family[exciting]), np.bincount(family[~exciting])
    weights = with_it * without / (with_it + without)
    mean, mean_low, mean_high = stratified_mean(scores[exciting], family[exciting], weights, level)
    expected, expected_low, expected_high = stratified_mean(scores[~exciting], family[~exciting], weights, level)
    low = mean - expected - np.hypot(mean - mean_low, expected_high - expected)
    high = mean - expected + np.hypot(mean_high - mean, expected - expected_low)
    if binary(scores):
        below, above = exact_tails(exciting, scores, family)
    else:
        below, above = _drawn(exciting.astype(np.float64), scores, family, seed)
    return ProbeResult(
        claim,
        "contrast",
        int(exciting.sum()),
        int((~exciting).sum()),
        unscored,
        apart,
        len(with_it),
        mean,
        mean_low,
        mean_high,
        expected=expected,
        difference=mean - expected,
        difference_low=float(max(-1.0, low)),
        difference_high=float(min(1.0, high)),
        p_value=below if claim == "weak" else above,
        p_opposite=above if claim == "weak" else below,
    )


def _graded(
    cas: np.ndarray,
    exciting: int,
    scores: np.ndarray,
    family: np.ndarray,
    claim: Claim,
    unscored: int,
    level: float,
    seed: int,
) -> ProbeResult:
    nothing = float("nan")
    present = np.bincount(family[cas > 0], minlength=family.max(initial=-1) + 1) > 0
    there = present[family] if len(family) else np.zeros(0, bool)
    cas, scores, family = cas[there], scores[there], family[there]
    active = int((cas > 0).sum())
    counts = (claim, "graded", active, len(cas) - active, unscored, 0, int(present.sum()))
    if not active:
        return ProbeResult(*counts, *[nothing] * 9)  # type: ignore[arg-type]
    weights = sp.csr_array(cas[None, :])
    sums = block_sums(weights, Outcomes.of(scores, family, len(present)))
    chi, low, high = weighted_mean(scores, cas, level)
    gap = float(adjusted_gap(sums)[0])
    gap_low, gap_high = (float(end[0]) for end in gap_interval(sums, level))
    below = above = nothing
    # Items that are active but do not excite the concept are no evidence on it alone, however many they are.
    if min(exciting, float(effective_sample(sums.weight.sum(), sums.weight2.sum()))) >= FEWEST:
        below, above = _drawn(cas, scores, family, seed)
    return ProbeResult(
        *counts,  # type: ignore[arg-type]
        mean=chi,
        mean_low=low,
        mean_high=high,
        expected=chi - gap,
        difference=gap,
        difference_low=gap_low,
        difference_high=gap_high,
        p_value=below if claim == "weak" else above,
        p_opposite=above if claim == "weak" else below,
    )


def exact_tails(exciting: np.ndarray, scores: np.ndarray, family: np.ndarray) -> tuple[float, float]:
    """Chance of as few, and of as many, right answers among exciting items if the concept made no difference.

    Within each family the number of right exciting items is hypergeometric given how many items are right; the sum
    over families is their convolution.

    Parameters
    ----------
    exciting : ndarray of bool of shape (items,)
    scores : ndarray of float of shape (items,)
        All 0 or 1.
    family : ndarray of int of shape (items,)
    """
    from scipy.stats import hypergeom

    chances = np.ones(1)
    for name in np.unique(family):
        own = family == name
        drawn = int(exciting[own].sum())
        pmf = hypergeom.pmf(np.arange(drawn + 1), int(own.sum()), int(scores[own].sum()), drawn)
        chances = np.convolve(chances, pmf)
    right = int(scores[exciting].sum())
    return float(min(1.0, chances[: right + 1].sum())), float(min(1.0, chances[right:].sum()))


def _drawn(weights: np.ndarray, scores: np.ndarray, family: np.ndarray, seed: int) -> tuple[float, float]:
    low, high, _ = drawn_tails(sp.csr_array(weights[None, :]), scores, family, seed)
    return float(low[0]), float(high[0])


def decide(results: Sequence[ProbeResult], q: float = 0.05) -> list[ProbeResult]:
    """Decide for each concept whether its claim holds.

    Benjamini-Hochberg runs over the probed concepts that have a p-value, for each direction apart: ``holds`` where
    the claimed direction stays at or below ``q``, ``reversed`` where the other does, else ``not shown``.
    """
    from scipy.stats import false_discovery_control

    tested = [i for i, result in enumerate(results) if not np.isnan(result.p_value)]
    decided = list(results)
    if not tested:
        return decided
    forward = false_discovery_control([results[i].p_value for i in tested])
    backward = false_discovery_control([results[i].p_opposite for i in tested])
    for i, ahead, back in zip(tested, forward, backward, strict=True):
        verdict: Literal["holds", "reversed", "not shown"] = (
            "holds" if ahead <= q else "reversed" if back <= q else "not shown"
        )
        decided[i] = replace(results[i], q_value=float(ahead), q_opposite=float(back), verdict=verdict)
    return decided
