"""One normal model of all slices: what they let expect of an outcome [ours]."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

DOUBT = 0.5
"""Part of the distance from an expected gap to that of the slice's own items that counts as error: the model may draw a
strong gap too far towards the others' (in ``validation/planted_slices.py`` 95% intervals then hold)."""


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

    def expected(
        self, left: np.ndarray, part: float, weights: sp.csr_array | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Products of slices with the expected outcomes of all units.

        Parameters
        ----------
        left : ndarray of float of shape (U, H)
            Centred outcomes of subsets of the units.
        part
            Share of the units in each.
        weights : csr_array of shape (L, U), optional
            Of slices that may not be in the model; None: those of the model, L = K.

        Returns
        -------
        values : ndarray of float of shape (L, H)
        deviations : ndarray of float of shape (L,)
            By the model.
        errors : ndarray of float of shape (L, H)
            Those of intervals: at least the standard error of what the slice's own items say, and more where that is
            something else.
        """
        coefficients, half, factor = self._posterior(left, part)
        if weights is None:
            weights, gram, squares = self.rows, self.gram, np.diag(self.gram)
            # The squares of half @ gram, which is factor.T - half * precision: these share but the diagonal.
            np.fill_diagonal(factor, factor.diagonal() - half.diagonal() * self.precision)
            np.fill_diagonal(half, 0.0)
            spread = np.einsum("kj,kj->k", factor, factor) + np.einsum("jk,jk->k", half, half) * self.precision**2
            variance = np.maximum(spread, 1e-12) * (self.noise / part) ** 2
        else:
            weights = sp.csr_array(weights, dtype=np.float64)
            count = np.bincount(self.block)
            sums = sums_by_block(weights, self.block)
            gram = (weights @ self.rows.T).toarray() - (sums / count) @ sums_by_block(self.rows, self.block).T
            squares = np.asarray(weights.power(2).sum(axis=1)).ravel() - (sums**2 / count).sum(axis=1)
            variance = ((half @ gram.T) ** 2).sum(axis=0)
        values = gram @ coefficients
        # What other slices add counts on a model of them.
        least = np.maximum(variance, self.noise * squares / part)
        return values, np.sqrt(variance), np.hypot(np.sqrt(least)[:, None], DOUBT * (weights @ left / part - values))

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
        half, factor = half_covariance(np.tril(self.gram), self.precision, self.noise / part)
        return half.T @ (half @ (self.rows @ left / self.noise + self.shift[:, None])), half, factor


def sums_by_block(weights: sp.csr_array, block: np.ndarray) -> np.ndarray:
    """Sums of weights, of shape (K, U), over the units of each block: float64 of shape (K, B)."""
    blocks = int(block.max(initial=-1)) + 1
    count = weights.shape[0]
    cell = np.repeat(np.arange(count) * blocks, np.diff(weights.indptr)) + block[weights.indices]
    return np.bincount(cell, weights.data, minlength=count * blocks).reshape(count, blocks)


def half_covariance(lower: np.ndarray, precision: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Square root of the posterior covariance of the coefficients, which is its transpose times itself; its inverse.

    ``lower``: the lower triangle of the slices' gram.
    """
    factor = np.ascontiguousarray(lower / noise, np.float64)
    np.fill_diagonal(factor, factor.diagonal() + precision)
    _lapack("dpotrf", b"U", factor)  # LAPACK counts by columns: lower is upper
    half = factor.copy()
    _lapack("dtrtri", b"UN", half)
    return half, factor  # above the diagonals are zeros


def _lapack(name: str, options: bytes, matrix: np.ndarray) -> None:
    """Call LAPACK without the lock of Python's threads, which SciPy's own wrappers hold: others wait for them."""
    from ctypes import CFUNCTYPE, PYFUNCTYPE, byref, c_char_p, c_int64, c_void_p, py_object, pythonapi

    from scipy.linalg.cython_lapack import __pyx_capi__

    held = __pyx_capi__[name]
    title = PYFUNCTYPE(c_char_p, py_object)(("PyCapsule_GetName", pythonapi))(held)
    address = PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", pythonapi))(held, title)
    size, stride, info = (byref(c_int64(number)) for number in (len(matrix), max(1, len(matrix)), 0))
    values = [*(bytes([option]) for option in options), size, matrix.ctypes.data, stride, info]
    CFUNCTYPE(None, *[c_void_p] * len(values))(address)(*values)
