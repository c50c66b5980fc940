"""Bradley-Terry strengths by weighted logistic regression (Bradley and Terry, 1952; Li et al., 2024).

``P(i beats j) = 1 / (1 + exp(-(s_i - s_j + x . c)))`` with strengths ``s`` and, where wanted, coefficients ``c`` of
covariates ``x`` of the two answers. A tie is half a win. A game's row of the design has 1 for the one, -1 for the
other, and the covariates; one model against a baseline of strength 0 is a single column of ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from competency_gaps.evidence.interval import DRAWS, Estimate, drawn

RIDGE = 1e-3
"""Weight of the squared coefficients' half in the loss [ours]: a model that wins every game has no finite strength
otherwise. Against some hundred games it moves a win rate in the sixth digit."""


class Fit(NamedTuple):
    """Strengths, also of resampled items."""

    coefficients: np.ndarray
    """float64 of shape (columns,): natural log-odds."""
    resampled: np.ndarray
    """float64 of shape (draws, columns)."""

    def strength(self, column: int = 0) -> Estimate:
        """A coefficient with its 95% interval."""
        low, high = np.quantile(self.resampled[:, column], [0.025, 0.975])
        return Estimate(float(self.coefficients[column]), float(low), float(high))

    def win_rate(self, column: int = 0) -> Estimate:
        """Chance to win against strength 0, all other columns being 0."""
        return Estimate(*(float(expit(value)) for value in self.strength(column)))


def bradley_terry(
    design: np.ndarray,
    results: np.ndarray,
    weights: np.ndarray,
    items: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Fit:
    """Fit strengths, and fit them again on resampled items.

    Parameters
    ----------
    design : ndarray of float64 of shape (games, columns)
    results : ndarray of float64 of shape (games,)
        1 a win of the side with +1, 0 a loss, 0.5 a tie.
    weights : ndarray of float64 of shape (games,)
        How often each game counts.
    items : ndarray of int64 of shape (games,)
        Which item a game is about, from 0 on.
    """
    coefficients = logistic(design, results, weights)
    counts = drawn(int(items.max()) + 1, draws, seed)
    again = [logistic(design, results, weights * count[items], start=coefficients) for count in counts]
    return Fit(coefficients, np.asarray(again))


def logistic(
    design: np.ndarray, results: np.ndarray, weights: np.ndarray, *, start: np.ndarray | None = None
) -> np.ndarray:
    """Coefficients that maximise the weighted likelihood less ``RIDGE`` half squares: float64 of shape (columns,)."""

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        logits = design @ coefficients
        fit = weights * (np.logaddexp(0.0, logits) - results * logits)
        slope = design.T @ (weights * (expit(logits) - results)) + RIDGE * coefficients
        return fit.sum() + 0.5 * RIDGE * (coefficients**2).sum(), slope

    first = np.zeros(design.shape[1]) if start is None else start
    return np.asarray(minimize(loss, first, jac=True, method="BFGS", options={"gtol": 1e-7}).x)
