"""Does a concept's weakness (or strength) hold on fresh items? [ours]

The test is that of the claim itself, the adjusted gap of :mod:`competency_gaps.evidence.interval` with families as
blocks, under one of two weights of an item, chosen by the items' activations and never by their scores:

``contrast``
    1 for items that excite the concept, else 0. Within a family the gap is then ``(n0 / n) (m1 - m0)``, so that over
    families it is Mantel and Haenszel's mean of the differences to the items that do not excite it (as in Greenland
    and Robins, 1985), but for the scale, which is taken out.
``graded``
    The activation, where families do not hold enough items of both kinds (mostly because almost all excite it).

Scores are permuted within families. Neither gives a verdict if fewer than ``FEWEST`` scored items excite the concept.
NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Outcomes, adjusted_gap, block_sums, drawn_tails, effective_sample, gap_interval
from competency_gaps.evidence.interval import gradedness, ratio_interval

Claim = Literal["weak", "strong"]
FEWEST = 10
"""Least number of scored (or effective) items on either side for a verdict."""
OF_A_KIND = 5
"""Least number of items of either kind in a family that is compared."""
COVERED = 0.5
"""Least share of the concept's activation in families with both kinds of items for a contrast."""


@dataclass(frozen=True)
class ProbeResult:
    """Result of the comparison for one concept; without a value in an item, numbers are None."""

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
    mean: float | None = None
    """Mean score of exciting items, each family by its weight (graded: by activation); in [0, 1]."""
    mean_low: float | None = None
    mean_high: float | None = None
    expected: float | None = None
    """What items of the same families score without the concept, families weighted as in ``mean`` (graded: what all
    score); in [0, 1]."""
    difference: float | None = None
    """``mean - expected``, in [-1, 1]."""
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    """Of a difference as far in the claimed direction, in [0, 1]; None = too few items."""
    p_opposite: float | None = None
    """The same in the other direction."""
    q_value: float | None = None
    """Benjamini-Hochberg over the probed concepts."""
    q_opposite: float | None = None
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
    count = int(family.max(initial=-1)) + 1
    with_it, without = (np.bincount(family[part], minlength=count) for part in (exciting, ~exciting))
    both = (np.minimum(with_it, without) >= OF_A_KIND)[family] if count else np.zeros(0, bool)
    contrast = (
        float(cas[both].sum()) >= COVERED * float(cas.sum())
        and min((exciting & both).sum(), (~exciting & both).sum()) >= FEWEST
    )
    weights = exciting.astype(np.float64) if contrast else cas
    used = both if contrast else (np.bincount(family, cas, minlength=count) > 0)[family] if count else both
    result = ProbeResult(
        claim,
        "contrast" if contrast else "graded",
        exciting=int((weights[used] > 0).sum()),
        comparison=int((weights[used] == 0).sum()),
        unscored=unscored,
        apart=int((exciting & ~both).sum()) if contrast else 0,
        families=len(np.unique(family[used])),
    )
    if not weights[used].any():
        return result
    enough = contrast or exciting.sum() >= FEWEST
    return _compared(result, weights[used], scores[used], family[used], enough, level, seed)


def _compared(
    result: ProbeResult,
    weights: np.ndarray,
    scores: np.ndarray,
    family: np.ndarray,
    enough: bool,
    level: float,
    seed: int,
) -> ProbeResult:
    _, family = np.unique(family, return_inverse=True)
    row = sp.csr_array(weights[None, :])
    sums = block_sums(row, Outcomes.of(scores, family, int(family.max()) + 1))
    # A contrast's mean weighs an exciting item by its family's share of others: Mantel and Haenszel's n1 n0 / n.
    share = 1 - (np.bincount(family, weights) / np.bincount(family))[family] if result.kind == "contrast" else 1.0
    own = weights * share
    scale = weights.sum() / own.sum()
    gap, low, high = (float(np.clip(scale * end[0], -1, 1)) for end in (adjusted_gap(sums), *gap_interval(sums, level)))
    mean, mean_low, mean_high = _weighted_mean(scores, own, level)
    # Items that are active but do not excite the concept are no evidence on it alone, however many they are.
    below = above = None
    if enough and float(effective_sample(sums.weight.sum(), sums.weight2.sum())) >= FEWEST:
        tails = drawn_tails(row, scores, family, seed)
        below, above = float(tails[0][0]), float(tails[1][0])
    return replace(
        result,
        mean=mean,
        mean_low=mean_low,
        mean_high=mean_high,
        expected=mean - gap,
        difference=gap,
        difference_low=low,
        difference_high=high,
        p_value=below if result.claim == "weak" else above,
        p_opposite=above if result.claim == "weak" else below,
    )


def _weighted_mean(scores: np.ndarray, weights: np.ndarray, level: float) -> tuple[float, float, float]:
    """``sum w s / sum w`` with its interval, as of chi_model."""
    value = float(np.clip(weights @ scores / weights.sum(), 0.0, 1.0))
    squares = float((weights**2).sum())
    trials = np.array([weights.sum() ** 2 / squares])
    observed = np.array([(weights**2 * (scores - value) ** 2).sum() / squares])
    graded = gradedness(np.array([float(len(scores))]), np.array([[scores.sum()], [(scores**2).sum()]]))
    low, high = ratio_interval(np.array([value]), trials, observed, graded, level)
    return value, float(low[0]), float(high[0])


def decide(results: Sequence[ProbeResult], q: float = 0.05) -> list[ProbeResult]:
    """Decide for each concept whether its claim holds.

    Benjamini-Hochberg runs over the probed concepts that have a p-value, for each direction apart: ``holds`` where
    the claimed direction stays at or below ``q``, ``reversed`` where the other does, else ``not shown``.
    """
    from scipy.stats import false_discovery_control

    tested = [i for i, result in enumerate(results) if result.p_value is not None]
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
