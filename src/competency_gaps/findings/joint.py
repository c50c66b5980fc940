"""One normal model of all slices: what they let expect of an outcome [ours]."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class Joint:
    """The slices of all families in one model. K slices, U units."""

    family: np.ndarray
    """int64 of shape (K,): place of each slice's family; ``slice``: its place in the family."""
    slice: np.ndarray
    rank: np.ndarray
    """int64 of shape (K,): how easily people check it, 0 the easiest."""
    asked: np.ndarray
    """bool of shape (K,): whether it is a category of a question, which was tested as a whole."""
    rows: sp.csr_array
    """float32 of shape (K, U)."""
    size: np.ndarray
    """float64 of shape (K,): sums of the weights."""
    gram: np.ndarray
    """float64 of shape (K, K): products of the weights about their blocks' means."""
    prior: np.ndarray
    """float64 of shape (K,): variance of the coefficients, by family and size alone."""
    precision: np.ndarray
    """float64 of shape (K,): with ``shift``, the normal curve that stands for what is expected of each coefficient
    before the others' outcomes are seen: its precision, and its mean times that. Large coefficients are rare, so it
    learns from the slice's own outcomes."""
    shift: np.ndarray
    noise: float
    """Variance of the outcome about what is expected."""
    block: np.ndarray
    """int64 of shape (U,)."""

    def expected(self, left: np.ndarray, part: float) -> tuple[np.ndarray, np.ndarray]:
        """Products of each slice with the expected outcomes of all units: values (K, H), standard deviations (K,).

        Parameters
        ----------
        left : ndarray of float of shape (U, H)
            Centred outcomes of subsets of the units.
        part
            Share of the units in each.
        """
        coefficients, half, factor = self._posterior(left, part)
        spread = ((self.noise / part * (factor.T - half * self.precision)) ** 2).sum(axis=0)  # that is half @ gram
        return self.gram @ coefficients, np.sqrt(np.maximum(spread, 1e-12))

    def anew(self) -> Joint:
        """The model before any slice's own outcomes are seen, for subsets of the units that choose for themselves."""
        return replace(self, precision=1 / self.prior, shift=np.zeros(len(self.prior)))

    def outcomes(self, left: np.ndarray, part: float) -> np.ndarray:
        """Expected outcomes of the units, of shape (U, H), not centred."""
        return self.rows.T @ self.coefficients(left, part)

    def coefficients(self, left: np.ndarray, part: float) -> np.ndarray:
        """Expected coefficients of the slices, of shape (K, H)."""
        return self._posterior(left, part)[0]

    def _posterior(self, left: np.ndarray, part: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        half, factor = half_covariance(part * self.gram, self.precision, self.noise)
        return half.T @ (half @ (self.rows @ left / self.noise + self.shift[:, None])), half, factor


def half_covariance(gram: np.ndarray, precision: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Square root of the posterior covariance of the coefficients, which is its transpose times itself; its inverse."""
    from scipy.linalg.lapack import dpotrf, dtrtri

    if not len(precision):
        return np.zeros((0, 0)), np.zeros((0, 0))
    inverse = gram / noise
    np.fill_diagonal(inverse, inverse.diagonal() + precision)
    factor, _ = dpotrf(inverse.T, lower=1, overwrite_a=1)  # transposed, it is not copied
    half, _ = dtrtri(factor, lower=1)
    return half, factor  # above the diagonals are zeros
