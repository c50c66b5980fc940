"""One normal model of all slices: what they let expect of an outcome [ours]."""

from __future__ import annotations

from dataclasses import dataclass

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
    """float64 of shape (K,): variance of the coefficients."""
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
        coefficients, covariance = self._posterior(left, part)
        spread = np.einsum("ij,jk,ik->i", self.gram, covariance, self.gram, optimize=True)
        return self.gram @ coefficients, np.sqrt(np.maximum(spread, 1e-12))

    def outcomes(self, left: np.ndarray, part: float) -> np.ndarray:
        """Expected outcomes of the units, of shape (U, H), not centred."""
        return self.rows.T @ self.coefficients(left, part)

    def coefficients(self, left: np.ndarray, part: float) -> np.ndarray:
        """Expected coefficients of the slices, of shape (K, H)."""
        return self._posterior(left, part)[0]

    def _posterior(self, left: np.ndarray, part: float) -> tuple[np.ndarray, np.ndarray]:
        covariance = covariance_of(part * self.gram, self.prior, self.noise)
        return covariance @ (self.rows @ left) / self.noise, covariance


def covariance_of(gram: np.ndarray, prior: np.ndarray, noise: float) -> np.ndarray:
    """Posterior covariance of the coefficients."""
    from scipy.linalg.lapack import dpotrf, dpotri

    if not len(prior):
        return np.zeros((0, 0))
    root = np.sqrt(prior)
    factor, _ = dpotrf(np.eye(len(root)) + root[:, None] * gram * root / noise, lower=1, overwrite_a=1)
    inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
    inverse += np.tril(inverse, -1).T  # above the diagonal are zeros
    return root[:, None] * inverse * root
