"""One normal model of all slices: what they let expect of an outcome [ours].

``y = sum_k w_k b_k + e`` with ``b_k ~ N(0, s v_k)``. The variances ``v`` come from all models of a run
(``prior.py``). The scale ``s`` says by how much more or less than usual this outcome depends on slices at all, and is
integrated over a grid: where it may well be 0, as an outcome that goes with nothing has it, gaps are small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

DOUBT = 0.5
"""Part of the distance from an expected gap to that of the slice's own items that counts as error: the model may draw a
strong gap too far towards the others' (in ``validation/planted_slices.py`` 95% intervals then hold)."""
SCALES = np.array([0.001, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
"""Scales of the variances of an outcome's coefficients; the first one stands for 0."""
TAIL = 10.0
"""Degrees of freedom of the coefficients' distribution: a few strong ones among many weak are not shrunk like these."""
TURNS = 2
"""Turns in which the variances of single coefficients are found."""
Group = tuple[str, str | int]
"""The slices whose coefficients have one variance: a family, and a question or else a class of sizes."""


@dataclass(frozen=True)
class Design:
    """The slices of all families that are in the model. K slices, U units."""

    family: np.ndarray
    """int64 of shape (K,): index of each slice's family; ``slice``: its index in the family."""
    slice: np.ndarray
    rank: np.ndarray
    """int64 of shape (K,): how easily people check it, 0 the easiest."""
    groups: list[Group]
    """Of length K."""
    rows: sp.csr_array
    """float32 of shape (K, U)."""
    size: np.ndarray
    """float64 of shape (K,): sums of the weights."""
    gram: np.ndarray
    """float64 of shape (K, K): products of the weights about their blocks' means."""
    block: np.ndarray
    """int64 of shape (U,)."""

    @cached_property
    def asked(self) -> np.ndarray:
        """bool of shape (K,): whether it is a category of a question, which was tested as a whole."""
        return np.array([isinstance(group[1], str) for group in self.groups], bool)


@dataclass(frozen=True)
class Joint:
    """The model of an outcome. K slices, U units, L scales."""

    design: Design
    prior: np.ndarray
    """float64 of shape (K,): variance of the coefficients at a scale of 1."""
    scales: np.ndarray
    """float64 of shape (L,): probability of each scale before the outcome is seen."""
    noise: float
    """Variance of the outcome about what is expected."""
    base: Joint | None = None
    """The model before the variances of single coefficients were found; None: this is it."""

    @cached_property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Axes on which the coefficients are independent: information (K,), and coefficients of each (K, K)."""
        root = np.sqrt(self.prior)
        values, vectors = np.linalg.eigh(root[:, None] * self.design.gram * root)
        return np.maximum(values, 0.0), root[:, None] * vectors

    def scale_weights(self, sums: np.ndarray, part: float) -> np.ndarray:
        """Probability of each scale given outcomes: shape (L, H).

        Parameters
        ----------
        sums : ndarray of float of shape (K, H)
            Products of the slices with centred outcomes of subsets of the units.
        part
            Share of the units in each.
        """
        if self.base is not None:
            return self.base.scale_weights(sums, part)
        information, basis = self.axes
        known = SCALES[:, None] * part / self.noise * information
        explained = (SCALES[:, None] / (self.noise**2 * (1 + known))) @ (basis.T @ sums) ** 2
        likely = 0.5 * (explained - np.log1p(known).sum(axis=1)[:, None]) + np.log(self.scales)[:, None]
        weights = np.exp(likely - likely.max(axis=0))
        return np.asarray(weights / weights.sum(axis=0))

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
        weights : csr_array of shape (M, U), optional
            Of slices that may not be in the model; None: those of the model, M = K.

        Returns
        -------
        values, deviations, errors : ndarray of float of shape (M, H)
            Expected products; their standard deviations by the model; and those of intervals, which grow where the
            slice's own items say something else.
        """
        rows = self.design.rows if weights is None else sp.csr_array(weights)
        cross = self.design.gram if weights is None else self._cross(rows)
        by_scale, mixed, scales = self._posterior(left, part)
        toward = cross @ self.axes[1]
        products = np.stack([toward @ own for own in by_scale])
        values = np.einsum("lh,lkh->kh", scales, products)
        variance = self.noise * (toward**2 @ mixed) + np.einsum("lh,lkh->kh", scales, products**2) - values**2
        deviations = np.sqrt(np.maximum(variance, 1e-12))
        return values, deviations, np.hypot(deviations, DOUBT * (rows @ left / part - values))

    def tailed(self, left: np.ndarray, part: float) -> Joint:
        """The model with variances of single coefficients, by the variational Bayes of Student's t [ours]."""
        scales = self.scale_weights(self.design.rows @ left, part)[:, 0]
        model = self
        for _ in range(TURNS):
            by_scale, _, _ = model._posterior(left, part)
            information, basis = model.axes
            square = np.zeros(len(self.prior))
            for weight, scale, expected in zip(scales, SCALES, by_scale, strict=True):
                spread = basis**2 @ (scale * self.noise / (self.noise + scale * part * information))
                square += weight / scale * ((basis @ expected[:, 0]) ** 2 + spread)
            model = replace(self, prior=(TAIL * self.prior + square) / (TAIL + 1), base=self)
        return model

    def _posterior(self, left: np.ndarray, part: float) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Expected values on the axes at each scale, (K, H) each; mean shrinkage (K, H); weights of scales (L, H)."""
        sums = np.asarray(self.design.rows @ left, np.float64)
        information, basis = self.axes
        scales = self.scale_weights(sums, part)
        shrinkage = SCALES[:, None] / (self.noise + SCALES[:, None] * part * information)
        turned = basis.T @ sums
        return [own[:, None] * turned for own in shrinkage], shrinkage.T @ scales, scales

    def _cross(self, rows: sp.csr_array) -> np.ndarray:
        """Products of other slices with those of the model, about their blocks' means."""
        block = self.design.block
        theirs = sums_by_block(rows, block) / np.bincount(block)
        return np.asarray(
            (rows @ self.design.rows.T).toarray() - theirs @ sums_by_block(self.design.rows, block).T, np.float64
        )


def sums_by_block(weights: sp.csr_array, block: np.ndarray) -> np.ndarray:
    """Sums of weights, of shape (K, U), over the units of each block: float64 of shape (K, B)."""
    blocks = int(block.max(initial=-1)) + 1
    count = weights.shape[0]
    cell = np.repeat(np.arange(count) * blocks, np.diff(weights.indptr)) + block[weights.indices]
    return np.bincount(cell, weights.data, minlength=count * blocks).reshape(count, blocks)
