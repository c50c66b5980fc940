"""The gaps that chosen slices have on new items: measured on items that did not choose them, and shrunk [ours]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from competency_gaps.findings.choose import ALIKE, Chosen, Weighed, centred, likeness

HALVES = 20
"""Half-samples that choose anew."""
NORMAL = 1.959964
"""Half width of an interval of 95%, in standard errors."""


@dataclass(frozen=True)
class Estimate:
    """The gap of one chosen slice, in units of the outcome."""

    gap: float
    """Its own on new items, against comparable ones: not what earlier slices left of it."""
    low: float
    high: float
    again: int
    """Half-samples that choose it, or one nearly like it."""
    again_gap: float | None
    """Mean gap on the units that these leave out; None: none chose it."""
    again_low: float | None
    again_high: float | None


def half_samples(units: int, count: int = HALVES, seed: int = 0) -> np.ndarray:
    """Draw halves of the units: bool of shape (units, count)."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(units) < units // 2 for _ in range(count)], axis=1)


def gaps_of(
    own: Weighed, slices: np.ndarray, outcome: np.ndarray, taken: np.ndarray, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gaps of slices on subsets of the units, and their standard errors: two arrays of shape (slices, H)."""
    left = centred(outcome, taken, block)
    rows = own.weights[slices].astype(np.float64)
    size = np.maximum(rows @ taken.astype(np.float64), 1e-9)
    gap = (rows @ left) / size
    squared = rows.power(2)
    inside = squared @ left.astype(np.float64) ** 2 - 2 * gap * (squared @ left) + gap**2 * (squared @ taken)
    count = np.maximum(size**2 / np.maximum(squared @ taken.astype(np.float64), 1e-9), 2)
    overall = (left.astype(np.float64) ** 2).sum(axis=0) / np.maximum(taken.sum(axis=0), 1)
    # A small slice's own spread is not well known: the whole sample's counts like ten units of it.
    spread = (np.maximum(inside, 0) / np.maximum(squared @ taken.astype(np.float64), 1e-9) * count + 10 * overall) / (
        count + 9
    )
    outside = np.clip(1 - size / np.maximum(taken.sum(axis=0), 1), 0.05, 1)
    return gap, np.sqrt(spread * outside / count)


def prior_variance(gap: np.ndarray, error: np.ndarray) -> float:
    """Variance of a family's true gaps by maximum likelihood, if they and their errors are normal about 0."""
    from scipy.optimize import minimize_scalar

    if not len(gap):
        return 0.0

    def loss(log: float) -> float:
        total = np.exp(log) + error**2
        return float((np.log(total) + gap**2 / total).sum())

    found = minimize_scalar(loss, bounds=(np.log(1e-8), np.log(max(1e-6, float((gap**2).max())))), method="bounded")
    return float(np.exp(found.x))


def priors(families: Sequence[Weighed], outcome: np.ndarray, taken: np.ndarray, block: np.ndarray) -> list[float]:
    """The variance of each family's true gaps, from the units that are taken: bool of shape (U,)."""
    found = []
    for own in families:
        gap, error = gaps_of(own, np.flatnonzero(own.usable), outcome, taken[:, None], block)
        found.append(prior_variance(gap[:, 0], error[:, 0]))
    return found


def estimate(
    families: Sequence[Weighed],
    chosen: Sequence[Chosen],
    again: Sequence[Sequence[Chosen]],
    halves: np.ndarray,
    outcome: np.ndarray,
    block: np.ndarray,
) -> list[Estimate]:
    """Estimate the gaps of a list.

    Parameters
    ----------
    chosen
        The list of all units.
    again
        The lists of the half-samples.
    halves : ndarray of bool of shape (U, half-samples)
    """
    whole = np.ones((len(outcome), 1), bool)
    variance = priors(families, outcome, whole[:, 0], block)
    estimates = []
    for one in chosen:
        own, place = families[one.family], np.array([one.slice])
        found = np.array([any(nearly(families, one, other) for other in own_list) for own_list in again], bool)
        gap, error = (float(values[0, 0]) for values in gaps_of(own, place, outcome, whole, block))
        held = None
        if found.any():
            there, _ = gaps_of(own, place, outcome, ~halves[:, found], block)
            held = float(there.mean())
            spread = error * float(np.sqrt(1 + 1 / found.sum()))
        shrink = float(variance[one.family] / (variance[one.family] + error**2))
        low, high = (float(shrink * gap + side * NORMAL * error * np.sqrt(shrink)) for side in (-1, 1))
        estimates.append(
            Estimate(
                shrink * gap,
                low,
                high,
                int(found.sum()),
                held,
                None if held is None else held - NORMAL * spread,
                None if held is None else held + NORMAL * spread,
            )
        )
    return estimates


def nearly(families: Sequence[Weighed], first: Chosen, second: Chosen) -> bool:
    """Whether two choices say the same of mostly the same items."""
    if first.z * second.z <= 0:
        return False
    same = (first.family, first.slice) == (second.family, second.slice)
    return same or likeness(families, first, second) > (1 + ALIKE) / 2


def joint(
    families: Sequence[Weighed],
    chosen: Sequence[Chosen],
    variance: Sequence[float],
    outcome: np.ndarray,
    taken: np.ndarray,
    block: np.ndarray,
) -> np.ndarray:
    """What a list foretells for every unit: the slices' parts, estimated together and shrunk by family.

    Parameters
    ----------
    variance
        As :func:`priors` gives it.
    taken : ndarray of bool of shape (U,)
        Units that estimate.

    Returns
    -------
    ndarray of float64 of shape (U,)
    """
    if not chosen:
        return np.zeros(len(outcome))
    rows = np.stack([families[one.family].weights[[one.slice]].toarray().ravel() for one in chosen], axis=1)
    inside = centred(rows, np.repeat(taken[:, None], len(chosen), axis=1), block).astype(np.float64)
    left = centred(outcome, taken[:, None], block).ravel().astype(np.float64)
    noise = float((left**2).sum()) / max(1, int(taken.sum()))
    ridge = np.diag([noise / max(variance[one.family], 1e-8) for one in chosen])
    return rows @ np.linalg.solve(inside.T @ inside + ridge, inside.T @ left)


PART = 0.3
"""Least part of a gap that is said to rest on something else."""


def resting_on(
    families: Sequence[Weighed], chosen: Sequence[Chosen], place: int, outcome: np.ndarray, block: np.ndarray
) -> tuple[tuple[str, float], ...]:
    """What explains part of a chosen slice's gap: slices chosen before it, other columns, and what is held equal.

    The part is what is lost of the gap when the other is held equal too.

    Returns
    -------
    tuple of (str, float)
        Names and parts in [0, 1], the largest part first.
    """
    one = chosen[place]
    own = families[one.family]
    row = own.weights[[one.slice]].toarray().ravel().astype(np.float64)
    whole = np.ones((len(outcome), 1), bool)
    left = centred(outcome, whole, block).ravel().astype(np.float64)
    gap = float(row @ left) / max(float(row.sum()), 1e-9)
    parts: dict[str, float] = {}

    def note(name: str, others: np.ndarray) -> None:
        """``others``: weights of what is held equal too, shape (U, k)."""
        inside = centred(others, np.ones(others.shape, bool), block).astype(np.float64)
        own_inside = row - inside @ np.linalg.lstsq(inside, centred(row, whole, block).ravel(), rcond=None)[0]
        rest = centred(own_inside, whole, block).ravel().astype(np.float64)
        full = centred(row, whole, block).ravel().astype(np.float64)
        slope = float(full @ left) / max(float(full @ full), 1e-9)
        net = float(rest @ left) / max(float(rest @ rest), 1e-9)
        parts[name] = float(np.clip(1 - net / slope, 0, 1)) if slope else 0.0

    for other in chosen[:place]:
        if (question := families[other.family].family.question[other.slice]) is None or (
            question != own.family.question[one.slice]
        ):
            weights = families[other.family].weights[[other.slice]].toarray().T
            note(families[other.family].family.names[other.slice], weights)
    plain = float(row @ (outcome - outcome.mean())) / max(float(row.sum()), 1e-9)
    if plain * gap > 0 and abs(plain) > abs(gap):
        parts["strata"] = 1 - gap / plain
    found = sorted(((name, part) for name, part in parts.items() if part >= PART), key=lambda pair: -pair[1])
    return tuple(found[:3])
