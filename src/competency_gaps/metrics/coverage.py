"""Coverage: do the benchmarks exercise a concept? (chi_bench, missing, lift)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from competency_gaps.metrics.sums import Sums

Normaliser = Literal["alive", "nonzero", "none"]


def chi_bench(sums: Sums, alive: np.ndarray, normaliser: Normaliser = "alive") -> np.ndarray:
    """Coverage of each concept by one benchmark.

    ``chi_bench(c, b) = mean over x of CAS(c, x) / M_b`` [paper, as its reviewers read it].

    Parameters
    ----------
    alive : ndarray of bool of shape (concepts,)
        Concepts active somewhere in the reference or the run.
    normaliser
        ``M_b``: ``alive``: the mean CAS over all alive concepts and items, so that chi_bench averages exactly 1 over
        alive concepts; ``nonzero``: the mean over the non-zero pairs; ``none``: 1.

    Returns
    -------
    ndarray of float64 of shape (concepts,), >= 0; 0 = missing. All 0 if the benchmark has no items or no activation.
    """
    if sums.items == 0:
        return np.zeros_like(sums.cas)
    mean = sums.cas / sums.items
    if normaliser == "none":
        return mean
    total = sums.cas.sum()
    pairs = sums.support.sum() if normaliser == "nonzero" else float(alive.sum()) * sums.items
    return mean / (total / pairs) if total > 0 else np.zeros_like(mean)


def suite_chi_bench(per_benchmark: np.ndarray) -> np.ndarray:
    """``chi_bench(c) = mean over b of chi_bench(c, b)`` [paper]; input of shape (benchmarks, concepts)."""
    return np.asarray(per_benchmark).mean(axis=0)


def share(sums: Sums) -> np.ndarray:
    """Each concept's share of a benchmark's activation [ours]: float64 of shape (concepts,), sums to 1."""
    total = sums.cas.sum()
    return sums.cas / total if total > 0 else np.zeros_like(sums.cas)


def lift(own: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """``lift(c, b) = log2(share(c, b) / share(c, ref))`` [ours].

    Returns
    -------
    ndarray of float64 of shape (concepts,)
        0 = as in the reference. ``inf`` where only the benchmark has the concept; NaN where the benchmark lacks it
        (*missing*, not a small lift).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log2(own) - np.log2(reference)
    return np.where(own > 0, value, np.nan)


def coverage_status(
    sums: Sums,
    alive: np.ndarray,
    chi: np.ndarray,
    lifts: np.ndarray | None,
    *,
    under: float = -2.0,
    over: float = 2.0,
    tail: float = 0.1,
) -> np.ndarray:
    """Judge each concept's coverage by one benchmark [ours, except ``missing``, which is the paper's].

    Parameters
    ----------
    chi : ndarray of shape (concepts,)
        chi_bench in the benchmark.
    lifts : ndarray of shape (concepts,), optional
        ``under`` (``over``): lift at or below (above) the threshold of that name. None: chi_bench among the lowest
        (highest) ``tail`` of the covered concepts.

    Returns
    -------
    ndarray of object (str or None) of shape (concepts,)
        ``missing`` (CAS is 0 for every item), ``under``, ``typical``, ``over``; None for concepts not alive, and
        for all if no item is kept.
    """
    covered = sums.cas > 0
    status = np.full(len(chi), None, dtype=object)
    if sums.items == 0:
        return status
    status[alive & ~covered] = "missing"
    status[covered] = "typical"
    if not covered.any():
        return status
    if lifts is not None:
        with np.errstate(invalid="ignore"):
            status[covered & (lifts <= under)] = "under"
            status[covered & (lifts >= over)] = "over"
        return status
    low, high = np.quantile(chi[covered], [tail, 1 - tail])
    if low < high:
        status[covered & (chi <= low)] = "under"
        status[covered & (chi >= high)] = "over"
    return status


def chance_seen(window_density: np.ndarray, tokens: float, window: int) -> np.ndarray:
    """Chance that a concept is active in a text of ``tokens`` tokens, given its base rate in the reference [ours].

    ``1 - (1 - window_density)^(tokens / window)``: windows, not tokens, are taken as independent, because a concept's
    activations cluster. A concept with a small chance is expected to be missing.

    Parameters
    ----------
    window_density : ndarray of shape (concepts,)
        Share of the reference's windows of ``window`` tokens in which each concept is active.
    tokens
        Length of the text.

    Returns
    -------
    ndarray of float64 of shape (concepts,), in [0, 1].
    """
    if tokens <= 0:
        return np.zeros(len(window_density))
    with np.errstate(divide="ignore"):
        return -np.expm1(np.log1p(-np.clip(window_density, 0.0, 1.0)) * (tokens / window))


def missing_everywhere(all_sums: Sequence[Sums]) -> np.ndarray:
    """Concepts that are missing in every benchmark: bool of shape (concepts,)."""
    return np.all([sums.cas == 0 for sums in all_sums], axis=0)
