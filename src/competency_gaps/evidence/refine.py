"""Replace closed-form tails that are poor by those of drawn permutations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence.measure import Measures
from competency_gaps.evidence.monte_carlo import shared_tails
from competency_gaps.evidence.units import ItemSample, Units

SKEWED = 0.25
"""Skewness of T above which the closed form is poor in the shorter tail."""
REACHED = 10
"""Fewest draws as extreme as T for their share to be used as the tail."""
CANDIDATE = 0.2
"""p-values above this are not refined by sampling."""


class Refined(NamedTuple):
    """Measures with the tails that count."""

    measures: Measures
    drawn: np.ndarray
    """bool of shape (concepts,): the tails come from drawn permutations."""


def closed_forms(measures: Sequence[Measures]) -> list[Refined]:
    """Leave all tails as they are."""
    return [Refined(own, np.zeros(len(own.low), bool)) for own in measures]


def testable(m: Measures, config: EvidenceConfig, eligible: np.ndarray | None) -> np.ndarray:
    """Whether each concept is tested: bool of shape (concepts,)."""
    enough = (m.n_eff >= config.min_n_eff) & ~np.isnan(m.low)
    return enough if eligible is None else enough & eligible


def refined(
    sample: ItemSample,
    units: Sequence[Units],
    measures: Sequence[Measures],
    config: EvidenceConfig,
    eligible: np.ndarray | None,
    chosen: np.ndarray | None = None,
) -> list[Refined]:
    """Draw the tails of tested concepts whose closed form is poor, for outcomes of the same scored items.

    Parameters
    ----------
    units, measures
        Of each outcome; the units are alike but for their outcomes.
    chosen : ndarray of bool of shape (K,), optional
        Units that take part; None: all.
    """
    out = closed_forms(measures)
    first = units[0]
    part = np.arange(len(first.outcome)) if chosen is None else np.flatnonzero(chosen)
    poor = [np.flatnonzero(testable(m, config, eligible) & _poor(m.low, m.high, m.skewness)) for m in measures]
    asked = [number for number, concepts in enumerate(poor) if len(concepts)]
    if asked:
        weights = [sp.csr_array(first.rows(sample.rows(poor[number]))[:, part]) for number in asked]
        outcomes = [units[number].outcome[part] for number in asked]
        for number, tails in zip(asked, shared_tails(weights, outcomes, first.block[part], config.seed), strict=True):
            out[number] = _drawn(measures[number], poor[number], tails)
    return out


def _drawn(m: Measures, asked: np.ndarray, tails: tuple[np.ndarray, np.ndarray, int]) -> Refined:
    """Replace closed-form tails by sampled ones.

    Where hardly any draw is as extreme as T, the larger of the normal and the closed-form tail counts: the normal one
    is conservative on the side of the shorter tail.
    """
    lower, upper, draws = m.low.copy(), m.high.copy(), tails[2]
    short_is_low = m.skewness[asked] > 0
    for tail, drawn, z, short in (
        (lower, tails[0], m.z[asked], short_is_low),
        (upper, tails[1], -m.z[asked], ~short_is_low),
    ):
        safe = np.minimum(drawn, np.maximum(tail[asked], ndtr(z)))
        tail[asked] = np.where(short & (drawn < REACHED / (1 + draws)), safe, drawn)
    drawn = np.zeros(len(lower), bool)
    drawn[asked] = True
    return Refined(replace(m, low=lower, high=upper), drawn)


def _poor(low: np.ndarray, high: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Whether T is skewed and its shorter tail small: there a Pearson curve ends before the true distribution."""
    with np.errstate(invalid="ignore"):
        shorter = np.where(skewness > 0, low, high)
        return (np.abs(skewness) > SKEWED) & (shorter < CANDIDATE / 2)
